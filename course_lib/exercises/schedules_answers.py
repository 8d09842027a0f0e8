"""Answers to the exercises on schedules, right and wrong, that the judges are held to."""

import math

import numpy as np

from course_lib.schedules import Plateau, cosine_decay, join, polynomial_decay, warmup


def warm_cosine(step, peak, rise, total):
    if step < rise:
        return peak * (step + 1) / rise
    done = min((step - rise) / (total - rise), 1)
    return peak * (1 + math.cos(math.pi * done)) / 2


def warm_cosine_by_library(step, peak, rise, total):
    return warmup(cosine_decay(peak, total - rise), rise)(step)


def faulty(late=False, clock=True, half=True, end=True, length=True):
    """The function with some of its faults left in."""
    def rate(step, peak, rise, total):
        if step < rise or late and step == rise:
            return peak * (step + (not late)) / rise
        done = (step - rise if clock else step) / (total - rise if length else total)
        done = min(done, 1) if end else done
        return peak * (1 + math.cos(math.pi * done)) * (0.5 if half else 1)
    return rate


FAULTS = {
    "The first rate is 0: step 0 should be made at peak/rise.": faulty(late=True),
    "The cosine has been running since step 0; it should start at its own step 0.": faulty(
        clock=False, length=False),
    "The cosine starts at twice the peak: a half is missing.": faulty(half=False),
    "After the end the cosine rises again; it should stay at 0.": faulty(end=False),
    "The cosine has total − rise steps, not total: at the end it is not yet at 0.": faulty(length=False),
}


def plateau_rate(losses, lr, factor, patience):
    best, bad = math.inf, 0
    for loss in losses:
        if loss < 0.9999 * best:
            best, bad = loss, 0
        else:
            bad += 1
        if bad > patience:
            lr, bad = lr * factor, 0
    return lr


def plateau_rate_by_library(losses, lr, factor, patience):
    plateau = Plateau(lr, factor, patience)
    for loss in losses:
        plateau.observe(loss)
    return plateau.lr


def other_plateau(early=False, forgets_best=False, keeps_counting=False, threshold=0.9999, last=False):
    """A plateau with one thing done differently."""
    def rate(losses, lr, factor, patience):
        best, bad = math.inf, 0
        for loss in losses:
            better = loss < threshold * best
            bad = 0 if better else bad + 1
            best = loss if better or last else best
            if bad >= patience if early else bad > patience:
                lr = lr * factor
                bad = bad if keeps_counting else 0
                best = math.inf if forgets_best else best
        return lr
    return rate


OTHER_PLATEAUS = {
    "It lowers the rate one loss too early: patience losses in a row change nothing.": other_plateau(early=True),
    "The best loss stays when the rate is lowered.": other_plateau(forgets_best=True),
    "After lowering the rate the count must begin anew.": other_plateau(keeps_counting=True),
    "An improvement must be below 0.9999 times the best, not merely below the best.": other_plateau(threshold=1.0),
    "Compare with the best loss so far, not with the last.": other_plateau(last=True),
}

CURVATURES = np.geomspace(0.01, 1, 50)


def losses_at(rates, looks=(500, 1000)):
    """Exact mean losses of the bowl after so many steps."""
    m, seen = np.ones(50), []
    for t, eta in enumerate(rates, 1):
        m = (1 - eta * CURVATURES) ** 2 * m + 0.3**2 * eta**2
        if t in looks:
            seen.append(m @ CURVATURES / 2)
    return np.array(seen)


LEAST = np.array([0.0814580, 0.0490187])   # found by L-BFGS over 250 pieces, for each length alone


def twice(start, end, again, last):
    """Geometric from start to end, and from again to last, 500 steps each."""
    return np.concatenate([np.geomspace(start, end, 500), np.geomspace(again, last, 500)])


def line(lr):
    return polynomial_decay(lr, 1000)(np.arange(1000))


def two_lines(lr, share):
    return join([polynomial_decay(lr, 500), polynomial_decay(share * lr, 500)], [500])(np.arange(1000))

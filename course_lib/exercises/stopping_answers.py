"""Answers to the exercises on when to stop, right and wrong, that the judges are held to."""

import math


def equal_ridge(s, h):
    return h / math.expm1(s * h)


def equal_ridge_from_the_share(s, h):
    left = math.exp(-s * h)  # of the way to least squares, not yet gone
    return h * left / (1 - left)


# Losses, rate, patience, and what to look at if the answer is wrong on them.
RUNS = (
    ([3.0, 2.0, 2.5, 2.5, 2.5, 2.5, 2.5], 1.0, 2,
     "The rate is lowered at the patience-th look without a new best, not one later; the run stops "
     "when after a decay as many have again brought none, its rate unchanged."),
    ([3.0] * 12, 0.5, 3,
     "A loss that equals the best is no new best; and after a decay the count begins anew."),
    ([3.0, 3.5, 3.5, 2.0, 2.5, 2.5, 2.2, 2.1, 1.0], 1.0, 2,
     "A new best after a decay gives a new chance: the next bad looks lower the rate again."),
    ([3.0, 3.5, 3.5, 3.2, 2.9, 3.0, 2.8, 2.9, 2.9, 2.9, 2.9, 1.0], 1.0, 2,
     "A new best begins the count anew."),
    ([5.0, 4.0, 3.0, 2.0], 1.0, 1, "As long as there are new bests nothing changes."),
)


def decay_then_stop(losses, lr, patience):
    best, bad, just_lowered, rates = math.inf, 0, False, []
    for loss in losses:
        if loss < best:
            best, bad, just_lowered = loss, 0, False
        else:
            bad += 1
        if bad == patience and just_lowered:
            return [*rates, lr]
        if bad == patience:
            lr, bad, just_lowered = lr / 10, 0, True
        rates.append(lr)
    return rates


def decay_then_stop_by_index(losses, lr, patience):
    """The same, from where the last best and the last decay were."""
    rates, last_best, last_decay = [], 0, -1
    for now, loss in enumerate(losses):
        if now and loss < min(losses[:now]):
            last_best = now
        since = now - max(last_best, last_decay)
        if since == patience and last_decay > last_best:
            return rates + [rates[-1]]
        if since == patience:
            last_decay, lr = now, lr * 0.1
        rates.append(lr)
    return rates


def faulty(tolerates=False, chances=2, keeps_counting=False, forgives=True, ties=False, lowers_at_the_end=False):
    """The recipe with one of its faults."""
    def run(losses, lr, patience):
        best, bad, lowered, rates = math.inf, 0, 0, []
        wait = patience + 1 if tolerates else patience
        for loss in losses:
            if loss < best or ties and loss == best:
                best, bad = loss, 0
                lowered = 0 if forgives else lowered
            else:
                bad += 1
            if bad >= wait and lowered == chances - 1:
                return [*rates, lr / 10 if lowers_at_the_end else lr]
            if bad == wait and lowered < chances - 1:
                lr, lowered = lr / 10, lowered + 1
                bad = bad if keeps_counting else 0
            rates.append(lr)
        return rates
    return run

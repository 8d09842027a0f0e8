"""The exercises of the chapter on when to stop."""

import math

import numpy as np

from course_lib.exercises import stopping_answers as answers
from course_lib.exercises.exercise import Exercise, is_close


def _best_and_last(answer):
    try:
        best, last = (float(each) for each in answer)
    except (TypeError, ValueError):
        return "Two numbers are asked for: (best epoch, last epoch)."
    if (best, last) == (4, 7):
        return None
    if (best, last) == (5, 8):
        return "The first loss was measured before training: that is epoch 0."
    if best == 8:
        return "The run never gets to see the 0.60: three looks in a row before it do not improve."
    if (best, last) == (1, 4):
        return "The 0.69 of epoch 4 is a new best: it comes as the third look, and in time."
    if best == 3 or best == 7:
        return "A loss that only equals the best is no improvement."
    if last == 8:
        return "The third look in a row without improvement is the last; no further epoch is run."
    return "Go through the losses and count, after each new best, the looks in a row that are not below it."


Exercise(
    "stopping-1",
    _best_and_last,
    accepted=((4, 7), [4, 7], np.array([4.0, 7.0])),
    rejected=(
        ((5, 8), "before training"), ((8, 8), "never gets to see"), ((1, 4), "in time"), ((7, 7), "equals the best"),
        ((4, 8), "no further epoch"), ((2, 5), "count"), (4, "Two numbers"),
    ),
)


def _steps_to_least_risk(answer):
    right = math.log(5) / 0.5 / 0.1
    if is_close(answer, right, 0.02):
        return None
    if is_close(answer, -math.log(5) / math.log(0.95), 0.005):
        return "That is the exact recursion of gradient descent; the flow is asked for."
    if is_close(answer, math.log(5) / 0.5, 0.02):
        return "That is the time; a step of gradient descent is η long."
    if is_close(answer, math.log(5) / 0.1, 0.02):
        return "The time is the logarithm divided by the curvature h."
    if is_close(answer, math.log(4) / 0.5 / 0.1, 0.02):
        return "The logarithm is that of 1 + n h c²/σ²: do not forget the 1."
    if is_close(answer, math.log(11) / 0.5 / 0.1, 0.02):
        return "The true weight enters as its square."
    if is_close(answer, math.log10(5) / 0.5 / 0.1, 0.02):
        return "The logarithm is the natural one."
    return "s = ln(1 + n h c²/σ²)/h, and s is η times the number of steps."


Exercise(
    "stopping-2",
    _steps_to_least_risk,
    accepted=(math.log(5) / 0.05, 32, 32.19, np.float32(32.2), [32]),
    rejected=(
        (3.22, "time"), (16.1, "divided by the curvature"), (27.7, "the 1"), (47.96, "square"), (13.98, "natural"),
        (31.4, "exact recursion"), (100, "number of steps"),
    ),
)


def _better_of_two(answer):
    right = 10 - 1.5 / math.sqrt(math.pi)
    if is_close(answer, right, 0.002):
        return None
    if is_close(answer, round(right, 1), 1e-6):
        return "More digits, please: two decimals."
    if is_close(answer, right / 100, 0.002):
        return "In per cent, please: the true error is 10."
    if is_close(answer, 10, 0.002):
        return "Each measurement is 10 on average, but you report the smaller of two."
    if is_close(answer, 20 - right, 0.002):
        return "The better network is the one with the smaller error."
    if is_close(answer, 8.5, 0.002):
        return "A whole deviation is too much: what is the expected largest of two standard normal numbers?"
    if is_close(answer, 10 - 1.5 / math.sqrt(2), 0.002):
        return "1/√2 is not it: the expected largest of two standard normal numbers is 1/√π."
    return "The true error, less the deviation times the expected largest of two standard normal numbers."


Exercise(
    "stopping-3",
    _better_of_two,
    accepted=(10 - 1.5 / math.sqrt(math.pi), 9.15, 9.154, np.float32(9.1537), [9.15]),
    rejected=(
        (9.2, "More digits"),
        (0.0915, "per cent"), (10, "smaller of two"), (10.846, "smaller error"), (8.5, "whole deviation"),
        (8.94, "1/√π"), (7, "true error"),
    ),
)


def _equal_ridge(answer):
    if not callable(answer):
        return "A function is asked for: equal_ridge(s, h)."
    cases = [(s, h) for s in (0.03, 0.7, 5.0) for h in (0.02, 1.0, 3.0)]
    found = [float(answer(s, h)) for s, h in cases]

    def are(formula):
        return all(is_close(f, formula(s, h), 1e-6) for f, (s, h) in zip(found, cases))

    if are(lambda s, h: h / math.expm1(s * h)):
        return None
    if are(lambda s, h: 1 / s):
        return "1/s is the limit for small sh; here the two factors are to be equal exactly."
    if are(lambda s, h: h / (1 - math.exp(-s * h))):
        return "That sets h/λ equal to the factor; for ridge it is h/(h + λ)."
    if are(lambda s, h: h * math.expm1(s * h)):
        return "It should fall with s: the longer the training, the smaller the penalty."
    return "Solve h/(h + λ) = 1 − e^(−sh) for λ."


Exercise(
    "stopping-4",
    _equal_ridge,
    accepted=(answers.equal_ridge, answers.equal_ridge_from_the_share),
    rejected=(
        (lambda s, h: 1 / s, "limit"), (lambda s, h: h / (1 - math.exp(-s * h)), "equal to the factor"),
        (lambda s, h: h * math.expm1(s * h), "fall with s"), (lambda s, h: h, "Solve"), (1.0, "function"),
    ),
)


def _decay_then_stop(answer):
    if not callable(answer):
        return "A function is asked for: decay_then_stop(losses, lr, patience)."
    for losses, lr, patience, hint in answers.RUNS:
        expected = answers.decay_then_stop(losses, lr, patience)
        found = np.asarray(answer(list(losses), lr, patience), dtype=float)
        case = f"For losses {losses} and patience {patience}"
        if found.shape != (len(expected),):
            return f"{case}: {len(expected)} rates expected, got {found.size}. {hint}"
        if not np.allclose(found, expected, rtol=1e-9, atol=0):
            return f"{case}: the rates are wrong. {hint}"
    return None


Exercise(
    "stopping-5",
    _decay_then_stop,
    accepted=(answers.decay_then_stop, answers.decay_then_stop_by_index),
    rejected=(
        (answers.faulty(tolerates=True), "at the patience-th"), (answers.faulty(chances=1), "after a decay"),
        (answers.faulty(keeps_counting=True), "as many have again"), (answers.faulty(forgives=False), "new chance"),
        (answers.faulty(ties=True), "no new best"), (answers.faulty(lowers_at_the_end=True), "unchanged"),
        (2.0, "function"),
    ),
)


def _signal_that_breaks_the_bound(answer):
    try:
        h, c, u, lam, noise = answer
        h, c, u = (np.asarray(each, dtype=float) for each in (h, c, u))
        lam, noise = float(lam), float(noise)
    except (TypeError, ValueError):
        return "A tuple is asked for: (h, c, u, lam, noise)."
    if any(each.shape != (2,) or not np.isfinite(each).all() for each in (h, c, u)):
        return "h, c and u hold two numbers each."
    if not (np.all(h > 0) and np.all(h <= 100) and np.abs([c, u]).max() <= 100 and 0 < lam < np.inf):
        return "h must be above 0, all entries at most 100 in size, and lam above 0."
    if not 0.01 <= noise < np.inf:
        return "The variance of the noise must be at least 0.01: without it the exercise is easier."

    if lam == 1 or math.isclose(h.max(), 3 * h.min()):
        return "That is too near the chapter's example: lam must not be 1, nor one curvature three times the other."

    def error(left):
        return (u * c * left).sum() ** 2 + noise / 100 * (u**2 * (1 - left) ** 2 / h).sum()

    ridge, stopping = error(lam / (h + lam)), error(np.exp(-h / lam))
    if stopping >= 1000 * ridge:
        return None
    if stopping <= 1.6862 * ridge:
        return "Here the bound holds. Write down the bias of each method: can one vanish, and not the other?"
    return "The bound is broken, but not a thousandfold yet. What is left of ridge's error?"


Exercise(
    "stopping-6",
    _signal_that_breaks_the_bound,
    accepted=(
        ((1.0, 4.0), (50.0, 50.0), (1.0, -2.0), 2.0, 0.01),
        (np.array([0.5, 4.0]), np.array([50.0, -50.0]), np.array([2.5 / 6, 1.0]), 2.0, 0.05),
    ),
    rejected=(
        (((1.0, 4.0), (1.0, 1.0), (1.0, 1.0), 2.0, 0.01), "bound holds"),
        (((1.0, 4.0), (0.06, 0.06), (1.0, -2.0), 2.0, 0.01), "not a thousandfold"),
        (((1.0, 3.0), (50.0, 50.0), (1.0, -2.0), 1.0, 0.01), "example"),
        (((6.0, 2.0), (50.0, 50.0), (-2.0, 1.0), 2.0, 0.01), "example"),
        (((1.0, 4.0), (10.0, 10.0), (1.0, -2.0), 2.0, 0.0), "at least 0.01"),
        (((1.0, 4.0), (1000.0, 10.0), (1.0, -2.0), 2.0, 0.01), "at most 100"),
        (((1.0,), (1.0,), (1.0,), 2.0, 0.01), "two numbers"), (3.0, "tuple"),
    ),
)

"""The exercises of the chapter on AdaGrad and RMSProp."""

from fractions import Fraction

import numpy as np

from course_lib.exercises import adagrad_answers as answers
from course_lib.exercises.exercise import Exercise, is_close
from course_lib.objectives import quadratic
from course_lib.training import minimize
from course_lib.update_rules import Rule, adadelta, adagrad, gradient_descent, rmsprop


def _sixteenth_step(answer):
    if is_close(answer, 0.075, 0.005):
        return None
    if is_close(answer, 0.525, 0.005):
        return "The gradient stands above and below the line: the root of the sum is 4 · 7."
    if is_close(answer, 0.3, 0.005):
        return "That is the first step; since then fifteen more squares have been added."
    if is_close(answer, 0.3 / 16, 0.005):
        return "The squares add up to 16 · 49; it is the root of that which divides."
    if is_close(answer, -0.075, 0.005):
        return "A length is asked for: without the sign."
    return "On a slope step t has the length η/√t."


Exercise(
    "adagrad-1",
    _sixteenth_step,
    accepted=(0.075, Fraction(3, 40), 0.3 / np.sqrt(16), [0.075]),
    rejected=(
        (0.525, "above and below"),
        (0.3, "first step"),
        (0.01875, "root"),
        (-0.075, "length"),
        (0.1, "On a slope"),
        ("0.3/4", "raised"),
    ),
)

_BOUND = 2000 * np.sqrt(2)


def _bound(answer):
    if is_close(answer, _BOUND, 0.005):
        return None
    if is_close(answer, _BOUND / 2, 0.005):
        return "The side of the box from −1 to 1 is 2, not 1."
    if is_close(answer, 2000, 0.005):
        return "The √2 in front is missing."
    if is_close(answer, 10 * _BOUND, 0.005):
        return "Each weight has had 100 gradients of size 1, and their length is √100: not 100, nor √10,000."
    if is_close(answer, _BOUND / 100, 0.005):
        return "That is the share of one weight; there are a hundred."
    return "√2 · D∞ · the sum over the weights of the length of all their gradients."


Exercise(
    "adagrad-2",
    _bound,
    accepted=(_BOUND, 2828, np.float32(2828.4), [2828.427]),
    rejected=(
        (1414.2, "not 1"),
        (2000, "missing"),
        (28284.3, "√100"),
        (28.28, "one weight"),
        (100, "the sum"),
    ),
)

_TEN = [float(1 / np.sqrt(1 - 0.9**t)) for t in range(1, 11)]


def _ten_steps(answer):
    if is_close(answer, sum(_TEN), 0.002):
        return None
    if is_close(answer, 10, 0.002):
        return "That is ten steps of sign descent; v began at zero, so the first steps are longer."
    if is_close(answer, 10 * _TEN[0], 0.002):
        return "Only the first step is as long as that; v fills up as 1 − ρᵗ."
    if is_close(answer, sum(_TEN) + 1 / np.sqrt(1 - 0.9**11) - _TEN[0], 0.002):
        return "t counts from 1: the first v is 1 − ρ."
    if is_close(answer, sum(1 / (1 - 0.9**t) for t in range(1, 11)), 0.002):
        return "It is the root of v that divides."
    if is_close(answer, sum(1 / np.sqrt(t) for t in range(1, 11)), 0.002):
        return "That is AdaGrad, whose squares add up; RMSProp's are averaged."
    return "Step t is η/√(1 − ρᵗ). Add up the first ten."


Exercise(
    "adagrad-3",
    _ten_steps,
    accepted=(sum(_TEN), round(sum(_TEN), 2), [sum(_TEN)], np.float32(sum(_TEN))),
    rejected=(
        (10, "sign descent"),
        (10 * _TEN[0], "fills up"),
        (sum(1 / (1 - 0.9**t) for t in range(1, 11)), "root of v"),
        (5.021, "AdaGrad"),
        (sum(_TEN) + 1 / np.sqrt(1 - 0.9**11) - _TEN[0], "from 1"),
        (3.2, "Add up"),
    ),
)


def _sparse(answer):
    rng = np.random.default_rng(0)
    for rows in (np.array([4, 1]), np.array([2, 2, 5, 2]), np.array([0, 3, 3, 0])):
        w, s = rng.standard_normal(6), rng.uniform(0.5, 2, 6)
        values = np.array([1.0, -0.4, 2.0, 0.7])[: len(rows)]
        kept = w.copy(), s.copy()
        new, sums = (np.asarray(each, dtype=float) for each in answer(w, s, rows, values, 0.1))
        if not (np.array_equal(w, kept[0]) and np.array_equal(s, kept[1])):
            return "The caller's weights or sums were overwritten: copy them first."
        if new.shape != (6,) or sums.shape != (6,):
            return f"Return the new w and s, each of shape (6,), got {new.shape} and {sums.shape}."
        right, right_sums = answers.through_dense(w, s, rows, values, 0.1)
        if np.allclose(new, right, rtol=1e-9) and np.allclose(sums, right_sums, rtol=1e-9):
            continue
        if len(set(rows.tolist())) == len(rows):
            return "Even where no row comes twice: s ← s + g² first, then w ← w − η g/√s, with the new s."
        if np.allclose(sums, answers.squares_summed(w, s, rows, values, 0.1)[1], rtol=1e-9):
            return "A row named twice has one gradient, the sum: square the sum, do not add the squares."
        if np.allclose(sums, answers.once_a_row(w, s, rows, values, 0.1)[1], rtol=1e-9):
            return "Through an index, += adds once for each row, however often it is named. Add up the values first."
        return "Right where no row comes twice. Where one does, its gradient is the sum of its values."
    return None


Exercise(
    "adagrad-4",
    _sparse,
    accepted=(answers.summed_rows, answers.through_dense),
    rejected=(
        (answers.once_a_row, "once for each row"),
        (answers.squares_summed, "square the sum"),
        (answers.row_after_row, "square the sum"),
        (answers.old_sums, "with the new s"),
        (answers.in_place, "overwritten"),
        (lambda w, s, rows, values, lr: (w[rows], s[rows]), "shape (6,)"),
        (0.1, "raised"),
    ),
)


def _rate_for_budget(answer):
    for R, p, N in ((2.0, 1e-4, 1000), (0.5, 0.3, 50), (30.0, 1e-8, 20_000)):
        found = float(np.asarray(answer(R, p, N), dtype=float).reshape(()))
        right = R * np.sqrt((np.log(1 / p) - 1 + p) / (8 * N))
        if is_close(found, right, 1e-6):
            continue
        if is_close(found, right**2, 1e-6):
            return "That is η²: take the root."
        if is_close(found, right / R, 1e-6):
            return "Without R it is a share of the way; η is a length."
        if is_close(found, R * np.sqrt((np.log(1 / p**2) - 1 + p**2) / (8 * N)), 1e-6):
            return "p is already the share of the *squared* distance."
        return f"With R = {R:g}, p = {p:g}, N = {N} you found {found:.4g}. Solve N = R²/(8η²) · (ln 1/p − 1 + p) for η."
    return None


Exercise(
    "adagrad-5",
    _rate_for_budget,
    accepted=(
        lambda R, p, N: R * np.sqrt((np.log(1 / p) - 1 + p) / (8 * N)),
        lambda R, p, N: (R**2 * (p - 1 - np.log(p)) / (8 * N)) ** 0.5,
    ),
    rejected=(
        (lambda R, p, N: R**2 * (np.log(1 / p) - 1 + p) / (8 * N), "take the root"),
        (lambda R, p, N: np.sqrt((np.log(1 / p) - 1 + p) / (8 * N)), "a length"),
        (lambda R, p, N: R * np.sqrt((np.log(1 / p**2) - 1 + p**2) / (8 * N)), "already"),
        (lambda R, p, N: R / np.sqrt(N), "Solve"),
        (0.1, "raised"),
    ),
)


def _without_rate(answer):
    if not isinstance(answer, Rule):
        return f"Hand in a Rule, made by Rule(name, settings, init, update), not {type(answer).__name__}."
    for size in (1.0, 1e-6, 1e6):
        for distance in (1.0, 0.01, 1000.0):
            f = quadratic(size * np.geomspace(0.01, 1, 10), rotation_seed=1)
            start = distance * np.ones(10) / np.sqrt(10)
            where = f"With curvatures up to {size:g}, from a distance of {distance:g},"
            try:
                trace = minimize(f, answer, start, 2000)
            except FloatingPointError as error:
                return f"{where} it diverged: {error}"
            share = trace.loss[-1] / trace.loss[0]
            if not share <= 0.01:
                return f"{where} the loss fell only to {share:.2g} of the start's in 2000 steps."
    return None


Exercise(
    "adagrad-6",
    _without_rate,
    accepted=(answers.distance_over_gradients(), answers.distance_over_gradients(1e-6), answers.secants()),
    rejected=(
        (adagrad(0.1), "distance of 1000"),
        (adadelta(), "distance of"),
        (rmsprop(0.01), "distance of"),
        (gradient_descent(1.0), "up to 1e-06"),
        (gradient_descent(1e7), "diverged"),
        (answers.distance_over_gradients, "Hand in a Rule"),
    ),
)

"""The exercises of the chapter on gradient descent."""

from fractions import Fraction

import numpy as np

from course_lib.exercises import gradient_descent_answers as answers
from course_lib.exercises.exercise import Exercise, is_close
from course_lib.objectives import document_quadratic, quadratic
from course_lib.training import minimize
from course_lib.update_rules import Rule, gradient_descent


def _largest_rate(answer):
    if is_close(answer, 1 / 3, 0.011):
        return None
    if is_close(answer, 2 / 3, 0.005):
        return "The curvature of 3(w − 1)² is its second derivative, 6, not 3."
    if is_close(answer, 1 / 6, 0.005):
        return "1/L arrives in one step; how far beyond it does the error still shrink?"
    return "The error is multiplied by 1 − ηL at each step. When is that between −1 and 1?"


Exercise(
    "gradient-descent-1",
    _largest_rate,
    accepted=(1 / 3, Fraction(1, 3), 0.33, [1 / 3], np.float32(1 / 3)),
    rejected=((2 / 3, "second derivative"), (1 / 6, "beyond"), (3, "between"), ("1/3", "raised")),
)


def _steps_needed(answer):
    if is_close(answer, 2073, 1e-6):
        return None
    if is_close(answer, 2072.5, 0.0005):
        return "Round up: after 2072 steps the loss is not yet small enough. Give a whole number."
    if is_close(answer, 2 * 2073, 0.001):
        return "That is for the distance to the minimum; the loss is its square."
    if is_close(answer, 2073 / np.log(10), 0.01):
        return "Count natural logarithms on both sides: ln(10⁹) is not 9."
    if is_close(answer, 4139, 0.01):
        return "1/L is not the best step: take η = 2/(L + μ)."
    return "Solve ((κ − 1)/(κ + 1))^(2k) = 10⁻⁹ for k."


Exercise(
    "gradient-descent-2",
    _steps_needed,
    accepted=(2073, 2073.0, np.ceil(9 * np.log(10) / (2 * np.log(401 / 399)))),
    rejected=(
        (4145, "square"),
        (900, "natural"),
        (4140, "best step"),
        (2072, "Round up"),
        (2072.3, "Round up"),
        (100, "Solve"),
    ),
)


def _mended_descent(answer):
    f = document_quadratic()
    start = np.array([3.0])
    path = answer(start, 0.1, 4)
    if path is None:
        return "It returns nothing: end it with return."
    path = np.asarray(path, dtype=float)
    if start[0] != 3.0:
        return "The caller's start was overwritten: w -= … writes into the array it was given."
    if path.size != 5:
        return f"4 steps visit 5 points, the start among them; yours gave {path.size}."
    expected = -2 + 5 * 0.8 ** np.arange(5)
    if not np.allclose(path.ravel(), expected, atol=1e-12):
        if np.ptp(path) == 0:
            return "All five points are the same array: store a copy, or make a new w each step."
        return f"With lr = 0.1 from 3 the second point is {expected[1]:g}; check the gradient {f.grad(3.0):g}."
    floats = "Started from the whole number 3 it fails: make a float of the start before you step."
    try:
        whole = np.asarray(answer(np.array([3]), 0.1, 4), dtype=float)
    except TypeError:
        return floats
    return None if np.allclose(whole.ravel(), expected, atol=1e-12) else floats


Exercise(
    "gradient-descent-3",
    _mended_descent,
    accepted=(answers.descend, lambda w, lr, n: [-2 + (w + 2) * (1 - 2 * lr) ** k for k in range(n + 1)]),
    rejected=(
        (answers.descend_in_place, "overwritten"),
        (answers.descend_same_array, "same array"),
        (answers.descend_whole_numbers, "whole number"),
        (lambda w, lr, n: None, "return"),
        (lambda w, lr, n: answers.descend(w, lr, n)[1:], "5 points"),
        (lambda w, lr, n: answers.descend(w, -lr, n), "gradient"),
        (lambda w, lr, n: answers.descend(w, lr, n) + np.random.default_rng().normal(), "second point"),
        (3.0, "raised"),
    ),
)


def _largest_curvature(answer):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        values = np.sort(rng.uniform(0, 3, size=8))
        values[-1] = 5 + seed
        f = quadratic(values, rotation_seed=seed)
        point, centre = rng.standard_normal((2, 8))
        with np.errstate(over="ignore", invalid="ignore"):
            found = float(np.asarray(answer(lambda w: f.grad(w - centre), point)).reshape(()))
        if not np.isfinite(found):
            return "Your numbers overflow: bring the vector back to length 1 in each round."
        if is_close(found, values.sum(), 0.01):
            return "That is the trace: all curvatures together. Only the largest is asked for."
        if is_close(found, np.diag(f.hessian).max(), 1e-6):
            return "The largest entry on the diagonal is only the steepest of the axes."
        if is_close(found, float(np.linalg.norm(f.grad(point - centre))), 1e-6):
            return "The gradient's length depends on where you stand; curvature is how it changes."
        if not is_close(found, values[-1], 0.01):
            return (
                f"On a bowl with largest curvature {values[-1]:g} you found {found:.4g}. "
                "More rounds? And is it grad(w + v) − grad(w) that you repeat?"
            )
    return None


Exercise(
    "gradient-descent-4",
    _largest_curvature,
    accepted=(answers.power_iteration, lambda grad, w: np.linalg.eigvalsh(answers.rows(grad, w)).max()),
    rejected=(
        (lambda grad, w: np.linalg.norm(grad(w)), "where you stand"),
        (lambda grad, w: np.trace(answers.rows(grad, w)), "trace"),
        (lambda grad, w: np.diag(answers.rows(grad, w)).max(), "diagonal"),
        (lambda grad, w: answers.power_iteration(grad, w, rounds=1), "More rounds"),
        (answers.unscaled_iteration, "length 1"),
    ),
)


def _shortest_gradient(answer):
    rng = np.random.default_rng(0)
    for trial in range(5):
        f = quadratic(rng.uniform(0.1, 9, size=4), rotation_seed=trial)
        g = f.grad(rng.standard_normal(4))
        Ag = f.hessian @ g
        delta = np.asarray(answer(g, f.hessian), dtype=float)
        if delta.shape != g.shape:
            return f"The step must have the gradient's shape {g.shape}, got {delta.shape}."
        best = -(g @ Ag) / (Ag @ Ag) * g
        if np.allclose(delta, -best):
            return "Uphill: the step goes against the gradient."
        if np.allclose(delta, -(g @ g) / (g @ Ag) * g):
            return "That is where the loss is lowest along the line. Where is the gradient shortest?"
        if np.linalg.norm(np.outer(delta, g) - np.outer(g, delta)) > 1e-8 * (g @ g):
            return "The step must lie along the gradient; only its length is free."
        if not np.allclose(delta, best, rtol=1e-8):
            return "After −ηg the gradient is g − ηAg. Set the derivative of its squared length to 0."
    with np.errstate(invalid="ignore", divide="ignore"):
        still = np.asarray(answer(np.zeros(4), np.eye(4)), dtype=float)
    if not np.array_equal(still, np.zeros(4)):
        return f"At the minimum the gradient is 0 and so is the step; yours was {still}."
    return None


Exercise(
    "gradient-descent-5",
    _shortest_gradient,
    accepted=(answers.residual_step, lambda g, A: -(g @ A @ g) / max(g @ A @ A @ g, 1e-300) * g),
    rejected=(
        (lambda g, A: -answers.residual_step(g, A), "Uphill"),
        (lambda g, A: -(g @ g) / max(g @ A @ g, 1e-300) * g, "lowest"),
        (lambda g, A: -np.linalg.solve(A, g), "along"),
        (lambda g, A: -g / np.linalg.eigvalsh(A).max(), "derivative"),
        (lambda g, A: -(g @ A @ g) / (g @ A @ A @ g) * g, "At the minimum"),
        (lambda g, A: -(g @ A @ g) / (g @ A @ A @ g), "shape"),
    ),
)


def _tuned_constant(answer):
    if is_close(answer, 1.897127, 0.0001):
        return None
    if is_close(answer, 1.957198, 0.001):
        return "That is the answer for N = 63."
    if is_close(answer, 2, 0.01):
        return "Close to 2 the parabola hardly shrinks: weigh it against the Hubers."
    if is_close(answer, 1, 0.02):
        return "1/L is the safe step; a longer one nearly halves the worst loss."
    return "One of the two falls as h grows, the other rises: the worse is smallest where they meet."


Exercise(
    "gradient-descent-6",
    _tuned_constant,
    accepted=(1.8971, 1.89713, np.float64(1.8971270424798907)),
    rejected=((1.99, "hardly shrinks"), (1.0, "safe"), (1.5, "meet"), (1.957, "N = 63")),
)


def _no_rate(answer):
    if not isinstance(answer, Rule):
        return f"Hand in a Rule, made by Rule(name, settings, init, update), not {type(answer).__name__}."
    for L in (1e-3, 1.0, 1e3):
        f = quadratic(L * np.geomspace(1 / 50, 1, 5), rotation_seed=0)
        try:
            trace = minimize(f, answer, np.ones(5), steps=3000)
        except FloatingPointError as error:
            return f"With L = {L:g} it diverged: {error}"
        if trace.loss[-1] > 1e-6 * trace.loss[0]:
            return f"With L = {L:g} the loss fell only to {trace.loss[-1] / trace.loss[0]:.2g} of the start's."
    return None


Exercise(
    "gradient-descent-7",
    _no_rate,
    accepted=(answers.barzilai_borwein(), answers.halved_inverse_curvature()),
    rejected=(
        (gradient_descent(1e-3), "fell only"),
        (gradient_descent(1.0), "fell only"),
        (gradient_descent(1e3), "diverged"),
        (answers.barzilai_borwein, "Hand in a Rule"),
    ),
)

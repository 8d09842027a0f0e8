"""The exercises of the chapter on gradient descent."""

from fractions import Fraction

import numpy as np

from course_lib.exercises.exercise import Exercise, is_close
from course_lib.objectives import document_quadratic, quadratic


def _largest_rate(answer):
    if is_close(answer, 1 / 3, 0.005):
        return None
    if is_close(answer, 2 / 3, 0.005):
        return "The curvature of 3(w − 1)² is its second derivative, 6, not 3."
    if is_close(answer, 1 / 6, 0.005):
        return "1/L arrives in one step; how far beyond it does the error still shrink?"
    return "The error is multiplied by 1 − ηL at each step. When is that between −1 and 1?"


Exercise(
    "gradient-descent-1",
    _largest_rate,
    accepted=(1 / 3, Fraction(1, 3), 0.3333, np.float32(1 / 3)),
    rejected=((2 / 3, "second derivative"), (1 / 6, "beyond"), (3, "between"), ("1/3", "raised")),
)


def _steps_needed(answer):
    if isinstance(answer, (int, float, np.number)) and 3453 <= answer <= 3455:
        return None
    if is_close(answer, 6908, 0.001):
        return "That is for the distance to the minimum; the loss is its square."
    if is_close(answer, 3454 / np.log(10), 0.01):
        return "Count natural logarithms on both sides: ln(10⁶) is not 6."
    if is_close(answer, 6908 * 2, 0.01) or is_close(answer, 13816, 0.01):
        return "1/L is not the best step: take η = 2/(L + μ)."
    return "Solve ((κ − 1)/(κ + 1))^(2k) = 10⁻⁶ for k."


Exercise(
    "gradient-descent-2",
    _steps_needed,
    accepted=(3454, 3453.9, np.ceil(6 * np.log(10) / (2 * np.log(1001 / 999)))),
    rejected=((6908, "square"), (1500, "natural"), (13816, "best step"), (100, "Solve")),
)


def _mended_descent(answer):
    f = document_quadratic()
    start = np.array([3.0])
    path = np.asarray(answer(start, 0.1, 4), dtype=float)
    if start[0] != 3.0:
        return "The caller's start was overwritten: w -= … writes into the array it was given."
    if path.size != 5:
        return f"4 steps visit 5 points, the start among them; yours gave {path.size}."
    expected = -2 + 5 * 0.8 ** np.arange(5)
    if not np.allclose(path.ravel(), expected, atol=1e-12):
        if np.ptp(path) == 0:
            return "All five points are the same array: store a copy, or make a new w each step."
        return f"With lr = 0.1 from 3 the second point is {expected[1]:g}; check the gradient {f.grad(3.0):g}."
    first, again = answer(np.array([1.0]), 0.3, 2), answer(np.array([1.0]), 0.3, 2)
    if not np.array_equal(np.ravel(first), np.ravel(again)):
        return "Called twice with the same start it gives two answers: leave the dice out."
    whole = np.asarray(answer(np.array([3]), 0.1, 4), dtype=float)
    if not np.allclose(whole.ravel(), expected, atol=1e-12):
        return "From the whole number 3 the steps must not be rounded: make the start a float."
    return None


def _descend(start, lr, steps):
    w, path = start * 1.0, [start * 1.0]
    for _ in range(steps):
        w = w - lr * 2 * (w + 2)
        path.append(w)
    return np.array(path)


def _descend_in_place(start, lr, steps):
    path = [start.copy()]
    for _ in range(steps):
        start -= lr * 2 * (start + 2)
        path.append(start.copy())
    return path


def _descend_same_array(start, lr, steps):
    w = start.astype(float)
    path = [w]
    for _ in range(steps):
        w -= lr * 2 * (w + 2)
        path.append(w)
    return path


Exercise(
    "gradient-descent-3",
    _mended_descent,
    accepted=(_descend, lambda w, lr, n: [-2 + (w + 2) * (1 - 2 * lr) ** k for k in range(n + 1)]),
    rejected=(
        (_descend_in_place, "overwritten"),
        (_descend_same_array, "same array"),
        (lambda w, lr, n: _descend(w, lr, n)[1:], "5 points"),
        (lambda w, lr, n: _descend(w, -lr, n), "gradient"),
        (lambda w, lr, n: _descend(w, lr, n) + np.random.default_rng().normal(), "second point"),
        (3.0, "raised"),
    ),
)


def _largest_curvature(answer):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        values = np.sort(rng.uniform(0, 3, size=8))
        values[-1] = 5 + seed
        f = quadratic(values, rotation_seed=seed)
        point = rng.standard_normal(8)
        found = float(np.asarray(answer(f.grad, point)).reshape(()))
        if is_close(found, values.sum(), 0.01):
            return "That is the trace: all curvatures together. Only the largest is asked for."
        if is_close(found, float(np.linalg.norm(f.grad(point))), 1e-6):
            return "The gradient's length depends on where you stand; curvature is how it changes."
        if not is_close(found, values[-1], 0.01):
            return f"On a bowl with largest curvature {values[-1]:g} you found {found:.4g}: iterate longer?"
    return None


def _power_iteration(grad, w, rounds=200):
    v = np.ones_like(w)
    here = grad(w)
    for _ in range(rounds):
        v = v / np.linalg.norm(v)
        v, last = grad(w + v) - here, v
    return last @ v


def _full_hessian(grad, w):
    rows = [grad(w + e) - grad(w) for e in np.eye(len(w))]
    return np.linalg.eigvalsh(np.array(rows)).max()


Exercise(
    "gradient-descent-4",
    _largest_curvature,
    accepted=(_power_iteration, _full_hessian),
    rejected=(
        (lambda grad, w: np.linalg.norm(grad(w)), "where you stand"),
        (lambda grad, w: sum((grad(w + e) - grad(w)) @ e for e in np.eye(len(w))), "trace"),
        (lambda grad, w: _power_iteration(grad, w, rounds=1), "iterate longer"),
    ),
)


def _line_search(answer):
    rng = np.random.default_rng(0)
    for trial in range(5):
        f = quadratic(rng.uniform(0.1, 9, size=4), rotation_seed=trial)
        g = f.grad(rng.standard_normal(4))
        delta = np.asarray(answer(g, f.hessian), dtype=float)
        if delta.shape != g.shape:
            return f"The step must have the gradient's shape {g.shape}, got {delta.shape}."
        best = -(g @ g) / (g @ f.hessian @ g) * g
        if np.allclose(delta, -best):
            return "Uphill: the step goes against the gradient."
        if not np.allclose(delta, best, rtol=1e-8):
            return "After the best step along a line the new gradient is at right angles to it."
    with np.errstate(invalid="ignore", divide="ignore"):
        still = np.asarray(answer(np.zeros(4), np.eye(4)), dtype=float)
    if not np.array_equal(still, np.zeros(4)):
        return f"At the minimum the gradient is 0 and so is the step; yours was {still}."
    return None


def _exact_step(g, A):
    curved = g @ A @ g
    return -(g @ g) / curved * g if curved > 0 else np.zeros_like(g)


Exercise(
    "gradient-descent-5",
    _line_search,
    accepted=(_exact_step, lambda g, A: -(g @ g) / max(g @ A @ g, 1e-300) * g),
    rejected=(
        (lambda g, A: -_exact_step(g, A), "Uphill"),
        (lambda g, A: -g / np.linalg.eigvalsh(A).max(), "right angles"),
        (lambda g, A: -(g @ g) / (g @ A @ g) * g, "At the minimum"),
        (lambda g, A: -(g @ g) / (g @ A @ g), "shape"),
    ),
)


def _tuned_constant(answer):
    if is_close(answer, 1.957198, 0.001):
        return None
    if is_close(answer, 2, 0.02):
        return "Close, but near 2 a parabola with curvature L hardly shrinks: weigh it against the Hubers."
    if is_close(answer, 1, 0.02):
        return "1/L is the safe step; a longer one halves the worst loss."
    return "Find the h where the worst Huber, ½/(2Nh + 1), and the parabola, ½(1 − h)^(2N), are equal."


Exercise(
    "gradient-descent-6",
    _tuned_constant,
    accepted=(1.9572, 1.957, np.float64(1.95719822)),
    rejected=((1.99, "hardly shrinks"), (1.0, "safe"), (1.5, "equal")),
)

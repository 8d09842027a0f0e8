"""The exercises of the chapter on momentum."""

from fractions import Fraction

import numpy as np

from course_lib.exercises import momentum_answers as answers
from course_lib.exercises.exercise import Exercise, is_close
from course_lib.objectives import quadratic
from course_lib.training import minimize
from course_lib.update_rules import Rule, gradient_descent, momentum


def _effective_rate(answer):
    if is_close(answer, 0.4, 0.005):
        return None
    if is_close(answer, 20, 0.005):
        return "That is how much the gradients add up to; each is still multiplied by η."
    if is_close(answer, 0.02, 0.005):
        return "That is the averaged form. PyTorch's velocity is a sum: to what does it add up?"
    if is_close(answer, 0.38, 0.005):
        return "The newest gradient counts in full: 1 + β + β² + …, not β + β² + …"
    return "Sum the weights of all past gradients, 1 + β + β² + …, and multiply by η."


Exercise(
    "momentum-1",
    _effective_rate,
    accepted=(0.4, 0.02 / (1 - 0.95), Fraction(2, 5), [0.4]),
    rejected=((20, "add up"), (0.02, "averaged"), (0.38, "newest"), (0.019, "weights"), ("0.4 g", "raised")),
)


def _pair(answer):
    """The answer as two numbers, or None."""
    numbers = np.asarray(answer, dtype=float).ravel()
    return numbers if len(numbers) == 2 else None


def _best_pair(answer):
    pair = _pair(answer)
    if pair is None:
        return "Give two numbers, (η, β)."
    eta, beta = pair
    if is_close(eta, 1 / 36, 0.005) and is_close(beta, 4 / 9, 0.005):
        return None
    if is_close(beta, 1 / 36, 0.005) and is_close(eta, 4 / 9, 0.005):
        return "The other way round: η first, then β."
    if is_close(beta, 2 / 3, 0.005):
        return "That is the rate, √β; β is its square."
    if is_close(eta, 2 / 104, 0.005) or is_close(eta, 0.01, 0.005):
        return "That η is gradient descent's; memory moves the border to larger rates."
    if is_close(beta, (96 / 104) ** 2, 0.005):
        return "κ is under a root: √β = (√κ − 1)/(√κ + 1)."
    return "The two conditions are √(ημ) = 1 − √β and √(ηL) = 1 + √β."


Exercise(
    "momentum-2",
    _best_pair,
    accepted=((1 / 36, 4 / 9), [Fraction(1, 36), Fraction(4, 9)], (0.0278, 0.444), np.array([4 / 144, (2 / 3) ** 2])),
    rejected=(
        ((1 / 36, 2 / 3), "square"),
        ((4 / 9, 1 / 36), "other way"),
        ((2 / 104, 4 / 9), "gradient descent"),
        ((0.01, 4 / 9), "gradient descent"),
        ((1 / 36, (96 / 104) ** 2), "under a root"),
        ((0.1, 0.9), "conditions"),
        (1 / 36, "two numbers"),
    ),
)


def _converted_rates(answer):
    pair = _pair(answer)
    if pair is None:
        return "Give two numbers, one for each phase."
    first, second = pair
    if is_close(first, 0.01, 0.005) and is_close(second, 0.05, 0.005):
        return None
    if is_close(first, 25, 0.005) or is_close(second, 5, 0.005):
        return "The wrong way: the classical velocity is the larger one, so its η must be smaller."
    if is_close(first, 0.01, 0.005) and is_close(second, 0.01, 0.005):
        return "In the averaged form the step on an even slope is ηg whatever β; in PyTorch's it is not."
    if is_close(first, 0.5, 0.005):
        return "On an even slope the paper's steps are 0.5 g; with lr = 0.5 PyTorch's would be 25 g."
    return "Let the effective rates agree: η(paper) = lr/(1 − β), with the β of each phase."


Exercise(
    "momentum-3",
    _converted_rates,
    accepted=((0.01, 0.05), [0.5 * 0.02, 0.5 * 0.1], (Fraction(1, 100), Fraction(1, 20))),
    rejected=(
        ((25, 5), "wrong way"),
        ((0.01, 0.01), "whatever"),
        ((0.5, 0.5), "25 g"),
        ((0.49, 0.45), "effective"),
        (0.01, "two numbers"),
    ),
)


def _averaged_critical(answer):
    for lr, h in ((0.1, 2.0), (0.3, 1.0), (0.01, 7.0), (0.5, 1.9)):
        found = float(np.asarray(answer(lr, h), dtype=float).reshape(()))
        root = (1 - lr * h) / (1 + lr * h)
        if is_close(found, root, 0.001):
            return "That is √β; the answer is its square."
        if is_close(found, (1 - np.sqrt(lr * h)) ** 2, 0.001):
            return "That is the classical form's; in the averaged form the effective η is η(1 − β)."
        if not 0 <= found <= 1:
            return f"β must lie between 0 and 1; with lr = {lr:g}, h = {h:g} you found {found:.3g}."
        if abs(found - root**2) > 1e-4:
            return f"With lr = {lr:g}, h = {h:g} you found {found:.4g}: solve ηh(1 − β) = (1 − √β)² for √β."
    return None


Exercise(
    "momentum-4",
    _averaged_critical,
    accepted=(lambda lr, h: ((1 - lr * h) / (1 + lr * h)) ** 2, answers.critical_by_search),
    rejected=(
        (lambda lr, h: (1 - lr * h) / (1 + lr * h), "square"),
        (lambda lr, h: (1 - np.sqrt(lr * h)) ** 2, "classical"),
        (lambda lr, h: 1 / (lr * h), "between 0 and 1"),
        (lambda lr, h: 0.9, "solve"),
        (lambda lr, h: (1 - np.sqrt(lr * h)) / (1 + np.sqrt(lr * h)), "solve"),
        (4 / 9, "raised"),
    ),
)


def _momentum_correction(answer):
    f = quadratic([1.0, 9.0])
    rates = [0.1] * 4 + [0.01] * 3 + [0.2] * 3
    start = np.array([3.0, -1.0])
    path = answer(f.grad, start, rates, 0.8)
    if path is None:
        return "It returns nothing: end it with return."
    path = np.asarray(path, dtype=float)
    if not np.array_equal(start, [3.0, -1.0]):
        return "The caller's start was overwritten: make a new array at each step."
    if path.shape != (11, 2):
        return f"10 steps visit 11 points of 2 numbers, the start among them: [11, 2], got {list(path.shape)}."
    expected = answers.classical(f.grad, start, rates, 0.8)
    if np.allclose(path, expected, rtol=1e-9):
        return None
    if not np.allclose(path[:5], expected[:5], rtol=1e-9):
        return f"Before the rate has changed, point 2 is {expected[2].round(4)}, yours {path[2].round(4)}."
    if np.allclose(path, answers.uncorrected(f.grad, start, rates, 0.8)):
        return "Right until the rate changes. What is in the velocity was made at the old rate: rescale it."
    return "Right until the rate changes. Then multiply the old velocity by new rate/old rate, before adding to it."


Exercise(
    "momentum-5",
    _momentum_correction,
    accepted=(answers.corrected, answers.classical),
    rejected=(
        (answers.uncorrected, "rescale"),
        (answers.upside_down, "new rate/old rate"),
        (answers.averaged, "point 2"),
        (answers.in_place, "overwritten"),
        (lambda grad, w0, rates, beta: answers.classical(grad, w0, rates, beta)[1:], "[11, 2]"),
        (lambda grad, w0, rates, beta: None, "return"),
        (0.8, "raised"),
    ),
)

_QHM_LIMIT = 2 / (0.3 + 0.7 * 0.001 / 1.999)


def _quasi_hyperbolic(answer):
    if is_close(answer, _QHM_LIMIT, 0.0005):
        return None
    if is_close(answer, 2 / 0.3, 0.0005):
        return "Close. The velocity's part is small when w alternates, but not zero: three digits."
    if is_close(answer, 2 / 0.7, 0.005):
        return "ν is the share of the velocity; the gradient's is 1 − ν."
    if is_close(answer, 2 * 1.999 / 0.001, 0.01):
        return "That is the averaged heavy ball, ν = 1."
    if is_close(answer, 2, 0.01):
        return "That is gradient descent, ν = 0."
    return "At the border one step turns (w, v) into (−w, −v). Solve both equations for ηh."


Exercise(
    "momentum-6",
    _quasi_hyperbolic,
    accepted=(_QHM_LIMIT, 6.66, 6.659),
    rejected=((6.67, "Close"), (2.857, "share"), (3998, "heavy ball"), (2.0, "gradient descent"), (5.0, "border")),
)


def _without_mu(answer):
    if not isinstance(answer, Rule):
        return f"Hand in a Rule, made by Rule(name, settings, init, update), not {type(answer).__name__}."
    for kappa in (10, 100, 1000, 10_000):
        f = quadratic(np.geomspace(1 / kappa, 1, 50), rotation_seed=0)
        steps = int(20 * np.sqrt(kappa))
        try:
            trace = minimize(f, answer, np.ones(50), steps)
        except FloatingPointError as error:
            return f"With κ = {kappa} it diverged: {error}"
        share = trace.loss[-1] / trace.loss[0]
        if not share <= 1e-10:
            return f"With κ = {kappa} the loss fell only to {share:.2g} of the start's in {steps} steps."
    return None


Exercise(
    "momentum-7",
    _without_mu,
    accepted=(answers.restarting(1.0), answers.restarting(0.99)),
    rejected=(
        (gradient_descent(1.0), "fell only"),
        (momentum(1.0, beta=0.9, nesterov=True), "κ = 10 "),
        (momentum(1.0, beta=0.5, nesterov=True), "κ = 100 "),
        (answers.growing(1.0), "fell only"),
        (momentum(1e6, beta=0.9), "diverged"),
        (answers.restarting, "Hand in a Rule"),
    ),
)

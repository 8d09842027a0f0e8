"""The exercises of the chapter on learned optimizers."""

from functools import cache

import numpy as np

from course_lib.exercises import learned_answers as answers
from course_lib.exercises.exercise import Exercise, is_close
from course_lib.update_rules import adam, gradient_descent


def _one_step(answer):
    if is_close(answer, 0.4, 0.01):
        return None
    if is_close(answer, 0.25, 0.01):
        return "1/L solves the steepest axis and leaves 3/4 on the flattest: make the two extremes equal."
    if is_close(answer, 1, 0.01):
        return "1/μ solves the flattest axis, and the steepest grows: 1 − 4 = −3."
    return "The worst is at one of the ends: where is |1 − η| equal to |1 − 4η|?"


Exercise(
    "learned-1", _one_step,
    accepted=(0.4, 2 / 5, [0.4]),
    rejected=((0.25, "two extremes"), (1.0, "steepest grows"), (0.3, "the ends")),
)


def _limit(answer):
    if is_close(answer, 3.8 / 0.44, 0.01):
        return None
    if is_close(answer, 2 / 0.8, 0.01):
        return "That is 2/(c₀ + c₁), as if momentum were plain descent; it is at rest, but not on the way."
    if is_close(answer, 2 / 0.2, 0.01):
        return "That leaves the momentum out: it adds 0.1 c₁ to the first step it makes."
    return "Put c₀ = 0.2, c₁ = 0.6 and r = 0 into the formula for λ*."


Exercise(
    "learned-2", _limit,
    accepted=(3.8 / 0.44, 8.64, [8.6]),
    rejected=((2.5, "at rest"), (10, "momentum out"), (3.8, "formula")),
)


def _best_steps(answer):
    if not callable(answer):
        return "A function is asked for: best_steps(low, high, T)."
    for low, high, T in ((1.0, 20.0, 5), (0.5, 3.0, 4), (1.0, 4.0, 1)):
        found, right = np.asarray(answer(low, high, T), dtype=float), answers.best_steps(low, high, T)
        if found.shape != (T,):
            return f"{T} numbers are asked for, got shape {found.shape}."
        if np.allclose(found, right):
            continue
        if np.allclose(np.sort(found), np.sort(right)):
            return "The right numbers in another order: the largest comes first."
        if np.allclose(np.sort(found), np.sort(1 / right)):
            return "These are the curvatures where nothing is left: the step sizes are their inverses."
        return "∏(1 − ηₜλ) vanishes at λ = 1/ηₜ: bring the roots from [−1, 1] to [low, high], then invert."
    return None


Exercise(
    "learned-3", _best_steps,
    accepted=(answers.best_steps, answers.best_steps_by_roots),
    rejected=(
        (lambda low, high, T: answers.best_steps(low, high, T)[::-1], "another order"),
        (lambda low, high, T: 1 / answers.best_steps(low, high, T), "inverses"),
        (lambda low, high, T: np.full(T, 2 / (low + high)), "vanishes"), (lambda low, high, T: 0.1, "numbers are asked"),
        (0.4, "function"),
    ),
)


def _mixed(answer):
    if not callable(answer):
        return "A function is asked for: mixed_step(units, numbers, P)."
    for seed, rows in ((0, 1), (1, 2), (2, 4)):
        rng = np.random.default_rng(seed)
        units, numbers, P = rng.standard_normal((3, 5)), rng.standard_normal((rows, 3)), rng.standard_normal((5, 5)) / 2
        found = np.asarray(answer(units.copy(), numbers.copy(), P.copy()), dtype=float)
        if found.shape != (5,):
            return f"One step of 5 numbers is asked for, got shape {found.shape}."
        if np.allclose(found, answers.mixed_step(units, numbers, P)):
            continue
        if np.allclose(found, answers.mixed_step(units, numbers, P.T)):
            return "P acts from the left: a node sums over its row."
        if np.allclose(found, answers.mixed_step(units, numbers[::-1], P)):
            return "Row 0 is what a node does itself and gets no message; the last row gets the most."
        if rows == 4 and np.allclose(found, (numbers[0] + 0) @ units + P @ (numbers[1:].sum(0) @ units)):
            return "Each further row is passed on once more: P for the second, P² for the third."
        return "xₖ = Σⱼ cₖⱼ uⱼ, and δ = x₀ + P(x₁ + P(x₂ + …)): begin with the last."
    return None


Exercise(
    "learned-4", _mixed,
    accepted=(answers.mixed_step, answers.mixed_by_powers),
    rejected=(
        (lambda u, n, P: answers.mixed_step(u, n, P.T), "from the left"),
        (lambda u, n, P: answers.mixed_step(u, n[::-1], P), "Row 0"),
        (lambda u, n, P: n[0] @ u + P @ (n[1:].sum(0) @ u), "once more"), (lambda u, n, P: n @ u, "5 numbers"),
        (lambda u, n, P: u.sum(0), "begin with the last"), (1, "function"),
    ),
)


def _ridges(answer):
    if not callable(answer):
        return "A function is asked for: implied_ridges(a, r, size)."
    for a, r, size in (((0.6, 0.8), (0.11, -0.1), 4), ((0.5, 0.2), (0.3, 0.1), 3), ((1.0, 0.4), (0.2, -0.05), 6)):
        found, right = np.asarray(answer(np.array(a), np.array(r), size), dtype=float), answers.implied_ridges(a, r, size)
        if found.shape != (2,):
            return f"Two numbers are asked for, the mean's ridge and the deviations', got shape {found.shape}."
        if np.allclose(found, right):
            continue
        if np.allclose(found, right[::-1]):
            return "The other way around: the mean's ridge first."
        wrong = (r[0] + np.array([1, -1 / size]) * r[1]) / (a[0] + np.array([1, -1 / size]) * a[1])
        if np.allclose(found, wrong):
            return "A task does not hear itself: it hears size − 1 others."
        if np.allclose(found, 1 / right):
            return "Upside down: at rest a g + r w = 0, so the ridge is r over a."
        return "On which multiple does P map the group's mean, and on which a deviation, which sums to zero over the group?"
    return None


Exercise(
    "learned-5", _ridges,
    accepted=(answers.implied_ridges, answers.ridges_by_eigenvalues),
    rejected=(
        (lambda a, r, n: answers.implied_ridges(a, r, n)[::-1], "other way"), (lambda a, r, n: answers.implied_ridges(a, r, n + 1), "hear itself"),
        (lambda a, r, n: 1 / answers.implied_ridges(a, r, n), "Upside"), (lambda a, r, n: [0, 0], "deviation"),
        (lambda a, r, n: r[0] / a[0], "Two numbers"), (0.5, "function"),
    ),
)


@cache
def _networks():
    """Networks nobody has seen, and what Adam with its best rate reaches."""
    from course_lib import small_networks

    nets = small_networks(np.random.default_rng(20_240), problems=24)
    return nets, min(_log_loss(adam(lr), nets) for lr in (0.03, 0.05, 0.08, 0.12))


def _log_loss(rule, nets):
    from course_lib import run_rule

    return float(run_rule(rule, nets, 25)[-1].log().mean())


def _own_rule(answer):
    from course_lib import Rule

    if not isinstance(answer, Rule):
        return f"A Rule is asked for, such as adam(lr=0.05), got {type(answer).__name__}."
    nets, best = _networks()
    found = _log_loss(answer, nets)
    if found <= best - 0.05:
        return None
    if not found < 10:
        return "It diverges: the steps are too large."
    lead = best - found
    return (f"Its log loss is {abs(lead):.2f} {'below' if lead > 0 else 'above'} that of Adam with its best rate; 0.05 below is asked "
            "for. Mix two memories, or forget faster and begin with a higher rate that falls.")


Exercise(
    "learned-6", _own_rule,
    accepted=(answers.two_adams(), answers.adam_with_cosine()),
    rejected=(
        (adam(0.001), "above"), (adam(0.05), "Mix two memories"), (gradient_descent(1e4), "diverges"), (0.05, "Rule is asked"),
        (lambda g: g, "Rule is asked"),
    ),
)

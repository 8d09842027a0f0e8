"""The exercises of the chapter on Adam."""

import math
from fractions import Fraction

import numpy as np

from course_lib.exercises import adam_answers as answers
from course_lib.exercises.exercise import Exercise, is_close
from course_lib.update_rules import Rule


def _steps_of_length_eta(answer):
    if is_close(answer, 4000, 0.001):
        return None
    if is_close(answer, 2000, 0.01) or is_close(answer, 1000, 0.01) or is_close(answer, 3000, 0.01):
        return "How far is it from 0.5 to −1.5? Each step is one η long."
    if is_close(answer, 0.001, 0.01) or is_close(answer, 1 / 4000, 0.01):
        return "Distance divided by η, not the other way round or multiplied."
    return "On gradients that do not change, every step of Adam has the length η."


Exercise(
    "adam-1",
    _steps_of_length_eta,
    accepted=(4000, 4000.0, 2 / 0.0005, Fraction(4000), [4000]),
    rejected=((2000, "How far"), (1000, "How far"), (0.001, "divided"), (2, "length"), ("many", "raised")),
)


def _first_uncorrected_step(answer):
    right = 0.05 / math.sqrt(0.02)
    if is_close(answer, right, 0.005):
        return None
    if is_close(answer, 1, 0.001):
        return "With the correction it would be 1. Without, m = (1 − β₁) g: what is v?"
    if is_close(answer, 2.5, 0.005):
        return "v = (1 − β₂) g², and its root is taken."
    if is_close(answer, 1 / right, 0.005):
        return "Upside down: m is above, √v below."
    if is_close(answer, 0.05, 0.001) or is_close(answer, math.sqrt(0.02), 0.001):
        return "Both averages are too small, m and √v; the step is their quotient."
    return "After one gradient g, m = (1 − β₁) g and v = (1 − β₂) g²."


Exercise(
    "adam-2",
    _first_uncorrected_step,
    accepted=(0.05 / math.sqrt(0.02), 0.354, 0.3536, np.float32(0.35355), [0.3535]),
    rejected=(
        (1, "With the correction"), (2.5, "its root"), (2.83, "Upside down"), (0.05, "quotient"),
        (3.16, "After one gradient"),
    ),
)


def _decay_in_noise(answer):
    try:
        l2, decoupled = (float(each) for each in answer)
    except (TypeError, ValueError):
        return "Two numbers are asked for: (with L2, with AdamW)."
    if is_close(decoupled, 0.01, 0.01):
        return "AdamW: the decay is multiplied by the learning rate, ηλ."
    if is_close(decoupled, 5e-4, 0.01):
        return "A share is asked for: divide what is lost by the weight, 50."
    if not is_close(decoupled, 1e-5, 0.01):
        return "AdamW shrinks every weight by the share ηλ a step, whatever the gradients are."
    if is_close(l2, 1e-5, 0.01):
        return "L2 joins the gradient and is divided by √v like the rest; what is √v here?"
    if is_close(l2, 0.001 * 0.125, 0.03):
        return "That is what is lost under L2; a share is asked for: divide it by 50."
    if is_close(l2, 2.5e-6, 0.03):
        return None
    if is_close(l2, 1e-5 / 16, 0.03):
        return "Divide by the root of the mean square, not by the mean square."
    return "L2: signal λw = 0.5, noise 4. The mean step is η · signal / √(signal² + noise²)."


Exercise(
    "adam-3",
    _decay_in_noise,
    accepted=((0.001 * 0.5 / math.sqrt(16.25) / 50, 1e-5), [2.48e-6, 1e-5], np.array([2.5e-6, 1e-5])),
    rejected=(
        ((1e-5, 1e-5), "divided by √v"), ((1.25e-4, 1e-5), "divide it by 50"),
        ((2.5e-6, 0.01), "multiplied by the learning rate"), ((1.24e-4, 5e-4), "A share"),
        ((6.25e-7, 1e-5), "not by the mean square"), ((1e-3, 1e-5), "signal"),
        ((1e-5, 2.5e-6), "whatever"), (2.5e-6, "Two numbers"),
    ),
)


def _mended_loop(answer):
    targets = np.array([[1.0, 0.0, -1e-7], [3.0, -2.0, 1e-7], [-1.0, 0.5, 0.0]])

    def grad(w, i):
        if not 0 <= i < 3:
            raise IndexError(f"there is no batch {i}")
        return np.array([1.0, 1.0, 0.0]) * w - targets[i]

    start = np.array([5.0, -1.0, 2.0])
    w = start.copy()
    found = answer(grad, w, 0.1, 4, 3, 0.8, 0.95, 1e-7)
    if found is None:
        return "It returns nothing: end it with return w."
    if not np.array_equal(w, start):
        return "The caller's array was overwritten: w -= … writes into what it was given."
    found = np.asarray(found, dtype=float)
    if found.shape != (3,):
        return f"It must return weights of the start's shape (3,), got {found.shape}."
    if np.allclose(found, answers.by_steps(grad, start, 0.1, 4, 3, 0.8, 0.95, 1e-7), rtol=1e-8, atol=1e-10):
        flat = answer(lambda w, i: 0.0 * w, start.copy(), 0.1, 1, 2)
        return None if np.array_equal(flat, start) else "On gradients of 0 it must stand still: 0/0 is not a step."
    for hint, wrong in answers.FAULTS.items():
        with np.errstate(all="ignore"):
            other = wrong(grad, start.copy(), 0.1, 4, 3, 0.8, 0.95, 1e-7)
        if np.allclose(found, other, rtol=1e-8, atol=1e-10, equal_nan=True):
            return hint
    return "After 12 steps it is not where Adam is. Four faults: the clock, ε, the moments, the array."


Exercise(
    "adam-4",
    _mended_loop,
    accepted=(answers.by_steps, answers.by_steps_scaled_rate, answers.faulty()),
    rejected=(
        (answers.faulty(clock=lambda epoch, t: epoch + 1), "number of the step"),
        (answers.faulty(clock=lambda epoch, t: t + 1), "start at 1"),
        (answers.faulty(clock=lambda epoch, t: epoch), "not where Adam is"),
        (answers.faulty(forget=True), "all epochs"),
        (answers.faulty(eps_at="nowhere"), "add ε"),
        (answers.faulty(eps_at="inside"), "outside"),
        (answers.faulty(eps_at="keras"), "after the correction"),
        (answers.faulty(in_place=True), "overwritten"),
        (lambda *args: None, "return w"),
        (0.1, "raised"),
    ),
)


def _longest(answer):
    cases = [(0.9, 0.999, 1), (0.9, 0.999, 2), (0.9, 0.999, 1000), (0.5, 0.9, 10), (0.9, 0.9, 50), (0.9, 0.5, 20)]
    found = [float(np.asarray(answer(*case)).reshape(())) for case in cases]
    right = [answers.longest_closed(*case) for case in cases]
    if np.allclose(found, right, rtol=1e-6):
        both = (0.5, 0.25, 10)
        with np.errstate(all="ignore"):
            found = float(np.asarray(answer(*both)).reshape(()))
        if is_close(found, answers.longest_closed(*both), 1e-6):
            return None
        return "For β₁² = β₂ all terms of the sum are equal, and there are t of them."
    if np.allclose(found, [answers.longest_uncorrected(*case) for case in cases], rtol=1e-6):
        return "The correction is missing: the first step, for one, is exactly 1."
    if np.allclose(found, [answers.longest_in_the_paper(*case) for case in cases], rtol=1e-6):
        return "That is the paper's bound; gradients that grow by β₂/β₁ go beyond it."
    if np.allclose(found[2:4], [answers.longest_in_the_limit(*case) for case in cases[2:4]], rtol=1e-6):
        return "That is the limit of many steps; a step t has only t gradients to draw on."
    if not is_close(found[0], 1, 1e-6):
        return f"The first step is always 1; yours is {found[0]:.4g}."
    return f"β₁ = 0.9, β₂ = 0.999: at t = 1000 it is {right[2]:.4f}; yours is {found[2]:.4f}."


Exercise(
    "adam-5",
    _longest,
    accepted=(answers.longest_closed, answers.longest_by_running),
    rejected=(
        (answers.longest_uncorrected, "correction is missing"),
        (answers.longest_in_the_paper, "paper's bound"),
        (answers.longest_in_the_limit, "limit of many"),
        (answers.longest_dividing_by_zero, "all terms"),
        (lambda beta1, beta2, t: 1.0, "it is 5.78"),
        (lambda beta1, beta2, t: 2.0, "first step is always 1"),
        (7.27, "raised"),
    ),
)


def _adamax(answer):
    rng = np.random.default_rng(0)
    gradients = rng.standard_normal((60, 4)) * [1.0, 100.0, 1e-6, 0.0] * 10.0 ** -(np.arange(60)[:, None] / 30)
    rule = answer(0.5, 0.8, 0.9)
    if not isinstance(rule, Rule):
        return f"adamax(lr) must return a Rule, got {type(rule).__name__}."
    right = answers.adamax()(0.5, 0.8, 0.9)
    others = {hint: make(0.5, 0.8, 0.9) for hint, make in answers.ADAMAX_FAULTS.items()}
    rules = [rule, right, *others.values()]
    w = np.zeros(4)
    states, steps = [each.init(w) for each in rules], [[] for _ in rules]
    for g in gradients:
        kept = g.copy()
        for i, each in enumerate(rules):
            delta, states[i] = each.update(g, states[i], w)
            steps[i].append(delta)
            if not np.array_equal(g, kept):
                return "It writes into the gradient it was given."
    steps = np.array(steps)
    if not np.isfinite(steps[0]).all():
        return "A weight without gradients has v = 0, and 0/0 is not a step: let it be 0."
    if np.allclose(steps[0], steps[1], rtol=1e-8, atol=1e-14):
        return None
    for hint, theirs in zip(others, steps[2:]):
        if np.allclose(steps[0], theirs, rtol=1e-8, atol=1e-14):
            return hint
    return f"On random gradients step 2 should begin {steps[1][1, 0]:.4f}; yours begins {steps[0][1, 0]:.4f}."


Exercise(
    "adam-6",
    _adamax,
    accepted=(answers.adamax(), answers.adamax_with_powers),
    rejected=(
        (answers.adamax(correct=False), "of m is missing"),
        (answers.adamax(correct_v=True), "no correction"),
        (answers.adamax(size=lambda g: g), "negative gradient"),
        (answers.adamax(sign=1.0), "Uphill"),
        (answers.adamax(guard=False), "not a step"),
        (answers.adamax(fades=False), "fade"),
        (answers.adamax(size=lambda g: 2 * abs(g)), "should begin"),
        (lambda lr, beta1, beta2: 0.0, "must return a Rule"),
        (3.0, "raised"),
    ),
)


def _defeats_the_defaults(answer):
    slopes = np.asarray(answer, dtype=float)
    if slopes.ndim != 1 or not 1 <= len(slopes) <= 5000 or not np.isfinite(slopes).all():
        return "One period is asked for: a vector of 1 to 5,000 finite numbers."
    if not slopes.sum() > 0:
        return "The slopes must add up to more than 0, so that −1 is the best point."
    end = answers.walk(slopes.tolist(), periods=20)
    if end > 0.9:
        return None
    if len(slopes) < 2000:
        return f"It ends at {end:.2f}. v remembers about 1,000 steps; make your period longer, at least twice that."
    return f"It ends at {end:.2f}. Let one large slope be followed by many small ones of the other sign, the sum barely above 0."


Exercise(
    "adam-7",
    _defeats_the_defaults,
    accepted=(answers.rare(3000, 3000.0), answers.rare(5000, 4999.5).tolist(), answers.rare(4000, 800.0, -0.2)),
    rejected=(
        (answers.rare(101, 1010.0, -10.0), "longer"), (answers.rare(3, 3.0), "longer"),
        (answers.rare(3000, 2999.0), "add up"),
        (np.ones(2000), "one large"),
        (answers.rare(6000, 7000.0), "One period"),
        ("3, -1, -1", "raised"),
    ),
)

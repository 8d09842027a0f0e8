"""The exercises of the chapter on schedules."""

import math
from fractions import Fraction

import numpy as np

from course_lib.exercises import schedules_answers as answers
from course_lib.exercises.exercise import Exercise, is_close
from course_lib.schedules import cosine_decay


def _quarter_of_a_cosine(answer):
    if is_close(answer, 0.4 * (1 + math.cos(math.pi / 4)), 0.002):
        return None
    if is_close(answer, 0.6, 0.002):
        return "That is the straight line; the cosine leaves the top more slowly."
    if is_close(answer, 0.8 * math.cos(math.pi / 4), 0.002):
        return "Half a cosine, from 1 to −1, lifted by 1 and halved; not a quarter of one, from 1 to 0."
    if is_close(answer, 0.8 * (1 + math.cos(math.pi / 4)), 0.002):
        return "A half is missing: at step 0 that would be 1.6."
    if is_close(answer, 0.4, 0.002):
        return "Half of the cosine's height is reached after half of its steps, 100."
    if is_close(answer, 0.5 * (1 + math.cos(math.pi / 4)), 0.002):
        return "That is the share of the initial rate; multiply by 0.8."
    return "η₀ (1 + cos(π t/N))/2 with η₀ = 0.8, t = 50, N = 200."


Exercise(
    "schedules-1",
    _quarter_of_a_cosine,
    accepted=(0.4 * (1 + math.sqrt(0.5)), 0.683, 0.6828, np.float32(0.68284), cosine_decay(0.8, 200)(50)),
    rejected=(
        (0.6, "straight line"), (0.5657, "not a quarter"), (1.3657, "half is missing"), (0.4, "after half"),
        (0.8536, "share"), (0.1, "with η₀"), ("much", "raised"),
    ),
)


def _share_left(answer):
    if is_close(answer, math.exp(-0.5), 0.002):
        return None
    if is_close(answer, math.exp(-1), 0.002):
        return "That would be 10,000 steps at the peak; the area of the triangle is half of that."
    if is_close(answer, math.exp(-0.45), 0.002) or is_close(answer, math.exp(-0.9), 0.002):
        return "The warm-up has an area, too."
    if is_close(answer, 1 - math.exp(-0.5), 0.002):
        return "That is the share lost; the share left is asked for."
    if is_close(answer, math.exp(-5), 0.002):
        return "The area is 5, and it is multiplied by λ = 0.1."
    if is_close(answer, 0.5, 0.001):
        return "That is λ Σ η. What is left is the product of all 1 − η(t) λ, about exp(−λ Σ η)."
    return "What is left is the product of all 1 − η(t) λ, about exp(−λ Σ η). What is the area under the rate?"


Exercise(
    "schedules-2",
    _share_left,
    accepted=(math.exp(-0.5), 0.6065, 0.606, [0.6065], np.float64(0.60653)),
    rejected=(
        (0.368, "half of that"), (0.6376, "warm-up"), (0.3935, "share lost"), (0.00674, "multiplied by"),
        (0.5, "product"), (1.0, "area"), ("half", "raised"),
    ),
)


def _cooling(answer):
    if is_close(answer, 250 * math.pi, 0.03):
        return None
    if is_close(answer, 25 * math.pi, 0.03):
        return "That is ηhN: divide by ηh = 0.1."
    if is_close(answer, 62.5 * math.pi, 0.03) or is_close(answer, 1000 * math.pi, 0.03):
        return "A factor of 2: the floor is ησ²/(2h), and what is left (√π/4) σ² √(η/(h³N))."
    if is_close(answer, 88.6, 0.03):
        return "The noise that is left falls as 1/√N, not as 1/N: square it."
    if is_close(answer, 100, 0.01) or is_close(answer, 1000, 0.01):
        return "Not quite: Γ(3/2) = √π/2 comes in. Put k = 1 into the formula."
    return "With k = 1 what is left is (√π/4) σ² √(η/(h³N)); over the floor ησ²/(2h) that is to be 1/10."


Exercise(
    "schedules-3",
    _cooling,
    accepted=(250 * math.pi, 785, 785.4, 790, Fraction(785), [780.0]),
    rejected=(
        (78.5, "divide by"), (196, "factor of 2"), (3142, "factor of 2"), (88.6, "square it"), (1000, "Not quite"),
        (10, "With k = 1"), ("long", "raised"),
    ),
)

_RUNS = ((0.5, 4, 20), (2.0, 1, 7), (0.01, 10, 11), (1.0, 3, 103))


def _rates(function):
    return [[function(step, *run) for step in range(run[2] + 9)] for run in _RUNS]


def _same(a, b):
    return all(np.allclose(x, y, rtol=1e-9, atol=1e-12) for x, y in zip(a, b))


def _warm_cosine(answer):
    found = [np.asarray(rates, dtype=float) for rates in _rates(answer)]
    if any(rates.ndim != 1 for rates in found):
        return "It must return one number for one step."
    if _same(found, _rates(answers.warm_cosine)):
        return None
    for hint, wrong in answers.FAULTS.items():
        if _same(found, _rates(wrong)):
            return hint
    first = [(rates[0], run[0] / run[1]) for rates, run in zip(found, _RUNS)]
    if any(abs(a - b) > 1e-9 for a, b in first):
        return "The first of `rise` rates should be peak/rise, and the last of them the peak."
    if any(abs(rates[run[1]] - run[0]) > 1e-9 for rates, run in zip(found, _RUNS)):
        return "Step number `rise` is the cosine's own step 0: its rate is the peak."
    if any(abs(rates[run[2]]) > 1e-9 for rates, run in zip(found, _RUNS)):
        return "At step `total` the rate should be 0: the cosine has total − rise steps, from its own step 0."
    return "After `total` the rate stays at 0; in between it is half a cosine over total − rise steps."


Exercise(
    "schedules-4",
    _warm_cosine,
    accepted=(answers.warm_cosine, answers.warm_cosine_by_library),
    rejected=(
        *((wrong, hint[:20]) for hint, wrong in answers.FAULTS.items()),
        (answers.faulty(late=True, clock=False, half=False, end=False, length=False), "peak/rise"),
        (answers.faulty(clock=False), "own step 0"),
        (answers.faulty(length=False, end=False), "At step `total`"),
        (lambda step, peak, rise, total: peak, "peak/rise"),
        (lambda step, peak, rise, total: np.ones(3), "one number"),
    ),
)


def _plateau_cases():
    rng = np.random.default_rng(0)
    for patience in (0, 1, 3):
        yield [], 0.3, 0.5, patience
        yield [1.0], 0.3, 0.5, patience
        yield [1.0, *(1 - 3e-5 * np.arange(8)), 0.5, *[0.6, 0.55] * 8], 0.3, 0.5, patience
        for _ in range(4):
            yield rng.uniform(0.5, 1.5, size=60).tolist(), 0.3, 0.1, patience


def _plateau(answer):
    cases = list(_plateau_cases())
    wanted = [answers.plateau_rate(*case) for case in cases]
    found = [answer(list(case[0]), *case[1:]) for case in cases]
    if any(rate is None for rate in found):
        return "It returns nothing: end it with return lr."
    found = np.array(found, dtype=float)
    if found.shape != (len(cases),):
        return "It must return one number, the rate."
    if np.allclose(found, wanted, rtol=1e-9):
        return None
    for hint, wrong in answers.OTHER_PLATEAUS.items():
        if np.allclose(found, [wrong(*case) for case in cases], rtol=1e-9):
            return hint
    (losses, lr, factor, patience), got, right = next(
        row for row in zip(cases, found, wanted) if not abs(row[1] - row[2]) <= 1e-9 * row[2])
    shown = ", ".join(f"{loss:.3g}" for loss in losses[:6]) + (", …" if len(losses) > 6 else "")
    return (
        f"It is wrong after the {len(losses)} losses [{shown}] with lr={lr}, factor={factor}, "
        f"patience={patience}: it gives {got:.3g}, and the rate should be {right:.3g}."
    )


Exercise(
    "schedules-5",
    _plateau,
    accepted=(answers.plateau_rate, answers.plateau_rate_by_library),
    rejected=(
        *((wrong, hint[:20]) for hint, wrong in answers.OTHER_PLATEAUS.items()),
        (lambda losses, lr, factor, patience: lr, "it gives 0.3"),
        (lambda losses, lr, factor, patience: float("nan"), "it gives nan"),
        (lambda losses, lr, factor, patience: None, "returns nothing"),
        (lambda losses, lr, factor, patience: [lr, lr], "one number"),
    ),
)


def _two_ends(answer):
    rates = np.asarray(answer, dtype=float)
    if rates.shape != (1000,):
        return f"An array of 1000 rates is asked for, got shape {rates.shape}."
    if not np.isfinite(rates).all() or rates.min() < 0:
        return "The rates must be finite numbers, none below 0."
    if rates.max() >= 2:
        return "A rate of 2 or more throws the walker out of the steepest direction."
    over = answers.losses_at(rates) / answers.LEAST
    if over.max() <= 1.05:
        return None
    said = f"After 500 steps the loss is {over[0]:.3f} times the least found, after 1000 {over[1]:.3f} times."
    if over[0] > 1.05 and over[1] <= 1.05:
        if rates[480:500].mean() < 0.3 * rates[:100].mean():
            return said + " The first 500 rates fall; try another height for them, or another end."
        return said + " Cool down before step 500, too; you may go up again afterwards."
    if over[1] > 1.05 and over[0] <= 1.05:
        return said + " The second half needs area of its own, and a second cooling."
    return said + " Think of two runs, the second begun where the first has ended."


Exercise(
    "schedules-6",
    _two_ends,
    accepted=(
        answers.twice(0.2, 0.03, 0.055, 0.01), answers.twice(0.21, 0.032, 0.053, 0.01).tolist(),
    ),
    rejected=(
        (answers.line(0.12), "before step 500"), (np.full(1000, 0.05), "two runs"),
        (answers.twice(0.3, 0.03, 0.05, 0.01), "1.053 times"), (answers.twice(0.3, 0.03, 0.05, 0.01), "another height"),
        (answers.two_lines(0.16, 0.5), "second half"), (np.full(500, 0.1), "1000 rates"),
        (np.full(1000, 3.0), "throws"), (np.full(1000, -0.1), "none below 0"), ("fast", "raised"),
    ),
)

"""The exercises of the chapter on making an optimizer fast."""

import numpy as np

from course_lib.exercises import fast_answers as answers
from course_lib.exercises.exercise import Exercise, is_close


def _bytes_of_amsgrad(answer):
    if is_close(answer, 36, 1e-9):
        return None
    hints = {
        28: "That is Adam without v_max, which is read and written too.",
        32: "The largest v so far changes: v_max is written as well as read.",
        9: "Nine numbers, each of four bytes.",
        20: "That is what is read; the new w, m, v and v_max are written.",
        16: "That is what is written; w, g and the state must be read first.",
        40: "The gradient is read, and not written.",
    }
    for value, hint in hints.items():
        if is_close(answer, value, 1e-9):
            return hint
    return "Read w, g and the three arrays of the state; write w and the three arrays; four bytes each."


Exercise(
    "fast-1",
    _bytes_of_amsgrad,
    accepted=(36, 36.0, np.int64(36), [36]),
    rejected=(
        (28, "without v_max"), (32, "written as well"), (9, "four bytes"), (20, "what is read"),
        (16, "what is written"), (40, "gradient is read"), (72, "four bytes each"),
    ),
)


def _time_of_a_step(answer):
    if is_close(answer, 98, 0.01):
        return None
    hints = {
        0.098: "In milliseconds, please: the time in seconds, times a thousand.",
        77: "That is without the master copy, which is read (in place of w) and written.",
        49: "That is reading alone; the copy, the weights and the moments are written too.",
        56: "Those are the 16 bytes that are held; a step reads some of them and writes some again.",
        105: "The step reads the master copy, not the rounded weights: these are only written.",
        91: "The rounded weights must be written as well, for the next forward pass.",
        112: "Is the gradient written? And the rounded weights are not read.",
    }
    for value, hint in hints.items():
        if is_close(answer, value, 0.01):
            return hint
    return "List the arrays that a step reads and those that it writes, with 2 or 4 bytes each; over the bandwidth, in milliseconds."


Exercise(
    "fast-2",
    _time_of_a_step,
    accepted=(98, 98.0, np.float32(98), [98]),
    rejected=(
        (0.098, "milliseconds"), (77, "master copy"), (49, "reading alone"), (56, "held"), (105, "only written"),
        (91, "next forward"), (112, "gradient written"), (1, "milliseconds"),
    ),
)


def _tokens_of_a_twentieth(answer):
    if is_close(answer, 19 * 28 * 100 / 6, 0.01):
        return None
    hints = {
        20 * 28 * 100 / 6: "A twentieth of the whole step: the rest is not twenty times the optimizer's time.",
        28 * 100 / 6: "With so many tokens the two take equally long.",
        28 * 100 / 6 / 19: "That is turned round: there the optimizer takes nineteen twentieths.",
        9 * 28 * 100 / 6: "There it takes a tenth.",
        19 * 28 * 100: "Each weight and token takes six operations, not one.",
        19 * 28 * 100 / 2: "Forward and backward together take six operations, not two.",
        19 * 16 * 100 / 6: "The 16 bytes are held; the step reads some of them and writes some again.",
        19 * 14 * 100 / 6: "That is reading alone, or writing alone.",
    }
    for value, hint in hints.items():
        if is_close(answer, value, 0.01):
            return hint
    return "The share is the optimizer's time over the whole. Which time of the two does the number of tokens change?"


Exercise(
    "fast-3",
    _tokens_of_a_twentieth,
    accepted=(19 * 28 * 100 / 6, 8867, 8900, np.float32(8867)),
    rejected=(
        (9333, "not twenty"), (467, "equally long"), (24.6, "turned round"), (4200, "a tenth"),
        (53200, "six operations"), (26600, "not two"), (5067, "held"), (4433, "alone"), (32, "over the whole"),
    ),
)


def _scales(answer):
    try:
        small, large = (float(each) for each in answer)
    except (TypeError, ValueError):
        return "Two powers of two are asked for: (smallest, largest)."
    if small > large:
        return "The smallest first, please."
    if is_close(small, 7, 1e-9) or is_close(large, 16, 1e-9):
        return "The powers of two themselves, please, not their exponents."
    return _largest_scale(large) or _smallest_scale(small)


def _largest_scale(large):
    if is_close(large, 65536, 1e-9):
        return None
    if is_close(large, 131072, 1e-9):
        return "Half of 131072 is 65536: more than 65504."
    if is_close(large, 131008, 1e-4):
        return "A power of two is asked for: such a scale changes no digit of a gradient."
    if is_close(large, 32768, 1e-9):
        return "The largest gradient is 0.5, so the scale may itself be larger than 65504."
    return "The largest scale times 0.5 must not exceed 65504."


def _smallest_scale(small):
    if is_close(small, 128, 1e-9):
        return None
    if is_close(small, 256, 1e-9):
        return "The smallest positive float16 is 2⁻²⁴, but what is more than half of it is rounded up to it."
    if is_close(small, 64, 1e-9):
        return "With 64 the smallest gradient still becomes 0: it stays at or below 2⁻²⁵."
    return "The smallest scale times 3·10⁻¹⁰ must exceed 2⁻²⁵."


Exercise(
    "fast-4",
    _scales,
    accepted=((128, 65536), [2**7, 2**16], np.array([128.0, 65536.0])),
    rejected=(
        ((128, 131072), "65536: more"), ((128, 131008), "power of two"), ((128, 32768), "itself be larger"),
        ((7, 16), "exponents"), ((128, 1024), "must not exceed"), (65536, "Two powers"), ((65536, 128), "first"),
        ((256, 65536), "rounded up"), ((64, 65536), "becomes 0"), ((2, 65536), "must exceed"),
        ((128,), "Two powers"),
    ),
)


def _compilable(answer):
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx

    from course_lib.update_rules import Rule

    rule = answer(0.1) if callable(answer) else None
    if not isinstance(rule, Rule):
        return "A function is asked for: cautious(lr) returns a Rule."
    w = torch.tensor(np.linspace(-1, 1, 50))
    state, v = rule.init(w), torch.zeros_like(w)
    rng = np.random.default_rng(0)
    for _ in range(6):
        g = torch.tensor(rng.standard_normal(50))
        v = 0.9 * v + g
        expected = torch.where(v * g > 0, -0.1 * v, 0)
        delta, state = rule.update(g, state, w)
        if not torch.allclose(delta, expected, rtol=1e-6, atol=1e-12):
            return _what_is_wrong_with(delta, v, g)
        w = w + delta
    try:
        make_fx(lambda g: rule.update(g, state, w)[0], tracing_mode="fake", _allow_non_fake_inputs=True)(g)
    except Exception:
        return "The steps are right, but it still branches on a value: compute both sides and choose with where."
    return None


def _what_is_wrong_with(delta, v, g):
    import torch

    if torch.allclose(delta, -0.1 * v):
        return "It steps everywhere; where v and g differ in sign the step must be 0."
    return "The step is −lr·v where the new v times g is above 0, and 0 elsewhere, with v ← beta·v + g."


Exercise(
    "fast-5",
    _compilable,
    accepted=(answers.cautious, answers.cautious_by_product),
    rejected=(
        (answers.cautious_with_if, "still branches"), (answers.cautious_everywhere, "steps everywhere"),
        (answers.cautious_with_the_old_velocity, "new v times g"), (1.0, "function"),
    ),
)


def _one_program(answer):
    if not callable(answer):
        return "A function is asked for: momentum_program(program_id, w, g, v, size, lr, beta, BLOCK)."
    rng = np.random.default_rng(0)
    for size, block in ((64, 16), (70, 16), (5, 16), (33, 8)):
        programs = -(-size // block)
        length = programs * block + 7  # memory that belongs to somebody else
        w, g, v = rng.standard_normal((3, length))
        before_w, before_g, before_v = w.copy(), g.copy(), v.copy()
        order = rng.permutation(programs)
        answer(int(order[0]), w, g, v, size, 0.1, 0.9, block)
        mine = np.arange(length) // block == order[0]
        if (w[size:] != before_w[size:]).any() or (v[size:] != before_v[size:]).any():
            return f"With size {size} and BLOCK {block} it writes beyond the end: it needs a mask, i < size."
        if (w[~mine] != before_w[~mine]).any() or (v[~mine] != before_v[~mine]).any():
            return "A program changes numbers of another block: its own begin at program_id · BLOCK."
        for each in order[1:]:
            answer(int(each), w, g, v, size, 0.1, 0.9, block)
        hint = _steps_of_momentum(w, v, before_w, before_v, before_g, size)
        if (w[size:] != before_w[size:]).any() or (v[size:] != before_v[size:]).any():
            hint = f"With size {size} and BLOCK {block} it writes beyond the end: it needs a mask, i < size."
        if (g != before_g).any():
            hint = "The gradient is only read."
        if hint:
            return hint
    return None


def _steps_of_momentum(w, v, before_w, before_v, g, size):
    expected = (0.9 * before_v + g)[:size]
    if np.array_equal(v[:size], before_v[:size]):
        return "The new velocity must be stored in v, in place."
    if not np.allclose(v[:size], expected):
        return "The velocity is v ← beta·v + g, for each number of the block, in place."
    if np.allclose(w[:size], (before_w - 0.1 * before_v)[:size]):
        return "The step is made with the new velocity, not with the old one."
    if not np.allclose(w[:size], before_w[:size] - 0.1 * expected):
        return "The step is w ← w − lr·v with the new v, in place."
    return None


Exercise(
    "fast-6",
    _one_program,
    accepted=(answers.momentum_program, answers.momentum_program_by_slice),
    rejected=(
        (answers.momentum_without_mask, "needs a mask"), (answers.momentum_of_everything, "another block"),
        (answers.momentum_counted_in_programs, "program_id · BLOCK"),
        (answers.momentum_of_the_old_velocity, "new velocity"), (answers.momentum_without_storing_v, "stored in v"),
        (1.0, "function"),
    ),
)


def _stochastic_rounding(answer):
    if not callable(answer):
        return "A function is asked for: round_stochastically(x, u)."
    rng = np.random.default_rng(0)
    x = (rng.standard_normal(2000) * 10.0 ** rng.integers(-3, 4, 2000)).astype(np.float32)
    u = rng.random(2000)
    found = np.asarray(answer(x.copy(), u.copy()))
    if found.shape != x.shape or found.dtype != np.float32:
        return f"A float32 array of the shape of x is expected, got {found.dtype} of shape {found.shape}."
    if (found.view(np.uint32) & np.uint32(0xFFFF)).any():
        return "What it returns is no bfloat16: the last 16 bits of each number must be 0."
    exact = answers.cut_off(x, u)
    if not np.array_equal(np.asarray(answer(exact.copy(), u.copy())), exact):
        return "A number that is a bfloat16 already must stay what it is, whatever u."
    gap = (exact.view(np.uint32) + np.uint32(0x10000)).view(np.float32) - exact
    if (np.abs(found - x) >= np.abs(gap)).any():
        return "Each number must go to one of its two neighbours among the bfloat16."
    return _mean_of_rounding(answer, rng)


def _mean_of_rounding(answer, rng):
    gap = 2.0**-7
    for share in (0.125, 0.5, 0.875):
        for sign in (1, -1):
            x = np.full(40_000, sign * (1 + share * gap), dtype=np.float32)
            up = float((np.asarray(answer(x, rng.random(40_000))) != sign).mean())
            if up in (0.0, 1.0):
                return "It does not depend on u: a step shorter than half the spacing is still always lost."
            if abs(up - share) > 0.02:
                return f"At {share} of the gap it rounds away from 0 with probability {up:.2f}, not {share}."
    return None


Exercise(
    "fast-7",
    _stochastic_rounding,
    accepted=(answers.round_stochastically, answers.round_stochastically_by_gap),
    rejected=(
        (answers.round_to_nearest, "depend on u"), (answers.cut_off, "depend on u"),
        (answers.even_odds, "with probability"), (answers.not_rounded, "no bfloat16"),
        (lambda x, u: answers.cut_off(x, u).astype(float), "float32 array"),
        (lambda x, u: answers.cut_off(2 * x, u), "whatever u"), (1.0, "function"),
    ),
)

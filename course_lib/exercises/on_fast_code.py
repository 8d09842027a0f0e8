"""The exercises of the chapter on making an optimizer fast whose answers are functions."""

import numpy as np

from course_lib.exercises import fast_answers as answers
from course_lib.exercises.exercise import Exercise


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

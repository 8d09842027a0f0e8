"""Answers to the exercises on making an optimizer fast, right and wrong, that the judges are held to."""

import numpy as np


def cautious(lr, beta=0.9, choose=None):
    """Momentum that steps only where velocity and gradient agree; `choose(v, g)` says where."""
    import torch

    from course_lib.update_rules import Rule

    def update(g, state, w, lr):
        v = beta * state["v"] + g
        where = v * g > 0 if choose is None else choose(v, g)
        return torch.where(where, -lr * v, torch.zeros_like(v)), {**state, "v": v}

    return Rule("cautious", {"lr": lr, "beta": beta}, lambda w: {"v": torch.zeros_like(w)}, update)


def cautious_by_product(lr, beta=0.9):
    """The same with a product in place of `where`."""
    from course_lib.update_rules import Rule

    def update(g, state, w, lr):
        v = beta * state["v"] + g
        return -lr * v * (v * g > 0), {**state, "v": v}

    return Rule("cautious", {"lr": lr, "beta": beta}, lambda w: {"v": 0 * w}, update)


def cautious_with_if(lr, beta=0.9):
    """The rule of the question: right, but it cannot be compiled."""
    import torch

    from course_lib.update_rules import Rule

    def update(g, state, w, lr):
        v = beta * state["v"] + g
        delta = torch.zeros_like(w)
        for i in range(len(w)):
            if v[i] * g[i] > 0:
                delta[i] = -lr * v[i]
        return delta, {**state, "v": v}

    return Rule("cautious", {"lr": lr, "beta": beta}, lambda w: {"v": torch.zeros_like(w)}, update)


def cautious_everywhere(lr, beta=0.9):
    return cautious(lr, beta, choose=lambda v, g: v == v)


def cautious_with_the_old_velocity(lr, beta=0.9):
    return cautious(lr, beta, choose=lambda v, g: (v - g) * g > 0)


def momentum_program(program_id, w, g, v, size, lr, beta, BLOCK):
    i = program_id * BLOCK + np.arange(BLOCK)
    i = i[i < size]
    v[i] = beta * v[i] + g[i]
    w[i] -= lr * v[i]


def momentum_program_by_slice(program_id, w, g, v, size, lr, beta, BLOCK):
    mine = slice(program_id * BLOCK, min((program_id + 1) * BLOCK, size))
    v[mine] = beta * v[mine] + g[mine]
    w[mine] = w[mine] - lr * v[mine]


def momentum_without_mask(program_id, w, g, v, size, lr, beta, BLOCK):
    momentum_program(program_id, w, g, v, len(w), lr, beta, BLOCK)


def momentum_of_everything(program_id, w, g, v, size, lr, beta, BLOCK):
    momentum_program(0, w, g, v, size, lr, beta, size)


def momentum_of_the_old_velocity(program_id, w, g, v, size, lr, beta, BLOCK):
    i = program_id * BLOCK + np.arange(BLOCK)
    i = i[i < size]
    w[i] -= lr * v[i]
    v[i] = beta * v[i] + g[i]


def momentum_counted_in_programs(program_id, w, g, v, size, lr, beta, BLOCK):
    i = program_id + np.arange(BLOCK)
    i = i[i < size]
    v[i] = beta * v[i] + g[i]
    w[i] -= lr * v[i]


def momentum_without_storing_v(program_id, w, g, v, size, lr, beta, BLOCK):
    i = program_id * BLOCK + np.arange(BLOCK)
    i = i[i < size]
    w[i] -= lr * (beta * v[i] + g[i])


def round_stochastically(x, u):
    bits = np.asarray(x, dtype=np.float32).view(np.uint32)
    noise = (np.asarray(u) * 2**16).astype(np.uint32)
    return ((bits + noise) & np.uint32(0xFFFF0000)).view(np.float32)


def round_stochastically_by_gap(x, u):
    """The same in ordinary arithmetic: the neighbours and the share of the gap between them."""
    x = np.asarray(x, dtype=np.float32)
    bits = x.view(np.uint32)
    low = (bits & np.uint32(0xFFFF0000)).view(np.float32)
    high = ((bits & np.uint32(0xFFFF0000)) + np.uint32(0x10000)).view(np.float32)
    share = (x.astype(float) - low) / (high.astype(float) - low)
    return np.where(u >= 1 - share, high, low).astype(np.float32)


def round_to_nearest(x, u):
    return round_stochastically(x, np.full(np.shape(x), 0.5))


def cut_off(x, u):
    return round_stochastically(x, np.zeros(np.shape(x)))


def even_odds(x, u):
    bits = np.asarray(x, dtype=np.float32).view(np.uint32)
    inexact = (bits & np.uint32(0xFFFF)) > 0
    up = (bits & np.uint32(0xFFFF0000)) + np.uint32(0x10000) * (inexact & (u < 0.5))
    return up.astype(np.uint32).view(np.float32)


def not_rounded(x, u):
    return np.asarray(x, dtype=np.float32)

"""Right answers to the exercises on Max-Cut, written in more than one way."""

import math

import numpy as np


def steps_until(start, alpha, lr):
    """How many steps of 1 − lr · alpha/8 take `start` to 1."""
    return math.ceil(math.log(1 / start) / math.log1p(-lr * alpha / 8))


def steps_by_loop(start, alpha, lr):
    """The same, a step at a time."""
    steps = 0
    while start < 1:
        start *= 1 - lr * alpha / 8
        steps += 1
    return steps


def round_cut(edge_index, p):
    """Sides whose cut is at least the expected one: each node to its better end, in turn."""
    source, target = np.asarray(edge_index)
    p = np.array(p, dtype=float)
    for i in range(len(p)):
        p[i] = float((1 - 2 * p[target[source == i]]).sum() > 0)
    return p > 0.5


def round_by_tossing(edge_index, p, seed=0):
    """The same by tossing the coins until the cut is large enough (and at last by rounding in turn)."""
    (source, target), rng = np.asarray(edge_index), np.random.default_rng(seed)
    p = np.asarray(p, dtype=float)
    expected = (p[source] * (1 - p[target])).sum()
    for _ in range(1000):
        side = rng.random(len(p)) < p
        if (side[source] & ~side[target]).sum() >= expected:
            return side
    return round_cut(edge_index, p)


def bound(A):
    """n/4 times the largest eigenvalue of the Laplacian."""
    return len(A) / 4 * np.linalg.eigvalsh(np.diag(A.sum(1)) - A)[-1]


def bound_by_singular_values(A):
    """The same: the Laplacian has no negative eigenvalue."""
    return len(A) * np.linalg.norm(np.diag(A.sum(1)) - A, 2) / 4


def cut_by_tabu(edge_index, nodes, seed, steps=20_000):
    """The best flip at every step, no node again for a while."""
    rng, A = np.random.default_rng(seed), np.zeros((nodes, nodes))
    A[edge_index[0], edge_index[1]] = 1
    s = rng.choice([-1.0, 1.0], nodes)
    gain, free = s * (A @ s), np.zeros(nodes)
    best, total, most = s.copy(), 0.0, 0.0
    for step in range(steps):
        node = np.argmax(np.where(free <= step, gain + rng.random(nodes), -np.inf))
        total += gain[node]
        s[node], gain[node] = -s[node], -gain[node]
        gain += 2 * s[node] * A[node] * s
        free[node] = step + 7 + rng.integers(8)
        if total > most:
            best, most = s.copy(), total
    return best > 0

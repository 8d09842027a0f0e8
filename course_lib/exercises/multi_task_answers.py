"""Answers to the exercises on several tasks, right and wrong, that the judges are held to."""

import itertools

import numpy as np


def front(A, B, a, b, lam):
    """Where λ½(w−a)ᵀA(w−a) + (1−λ)½(w−b)ᵀB(w−b) is least."""
    return np.linalg.solve(lam * A + (1 - lam) * B, lam * A @ a + (1 - lam) * B @ b)


def front_by_inverse(A, B, a, b, lam):
    return b + lam * np.linalg.inv(lam * A + (1 - lam) * B) @ A @ (a - b)


def front_of_points(A, B, a, b, lam):
    """The mean of the two minima: right for equal curvatures alone."""
    return lam * a + (1 - lam) * b


def front_swapped(A, B, a, b, lam):
    return front(A, B, a, b, 1 - lam)


def front_without_matrices(A, B, a, b, lam):
    """The matrices forgotten on the right-hand side."""
    return np.linalg.solve(lam * A + (1 - lam) * B, lam * a + (1 - lam) * b)


def impartial(G):
    """The combination with weights of sum 1 that has the same product with every unit gradient."""
    units = G / np.linalg.norm(G, axis=1, keepdims=True)
    conditions = np.vstack([(units[1:] - units[:1]) @ G.T, np.ones(len(G))])
    return np.linalg.solve(conditions, np.eye(len(G))[-1]) @ G


def impartial_by_cosines(G):
    """The same: where β = α‖g‖ solves Rβ = 1 up to a factor, R the cosines."""
    norms = np.linalg.norm(G, axis=1)
    units = G / norms[:, None]
    alpha = np.linalg.solve(units @ units.T, np.ones(len(G))) / norms
    return alpha / alpha.sum() @ G


def impartial_of_the_gradients(G):
    """Equal products with the gradients themselves: the longer ones get less of it."""
    alpha = np.linalg.solve(G @ G.T, np.ones(len(G)))
    return alpha / alpha.sum() @ G


def impartial_of_any_length(G):
    """The right direction, with weights of another sum."""
    return 2 * impartial(G)


def bisector(G):
    """The sum of the unit gradients: right for two tasks alone, and of another length."""
    units = G / np.linalg.norm(G, axis=1, keepdims=True)
    return units.sum(0)


def bisector_of_sum_one(G):
    """Inverse lengths as weights, of sum 1: right for two tasks alone."""
    alpha = 1 / np.linalg.norm(G, axis=1)
    return alpha / alpha.sum() @ G


def surgeries(G):
    """Every direction that PCGrad can give for G [3, D]: two orders for each of three gradients."""
    squares = (G**2).sum(1)

    def part(i, order):
        v = G[i]
        for j in order:
            v = v - min(v @ G[j], 0) / squares[j] * G[j]
        return v

    parts = [[part(i, order) for order in itertools.permutations({0, 1, 2} - {i})] for i in range(3)]
    return [sum(chosen) for chosen in itertools.product(*parts)]


def worst_gain(G):
    """The least gain of a task, in units of both lengths, under the order that is kindest to it."""
    units = G / np.linalg.norm(G, axis=1, keepdims=True)
    return max((units @ d).min() / np.linalg.norm(d) for d in surgeries(G))


def independence(G):
    """The least singular value of the unit gradients: 0 where they depend on one another."""
    units = G / np.linalg.norm(G, axis=1, keepdims=True)
    return np.linalg.svd(units, compute_uv=False)[-1]


VICTIM = ((0.39, 0.77, 0.51), (0.56, -0.79, 0.23), (-0.46, -0.24, -0.85))
LONGER_VICTIM = ((0.78, 1.54, 1.02, 0.0), (1.12, -1.58, 0.46, 0.0), (-0.92, -0.48, -1.70, 0.0))
DEPENDENT = ((0.77, 0.07, -0.63), (-0.82, 0.50, -0.27), (0.21, -0.56, 0.80))
HURT_A_LITTLE = ((-0.05, 0.05, 1.0), (-0.44, -0.12, -0.89), (0.7, -0.71, -0.03))

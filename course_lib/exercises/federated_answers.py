"""Right answers to the exercises on federated optimization, written in more than one way."""

from itertools import combinations

import numpy as np


def fedprox_rest(h, c, p, eta, K, mu):
    """Where the moves cancel."""
    a = h / (h + mu) * (1 - (1 - eta * (h + mu)) ** K)
    return (p * a * c).sum() / (p * a).sum()


def fedprox_rest_by_steps(h, c, p, eta, K, mu):
    """The same by running rounds until nothing moves."""
    w = 0.0
    for _ in range(20_000):
        d = np.zeros(len(h))
        for _ in range(K):
            d -= eta * (h * (w + d - c) + mu * d)
        w += (p * d).sum()
        if abs((p * d).sum()) < 1e-14:
            break
    return w


def normalised(d, steps, p):
    """FedNova: the mean step of each client, times the mean number of steps."""
    return (p * steps).sum() * ((p / steps) @ d)


def normalised_one_by_one(d, steps, p):
    """The same, client after client."""
    mean = sum(weight * move / many for weight, move, many in zip(p, d, steps))
    return mean * sum(weight * many for weight, many in zip(p, steps))


def expected_weights(sizes, m):
    """The mean of the weights over all subsets of m clients, 0 for who is not in it."""
    total, subsets = np.zeros(len(sizes)), list(combinations(range(len(sizes)), m))
    for chosen in subsets:
        mine = np.array([sizes[i] for i in chosen], dtype=float)
        total[list(chosen)] += mine / mine.sum()
    return total / len(subsets)


def expected_weights_by_masks(sizes, m):
    """The same from all masks at once."""
    sizes = np.asarray(sizes, dtype=float)
    masks = (np.arange(2 ** len(sizes))[:, None] >> np.arange(len(sizes))) & 1
    masks = masks[masks.sum(1) == m] * sizes
    return (masks / masks.sum(1, keepdims=True)).mean(0)


def corrected():
    """SCAFFOLD, with a slightly smaller rate than FedAvg's."""
    from course_lib import scaffold

    return scaffold(10, 0.4, 10)


def corrected_slower():
    """SCAFFOLD with shorter steps."""
    from course_lib import scaffold

    return scaffold(10, 0.3, 10)

"""Answers to the exercises on stochastic gradient descent that the judges are held to."""

import numpy as np


def batches_of_an_epoch(samples, B, seed, epoch):
    rows = np.random.default_rng([seed, epoch]).permutation(samples)
    return [rows[i : i + B] for i in range(0, samples, B)]


def batches_of_an_epoch_as_lists(samples, B, seed, epoch):
    rng = np.random.default_rng(seed)
    for _ in range(epoch + 1):
        rows = rng.permutation(samples).tolist()
    return [rows[i : i + B] for i in range(0, samples, B)]


def batches_with_replacement(samples, B, seed, epoch):
    rows = np.random.default_rng([seed, epoch]).integers(samples, size=samples)
    return [rows[i : i + B] for i in range(0, samples, B)]


def batches_without_the_rest(samples, B, seed, epoch):
    return [rows for rows in batches_of_an_epoch(samples, B, seed, epoch) if len(rows) == B]


def batches_always_the_same(samples, B, seed, epoch):
    return batches_of_an_epoch(samples, B, seed, 0)


def batches_in_order(samples, B, seed, epoch):
    return [np.arange(samples)[i : i + B] for i in range(0, samples, B)]


def batches_by_chance(samples, B, seed, epoch):
    return batches_of_an_epoch(samples, B, np.random.default_rng().integers(2**30), epoch)


def batches_rolled(samples, B, seed, epoch):
    rows = np.roll(np.random.default_rng(seed).permutation(samples), epoch)
    return [rows[i : i + B] for i in range(0, samples, B)]


def noise_over_signal(small, big, B_small, B_big):
    noise = (small - big) / (1 / B_small - 1 / B_big)
    return noise / (big - noise / B_big)


def noise_over_signal_by_elimination(small, big, B_small, B_big):
    signal = (B_big * big - B_small * small) / (B_big - B_small)
    return (small - signal) * B_small / signal


def greedy_rates(m, h, sigma, steps):
    rates = []
    for _ in range(steps):
        eta = h * m / (h * h * m + sigma**2)
        rates.append(eta)
        m = (1 - eta * h) ** 2 * m + eta**2 * sigma**2
    return np.array(rates)


def greedy_rates_at_once(m, h, sigma, steps):
    return 1 / (h * np.arange(steps) + h + sigma**2 / (h * m))


def saga(grad, n, w, calls, lr=0.3, seed=0):
    rng = np.random.default_rng(seed)
    table = np.array([grad(w, i) for i in range(n)])
    mean = table.mean(0)
    for _ in range(calls - n):
        i = rng.integers(n)
        g = grad(w, i)
        w = w - lr * (g - table[i] + mean)
        mean = mean + (g - table[i]) / n
        table[i] = g
    return w


def svrg(grad, n, w, calls, lr=0.3, seed=0):
    rng = np.random.default_rng(seed)
    while calls >= 5 * n:
        anchor, calls = w, calls - 5 * n
        mean = np.mean([grad(anchor, i) for i in range(n)], axis=0)
        for i in rng.integers(n, size=2 * n):
            w = w - lr * (grad(w, i) - grad(anchor, i) + mean)
    return w


def plain_sgd(grad, n, w, calls, lr=0.1, seed=0):
    for i in np.random.default_rng(seed).integers(n, size=calls):
        w = w - lr * grad(w, i)
    return w


def decayed_sgd(grad, n, w, calls):
    rows = np.random.default_rng(0).integers(n, size=calls)
    for t, i in enumerate(rows):
        w = w - 1.0 / (1 + 0.02 * t) * grad(w, i)
    return w


def averaged_sgd(grad, n, w, calls):
    mean = w
    for t, i in enumerate(np.random.default_rng(0).integers(n, size=calls), start=1):
        w = w - 0.3 * grad(w, i)
        mean = mean + (w - mean) / t
    return mean


def full_descent(grad, n, w, calls):
    for _ in range(calls // n):
        w = w - 2.0 * np.mean([grad(w, i) for i in range(n)], axis=0)
    return w


def full_heavy_ball(grad, n, w, calls, lr=4.26, beta=0.767):
    v = 0 * w
    for _ in range(calls // n):
        v = beta * v + np.mean([grad(w, i) for i in range(n)], axis=0)
        w = w - lr * v
    return w

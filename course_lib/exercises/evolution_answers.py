"""Answers to the exercises on evolution, races and hypergradients, right and wrong, that the judges are held to."""

import numpy as np

from course_lib.tuning import cma_es


def promotable(told, gone, eta):
    """The settings that may go on, best first. told: setting -> value, NaN if failed; gone: a set."""
    ranked = sorted((x for x in told if not np.isnan(told[x])), key=told.get)
    return [x for x in ranked[: len(told) // eta] if x not in gone]


def rungs():
    """Rungs of a race: what was told, who has gone on, eta."""
    rng = np.random.default_rng(0)
    yield {"a": 0.5, "b": 0.2, "c": 0.9}, set(), 3
    yield {"a": np.nan, "b": np.nan, "c": 0.9, "d": np.nan, "e": 0.3, "f": np.nan}, set(), 2
    yield {"a": 0.5, "b": 0.2, "c": 0.9}, {"b"}, 3
    yield {"a": 0.5, "b": 0.2}, set(), 3
    yield {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.9, "e": 0.8, "f": 0.7}, {"d"}, 3  # d went on early
    for _ in range(6):
        names, values = range(17), rng.random(17)
        values[rng.random(17) < 0.2] = np.nan
        yield dict(zip(names, values.tolist())), set(np.argsort(values)[:2].tolist()), int(rng.integers(2, 5))


def greedy_rate(h, m, noise):
    """The rate that makes the mean loss after one step least. h, m, noise: arrays [axes]"""
    return (h**2 * m).sum() / (h**3 * m + h * noise).sum()


def axes(seed):
    """Curvatures, mean squares and variances of the noise."""
    rng = np.random.default_rng(seed)
    return 10 ** rng.uniform(-2, 1, 4), 10 ** rng.uniform(-1, 2, 4), 10 ** rng.uniform(-1, 1, 4)


def one_fifth(f, w0, sigma, calls, seed, up=np.exp(0.2)):
    """One parent, one child, and the one-fifth rule; returns the best w."""
    rng, w = np.random.default_rng(seed), np.array(w0, dtype=float)
    value = f(w)
    for _ in range(calls - 1):
        child = w + sigma * rng.standard_normal(len(w))
        new = f(child)
        if new <= value:
            w, value, sigma = child, new, sigma * up
        else:
            sigma *= up**-0.25
    return w


def windowed(f, w0, sigma, calls, seed):
    """The same, judged every twenty trials."""
    rng, w, wins = np.random.default_rng(seed), np.array(w0, dtype=float), 0
    value = f(w)
    for call in range(1, calls):
        child = w + sigma * rng.standard_normal(len(w))
        new = f(child)
        if new <= value:
            w, value, wins = child, new, wins + 1
        if call % 20 == 0:
            sigma, wins = sigma * (1.5 if wins > 4 else 1 / 1.5 if wins < 4 else 1), 0
    return w


def one_third(f, w0, sigma, calls, seed):
    """Balanced where one child in three survives."""
    rng, w = np.random.default_rng(seed), np.array(w0, dtype=float)
    value = f(w)
    for _ in range(calls - 1):
        child = w + sigma * rng.standard_normal(len(w))
        new = f(child)
        if new <= value:
            w, value, sigma = child, new, sigma * np.exp(0.2)
        else:
            sigma *= np.exp(-0.1)
    return w


def fixed_step(f, w0, sigma, calls, seed):
    """The same without the rule."""
    return one_fifth(f, w0, sigma, calls, seed, up=1.0)


class Lottery:
    """A function that ignores its vector: a child survives with a given probability, a parent's value stays."""

    def __init__(self, survives):
        self.rng, self.survives, self.best, self.parent, self.lengths = np.random.default_rng(0), survives, 0.0, None, []

    def __call__(self, w):
        w = np.array(w, dtype=float)
        if self.parent is None:
            self.parent = w
            return self.best
        self.lengths.append(np.linalg.norm(w - self.parent))
        if self.rng.random() < self.survives:
            self.best, self.parent = self.best - 1, w
            return self.best
        return self.best + 1


def growth(strategy, survives):
    """By how much the logarithm of the step length grows, in 1200 calls, where so many children survive."""
    f = Lottery(survives)
    strategy(f, np.zeros(10), 1.0, 1200, 0)
    return np.log(max(np.mean(f.lengths[-100:]), 1e-300) / np.mean(f.lengths[:20]))


class Counted:
    """A function of a vector that counts how often it is called, and refuses more than allowed."""

    def __init__(self, function, calls):
        self.function, self.left = function, calls

    def __call__(self, w):
        self.left -= 1
        if self.left < 0:
            raise ValueError("f was called more often than calls allows")
        return float(self.function(np.asarray(w, dtype=float)))


def bowls():
    """Three bowls in ten dimensions, of which only the ranks agree: f, log f, a million f."""
    middle = np.random.default_rng(3).normal(size=10)
    for outer in (float, np.log, lambda value: 1e6 * value):
        yield (lambda w, outer=outer: outer(np.sum((w - middle) ** 2) + 1e-300)), middle


def rippled(seed):
    """Rastrigin's function, its minimum of 0 somewhere within 2 of the middle of the box."""
    middle = np.random.default_rng(seed).uniform(-2, 2, 4)
    return lambda w: np.sum(10 + (w - middle) ** 2 - 10 * np.cos(2 * np.pi * (w - middle)))


def restarted(f, D, calls, seed):
    """CMA-ES from random starts, the population doubled after each."""
    rng, made, best, population = np.random.default_rng(seed), 0, None, 8
    while made < calls - population:
        found = cma_es(f, rng.uniform(-5, 5, D), 2.0, made, population=population, calls=calls - made)
        made += len(found.history)
        best = found if best is None or found.value < best.value else best
        population *= 2
    return best.x


def large_populations(f, D, calls, seed):
    """CMA-ES from random starts with a population of 100 each time."""
    rng, found = np.random.default_rng(seed), []
    while sum(len(each.history) for each in found) < calls:
        left = calls - sum(len(each.history) for each in found)
        found.append(cma_es(f, rng.uniform(-5, 5, D), 2.5, len(found), population=100, calls=left))
    return min(found, key=lambda each: each.value).x


def started_once(f, D, calls, seed):
    """CMA-ES as it comes, once."""
    return cma_es(f, np.random.default_rng(seed).uniform(-5, 5, D), 2.0, seed, calls=calls).x


def at_random(f, D, calls, seed):
    """The best of so many places in the box."""
    places = np.random.default_rng(seed).uniform(-5, 5, (calls, D))
    return min(places, key=f)

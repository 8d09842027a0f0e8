"""Differential evolution: steps made of the differences within a population."""

import numpy as np

from course_lib.tuning.minimizing import run_search
from course_lib.tuning.populations import PopulationSearch
from course_lib.validation import count, number


class DifferentialEvolution(PopulationSearch):
    """Differential evolution, to ask and to tell.

    Parameters
    ----------
    space, seed, population, weight, crossover, path
        As in `differential_evolution`.

    Attributes
    ----------
    members : array [population, width]
        The population's places in the unit cube.
    values : array [population]

    Examples
    --------
    >>> search = DifferentialEvolution({"a": (-1.0, 1.0), "b": (-1.0, 1.0)}, seed=0)
    >>> for _ in range(1000):
    ...     x = search.ask()
    ...     search.tell(x, x["a"] ** 2 + x["b"] ** 2)
    >>> search.result().value < 1e-6
    True
    """

    def __init__(self, space, seed, *, population=None, weight=0.8, crossover=0.9, path=None):
        super().__init__(space, seed, path)
        self.weight = number("weight", weight, above=0, most=2)
        self.crossover = number("crossover", crossover, least=0, most=1)
        size = max(4, 10 * self.space.width) if population is None else count("population", population, least=4)
        self.members, self.values = None, np.full(size, np.inf)
        self._resume()

    def _places(self, rng):
        size, width = len(self.values), self.space.width
        if self.members is None:
            self._tried = self.space.spread(size, rng)
            return self._tried
        others = np.argsort(rng.random((size, size - 1)))[:, :3]  # three for each, not itself
        others += others >= np.arange(size)[:, None]
        a, b, c = self.members[others].transpose(1, 0, 2)
        changed = rng.random((size, width)) < self.crossover
        changed[np.arange(size), rng.integers(width, size=size)] = True
        self._tried = self.space.folded(np.where(changed, a + self.weight * (b - c), self.members))
        return self._tried

    def _learn(self, values):
        better = values <= self.values
        old = self._tried if self.members is None else self.members
        self.members = np.where(better[:, None], self._tried, old)
        self.values = np.where(better, values, self.values)


def differential_evolution(
    f, space, calls, seed, *, population=None, weight=0.8, crossover=0.9, path=None,
    workers=None, engine="processes", timeout=None, retries=1,
):
    """Minimise by differential evolution: each member's rival is made of three others.

        v = a + F (b − c);  each coordinate of the rival is v's with probability CR, else the
        member's own, one at least is v's;  the rival stays if it is no worse

    The differences shrink with the population, so nothing has to be said about step sizes.
    Known as DE/rand/1/bin.

    Parameters
    ----------
    f : callable
        f(x), x a dict by name, returns a number. If it raises or returns NaN, the trial has
        failed, and is worse than any that has not.
    space : Space or dict
        The first generation fills it evenly; a place outside stands for its mirror image.
    calls : int
        How many trials in all, those in the file included.
    seed : int
    population : int, optional
        At least 4; ten times the width of the space when left out.
    weight : float
        F, 0 < F ≤ 2.
    crossover : float
        CR, 0 ≤ CR ≤ 1.
    path, workers, engine, timeout, retries
        As in `bayesian_minimize`. Workers share a generation: the result does not depend on
        how many they are.

    Returns
    -------
    Result
        x, value, history.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    References
    ----------
    R. Storn, K. Price, Differential evolution, a simple and efficient heuristic for global
    optimization over continuous spaces, J. Global Optimization 11 (1997).

    Examples
    --------
    >>> space = {"a": (-1.0, 1.0), "b": (-1.0, 1.0)}
    >>> differential_evolution(lambda x: x["a"] ** 2 + x["b"] ** 2, space, 1000, seed=0).value < 1e-6
    True
    """
    search = DifferentialEvolution(space, seed, population=population, weight=weight, crossover=crossover, path=path)
    run_search(search, f, calls, workers=workers, engine=engine, timeout=timeout, retries=retries)
    return search.result()

"""A normal distribution that moves, grows and turns by the ranks of its draws."""

import numpy as np

from course_lib.tuning.populations import PopulationSearch
from course_lib.tuning.spaces import Space, Vectors
from course_lib.validation import count, finite_array, number


class EvolutionStrategy(PopulationSearch):
    """CMA-ES, or with `adapt=False` the same with a sphere for its covariance, to ask and to tell.

    Parameters
    ----------
    x0, sigma, seed, space, population, tolerance, path
        As in `cma_es`.
    adapt : bool
        Learn the covariance.

    Attributes
    ----------
    mean : array [D]
        The middle of the distribution. With a space, a place in the cube or its mirror image.
    sigma : float
        Its step size.
    C : array [D, D], or None
        Its covariance, over σ²; None where it is not learnt.
    path_c, path_sigma : array [D]
        Where the mean has been going of late.

    Examples
    --------
    >>> search = EvolutionStrategy([3.0, 3.0], 1.0, seed=0)
    >>> for _ in range(300):
    ...     x = search.ask()
    ...     search.tell(x, x @ x)
    >>> search.result().value < 1e-6
    True
    """

    def __init__(self, x0, sigma, seed, space=None, *, adapt=True, population=None, tolerance=1e-12, path=None):
        self.mean, space = _start(x0, space)
        super().__init__(space, seed, path)
        D = space.width
        self.sigma = self._first_sigma = number("sigma", sigma, above=0)
        self.tolerance = number("tolerance", tolerance, least=0)
        population = 4 + int(3 * np.log(D)) if population is None else count("population", population, least=4)
        self.adapt, self._bests = bool(adapt), []
        self.C, self._root, self._decomposed = (np.eye(D) if adapt else None), None, 0
        self.path_c, self.path_sigma = np.zeros(D), np.zeros(D)
        self.norm = np.sqrt(D) * (1 - 1 / (4 * D) + 1 / (21 * D**2))  # mean length of a normal vector
        self._settle(population, D)
        self._resume()

    def centre(self):
        """The setting, or the vector, in the middle: a mean of many draws, where the best value seen is a lucky one."""
        return self.space.decode(self.space.folded(self.mean))

    def _settle(self, population, D):
        """The weights of the ranks and the rates of learning, from Hansen's table 1."""
        raw = np.log((population + 1) / 2) - np.log(np.arange(1, population + 1))
        plus, minus = raw.clip(0), (-raw).clip(0)
        mu = self.mu_eff = plus.sum() ** 2 / (plus**2).sum()
        mu_minus = minus.sum() ** 2 / (minus**2).sum()
        self.c_sigma = (mu + 2) / (D + mu + 5)
        self.damping = 1 + 2 * max(0, np.sqrt((mu - 1) / (D + 1)) - 1) + self.c_sigma
        self.c_c = (4 + mu / D) / (D + 4 + 2 * mu / D)
        self.c_1 = 2 / ((D + 1.3) ** 2 + mu)
        self.c_mu = min(1 - self.c_1, 2 * (1 / 4 + mu + 1 / mu - 2) / ((D + 2) ** 2 + mu))
        most = min(1 + self.c_1 / self.c_mu, 1 + 2 * mu_minus / (mu + 2), (1 - self.c_1 - self.c_mu) / (D * self.c_mu))
        self.weights = plus / plus.sum() - most * minus / minus.sum()

    def _places(self, rng):
        self._z = self._normals(rng)
        self._y = self._z if self._root is None else self._z @ self._root
        return self.mean + self.sigma * self._y

    def _normals(self, rng):
        return rng.standard_normal((len(self.weights), len(self.mean)))

    def _learn(self, values):
        order = np.argsort(values, kind="stable")
        failed = np.isinf(values[order])
        if not failed.all():
            best = np.where(failed, 0, self.weights.clip(0))  # what failed attracts nothing
            self._move(self._z[order], self._y[order], best / best.sum() + self.weights.clip(max=0))
        self._bests.append(values.min())
        self._judge(values)

    def _move(self, z, y, a):
        """One generation, its draws sorted from the best: z [population, D] normal, y = z C^½."""
        better, c = a.clip(0), self.c_sigma
        step, n_a = better @ y, 1 / (better @ better)
        self.mean = self.mean + self.sigma * step
        self.path_sigma = (1 - c) * self.path_sigma + np.sqrt(c * (2 - c) * n_a) * (better @ z)
        length = np.linalg.norm(self.path_sigma) / self.norm
        self.sigma = self.sigma * np.exp(c / self.damping * (length - 1))
        if self.adapt:
            fair = np.sqrt(1 - (1 - c) ** (2 * self.generation + 2))
            calm = length < (1.4 + 2 / (len(step) + 1)) * fair
            self._turn(z, y, a, calm * np.sqrt(n_a) * step, calm)

    def _turn(self, z, y, a, step, calm):
        """The covariance: a memory of the path (rank one) and of this generation (rank μ)."""
        D, c, c_1, c_mu = len(step), self.c_c, self.c_1, self.c_mu
        self.path_c = (1 - c) * self.path_c + np.sqrt(c * (2 - c)) * step
        a_y = np.where(a >= 0, a, a * D / (z**2).sum(1))  # bad ones: by direction, not by length
        missing = (1 - calm) * c_1 * c * (2 - c)
        self.C = (
            (1 + missing - c_1 - c_mu * a.sum()) * self.C
            + c_1 * np.outer(self.path_c, self.path_c)
            + c_mu * (y.T * a_y) @ y
        )
        if self.generation + 1 - self._decomposed >= 1 / (10 * D * (c_1 + c_mu)):
            self._decompose()

    def _decompose(self):
        """The symmetric root of C."""
        self._decomposed = self.generation + 1
        variances, axes = np.linalg.eigh((self.C + self.C.T) / 2)
        if not variances[0] > 1e-14 * variances[-1]:
            self.stopped = "the covariance has become singular"
        else:
            self._root = (axes * np.sqrt(variances)) @ axes.T

    def _judge(self, values):
        many = 10 + 30 * len(self.mean) // len(values)
        late = [*self._bests[-many:], *values]
        growth = self.sigma / self._first_sigma * (np.sqrt(self.C.diagonal().max()) if self.adapt else 1)
        if len(self._bests) >= many and np.isfinite(late).all() and np.ptp(late) < self.tolerance:
            self.stopped = f"all values of late are within {self.tolerance:g}"
        elif growth < 1e-12:
            self.stopped = "the steps have become too small"
        elif growth > 1e20:
            self.stopped = "the steps have grown without end"


def _start(x0, space):
    """The first mean, and what is searched."""
    if space is None:
        x0 = finite_array("x0", x0).astype(float)
        if x0.ndim != 1 or not len(x0):
            raise ValueError(f"x0 must be a vector of one number or more, got shape {list(x0.shape)}")
        return x0, Vectors(len(x0))
    space = space if isinstance(space, Space) else Space(space)
    return (np.full(space.width, 0.5) if x0 is None else space.encode(x0)), space

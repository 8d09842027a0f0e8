"""Bayesian search: believe, ask where the belief promises most, tell, believe anew."""

import math

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_ndtr

from course_lib.tuning.acquisitions import log_expected_improvement
from course_lib.tuning.gaussian_process import GaussianProcess
from course_lib.tuning.searching import Search
from course_lib.validation import count

CANDIDATES, NEAR, REFINED = 1000, 200, 2  # anywhere, near the best; of each
SAME = 1e-6  # places nearer to each other than this are one
AGAIN = 1.1  # the settings of the process are fitted again when there are so many times the trials
PRIOR = (0.5, 1.0)  # of the lengthscales: half of the cube, give or take a factor of e
SMALL = 1e-3  # of how far the best is below the middle of the first values: less is no improvement


class BayesianSearch(Search):
    """A search for the smallest value, which models the objective by a Gaussian process.

    The first settings fill the space evenly; then each is where the expected improvement is
    largest. A setting that was asked for and not yet told is believed to have the value that
    the process predicts, so that others can be asked for in the meantime.

    A process that has seen many trials around one minimum can be sure, and wrong, that there is
    no other. So when the search has stalled it begins anew, with other first settings and a
    process that knows of the trials since then alone.

    Parameters
    ----------
    space : Space or dict
    seed : int
        The search is the same for the same seed and the same values.
    initial : int
        How many settings fill the space, before the process is asked.
    restart_after : int or None
        The search begins anew when so many trials have lowered the best value since its
        beginning by less than a thousandth of how far it is below the median of the first
        settings' values. None: never.
    path : str or path, optional
        A file of trials: those in it are taken as told, and each told is added to it.

    Attributes
    ----------
    trials : list of Trial
        In the order in which they were told.
    pending : list of array [width]
        The places in the unit cube of what was asked for and not yet told.
    process : GaussianProcess or None
        The last that was fitted, over the unit cube.
    start : int
        The number of the trial, from 0, with which the search last began anew.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, or the file holds trials of another space.

    References
    ----------
    J. Snoek, H. Larochelle, R. P. Adams, Practical Bayesian optimization of machine learning
    algorithms, NIPS 2012, arXiv:1206.2944. Ginsbourger, Le Riche and Carraro (2010) call the
    belief about what is pending the kriging believer. D. Eriksson et al., Scalable global
    optimization via local Bayesian optimization, NeurIPS 2019, arXiv:1910.01739, begin anew, too,
    when the region that they trust has become too small.

    Examples
    --------
    >>> search = BayesianSearch({"x": (-2.0, 2.0)}, seed=0)
    >>> for _ in range(15):
    ...     x = search.ask()
    ...     search.tell(x, (x["x"] - 0.5) ** 2)
    >>> abs(search.result().x["x"] - 0.5) < 0.01
    True
    """

    def __init__(self, space, seed, *, initial=8, restart_after=20, path=None):
        super().__init__(space, seed, path)
        self.initial = count("initial", initial)
        self.restart_after = None if restart_after is None else count("restart_after", restart_after)
        self.pending, self._places = [], []
        self._begin()
        self._resume()

    def ask(self, number=None):
        """The next setting to try.

        Parameters
        ----------
        number : int, optional
            How many settings at once: then a list of so many is returned.

        Returns
        -------
        dict, or list of dict
        """
        asked = [self._next() for _ in range(1 if number is None else count("number", number))]
        return asked[0] if number is None else asked

    def _begin(self):
        """Begin, or begin anew: first settings, and no process yet."""
        self.start = len(self.trials)
        seed = np.random.default_rng([self.seed, self.start]) if self.start else self.seed
        self._first = self.space.spread(self.initial, seed)
        self.process = self._fitted_to = None

    def _take(self, trial, place):
        for i, pending in enumerate(self.pending):
            if np.allclose(pending, place, rtol=0, atol=SAME):
                del self.pending[i]
                break
        self.trials.append(trial)
        self._places.append(place)
        values = self._values()
        if self.restart_after is None or len(values) < self.initial + self.restart_after:
            return
        best = np.minimum.accumulate(values)
        if best[-1 - self.restart_after] - best[-1] < SMALL * (np.median(values[: self.initial]) - best[-1]):
            self._begin()

    def _values(self):
        """Those of the trials since the search began; what failed is as bad as the worst."""
        values = np.array([trial.value for trial in self.trials[self.start :]])
        failed = np.isnan(values)
        return np.where(failed, values[~failed].max() if not failed.all() else np.nan, values)

    def _next(self):
        made = len(self.trials) + len(self.pending)
        rng, began = np.random.default_rng([self.seed, made]), made - self.start
        if began < self.initial:
            u = self._first[began]
        elif not any(trial.status == "ok" for trial in self.trials[self.start :]):
            u = self.space.snapped(rng.random((1, self.space.width)))[0]
        else:
            u = self._promising(rng)
        self.pending.append(u)
        return self.space.decode(u)

    def _promising(self, rng):
        """The place with the largest expected improvement among those not yet tried."""
        process, best = self._believe()
        told = np.array(self._places)
        lead = told[self.start :][process.predict(told[self.start :])[0].argmin()]
        anywhere = rng.random((CANDIDATES, self.space.width))
        near = lead + rng.standard_normal((NEAR, self.space.width)) * 10 ** rng.uniform(-3, -1, (NEAR, 1))
        places = self.space.snapped(np.vstack([anywhere, near.clip(0, 1)]))
        gain = log_expected_improvement(*process.predict(places), best)
        far, close = np.argsort(-gain[:CANDIDATES]), CANDIDATES + np.argsort(-gain[CANDIDATES:])
        refined = [self._refined(process, best, u) for u in places[[*far[:REFINED], *close[:REFINED]]]]
        places = np.vstack([self.space.snapped(np.array(refined)), places])
        gain = log_expected_improvement(*process.predict(places), best)
        known = np.vstack([told, *self.pending])
        new = np.abs(places[:, None] - known).max(2).min(1) > SAME
        if not new.any():  # a finite space of which all is tried
            return self.space.snapped(rng.random((1, self.space.width)))[0]
        return places[np.where(new, gain, -np.inf).argmax()]

    def _believe(self):
        """The process given the trials, and the best value that it believes in."""
        X, y = np.array(self._places[self.start :]), self._values()
        if self._fitted_to is None or len(y) >= AGAIN * self._fitted_to:
            self.process = GaussianProcess(prior=PRIOR).fit(X, y)
            self._fitted_to = len(y)
        else:
            self.process.refit(X, y)
        best = self.process.predict(X)[0].min()  # of noisy values the least is lucky
        if self.pending:
            pending = np.array(self.pending)
            believed, _ = self.process.predict(pending)
            self.process.refit(np.vstack([X, pending]), np.append(y, believed))
            best = min(best, believed.min())
        return self.process, best

    def _refined(self, process, best, u):
        """A local maximum of the expected improvement, from a place of the unit cube."""

        def loss(u):
            mean, std, mean_slope, std_slope = process.slopes(u)
            gain = float(log_expected_improvement(mean, std, best))
            if not math.isfinite(gain):
                return 1e10, np.zeros_like(u)
            z = (best - mean) / std
            down = math.exp(min(log_ndtr(z) - gain, 500.0))
            wide = math.exp(min(-(z**2) / 2 - math.log(2 * math.pi) / 2 - gain, 500.0))
            return -gain, down * mean_slope - wide * std_slope

        bounds = [(0.0, 1.0)] * len(u)
        return minimize(loss, u, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 50}).x

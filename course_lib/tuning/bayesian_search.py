"""Bayesian search: believe, ask where the belief promises most, tell, believe anew."""

import math

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_ndtr

from course_lib.tuning.acquisitions import log_expected_improvement
from course_lib.tuning.gaussian_process import GaussianProcess
from course_lib.tuning.spaces import Space
from course_lib.tuning.trials import Trial, TrialFile, best_of, tried
from course_lib.validation import count

CANDIDATES, NEAR, REFINED = 1000, 200, 4  # anywhere, near the best; of each
SAME = 1e-6  # places nearer to each other than this are one
AGAIN = 1.1  # the settings of the process are fitted again when there are so many times the trials


class BayesianSearch:
    """A search for the smallest value, which models the objective by a Gaussian process.

    The first settings fill the space evenly; then each is where the expected improvement is
    largest. A setting that was asked for and not yet told is believed to have the value that
    the process predicts, so that others can be asked for in the meantime.

    Parameters
    ----------
    space : Space or dict
    seed : int
        The search is the same for the same seed and the same values.
    initial : int
        How many settings fill the space, before the process is asked.
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

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, or the file holds trials of another space.

    References
    ----------
    J. Snoek, H. Larochelle, R. P. Adams, Practical Bayesian optimization of machine learning
    algorithms, NIPS 2012, arXiv:1206.2944. Ginsbourger, Le Riche and Carraro (2010) call the
    belief about what is pending the kriging believer.

    Examples
    --------
    >>> search = BayesianSearch({"x": (-2.0, 2.0)}, seed=0)
    >>> for _ in range(15):
    ...     x = search.ask()
    ...     search.tell(x, (x["x"] - 0.5) ** 2)
    >>> abs(search.result().x["x"] - 0.5) < 0.01
    True
    """

    def __init__(self, space, seed, *, initial=8, path=None):
        self.space = space if isinstance(space, Space) else Space(space)
        self.seed = count("seed", seed, least=0)
        self.initial = count("initial", initial)
        self.file = None if path is None else TrialFile(path)
        self.trials = [] if path is None else self.file.trials
        self._places = [self.space.encode(trial.x) for trial in self.trials]
        self.pending = []
        self._first = self.space.spread(self.initial, self.seed)
        self.process = self._fitted_to = None

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

    def tell(self, x, value, reason=""):
        """Take what a setting gave: its value, or NaN if it failed.

        Parameters
        ----------
        x : dict
        value : float
            Infinity is taken as a failure, too.
        reason : str
            Why it failed.
        """
        value = float(value)
        ok = math.isfinite(value)
        given = reason or ("" if ok else f"the value is {value}")
        trial = Trial(dict(x), value if ok else math.nan, "ok" if ok else "failed", given)
        place = self.space.encode(trial.x)
        if self.file is not None:
            self.file.append(trial)
        for i, pending in enumerate(self.pending):
            if np.allclose(pending, place, rtol=0, atol=SAME):
                del self.pending[i]
                break
        self.trials.append(trial)
        self._places.append(place)

    def result(self):
        """The best setting so far, its value, and all trials."""
        return best_of(self.trials)

    def _next(self):
        made = len(self.trials) + len(self.pending)
        rng = np.random.default_rng([self.seed, made])
        if made < self.initial:
            u = self._first[made]
        elif not any(trial.status == "ok" for trial in self.trials):
            u = self.space.snapped(rng.random((1, self.space.width)))[0]
        else:
            u = self._promising(rng)
        self.pending.append(u)
        return self.space.decode(u)

    def _promising(self, rng):
        """The place with the largest expected improvement among those not yet tried."""
        process, best = self._believe()
        told = np.array(self._places)
        lead = told[np.nanargmin([trial.value for trial in self.trials])]
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
        X = np.array(self._places)
        y = np.array([trial.value for trial in self.trials])
        y = np.where(np.isnan(y), np.nanmax(y), y)  # what failed is as bad as the worst
        if self._fitted_to is None or len(y) >= AGAIN * self._fitted_to:
            self.process = GaussianProcess().fit(X, y)
            self._fitted_to = len(y)
        else:
            self.process.refit(X, y)
        best = y.min()
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


def bayesian_minimize(f, space, calls, seed, *, initial=8, path=None, workers=None, timeout=None, retries=1):
    """Search for the setting with the smallest value.

    Parameters
    ----------
    f : callable
        f(x), x a dict by name, returns a number. If it raises or returns NaN, the trial has
        failed, and the search goes on.
    space : Space or dict
    calls : int
        How many trials in all, those in the file included.
    seed : int
    initial : int
        How many fill the space first.
    path : str or path, optional
        A file to which every trial is written as it finishes; a search that was broken off
        goes on from it.
    workers : int, optional
        How many trials are tried at once, each in a process of its own. The next setting is
        asked for when one ends, so the search depends on how long they take.
        When left out: in this process, one after the other.
    timeout : float, optional
        Seconds after which a trial has failed and its process is ended; with workers only.
    retries : int
        How often a trial is begun again whose process died, before it has failed.

    Returns
    -------
    Result
        x, value, history.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong. KeyboardInterrupt is not caught: with a path nothing that
        finished is lost.

    Examples
    --------
    >>> found = bayesian_minimize(lambda x: (x["x"] - 0.5) ** 2, {"x": (-2.0, 2.0)}, calls=15, seed=0)
    >>> len(found.history), found.value < 1e-4
    (15, True)
    """
    if not callable(f):
        raise TypeError(f"f must be callable, got {f!r}")
    calls = count("calls", calls)
    search = BayesianSearch(space, seed, initial=initial, path=path)
    if workers is not None:
        from course_lib.tuning.workers import Workers

        with Workers(f, workers, timeout, retries) as team:
            while len(search.trials) < calls:
                while team.free and len(search.trials) + len(search.pending) < calls:
                    team.submit(search.ask())
                for found in team.finished():
                    search.tell(*found)
        return search.result()
    if timeout is not None:
        raise ValueError("timeout needs workers: in this process nothing can end a trial")
    while len(search.trials) < calls:
        x = search.ask()
        search.tell(x, *tried(f, x))
    return search.result()

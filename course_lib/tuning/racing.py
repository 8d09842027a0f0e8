"""Racing: many settings begin on a small budget, and the best of them go on with more."""

import bisect
import math
from collections import namedtuple
from itertools import pairwise

import numpy as np

from course_lib.tuning.brackets import amount
from course_lib.tuning.searching import Search
from course_lib.tuning.trials import Kept, Result, best_of, outcome
from course_lib.validation import count

Stage = namedtuple("Stage", "x budget")  # a setting, a dict by name, and the budget for which it trains in all
SAME = 1e-9  # places in the cube that differ by less differ by rounding



class Racing(Search):
    """A search in which settings race each other, in brackets of rungs.

    The settings are drawn uniformly from the unit cube, each from its own number. A rung is decided when all of its
    settings are told; meanwhile the next brackets go on, so the outcome does not depend on the order of telling.
    Asynchronous (Li et al. 2020, arXiv:1810.05934): a setting goes on as soon as it is among the best 1/eta of those
    told at its rung, so that no process waits. Of a bracket's numbers of settings only the first counts then.

    Parameters
    ----------
    space : Space or dict
    brackets : list of list of (int, number)
        As `hyperband_brackets` returns them.
    seed, eta : int
    asynchronous, stateful : bool
        Stateful: a setting comes with the state that it was last told with, or None. A state is kept in memory until
        its setting fails, is out of the race or reaches the top; asynchronously nobody is out before the end. States
        are not in the file.
    path : str or path, optional
        A file of trials: those in it are taken as told, and each told is added to it.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, or the file holds trials of another search.

    Examples
    --------
    >>> race = Racing({"x": (0.0, 1.0)}, [[(4, 1), (2, 2), (1, 4)]], seed=0)
    >>> while (stage := race.ask()) is not None:
    ...     race.tell(stage, stage.x["x"] + 1 / stage.budget)
    >>> [trial.budget for trial in race.trials]
    [1, 1, 1, 1, 2, 2, 4]
    """

    def __init__(self, space, brackets, seed, *, eta=3, asynchronous=False, stateful=False, path=None):
        self.brackets = _checked(brackets)
        self.eta, self.asynchronous, self.stateful = count("eta", eta, least=2), asynchronous, stateful
        super().__init__(space, seed, path)
        sizes = [bracket[0][0] for bracket in self.brackets]
        self._of = [b for b, n in enumerate(sizes) for _ in range(n)]  # the bracket of each setting
        draws = (np.random.default_rng([self.seed, i]).random(self.space.width) for i in range(len(self._of)))
        self.settings = [self.space.decode(u) for u in draws]
        self._places = np.array([self.space.encode(x) for x in self.settings])
        self._rungs = [[Rung() for _ in bracket] for bracket in self.brackets]
        for b, rungs in enumerate(self._rungs):
            rungs[0].members = [i for i, of in enumerate(self._of) if of == b]
        self._states = {}
        self._resume()

    def ask(self):
        """The next `Stage`, or if stateful (x, budget, state); None where nothing can be asked for, now or ever."""
        for bracket, rungs in zip(self.brackets, self._rungs):
            for (_, budget), rung in zip(bracket[::-1], rungs[::-1]):
                i = next((i for i in rung.members if i not in rung.told and i not in rung.pending), None)
                if i is not None:
                    rung.pending.add(i)
                    stage = Stage(self.space.own(self.settings[i]), budget)
                    return (*stage, self._states.get(i)) if self.stateful else stage

    def tell(self, stage, value, reason=""):
        """Take the value of a stage that was asked for: a float or `Kept`, NaN if it failed, and why it did."""
        value, state = value if isinstance(value, Kept) else (value, None)
        trial = outcome(self.space.own(stage[0]), value, reason, stage[1])
        fitting = self._fitting(trial)
        asked = [(b, k, i) for b, k, i in fitting if i in self._rungs[b][k].pending]
        if not asked:
            raise ValueError(f"stage must be one that was asked for and not yet told, got {stage!r}")
        where = asked[0] if self.asynchronous else fitting[0]  # of equal ones the first: so a file tells which it was
        b, k, i = where if where in asked else asked[0]
        self._rungs[b][k].pending.remove(i)
        if self.file is not None:
            self.file.append(trial)
        self._take(trial, where, state)

    def result(self):
        """The best on the largest budget that any setting survived, as others do not compare; and all trials."""
        done = [trial for trial in self.trials if trial.status == "ok"]
        best = best_of([trial for trial in done if trial.budget == max(each.budget for each in done)])
        return Result(best.x, best.value, list(self.trials))

    def _going_on(self, b, k):
        """The settings of a rung that may go on to the next, in the order of asking."""
        rung = self._rungs[b][k]
        if self.asynchronous:
            return [i for _, i in rung.ranked[: len(rung.told) // self.eta]]
        if len(rung.told) < len(rung.members):
            return []
        return sorted(i for _, i in rung.ranked[: self.brackets[b][k + 1][0]])

    def _fitting(self, trial):
        """The (bracket, rung, setting) without a trial that this may be the trial of."""
        same = np.flatnonzero(np.abs(self._places - self.space.encode(trial.x)).max(1) <= SAME).tolist()
        rungs = [(b, k) for b, each in enumerate(self.brackets) for k, (_, r) in enumerate(each) if r == trial.budget]
        return [(b, k, i) for b, k in rungs for i in same if i not in self._rungs[b][k].told and self._may(b, k, i)]

    def _may(self, b, k, i):
        """May a setting be trained at a rung, now or, as far as is known, ever?"""
        if k == 0:
            return self._of[i] == b
        if self.asynchronous:
            return not math.isnan(self._rungs[b][k - 1].told.get(i, math.nan))
        return i in self._rungs[b][k].members

    def _take(self, trial, where, state=None):
        b, k, i = where
        last = k + 1 == len(self.brackets[b])
        self._rungs[b][k].take(i, trial.value)
        self.trials.append(trial)
        self._states[i] = None if last or trial.status == "failed" else state
        if not last:
            self._rungs[b][k + 1].members = self._going_on(b, k)
            if not self.asynchronous and self._rungs[b][k + 1].members:  # the rung is decided
                for out in set(self._rungs[b][k].members).difference(self._rungs[b][k + 1].members):
                    self._states[out] = None

    def _resume(self):
        for line, trial in enumerate([] if self.file is None else self.file.trials, start=1):
            try:
                self._take(trial, self._fitting(trial)[0])
            except (TypeError, ValueError, IndexError) as error:
                raise ValueError(f"path must be a file of this search; its trial {line}, {trial}, is none") from error


class Rung:
    """One budget of a bracket: who may train with it, who was asked for, and what was told."""

    def __init__(self):
        self.members, self.pending, self.told, self.ranked = [], set(), {}, []

    def take(self, i, value):
        """Take the value of a setting, NaN if it failed; `ranked` are those that did not, from the best."""
        self.told[i] = value
        if not math.isnan(value):
            bisect.insort(self.ranked, (value, i))


def _checked(brackets):
    try:
        checked = [[(count("brackets' n", n), amount("brackets' r", r)) for n, r in rungs] for rungs in brackets]
    except TypeError as error:
        raise TypeError(f"brackets must be a list of lists of (settings, budget), got {brackets!r}: {error}") from None
    for bracket in checked or [[]]:
        if not bracket or any(m < n or q >= r for (m, q), (n, r) in pairwise(bracket)):
            raise ValueError(f"brackets must be of rungs, each of no more settings on more, got {brackets!r}")
    return checked

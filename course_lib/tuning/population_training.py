"""Population based training: settings that change while the weights are trained, by what works."""

import copy
import math
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from course_lib.tuning.minimizing import run_search
from course_lib.tuning.searching import Search
from course_lib.tuning.spaces import Choice, Integer
from course_lib.tuning.trials import Kept, Result, outcome
from course_lib.validation import count, number


@dataclass(frozen=True)
class PopulationResult(Result):
    """What population based training found.

    Its x and value are those of the best member of the last round: of the last that not all
    members failed. `history` has all trials by round and member; the budget of a trial is the
    number of its round, from 1.

    Attributes
    ----------
    state
        That of the best member at the end; None if all trials failed.
    schedule : list of dict
        The settings by which that state was made, one for each round: those of the best member
        and, before it took the state of another, of that one. A round that all members failed
        has none.
    values : array [rounds, members]
        NaN where a member failed.
    settings : list [rounds] of list [members] of dict
    parents : array [rounds, members] of int
        From whose state a member began a round; its own number if that was its own.
    """

    state: Any
    schedule: list
    values: np.ndarray
    settings: list
    parents: np.ndarray


class Member(NamedTuple):
    """A member of the population that is to be trained for a round."""

    x: dict
    state: Any
    number: int


class Population(Search):
    """A population that is asked for its members to train, round by round, and told how they did.

    Parameters
    ----------
    space, members, rounds, seed, quantile, shift, redraw
        As in `population_based_training`.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    Examples
    --------
    >>> population = Population({"rate": (0.01, 1.0, "log")}, members=4, rounds=2, seed=0)
    >>> while (member := population.ask()) is not None:
    ...     done = (member.state or 0) + 1
    ...     population.tell(member, Kept(member.x["rate"] / done, done))
    >>> population.result().state, len(population.trials)
    (2, 8)
    """

    def __init__(self, space, members, rounds, seed, *, quantile=0.25, shift=0.1, redraw=0.25):
        super().__init__(space, seed)
        self.members, self.rounds = count("members", members, least=2), count("rounds", rounds)
        self.replaced = max(1, math.floor(number("quantile", quantile, above=0, most=0.5) * self.members + 1e-9))
        self.shift, self.redraw = number("shift", shift, above=0, most=1), number("redraw", redraw, least=0, most=1)
        first = [self._rng(0, m).random(self.space.width) for m in range(self.members)]
        self.settings, self.parents = [[self.space.decode(u) for u in first]], [list(range(self.members))]
        self._states, self._asked, self._told = [None] * self.members, 0, {}

    def ask(self):
        """The next `Member` to train for a round; None while some of the last round are untold, and at the end."""
        if self._asked == self.members:
            return None
        m, self._asked = self._asked, self._asked + 1
        return Member(self.space.own(self.settings[-1][m]), self._states[m], m)

    def tell(self, member, value, reason=""):
        """Take how a member did.

        Parameters
        ----------
        member : Member
        value : Kept or float
            Its value and its new state; NaN or infinity: it failed, and its state is that of before.
        reason : str
            Why it failed.
        """
        if member.number in self._told or not 0 <= member.number < self._asked:
            raise ValueError(f"member must be one that was asked for and not yet told, got {member!r}")
        value, state = value if isinstance(value, Kept) else (value, None)
        trial = outcome(self.space.own(member.x), value, reason, len(self.settings))
        self._told[member.number] = trial
        if trial.status == "ok":
            self._states[member.number] = state
        if len(self._told) == self.members:
            self.trials += [self._told[m] for m in range(self.members)]
            if len(self.settings) < self.rounds:
                self._next_round()

    def result(self):
        """What was found, a `PopulationResult`; to be asked for at the end or between two rounds."""
        rounds = len(self.trials) // self.members
        values = np.array([trial.value for trial in self.trials]).reshape(rounds, self.members)
        settings, parents = self.settings[:rounds], np.array(self.parents)[:rounds]
        alive = np.flatnonzero(np.isfinite(values).any(1))
        if len(alive) == 0:
            return PopulationResult(None, math.nan, self.trials[:], None, [], values, settings, parents)
        last, schedule = alive[-1], []
        best = m = int(np.nanargmin(values[last]))
        for r in range(last, -1, -1):
            if math.isfinite(values[r, m]):
                schedule.insert(0, settings[r][m])
            m = parents[r, m]
        found = settings[last][best], float(values[last, best])
        return PopulationResult(*found, self.trials[:], self._states[best], schedule, values, settings, parents)

    def _rng(self, *which):
        return np.random.default_rng([self.seed, *which])

    def _next_round(self):
        """Exploit and explore: the worst take over from the best, and move on from there."""
        told, r = [self._told[m] for m in range(self.members)], len(self.settings)
        failed = [m for m in range(self.members) if told[m].status != "ok"]
        ranked = sorted(set(range(self.members)) - set(failed), key=lambda m: (told[m].value, m)) + failed
        best = [m for m in ranked[: self.replaced] if m not in failed]
        settings, parents, states = self.settings[-1][:], list(range(self.members)), self._states[:]
        for m in {*ranked[-self.replaced :], *failed}:
            rng = self._rng(r, m)
            if best:
                parents[m] = best[rng.integers(len(best))]
                settings[m] = self._explored(self.settings[-1][parents[m]], rng)
                states[m] = self._states[parents[m]]
            else:
                settings[m] = self.space.decode(rng.random(self.space.width))
        self.settings.append(settings)
        self.parents.append(parents)
        self._states, self._asked, self._told = states, 0, {}

    def _explored(self, x, rng):
        moved = []
        for name, each in self.space.dimensions.items():
            u, drawn, up = each.encode(x[name]), rng.random(each.width), rng.random() < 0.5
            if rng.random() < self.redraw:
                u = drawn
            elif not isinstance(each, Choice):
                step = max(self.shift, 1 / (each.high - each.low + 1)) if isinstance(each, Integer) else self.shift
                u = u + (step if up else -step)
            moved.append(u)
        return self.space.decode(self.space.folded(np.concatenate(moved)))


def population_based_training(
    f, space, members, rounds, seed, *, quantile=0.25, shift=0.1, redraw=0.25, workers=None, engine="processes",
    timeout=None, retries=1,
):
    """Train a population, whose worst members take over weights and settings of the best after each round.

    The settings that are taken over are moved: each number by `shift` of its range, up or down,
    on the scale of the space, and folded back at the ends; an integer by 1 at least. With the
    probability `redraw` a number is drawn anew instead, and a choice, which is else kept. A round
    ends for all members together, so the outcome does not depend on the number of workers.

    Parameters
    ----------
    f : callable
        f(x, state) trains for one round with the setting x, a dict by name, and returns (value,
        new state); the smaller the value, the better. It goes on from the state, which is None in
        the first round, and may change it in place: it has a copy. If it raises or the value is
        NaN, the member has failed. Then its state is the one before, and it takes over from one
        of the best, even if it is not among the worst. If all have failed, they keep their states,
        and all settings are drawn anew.
    space : Space or dict
    members, rounds : int
        2 members or more.
    seed : int
    quantile : float
        After each round this part of the members, rounded down, but one at least, takes over
        from one of the best as many, at random. At most 1/2.
    shift, redraw : float
        How far a setting is moved, in parts of its range, and how probably it is drawn anew.
    workers, engine, timeout, retries
        As in `bayesian_minimize`. There is no file: states cannot be written.

    Returns
    -------
    PopulationResult
        x, value, history, state, schedule, values, settings, parents.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    Notes
    -----
    In the paper each member goes on when it is ready, without waiting for the others, and a
    setting is multiplied by 0.8 or 1.2. Here a step up and one down cancel, as 0.8 and 1.2 do
    not, and zero can be left.

    References
    ----------
    M. Jaderberg et al., Population based training of neural networks, 2017, arXiv:1711.09846.

    Examples
    --------
    >>> def f(x, state):
    ...     weight = 1.0 if state is None else state
    ...     weight -= x["rate"] * weight
    ...     return weight**2, weight
    >>> found = population_based_training(f, {"rate": (0.01, 0.5, "log")}, members=4, rounds=3, seed=0)
    >>> found.values.shape, found.value == found.state**2, len(found.schedule)
    ((3, 4), True, 3)
    """
    if not callable(f):
        raise TypeError(f"f must be callable, got {f!r}")
    population = Population(space, members, rounds, seed, quantile=quantile, shift=shift, redraw=redraw)
    how = {"workers": workers, "engine": engine, "timeout": timeout, "retries": retries}
    run_search(population, partial(_trained, f), population.members * population.rounds, **how)
    return population.result()


def _trained(f, member):
    """The value and the state that f returns; no state is shared with f, which may change what it was given or gave."""
    value, state = f(dict(member.x), copy.deepcopy(member.state))
    return Kept(float(value), copy.deepcopy(state))

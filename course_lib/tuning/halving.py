"""Successive halving and Hyperband: a race run to its end."""

import copy
from functools import partial

from course_lib.tuning.brackets import bracket, hyperband_brackets, rungs_below
from course_lib.tuning.minimizing import run_search
from course_lib.tuning.racing import Racing
from course_lib.tuning.trials import Kept
from course_lib.validation import count


def successive_halving(
    f, space, settings, budget, seed, *, eta=3, least=1, asynchronous=False, stateful=False, path=None, workers=None,
    engine="processes", timeout=None, retries=1,
):
    """Search by successive halving: settings race in one bracket (Jamieson & Talwalkar 2016, arXiv:1502.07943).

    Parameters
    ----------
    f : callable
        f(x, budget) trains with the setting x, a dict by name, from the start, for that budget in all, and returns a
        number; if it raises or returns NaN, the setting has failed. Stateful: f(x, budget, state) returns (number,
        state), and goes on from the state that it returned for x on less budget. If that is None, on the lowest budget
        and where a search goes on from its file, it trains from the start.
    space : Space or dict
    settings, budget, least : int; int or float
        All settings begin with budget / eta**s, for the largest s with which that is not below `least` and one of
        them is left for the whole budget; settings // eta**k go on to budget / eta**(s - k). A budget is a float
        where that is not whole: an f that counts epochs must round.
    seed, eta, asynchronous, stateful, path
        As in `Racing`.
    workers, engine, timeout, retries
        As in `bayesian_minimize`. Only an asynchronous search depends on how long trials take.

    Returns
    -------
    Result
        The best setting on the largest budget, its value, and all trials, with their budgets.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    Examples
    --------
    >>> found = successive_halving(lambda x, budget: x["x"] + 1 / budget, {"x": (0.0, 1.0)}, 9, 9, seed=0)
    >>> len(found.history), found.history[-1].budget
    (13, 9)
    """
    settings, s = count("settings", settings), rungs_below(budget, eta, least)
    while eta**s > settings:  # so few can be divided less often
        s -= 1
    rungs = bracket(settings, budget, eta, s)
    race = Racing(space, [rungs], seed, eta=eta, asynchronous=asynchronous, stateful=stateful, path=path)
    return _run(race, f, workers=workers, engine=engine, timeout=timeout, retries=retries)


def hyperband(
    f, space, budget, seed, *, eta=3, least=1, asynchronous=False, stateful=False, path=None, workers=None,
    engine="processes", timeout=None, retries=1,
):
    """Search by Hyperband: a race in each of the brackets, from many settings on little to few on all of the budget.

    Parameters
    ----------
    f : callable
        f(x, budget), or stateful f(x, budget, state), as in `successive_halving`.
    space : Space or dict
    budget, least : int or float
        The largest and the smallest that a setting gets, in units of f.
    seed, eta, asynchronous, stateful, path
        As in `Racing`.
    workers, engine, timeout, retries
        As in `bayesian_minimize`. Only an asynchronous search depends on how long trials take.

    Returns
    -------
    Result
        The best setting on the largest budget, its value, and all trials, with their budgets.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    References
    ----------
    L. Li et al., Hyperband: a novel bandit-based approach to hyperparameter optimization, JMLR 18 (2018),
    arXiv:1603.06560; the asynchronous form: L. Li et al., A system for massively parallel hyperparameter tuning,
    MLSys 2020, arXiv:1810.05934.

    Examples
    --------
    >>> found = hyperband(lambda x, budget: x["x"] + 1 / budget, {"x": (0.0, 1.0)}, 9, seed=0)
    >>> len(found.history)
    22
    """
    brackets = hyperband_brackets(budget, eta, least)
    race = Racing(space, brackets, seed, eta=eta, asynchronous=asynchronous, stateful=stateful, path=path)
    return _run(race, f, workers=workers, engine=engine, timeout=timeout, retries=retries)


def _run(race, f, **workers):
    if not callable(f):
        raise TypeError(f"f must be callable, got {f!r}")
    most = sum(rungs[0][0] if race.asynchronous else n for rungs in race.brackets for n, _ in rungs)
    run_search(race, partial(_staged, f, race.stateful), most, **workers)
    return race.result()


def _staged(f, stateful, stage):
    """What f returns for a stage; of the state a copy, as f may go on to change it."""
    found = f(dict(stage[0]), *stage[1:])
    return Kept(float(found[0]), copy.deepcopy(found[1])) if stateful else found

"""Successive halving, Hyperband, and their asynchronous form."""

import json
import math
import subprocess
import sys
import tempfile
from collections import Counter
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.tuning import hyperband, hyperband_brackets, successive_halving
from course_lib.tuning.racing import Racing, Stage
from course_lib.tuning.spaces import Space
from course_lib.tuning.trials import Kept, Trial

SPACE = {"rate": (1e-3, 1.0, "log"), "depth": (1, 4), "kernel": ["a", "b"]}
SMALL = {"depth": (1, 3)}


def loss(x, budget):
    """What more budget reorders, and what fails now and then."""
    rough = 1e3 * x.get("rate", 0.5) + x["depth"]
    if int(rough) % 7 == 0:
        raise RuntimeError("diverged")
    return math.nan if int(rough) % 11 == 0 else math.sin(rough) + 3 / budget * math.cos(7 * rough)


def value_of(f, *stage):
    try:
        return f(*stage)
    except RuntimeError:
        return math.nan


def seen(history):
    """The trials, whatever their order."""
    return sorted((repr(trial.x), trial.budget, repr(trial.value), trial.status) for trial in history)


def run(race, f, width=1, data=None):
    """Ask for up to `width` stages, tell any of them, until there are no more; return the number told."""
    pending, told = [], 0
    while True:
        while len(pending) < width and (stage := race.ask()) is not None:
            pending.append(stage)
        if not pending:
            assert race.ask() is None
            return told
        stage = pending.pop(0 if data is None else data.draw(st.integers(0, len(pending) - 1)))
        race.tell(stage, value_of(f, *stage))
        told += 1


# ---- brackets

def test_brackets_are_those_of_the_papers_formula():
    brackets = hyperband_brackets(81, eta=3)
    numbers = [[n for n, _ in bracket] for bracket in brackets]
    assert numbers == [[81, 27, 9, 3, 1], [34, 11, 3, 1], [15, 5, 1], [8, 2], [5]]
    assert [[r for _, r in bracket] for bracket in brackets] == [[1, 3, 9, 27, 81][k:] for k in range(5)]
    assert [sum(n * r for n, r in bracket) for bracket in brackets] == [405, 363, 351, 378, 405]
    assert all(isinstance(each, int) for bracket in brackets for rung in bracket for each in rung)


def test_powers_are_counted_exactly():
    assert math.floor(math.log(243) / math.log(3)) == 4 and len(hyperband_brackets(243)) == 6
    assert all(len(hyperband_brackets(3**s)) == s + 1 and len(hyperband_brackets(3**s - 1)) == s for s in range(1, 8))
    assert 0.1 * 3**4 > 8.1 * (1 - 1e-15) and len(hyperband_brackets(8.1, least=0.1)) == 5
    assert hyperband_brackets(100)[0][:2] == [(81, 100 / 81), (27, 100 / 27)] and hyperband_brackets(2) == [[(1, 2)]]


@given(budget=st.integers(1, 500) | st.floats(0.1, 500.0), eta=st.integers(2, 5),
       least=st.integers(1, 9) | st.floats(0.05, 9.0))
def test_every_bracket_ends_with_the_budget_and_begins_above_the_least(budget, eta, least):
    if least > budget:
        return
    brackets = hyperband_brackets(budget, eta, least)
    top = len(brackets) - 1
    assert brackets[0][0][1] >= least * (1 - 1e-8) and brackets[0][0][1] / eta < least
    for s, bracket in zip(range(top, -1, -1), brackets):
        assert len(bracket) == s + 1 and bracket[-1][1] == budget and bracket[-1][0] >= 1
        assert bracket[0][0] == math.ceil(Fraction(top + 1, s + 1) * eta**s)
        for (n, r), (fewer, more) in pairwise(bracket):
            assert fewer == n // eta and more == pytest.approx(r * eta)


# ---- the synchronous form

def halved(f, xs, rungs):
    """Successive halving as a book would write it."""
    history = []
    for (_, r), (following, _) in zip(rungs, [*rungs[1:], (0, 0)]):
        values = [value_of(f, x, r) for x in xs]
        history += [Trial(x, value, "failed" if math.isnan(value) else "ok", "", r) for x, value in zip(xs, values)]
        order = [i for i in np.argsort(values, kind="stable") if not math.isnan(values[i])]
        xs = [xs[i] for i in sorted(order[:following])]
    return history


def drawn(seed, numbers):
    space = Space(SPACE)
    return [space.decode(np.random.default_rng([seed, i]).random(space.width)) for i in numbers]


@pytest.mark.parametrize("seed", range(4))
def test_it_is_successive_halving(seed):
    expected = halved(loss, drawn(seed, range(30)), [(30, 1), (10, 3), (3, 9), (1, 27)])
    found = successive_halving(loss, SPACE, 30, 27, seed)
    assert [(t.x, t.budget, t.status) for t in found.history] == [(t.x, t.budget, t.status) for t in expected]
    np.testing.assert_array_equal([t.value for t in found.history], [t.value for t in expected])
    assert (found.x, found.value) == (expected[-1].x, expected[-1].value) and found.history[-1].budget == 27
    assert {t.reason for t in found.history if t.status == "failed"} <= {"RuntimeError: diverged", "the value is nan"}


def test_hyperband_is_successive_halving_in_each_bracket():
    expected, first = [], 0
    for bracket in hyperband_brackets(27):
        expected += halved(loss, drawn(5, range(first, first + bracket[0][0])), bracket)
        first += bracket[0][0]
    found = hyperband(loss, SPACE, 27, 5)
    assert seen(found.history) == seen(expected) and len(found.history) == len(expected)
    top = [trial for trial in expected if trial.budget == 27 and trial.status == "ok"]
    assert found.value == min(trial.value for trial in top)


@pytest.mark.parametrize("eta, begin, budget, least, rungs", [
    (3, 5, 81, 1, [(5, 27), (1, 81)]), (2, 8, 7, 2, [(8, 3.5), (4, 7)]), (3, 2, 9, 1, [(2, 9)]), (4, 20, 1.6, 0.1, [(20, 0.1), (5, 0.4), (1, 1.6)]),
])
def test_rungs_end_with_the_budget_or_the_settings(eta, begin, budget, least, rungs):
    found = successive_halving(lambda x, budget: x["a"], {"a": (0.0, 1.0)}, begin, budget, 0, eta=eta, least=least)
    assert sorted(Counter(trial.budget for trial in found.history).items()) == [(pytest.approx(r), n) for n, r in rungs]


@pytest.mark.parametrize("space", [SPACE, SMALL], ids=["mixed", "duplicates"])
@settings(max_examples=12)
@given(data=st.data())
def test_neither_the_order_of_telling_nor_a_break_changes_what_is_found(space, data):
    whole = hyperband(loss, space, 9, 1)
    width, cut = data.draw(st.integers(1, 9)), data.draw(st.integers(0, len(whole.history)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trials.jsonl"
        race = Racing(space, hyperband_brackets(9), 1, path=path)
        assert run(race, loss, width, data) == len(whole.history)
        assert seen(race.trials) == seen(whole.history)
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:cut]) + b'{"x": {"dep')
        again = Racing(space, hyperband_brackets(9), 1, path=path)
        assert run(again, loss) == len(lines) - cut
        assert seen(again.trials) == seen(whole.history) and again.result().value == whole.value


def test_a_search_that_was_broken_off_goes_on_as_if_it_had_not_been(tmp_path):
    path, whole = tmp_path / "trials.jsonl", hyperband(loss, SPACE, 9, 2)
    for stop in (0, 4, 9, 12, 13, 21):
        calls = []

        def f(x, budget):
            if len(calls) == stop:
                raise KeyboardInterrupt
            calls.append(x)
            return loss(x, budget)

        with pytest.raises(KeyboardInterrupt):
            hyperband(f, SPACE, 9, 2, path=path)
        assert len(path.read_text().splitlines() if path.exists() else []) == stop
        found = hyperband(loss, SPACE, 9, 2, path=path)
        assert repr(found) == repr(whole)
        path.unlink()


def test_the_number_of_processes_changes_nothing():
    alone = hyperband(loss, SPACE, 9, 3)
    for workers in (1, 3):
        found = hyperband(loss, SPACE, 9, 3, workers=workers)
        assert seen(found.history) == seen(alone.history) and (found.x, found.value) == (alone.x, alone.value)


def test_while_a_rung_waits_the_next_bracket_goes_on():
    race = Racing(SPACE, hyperband_brackets(9), 0)
    asked = [race.ask() for _ in range(17)]
    assert [stage.budget for stage in asked] == [1] * 9 + [3] * 5 + [9] * 3 and race.ask() is None
    for stage in asked[:8]:
        race.tell(stage, stage.x["rate"])
    assert race.ask() is None
    race.tell(asked[8], asked[8].x["rate"])
    best = sorted(range(9), key=lambda i: asked[i].x["rate"])[:3]
    assert [race.ask() for _ in range(4)] == [*[Stage(asked[i].x, 3) for i in sorted(best)], None]


def test_a_file_tells_to_which_of_equal_settings_a_trial_belongs(tmp_path):
    """Bracket 1 trains on budget 3 what bracket 0 is about to train there, and goes on from it."""
    path = tmp_path / "trials.jsonl"

    def race(seed, **how):
        return Racing({"depth": (1, 2)}, hyperband_brackets(9), seed, **how)

    def fits(seed):
        depths = [x["depth"] for x in race(seed).settings]
        return depths[:9].count(1) >= 3 and depths[9:14].count(1) == 1 and depths[14:].count(1) == 0

    seed = next(seed for seed in range(999) if fits(seed))
    whole = race(seed)
    run(whole, lambda x, budget: x["depth"])
    first, last = race(seed, path=path), ({"depth": 1}, 9)
    pending = [first.ask() for _ in range(14)]
    while not first.trials or (first.trials[-1].x, first.trials[-1].budget) != last:
        if len(first.trials) >= 14:
            pending += iter(first.ask, None)
        stage = pending.pop(pending.index(last) if last in pending else 0)
        first.tell(stage, stage.x["depth"])
    lines = path.read_bytes().splitlines(keepends=True)
    for cut in range(len(lines) + 1):
        path.write_bytes(b"".join(lines[:cut]))
        again = race(seed, path=path)
        run(again, lambda x, budget: x["depth"])
        assert seen(again.trials) == seen(whole.trials), cut


def test_of_equal_values_the_first_setting_goes_on():
    race = Racing({"a": (0.0, 1.0)}, [[(9, 1), (3, 3)]], 0)
    for stage in reversed([race.ask() for _ in range(9)]):
        race.tell(stage, 1.0)
    assert [race.ask().x for _ in range(3)] == race.settings[:3] and race.ask() is None


def test_fewer_go_on_if_more_failed_and_none_if_all_did():
    def f(x, budget):
        return x["a"] if x["a"] < limit else math.nan

    xs = [x["a"] for x in Racing({"a": (0.0, 1.0)}, [[(9, 1)]], 0).settings]
    limit = sorted(xs)[2]
    found = successive_halving(f, {"a": (0.0, 1.0)}, 9, 9, 0)
    assert [trial.budget for trial in found.history] == [1] * 9 + [3] * 2 + [9] and found.value == min(xs)
    limit = 0.0
    found = successive_halving(f, {"a": (0.0, 1.0)}, 9, 9, 0)
    assert len(found.history) == 9 and found.x is None and math.isnan(found.value)


def test_values_on_less_budget_do_not_count():
    found = hyperband(lambda x, budget: x["rate"] * budget, SPACE, 9, 0)
    top = [trial.value for trial in found.history if trial.budget == 9]
    assert found.value == min(top) > min(trial.value for trial in found.history)

    def f(x, budget):
        return x["rate"] if budget < 9 else math.inf

    found = successive_halving(f, SPACE, 9, 9, 0)
    assert found.history[-1].status == "failed" and found.value == min(t.value for t in found.history if t.budget == 3)


# ---- the asynchronous form

def check_asynchronous(history, begin, rungs, eta):
    """Raise an error if no run of ASHA can have told these trials, in this order."""
    told = [[] for _ in rungs]
    once = [[] for _ in rungs]              # that were among the best 1/eta of their rung at some time
    for trial in history:
        k, x = rungs.index(trial.budget), repr(trial.x)
        assert x not in [other for other, _ in told[k]]
        assert k == 0 or x in once[k - 1]
        told[k].append((x, trial.value))
        ranked = sorted((value, other) for other, value in told[k] if not math.isnan(value))
        once[k] += [other for _, other in ranked[: len(told[k]) // eta]]
    assert len(told[0]) == begin
    for k in range(len(rungs) - 1):
        ranked = sorted((value, x) for x, value in told[k] if not math.isnan(value))
        assert {x for _, x in ranked[: len(told[k]) // eta]} <= {x for x, _ in told[k + 1]}


@settings(max_examples=20)
@given(data=st.data(), eta=st.integers(2, 4), seed=st.integers(0, 99))
def test_what_goes_on_is_among_the_best_that_are_told(data, eta, seed):
    width, rungs = data.draw(st.integers(1, 6)), [1, eta, eta**2]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trials.jsonl"
        how = {"brackets": [[(20, r) for r in rungs]], "seed": seed, "eta": eta, "asynchronous": True, "path": path}
        race = Racing(SPACE, **how)
        run(race, loss, width, data)
        check_asynchronous(race.trials, 20, rungs, eta)
        lines = path.read_bytes().splitlines(keepends=True)
        cut = data.draw(st.integers(0, len(lines)))
        path.write_bytes(b"".join(lines[:cut]))
        again = Racing(SPACE, **how)
        assert repr(again.trials) == repr(race.trials[:cut])
        run(again, loss)
        check_asynchronous(again.trials, 20, rungs, eta)


def test_a_setting_goes_on_at_once_and_the_highest_first():
    values = [5.0, 4.0, 3.0, 1.0, 2.0, math.nan, 6.0, 7.0, 0.5, 0.4, 0.3]
    expected = [(0, 1), (1, 1), (1, 2), (2, 1), (2, 2), (2, 4), (3, 1), (4, 1), (5, 1), (5, 2), (5, 4)]
    race = Racing({"a": (0.0, 1.0)}, [[(6, 1), (3, 2), (1, 4)]], 0, eta=2, asynchronous=True)
    for value, (i, budget) in zip(values, expected):
        assert race.ask() == Stage(race.settings[i], budget)
        race.tell(Stage(race.settings[i], budget), value)
    assert race.ask() is None and race.result().value == 0.3


def test_every_setting_may_go_on():
    calls = []
    found = successive_halving(lambda x, budget: -len(calls.append(x) or calls), SPACE, 9, 9, 0, asynchronous=True)
    check_asynchronous(found.history, 9, [1, 3, 9], 3)
    assert sorted(Counter(trial.budget for trial in found.history).items()) == [(1, 9), (3, 7), (9, 5)]


@settings(max_examples=12)
@given(data=st.data())
def test_any_file_of_equal_settings_in_several_brackets_is_gone_on_from(data):
    brackets = hyperband_brackets(9)
    with tempfile.TemporaryDirectory() as folder:
        how = {"seed": 0, "asynchronous": True, "path": Path(folder) / "trials.jsonl"}
        race = Racing(SMALL, brackets, **how)
        run(race, loss, data.draw(st.integers(1, 9)), data)
        lines = how["path"].read_bytes().splitlines(keepends=True)
        cut = data.draw(st.integers(0, len(lines)))
        how["path"].write_bytes(b"".join(lines[:cut]))
        again = Racing(SMALL, brackets, **how)
        run(again, loss)
        for trials in (race.trials, again.trials):
            budgets = Counter(trial.budget for trial in trials)
            assert budgets[1] == 9 and 5 <= budgets[3] <= 5 + 9 and 3 <= budgets[9] <= 3 + 5 + 9
        assert repr(again.trials[:cut]) == repr(race.trials[:cut])


ENGINE = """
import json, os, pathlib, signal, sys
from course_lib.tuning import hyperband, successive_halving

engine, folder, search, seed = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])

def f(x, budget):
    begun = folder / f"begun {x['a']} {budget}"
    first = not begun.exists()
    begun.touch()
    kind = int(x["a"] * 1e6) % 7
    if kind == 0 or (kind == 1 and first):
        os.kill(os.getpid(), signal.SIGKILL)
    return x["a"] + 1 / budget

def search_with(**workers):
    how = {"eta": 2, "asynchronous": True, "path": folder / "trials.jsonl", **workers}
    space = {"a": (0.0, 1.0)}
    return hyperband(f, space, 4, seed, **how) if search == "hyperband" else successive_halving(f, space, 9, 4, seed, **how)

found = search_with(workers=3, engine=engine)
again = search_with()
print(json.dumps({"trials": [vars(trial) for trial in found.history], "value": found.value,
                  "same": repr(again) == repr(found)}))
"""


@pytest.mark.parametrize("engine, search, seed, brackets", [
    ("processes", "successive_halving", 0, [[(9, 1), (4, 2), (2, 4)]]),
    ("processes", "hyperband", 53, hyperband_brackets(4, eta=2)),       # in each of the three some are killed
    ("ray", "successive_halving", 0, [[(9, 1), (4, 2), (2, 4)]]),
], ids=["processes, one bracket", "processes, several", "ray, one bracket"])
def test_no_trial_is_lost_or_made_twice_where_processes_are_killed(engine, search, seed, brackets, tmp_path):
    """In a process of its own: Ray leaves files to be closed, which the tests here count as errors."""
    command = [sys.executable, "-c", ENGINE, engine, str(tmp_path), search, str(seed)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    history = [Trial(**each) for each in found["trials"]]
    settings_drawn = iter(Racing({"a": (0.0, 1.0)}, brackets, seed, eta=2, asynchronous=True).settings)
    kinds = {}
    for bracket in brackets:
        own = {x["a"]: int(x["a"] * 1e6) % 7 for x in islice(settings_drawn, bracket[0][0])}
        check_asynchronous([trial for trial in history if trial.x["a"] in own], len(own), [r for _, r in bracket], 2)
        assert {0, 1} & set(own.values())
        kinds |= own
    assert {trial.x["a"] for trial in history} == set(kinds) and {0, 1} < set(kinds.values())
    for trial in history:
        killed = kinds[trial.x["a"]] == 0
        assert trial.reason == ("the process of the trial died" if killed else "") and (trial.status == "failed") == killed
        assert killed or trial.value == trial.x["a"] + 1 / trial.budget
    assert found["same"] and len((tmp_path / "trials.jsonl").read_text().splitlines()) == len(history)
    assert found["value"] == min(trial.value for trial in history if trial.budget == 4 and trial.status == "ok")


# ---- states

def descend(x, budget, state):
    """Gradient descent, step by step; the state is changed in place."""
    state = {"w": 1.0, "steps": 0, "given": []} if state is None else state
    state["given"].append(state["steps"])
    while state["steps"] < budget:
        state["w"] -= x["rate"] * state["w"] * (1 + x["depth"] / 10)
        state["steps"] += 1
    return (abs(state["w"]) if x["depth"] < 4 else math.nan), state


@pytest.mark.parametrize("how", [{}, {"asynchronous": True}, {"workers": 2}], ids=repr)
def test_with_its_state_a_setting_comes_to_the_same_in_fewer_steps(how, tmp_path):
    path = tmp_path / "trials.jsonl"
    scratch = hyperband(lambda x, budget: descend(x, budget, None)[0], SPACE, 9, 0, asynchronous="asynchronous" in how)
    found = hyperband(descend, SPACE, 9, 0, stateful=True, path=path, **how)
    assert seen(found.history) == seen(scratch.history) and found.value == scratch.value
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:11]))
    how = {name: value for name, value in how.items() if name != "workers"}
    again = hyperband(descend, SPACE, 9, 0, stateful=True, path=path, **how)      # without their states
    assert seen(again.history) == seen(found.history)


def test_the_state_is_that_of_the_same_setting():
    race, given = Racing(SPACE, [[(9, 1), (3, 3), (1, 9)]], 0, stateful=True), []
    while (stage := race.ask()) is not None:
        x, budget, state = stage
        given.append((budget, state))
        race.tell(stage, Kept(x["rate"], (x, budget)))
        assert state in (None, (x, budget // 3)) and (state is None) == (budget == 1)
    assert [budget for budget, _ in given] == [1] * 9 + [3] * 3 + [9]
    assert not any(race._states[i] for i, x in enumerate(race.settings) if x == race.result().x)    # is not needed any more


def test_an_objective_may_change_the_state_that_it_returned():
    kept = {"w": 1.0}

    def f(x, budget, state):
        kept["w"] = 1.0 if state is None else state["w"]
        for _ in range(budget if state is None else budget - budget // 3):
            kept["w"] -= x["rate"] * kept["w"]
        return kept["w"], kept

    found = successive_halving(f, SPACE, 9, 9, 0, stateful=True)
    for trial in found.history:
        assert trial.value == pytest.approx((1 - trial.x["rate"]) ** trial.budget)


# ---- what is wrong

def nothing(x, budget):
    return 0.0


@pytest.mark.parametrize("make, error, words", [
    (lambda: hyperband_brackets(0), ValueError, "budget must be at least 1"),
    (lambda: hyperband_brackets(math.inf), ValueError, "budget must be finite"),
    (lambda: hyperband_brackets("9"), TypeError, "budget must be a number, got '9'"),
    (lambda: hyperband_brackets(9, 1), ValueError, "eta must be at least 2"),
    (lambda: hyperband_brackets(9, 2.5), TypeError, "eta must be a whole number"),
    (lambda: hyperband_brackets(9, 3, 0.0), ValueError, "least must be finite and > 0"),
    (lambda: hyperband_brackets(9, 3, 10), ValueError, "least must be at most the budget, 9, got 10"),
    (lambda: Racing(SPACE, [], 0), ValueError, "brackets must be of rungs"),
    (lambda: Racing(SPACE, [[]], 0), ValueError, "brackets must be of rungs"),
    (lambda: Racing(SPACE, [[(3, 1), (4, 3)]], 0), ValueError, "brackets must be of rungs"),
    (lambda: Racing(SPACE, [[(3, 1), (1, 1)]], 0), ValueError, "brackets must be of rungs"),
    (lambda: Racing(SPACE, [[(0, 1)]], 0), ValueError, "brackets' n must be at least 1"),
    (lambda: Racing(SPACE, [[(3, -1.0)]], 0), ValueError, "brackets' r must be finite and > 0"),
    (lambda: Racing(SPACE, [[(3, 1)]], 0, eta=1), ValueError, "eta must be"),
    (lambda: Racing(SPACE, [[(3, 1)]], -1), ValueError, "seed must be"),
    (lambda: Racing(SMALL, [[(3, 1)]], 0).tell(Stage({"depth": 1}, 1), 0.0), ValueError, "stage must be"),
    (lambda: successive_halving(3, SPACE, 3, 9, 0), TypeError, "f must be callable"),
    (lambda: successive_halving(nothing, SPACE, 0, 9, 0), ValueError, "settings must be"),
    (lambda: successive_halving(nothing, SPACE, 3, 9, 0, least=10), ValueError, "least must be at most"),
    (lambda: hyperband(nothing, SPACE, 9, 0, timeout=1.0), ValueError, "timeout needs workers"),
    (lambda: hyperband(nothing, {}, 9, 0), TypeError, "dimensions must be"),
])
def test_wrong_arguments_are_named(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_nothing_is_told_twice_and_a_state_of_a_wrong_form_is_a_failure():
    race = Racing(SPACE, [[(3, 1)]], 0)
    stage = race.ask()
    race.tell(stage, 1.0)
    with pytest.raises(ValueError, match="stage must be one that was asked for and not yet told"):
        race.tell(stage, 1.0)
    found = successive_halving(lambda x, budget, state: 1.0, SPACE, 3, 1, 0, stateful=True)
    assert all("TypeError" in trial.reason for trial in found.history)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("change", [
    {"budget": 2}, {"budget": 3}, {"budget": None}, {"x": {"a": 0.5}}, {"x": {"b": 0.5}}, {"x": {"a": 7.0}},
])
def test_a_file_of_another_search_is_refused_and_left_alone(change, asynchronous, tmp_path):
    path, how = tmp_path / "trials.jsonl", {"asynchronous": asynchronous}
    race = Racing({"a": (0.0, 1.0)}, [[(9, 1), (3, 3)]], 0, path=path, **how)
    for _ in range(2):
        race.tell(race.ask(), 1.0)
    lines = path.read_text().splitlines()
    other = {**json.loads(lines[1]), **change}
    path.write_text(f"{lines[0]}\n{json.dumps(other)}\n")
    before = path.read_bytes()
    with pytest.raises(ValueError, match="path must be a file of this search; its trial 2"):
        Racing({"a": (0.0, 1.0)}, [[(9, 1), (3, 3)]], 0, path=path, **how)
    assert path.read_bytes() == before

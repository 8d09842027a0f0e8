"""Population based training."""

import math
import os
import signal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.tuning.population_training import Population, population_based_training
from course_lib.tuning.spaces import Space
from course_lib.tuning.trials import Kept

SPACE = {"rate": (1e-3, 1.0, "log"), "depth": (1, 3), "kernel": ["a", "b"]}
RATE = {"rate": (1e-3, 1.0, "log")}


def quadratic(x, state, steps=5):
    """The mean square of the distance to the minimum, under noisy gradients: the best rate falls like 1 / t."""
    m = 1.0 if state is None else state
    for _ in range(steps):
        m = (1 - x["rate"]) ** 2 * m + x["rate"] ** 2
    return m, m


def traced(x, state):
    """The state is the list of all settings under which it was trained; some fail."""
    state = [*(state or []), dict(x)]
    rough = 1e4 * x["rate"]
    if int(rough) % 5 == 0:
        raise RuntimeError("diverged")
    return (math.nan if int(rough) % 9 == 0 else math.sin(rough + len(state))), state


def same(found, other):
    """Whether two results are equal, NaN included."""
    parts = [(each.x, each.state, each.schedule, each.settings, each.parents.tolist()) for each in (found, other)]
    return repr(found.history) == repr(other.history) and parts[0] == parts[1]


# ---- what it finds

def test_it_finds_a_falling_rate_that_no_constant_one_comes_up_to():
    for seed in range(3):
        found = population_based_training(quadratic, RATE, members=8, rounds=20, seed=seed)
        constant = [quadratic({"rate": rate}, None, steps=100)[1] for rate in np.geomspace(1e-3, 1.0, 400)]
        assert found.value < 0.8 * min(constant)
        rates = [x["rate"] for x in found.schedule]
        assert len(rates) == 20 and np.mean(rates[-5:]) < 0.2 * np.mean(rates[:5])


@pytest.mark.parametrize("seed", range(5))
def test_the_schedule_makes_the_state_again(seed):
    found = population_based_training(quadratic, RATE, 6, 8, seed)
    state = None
    for x in found.schedule:
        value, state = quadratic(x, state)
    assert (value, state) == (found.value, found.state) and found.x == found.schedule[-1]
    assert found.value == min(found.values[-1]) and found.x in found.settings[-1]


# ---- how it goes

def check(found, members, rounds, replaced):
    """Raise an error if a round does not follow from the one before."""
    assert found.values.shape == found.parents.shape == (rounds, members) and found.parents.dtype == int
    assert (found.parents[0] == np.arange(members)).all()
    np.testing.assert_array_equal([trial.value for trial in found.history], found.values.ravel())
    assert [trial.budget for trial in found.history] == [r for r in range(1, rounds + 1) for _ in range(members)]
    assert [trial.x for trial in found.history] == [x for each in found.settings for x in each]
    for r in range(1, rounds):
        failed = set(np.flatnonzero(np.isnan(found.values[r - 1])))
        ranked = np.argsort(found.values[r - 1], kind="stable")               # NaN last
        best, worst = set(ranked[:replaced]) - failed, set(ranked[-replaced:]) | failed
        for m in range(members):
            parent = found.parents[r, m]
            assert parent in best if m in worst and best else parent == m
            assert m in worst or found.settings[r][m] == found.settings[r - 1][m]


def lineage(found, r, m):
    """The settings that made the state of a member after a round."""
    settings = []
    while r >= 0:
        if not math.isnan(found.values[r, m]):
            settings.insert(0, found.settings[r][m])
        r, m = r - 1, found.parents[r, m]
    return settings


@settings(max_examples=40)
@given(members=st.integers(2, 9), rounds=st.integers(1, 6), seed=st.integers(0, 999), quantile=st.floats(0.01, 0.5))
def test_the_worst_and_the_failed_take_over_from_the_best(members, rounds, seed, quantile):
    received, trained = [], []

    def f(x, state):
        received.append(state or [])
        value, state = traced(x, state)
        trained.append(state)
        return value, state

    found = population_based_training(f, SPACE, members, rounds, seed, quantile=quantile)
    check(found, members, rounds, max(1, math.floor(quantile * members)))
    for i, state in enumerate(received):
        r, m = divmod(i, members)
        assert state == (lineage(found, r - 1, found.parents[r, m]) if r else [])
    alive = np.flatnonzero(np.isfinite(found.values).any(1))
    if len(alive):
        best = np.nanargmin(found.values[alive[-1]])
        assert found.state == found.schedule == lineage(found, alive[-1], best)
        assert (found.x, found.value) == (found.settings[alive[-1]][best], found.values[alive[-1], best])
    else:
        assert found.x is found.state is None and found.schedule == []
    space = Space(SPACE)
    for trial in found.history:
        space.encode(trial.x)


def test_the_number_of_processes_changes_nothing_and_a_killed_one_is_begun_again(tmp_path):
    def f(x, state):
        begun = tmp_path / f"{x['rate']} {len(state or [])}"
        if parent != os.getpid() and not begun.exists() and int(1e4 * x["rate"]) % 12 == 0:
            begun.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return traced(x, state)

    parent = os.getpid()
    alone = population_based_training(f, SPACE, 6, 4, 1)
    for workers in (1, 3):
        assert same(population_based_training(f, SPACE, 6, 4, 1, workers=workers), alone), workers
        assert list(tmp_path.iterdir())
        for begun in tmp_path.iterdir():
            begun.unlink()
    assert np.isnan(alone.values).any() and same(population_based_training(f, SPACE, 6, 4, 1), alone)
    assert not same(population_based_training(f, SPACE, 6, 4, 2), alone)


def test_numbers_are_moved_on_the_scale_of_the_space_and_choices_only_drawn_anew():
    space, moves = Space(SPACE), []
    found = population_based_training(lambda x, state: (x["rate"], None), SPACE, 8, 40, 0, shift=0.05, redraw=0.0)
    for r in range(1, 40):
        for m in np.flatnonzero(found.parents[r] != np.arange(8)):
            x, before = found.settings[r][m], found.settings[r - 1][found.parents[r, m]]
            u, at = space.encode(x)[0], space.encode(before)[0]
            assert min(abs(u - space.folded(at + step)) for step in (-0.05, 0.05)) < 1e-9
            moves.append(u - at)
            assert x["kernel"] == before["kernel"]
            assert abs(x["depth"] - before["depth"]) == 1 or x["depth"] == before["depth"] in (1, 3)
    moves = np.array(moves)
    shifted = np.isclose(np.abs(moves), 0.05)
    assert shifted.mean() > 0.3 and (moves[shifted] > 0).any() and (moves[shifted] < 0).any()
    assert not shifted.all()                                                   # but folded back at an end
    far = population_based_training(lambda x, state: (x["rate"], None), SPACE, 8, 9, 0, shift=1.0, redraw=0.0)
    for r in range(1, 9):
        assert [x["kernel"] for x in far.settings[r]] == [far.settings[r - 1][m]["kernel"] for m in far.parents[r]]
    anew = population_based_training(lambda x, state: (x["rate"], None), SPACE, 8, 40, 0, redraw=1.0)
    drawn = [anew.settings[r][m] for r in range(1, 40) for m in np.flatnonzero(anew.parents[r] != np.arange(8))]
    assert {x["kernel"] for x in drawn} == {"a", "b"} and {x["depth"] for x in drawn} == {1, 2, 3}
    assert abs(np.mean([space.encode(x)[0] for x in drawn]) - 0.5) < 0.15


# ---- failures

def test_the_part_that_is_replaced_is_counted_exactly():
    assert math.floor(0.29 * 100) == 28 and Population(RATE, 100, 1, 0, quantile=0.29).replaced == 29
    assert Population(RATE, 3, 1, 0, quantile=0.01).replaced == 1 == Population(RATE, 3, 1, 0, quantile=0.5).replaced


def test_failed_members_are_replaced_even_if_they_are_not_among_the_worst():
    def f(x, state):
        return (math.inf if x["rate"] < 0.3 else x["rate"]), (state or 0) + 1

    found = population_based_training(f, {"rate": (0.0, 1.0)}, 12, 3, 1, quantile=0.1, shift=0.01, redraw=0.0)
    failed = np.flatnonzero(np.isnan(found.values[0]))
    assert len(failed) > 1
    for m in failed:
        assert found.parents[1, m] == np.nanargmin(found.values[0])
    assert found.state == 3 and {trial.reason for trial in found.history if trial.status == "failed"} == {"the value is inf"}


def test_where_all_fail_the_states_are_kept_and_the_settings_drawn_anew():
    nothing = population_based_training(lambda x, state: 1 / 0, SPACE, 4, 3, 0)
    assert nothing.x is nothing.state is None and math.isnan(nothing.value) and nothing.schedule == []
    assert len(nothing.history) == 12 and np.isnan(nothing.values).all() and (nothing.parents == np.arange(4)).all()
    assert len({x["rate"] for each in nothing.settings for x in each}) == 12
    for bad in (0, 1, 3):
        rounds = []

        def f(x, state):
            rounds.append(len(rounds) // 4)
            if rounds[-1] == bad:
                raise RuntimeError("the disk is full")
            return traced({**x, "rate": 1e-4}, state)[0], [*(state or []), dict(x)]

        found = population_based_training(f, SPACE, 4, 4, 0)
        assert np.isnan(found.values[bad]).all() and not np.isnan(np.delete(found.values, bad, 0)).any()
        assert found.state == found.schedule and len(found.schedule) == 3
        assert found.value == np.nanmin(found.values[2 if bad == 3 else 3])


def test_no_member_changes_the_state_of_another():
    kept = {}

    def f(x, state):
        kept["w"] = 1.0 if state is None else state["w"]
        if state is not None:
            state["w"] = math.nan
        kept["w"] *= 1 - x["rate"]
        if x["depth"] == 2 and state is not None:
            raise RuntimeError("in the middle of a round")
        return kept["w"], kept

    found = population_based_training(f, SPACE, 6, 5, 0)
    reasons = {trial.reason for trial in found.history if trial.status == "failed"}
    assert reasons == {"RuntimeError: in the middle of a round"}
    assert found.value == pytest.approx(math.prod(1 - x["rate"] for x in found.schedule))


def test_an_objective_without_a_state_fails():
    found = population_based_training(lambda x, state: 1.0, SPACE, 2, 2, 0)
    assert all(trial.reason.startswith("TypeError") for trial in found.history)


# ---- asked and told

def test_a_round_begins_when_all_of_the_last_are_told():
    population = Population(RATE, 4, 2, 0)
    asked = [population.ask() for _ in range(5)]
    assert asked[4] is None and [member.number for member in asked[:4]] == [0, 1, 2, 3]
    for member in (asked[2], asked[0], asked[3]):
        population.tell(member, Kept(member.x["rate"], member.number))
    assert population.ask() is None and population.trials == [] and population.result().x is None
    with pytest.raises(ValueError, match="member must be one that was asked for and not yet told"):
        population.tell(asked[0], 1.0)
    population.tell(asked[1], Kept(asked[1].x["rate"], 1))
    worst, best = (pick(range(4), key=lambda m: asked[m].x["rate"]) for pick in (max, min))
    assert population.result().state == best and population.result().values.shape == (1, 4)
    second = [population.ask() for _ in range(4)]
    assert [member.state for member in second] == [best if m == worst else m for m in range(4)]
    assert [member.x == asked[m].x for m, member in enumerate(second)] == [m != worst for m in range(4)]
    for member in second:
        population.tell(member, Kept(0.0, None))
    assert population.ask() is None and len(population.trials) == 8


@pytest.mark.parametrize("wrong, error, words", [
    ({"f": 3}, TypeError, "f must be callable"), ({"members": 1}, ValueError, "members must be at least 2"),
    ({"members": 2.0}, TypeError, "members must be a whole number"), ({"rounds": 0}, ValueError, "rounds must be"),
    ({"seed": -1}, ValueError, "seed must be"), ({"quantile": 0.0}, ValueError, "quantile must be finite and > 0"),
    ({"quantile": 0.6}, ValueError, "quantile must be .* <= 0.5"), ({"shift": 0.0}, ValueError, "shift must be"),
    ({"shift": 1.5}, ValueError, "shift must be"), ({"redraw": -0.1}, ValueError, "redraw must be"),
    ({"redraw": 1.1}, ValueError, "redraw must be"), ({"space": {}}, TypeError, "dimensions must be"),
    ({"timeout": 1.0}, ValueError, "timeout needs workers"), ({"workers": 0}, ValueError, "workers must be"),
    ({"workers": 1, "engine": "threads"}, ValueError, "engine must be"),
])
def test_wrong_arguments_are_named(wrong, error, words):
    with pytest.raises(error, match=words):
        population_based_training(**{"f": quadratic, "space": RATE, "members": 4, "rounds": 2, "seed": 0, **wrong})

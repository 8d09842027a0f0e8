"""Comparing methods: one batch equals many runs, the protocol is kept, and what is doubtful is said."""

import math

import numpy as np
import pytest
import torch

from course_lib.schedules import polynomial_decay
from course_lib.training import compare, logistic_task, mean_interval, mlp_task, quadratic_task
from course_lib.training.runs import batch_order
from course_lib.training.tasks import Draw, Task
from course_lib.update_rules import (
    Rule, accumulate_gradients, adam, adamw, chain, clip_by_global_norm, gradient_descent, lion, momentum, rmsprop,
    sign_descent,
)

MLP = mlp_task("iris", hidden=(8,), batch_size=16)
METHODS = {
    "descent": gradient_descent,
    "momentum": momentum(1.0),
    "clipped": chain(clip_by_global_norm(0.5), momentum(1.0, nesterov=True)),
    "Adam": adam,
    "AdamW": lambda lr: adamw(lr, weight_decay=0.1 * lr),
    "RMSProp": rmsprop(centered=True),
    "Lion": lion(),
    "gathered": accumulate_gradients(adam(), 3),
    "falling": lambda lr: momentum(polynomial_decay(lr, 40)),
}


def fields(result):
    return {name: getattr(result, name) for name in ("validation", "test", "loss", "checks", "diverged")}


@pytest.mark.parametrize("name", METHODS)
def test_one_batch_equals_many_runs(name):
    arguments = ({name: METHODS[name]}, MLP, [0.003, 0.02, 0.1], [4, 7], 40)
    together = compare(*arguments, every=15, dtype="float64")[name]
    alone = compare(*arguments, every=15, dtype="float64", batched=False)[name]
    for key, value in fields(together).items():
        np.testing.assert_allclose(value, fields(alone)[key], rtol=1e-7, atol=1e-9, err_msg=key)
    assert together.loss.shape == (3, 2, 40) and together.test.shape == (3, 2)


def test_looking_more_often_changes_nothing_and_tells_when_a_target_was_reached():
    arguments = ({"m": momentum(1.0), "wild": gradient_descent(1.0)}, MLP, {"m": [0.01, 0.1], "wild": [1e30]}, 3, 40)
    seldom, often = compare(*arguments), compare(*arguments, every=15)
    assert seldom.checks.tolist() == [0, 40] and often.checks.tolist() == [0, 15, 30, 40]
    assert compare(*arguments, every=20).checks.tolist() == [0, 20, 40]
    for steps, at in ((15, 1), (30, 2)):   # what was seen on the way is the end of a shorter run
        shorter = compare(*arguments[:-1], steps)
        np.testing.assert_allclose(often["m"].checks[..., at], shorter["m"].validation, rtol=1e-6)
    for name in ("m", "wild"):
        np.testing.assert_array_equal(often[name].test, seldom[name].test)
        np.testing.assert_array_equal(often[name].checks[..., [0, -1]], seldom[name].checks)
        np.testing.assert_array_equal(often[name].checks[..., -1], often[name].validation)
    assert np.isinf(often["wild"].checks[..., 1:]).all() and np.isfinite(often["wild"].checks[..., 0]).all()

    path = often["m"].checks[often["m"].chosen]   # [seeds, 4]
    for target in (0.0, 0.1, 0.3, 1.0):
        expected = [next((step for step, error in zip(often.checks, row) if error <= target), np.inf) for row in path]
        assert often.steps_to("m", target).tolist() == expected
    assert often.steps_to("m", 1.0).tolist() == [0, 0, 0] and np.isinf(often.steps_to("wild", 0.0)).all()
    ends = path[:, -1]   # a target for each seed: reached by the end at the latest
    assert (often.steps_to("m", ends) <= 40).all() and (often.steps_to("m", ends - 1) == np.inf).all()
    for bad in (math.nan, [0.1, 0.2]):
        with pytest.raises(ValueError, match="target must be"):
            often.steps_to("m", bad)
    with pytest.raises(ValueError, match="every must be at least 1, got 0"):
        compare(*arguments, every=0)


def test_float32_agrees_to_its_precision():
    narrow, wide = (compare({"m": momentum(1.0)}, MLP, [0.01, 0.1], 2, 40, dtype=dtype)["m"].loss
                    for dtype in ("float32", "float64"))
    assert narrow.dtype == np.float32
    np.testing.assert_allclose(narrow, wide, rtol=1e-4)


def test_a_run_is_the_run_one_would_write_by_hand():
    lr, seed, steps = 0.01, 3, 60
    result = compare({"Adam": adam}, MLP, [lr], [seed], steps, dtype="float64")["Adam"]
    draw = MLP.draw(seed)
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).double()
    with torch.no_grad():
        for p, piece in zip(net.parameters(), draw.w0.split([32, 8, 24, 3])):
            p.copy_(piece.view(-1, len(p)).T if p.dim() > 1 else piece)
    optimizer, losses = torch.optim.Adam(net.parameters(), lr), []
    for batch in batch_order(len(draw.train[0]), 16, steps, seed):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(draw.train[0][batch]), draw.train[1][batch])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    np.testing.assert_allclose(result.loss[0, 0], losses, rtol=1e-8)
    wrong = (net(draw.test[0]).argmax(1) != draw.test[1]).double().mean().item()
    assert result.test[0, 0] == pytest.approx(wrong, abs=1e-12)


def test_all_get_the_same_start_and_the_same_batches():
    outcome = compare({"a": adam, "b": sign_descent}, MLP, {"a": [0.01, 0.1], "b": [1e-12, 1e-11]}, 3, 12)
    assert len({tuple(losses) for name in "ab" for losses in outcome[name].loss[:, :, 0]}) == 1
    still = outcome["b"].loss[0]   # at a rate of nothing the losses are those of the batches alone
    for seed in range(3):
        draw = MLP.draw(seed)
        order = batch_order(len(draw.train[0]), 16, 12, seed)
        expected = [MLP.loss(draw.w0, draw.train[0][batch], draw.train[1][batch]) for batch in order]
        np.testing.assert_allclose(still[seed], expected, rtol=1e-5)


def test_the_same_call_gives_the_same_bits():
    first, again = (compare({"Adam": adam}, MLP, [0.01, 0.1], 2, 20)["Adam"] for _ in range(2))
    assert all(np.array_equal(value, fields(again)[key]) for key, value in fields(first).items())


def test_batches_go_through_all_samples_before_any_again():
    order = batch_order(10, 3, 7, seed=0)
    assert order.shape == (7, 3)
    for epoch in (order[:3], order[3:6]):
        assert len(set(epoch.ravel())) == 9
    assert not np.array_equal(order[:3], order[3:6]) and not np.array_equal(order, batch_order(10, 3, 7, seed=1))


@pytest.mark.parametrize("change, error, told", [
    ({"samples": 0}, ValueError, "samples must be at least 1, got 0"),
    ({"samples": 9.0}, TypeError, "samples must be a whole number, got 9.0"),
    ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
    ({"batch_size": "3"}, TypeError, "batch_size must be a whole number, got '3'"),
    ({"batch_size": 11}, ValueError, "batch_size must be at most 10, the samples, got 11"),
    ({"steps": 0}, ValueError, "steps must be at least 1, got 0"),
    ({"steps": True}, TypeError, "steps must be a whole number, got True"),
    ({"seed": -1}, ValueError, "seed must be at least 0, got -1"),
    ({"seed": None}, TypeError, "seed must be a whole number, got None"),
])
def test_bad_arguments_of_an_order_are_named(change, error, told):
    with pytest.raises(error) as caught:
        batch_order(**{"samples": 10, "batch_size": 3, "steps": 7, "seed": 0, **change})
    assert told in str(caught.value)


# ---- the protocol

def shifted(validation_at, test_at):
    """A parabola whose validation and test data have their minima at other places than 0."""
    at = {"train": 0.0, "validation": validation_at, "test": test_at}

    def draw(seed):
        parts = [(torch.full((1,), place), torch.zeros(1)) for place in at.values()]
        return Draw(torch.ones(1), *parts)

    def loss(w, x, y):
        return ((w - x) ** 2).mean()

    return Task("parabola", draw, loss, loss, "distance squared", None)


def test_the_rate_is_chosen_on_validation_data_and_the_score_is_of_test_data():
    rates = [0.01, 0.1, 0.25, 0.4]   # one step of w ← (1 − 2 lr) w from 1: .98, .8, .5, .2
    result = compare({"d": gradient_descent}, shifted(0.5, 0.2), rates, 3, 1)["d"]
    assert result.lr == 0.25 and result.chosen == 2
    np.testing.assert_allclose(result.score, (0.09, 0), rtol=1e-6)
    np.testing.assert_allclose(result.validation[:, 0], [0.48**2, 0.09, 0, 0.09], atol=1e-7)


def test_equal_metrics_are_told_apart_by_the_loss():
    task = shifted(0.5, 0.5)
    task = Task(task.name, task.draw, task.loss, lambda w, x, y: 0 * w.sum(), "nothing", None)
    assert compare({"d": gradient_descent}, task, [0.01, 0.1, 0.25, 0.4], 3, 1)["d"].lr == 0.25


def test_scores_and_differences_are_students_intervals():
    outcome = compare({"a": adam, "m": momentum(1.0)}, MLP, [0.001, 0.01, 0.1], 6, 30)
    a, m = outcome["a"], outcome["m"]
    assert a.score == mean_interval(a.test[a.chosen])
    assert outcome.difference("a", "m") == mean_interval(a.test[a.chosen] - m.test[m.chosen])
    assert outcome.scores == {"a": a.score, "m": m.score}


def test_ties_are_called_ties():
    twins = {"one": gradient_descent, "other": momentum(1.0, beta=0.0), "slow": lambda lr: gradient_descent(lr / 1000)}
    outcome = compare(twins, quadratic_task([1.0, 3.0]), [0.05, 0.1, 0.2, 0.3], 30, 30)
    assert outcome.tie("one", "other") and not outcome.tie("one", "slow")
    lines = {line.split()[0]: line.split()[-1] for line in str(outcome).splitlines()[2:5]}
    assert sorted(lines.values()) == ["best", "tie", "worse"] and lines["slow"] == "worse"


def test_one_seed_decides_nothing():
    outcome = compare({"a": adam, "d": gradient_descent}, MLP, [0.01, 0.1], 1, 20)
    assert outcome["a"].score.half_width == math.inf and outcome.tie("a", "d")


# ---- what is said

def test_a_diverged_run_is_said_and_never_chosen():
    outcome = compare({"d": gradient_descent}, quadratic_task([1.0, 10.0]), [0.01, 0.1, 0.25, 5.0], 5, 200)
    result = outcome["d"]
    assert result.diverged.tolist() == [[False] * 5] * 2 + [[True] * 5] * 2
    assert np.isinf(result.validation[3]).all() and np.isinf(result.test[3]).all() and result.lr == 0.1
    assert {"d: at rate 0.25, 5 of 5 runs diverged", "d: at rate 5, 5 of 5 runs diverged"} <= set(outcome.warnings)
    assert "note: d: at rate 5, 5 of 5 runs diverged" in str(outcome)


def test_where_all_diverge_it_is_said():
    outcome = compare({"d": gradient_descent, "s": sign_descent}, quadratic_task([100.0]), [1.0, 10.0], 5, 300)
    assert outcome["d"].score.mean == math.inf and not outcome["d"].score.excludes(0)
    assert "diverged" in str(outcome).splitlines()[2] and outcome.best == "s"


def test_growth_without_gain_counts_as_divergence_and_a_high_loss_of_a_good_model_does_not():
    task = logistic_task("iris", batch_size=None)
    result = compare({"d": gradient_descent}, task, [0.1, 500.0], 5, 40)["d"]
    start = math.log(3)
    assert (result.validation[1] < 0.4).all() and not result.diverged.any()
    assert result.loss[1].max() > 2 * start   # sure of itself and wrong at times, yet no worse than guessing


def test_a_rate_at_the_edge_is_said():
    task = quadratic_task([1.0, 10.0])
    low = compare({"d": gradient_descent}, task, [0.1, 0.3, 0.5], 5, 50)
    high = compare({"d": gradient_descent}, task, [0.001, 0.01, 0.1], 5, 50)
    inside = compare({"d": gradient_descent}, task, [0.001, 0.1, 0.5], 5, 50)
    for outcome, edge in ((low, True), (high, True), (inside, False)):
        assert outcome["d"].at_edge is edge
        assert any("best rate 0.1 is at the edge" in line for line in outcome.warnings) is edge
    alone = compare({"d": gradient_descent}, task, 0.1, 5, 50)
    assert alone.warnings == ["d: its rate 0.1 is the only one tried"]


def test_few_seeds_and_unequal_budgets_are_said():
    task = quadratic_task([1.0])
    few = compare({"d": gradient_descent}, task, [0.1, 0.5, 1.7], 4, 10)
    assert few.warnings == ["only 4 seeds: an interval over fewer than 5 says little"]
    unequal = compare({"d": gradient_descent, "s": sign_descent}, task, {"d": [0.5], "s": [0.1, 0.01]}, 5, 10)
    assert any(line.startswith("unequal budgets") for line in unequal.warnings)


def test_nothing_doubtful_nothing_said():
    outcome = compare({"d": gradient_descent}, quadratic_task([1.0, 10.0]), [0.01, 0.15, 0.19], 5, 50)
    assert outcome.warnings == [] and "note" not in str(outcome)


# ---- what a reader may bring

def test_a_rule_of_ones_own_with_numbers_in_its_state():
    def own(lr):
        def update(g, state, w, lr):
            n = state["n"] + 1
            return -lr * g / n**0.5, {**state, "n": n}

        return Rule("own", {"lr": lr}, lambda w: {"n": 0.0}, update)

    runs = [compare({"o": own}, MLP, [0.1, 1.0], 2, 20, batched=batched, dtype="float64")["o"].loss for batched in (True, False)]
    np.testing.assert_allclose(*runs, rtol=1e-8)


def test_a_rule_that_branches_runs_one_by_one():
    def branching(lr):
        def update(g, state, w, lr):
            return (-lr * g if g.sum() > 0 else -2 * lr * g), state

        return Rule("branching", {"lr": lr}, lambda w: {}, update)

    with pytest.raises(RuntimeError, match="data-dependent"):
        compare({"b": branching}, MLP, [0.1], 2, 5)
    assert np.isfinite(compare({"b": branching}, MLP, [0.1], 2, 5, batched=False)["b"].loss).all()


OK = {"methods": {"d": gradient_descent}, "task": MLP, "learning_rates": [0.1], "seeds": 2, "steps": 3}


@pytest.mark.parametrize("change, error, told", [
    ({"methods": {}}, TypeError, "methods must be a dict"),
    ({"methods": [adam()]}, TypeError, "methods must be a dict"),
    ({"methods": {"d": 0.1}}, TypeError, "methods['d'] must be a rule"),
    ({"methods": {"d": lambda lr: lr}}, TypeError, "methods must be rules"),
    ({"methods": {"d": adam(lambda step: 0.1)}}, ValueError, "methods['d'] must have a number as its lr"),
    ({"task": "digits"}, TypeError, "task must be a Task"),
    ({"learning_rates": []}, ValueError, "learning_rates must be"),
    ({"learning_rates": [0.1, 0.1]}, ValueError, "learning_rates must be different"),
    ({"learning_rates": [0.1, -1.0]}, ValueError, "learning_rates must be finite and > 0"),
    ({"learning_rates": {"x": [0.1]}}, ValueError, "learning_rates must name the methods ['d']"),
    ({"seeds": 0}, ValueError, "seeds must be at least 1"),
    ({"seeds": [1, 1]}, ValueError, "seeds must be different"),
    ({"seeds": []}, ValueError, "seeds must be different"),
    ({"seeds": [0.5]}, TypeError, "seeds must be a whole number"),
    ({"steps": 0}, ValueError, "steps must be at least 1"),
    ({"dtype": "float16"}, ValueError, "dtype must be one of"),
    ({"task": mlp_task("iris", batch_size=91)}, ValueError, "batch_size must be at most 90"),
])
def test_bad_arguments_are_named(change, error, told):
    with pytest.raises(error) as caught:
        compare(**{**OK, **change})
    assert told in str(caught.value)

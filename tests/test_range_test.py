"""The learning-rate range test: its rates, its averages, where it stops, and that it leaves everything alone."""

import numpy as np
import pytest
import torch
from checkpoint_runs import data, network
from torch import nn

from course_lib.schedules import constant
from course_lib.training import learning_rate_range_test
from course_lib.update_rules import Rule, adam, gradient_descent, momentum


def bowl(curvature=1.0):
    """Return a module w and data on which the loss is curvature · (w − 3)² / 2, without noise, w₀ = 0."""
    module = nn.Linear(1, 1, bias=False).double()
    nn.init.zeros_(module.weight)
    return module, (torch.ones(8, 1), torch.full((8, 1), 3.0)), lambda p, y: curvature * (p - y).square().mean() / 2


def test_it_is_descent_at_rising_rates():
    module, train, loss = bowl()
    seen = learning_rate_range_test(module, train, gradient_descent(0.0), 1e-3, 0.5, 30, 8, 0, loss=loss)
    rates = [1e-3 * (0.5 / 1e-3) ** (i / 29) for i in range(30)]
    np.testing.assert_allclose(seen.lr, rates, rtol=1e-12)
    before = 3.0 * np.cumprod([1.0, *(1 - np.array(rates[:-1]))])   # w − 3 shrinks by 1 − η
    np.testing.assert_allclose(seen.loss, before**2 / 2, rtol=1e-12)
    assert seen.diverged_at is None
    mean = 0.0
    for i, (value, smoothed) in enumerate(zip(seen.loss, seen.smoothed)):
        mean = 0.9 * mean + 0.1 * value
        assert smoothed == pytest.approx(mean / (1 - 0.9 ** (i + 1)), rel=1e-12)
    slope = np.gradient(seen.smoothed, np.log(seen.lr))
    assert seen.steepest == seen.lr[10 + slope[10:].argmin()]


@pytest.mark.parametrize("smoothing", [0.0, 0.5])
def test_it_stops_where_the_average_is_four_times_its_least(smoothing):
    module, train, loss = bowl(curvature=4.0)   # diverges above η = 2/4, and is exact at 1/4
    seen = learning_rate_range_test(
        module, train, gradient_descent(0.0), 0.03, 30.0, 60, 8, 0, loss=loss, smoothing=smoothing
    )
    least = np.minimum.accumulate(seen.smoothed)
    assert seen.diverged_at == seen.lr[-1] > 0.5 and len(seen.lr) == len(seen.loss) == len(seen.smoothed) < 60
    assert seen.smoothed[-1] > 4 * least[-1] and (seen.smoothed[:-1] <= 4 * least[:-1]).all()
    assert seen.steepest < 0.5


@pytest.mark.parametrize("breaks", ["loss", "gradient"])
def test_it_stops_where_something_is_not_finite(breaks):
    module, train, _ = bowl()

    def loss(p, y):
        if p.mean() <= 0.5:
            return (p - y).square().mean()
        if breaks == "loss":
            return (p - y).square().mean() + torch.inf   # its gradient is finite
        return (p - y).square().mean() + (p - p.detach()).mean().sqrt()   # √0: its gradient is not

    seen = learning_rate_range_test(module, train, gradient_descent(0.0), 1e-3, 10.0, 50, 8, 0, loss=loss)
    finite = np.isfinite(seen.loss)
    assert len(seen.lr) < 40 and finite[:-1].all() and finite[-1] == (breaks == "gradient")
    stopped_at = len(seen.lr) - (breaks == "loss")   # without a gradient the step was not made
    assert seen.diverged_at == pytest.approx(1e-3 * 1e4 ** (stopped_at / 49)) and seen.steepest in seen.lr[finite]


def test_where_nothing_is_learned_no_rate_is_steepest():
    module, train, _ = bowl()
    seen = learning_rate_range_test(
        module, train, gradient_descent(0.0), 1e-3, 10.0, 20, 8, 0, smoothing=0.0, loss=lambda p, y: 0 * p.mean() + 1,
    )
    assert seen.steepest is None and seen.diverged_at is None and len(seen.loss) == 20


def test_a_loss_below_zero_may_rise_as_far():
    module, train, _ = bowl()
    seen = learning_rate_range_test(
        module, train, gradient_descent(0.0), 1e-3, 100.0, 80, 8, 0, smoothing=0.0,
        loss=lambda p, y: (p - y).square().mean() - 20,
    )
    assert seen.diverged_at > 1 and seen.loss[-1] > 40 and seen.loss[:-1].max() <= 40


def test_everything_is_left_as_it_was_and_a_seed_reproduces():
    module = network().eval()
    module[0].train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    rule, found = adam(0.3), []
    for noise in (0, 1):
        torch.manual_seed(noise)
        state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
        found.append(learning_rate_range_test(module, data(), rule, 1e-4, 10.0, 20, 5, 3))
        assert torch.equal(torch.get_rng_state(), state) and (np.random.get_state()[1] == numpy_state).all()
    assert np.array_equal(found[0].loss, found[1].loss) and rule.lr == 0.3
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert [each.training for each in module.modules()] == [False, True, False, False, False]
    assert all(p.grad is None for p in module.parameters())
    other = learning_rate_range_test(module, data(), rule, 1e-4, 10.0, 20, 5, 4)
    assert not np.array_equal(found[0].loss, other.loss)


def test_the_rates_found_are_those_one_can_train_with():
    module, train, loss = bowl(curvature=4.0)
    seen = learning_rate_range_test(module, train, momentum(0.0, 0.9), 1e-4, 100.0, 200, 8, 0, loss=loss)
    assert 2 * (1 + 0.9) / 4 < seen.diverged_at < 10 and 1e-3 < seen.steepest < 2 * (1 + 0.9) / 4


def test_a_rule_of_ones_own_need_not_be_registered():
    mine = Rule("mine", {"lr": 1.0}, lambda w: {}, lambda g, state, w, lr: (-lr * g, state))
    module, train, loss = bowl()
    theirs, ours = (learning_rate_range_test(module, train, rule, 1e-3, 1.0, 12, 8, 0, loss=loss)
                    for rule in (mine, gradient_descent(1.0)))
    assert np.array_equal(theirs.loss, ours.loss)


OK = {"module": network(), "train": data(), "rule": adam(), "low": 1e-3, "high": 1.0}
OK |= {"steps": 5, "batch_size": 5, "seed": 0}


@pytest.mark.parametrize("change, error, told", [
    ({"module": 3}, TypeError, "module must be a torch.nn.Module"),
    ({"module": nn.Tanh()}, ValueError, "module must have parameters to train"),
    ({"train": data()[0]}, TypeError, "train must be a Split or a pair"),
    ({"rule": "adam"}, TypeError, "rule must be a Rule"),
    ({"rule": adam(constant(0.1))}, ValueError, "rule must have a number as its lr"),
    ({"low": 0.0}, ValueError, "low must be finite and > 0"),
    ({"high": 1e-3}, ValueError, "high must be finite and > 0.001, got 0.001"),
    ({"high": np.inf}, ValueError, "high must be finite"),
    ({"steps": 1}, ValueError, "steps must be at least 2, got 1"),
    ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
    ({"seed": -1}, ValueError, "seed must be at least 0"),
    ({"loss": "mse"}, TypeError, "loss must be a function"),
    ({"smoothing": 1.0}, ValueError, "smoothing must be finite and >= 0 and < 1"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_bad_arguments_are_named(change, error, told):
    with pytest.raises(error) as caught:
        learning_rate_range_test(**{**OK, **change})
    assert told in str(caught.value)

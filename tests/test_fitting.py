"""Fitting a module: the loop one would write, exactly reproducible, with a history one can trust."""

import numpy as np
import pytest
import torch
from torch import nn

from course_lib import load
from course_lib.schedules import cosine_decay
from course_lib.training import Divergence, fit
from course_lib.update_rules import adam, chain, clip_by_global_norm, gradient_descent, momentum, weight_ema

DATA = load("iris")


def network(*layers, seed=0, dtype=torch.float64):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), *layers, nn.Linear(8, 3)).to(dtype)


def weights(module):
    return torch.cat([p.detach().reshape(-1) for p in module.parameters()])


def test_it_is_the_loop_one_would_write():
    module, twin = network(), network()
    history = fit(module, DATA.train, adam(0.02), epochs=3, batch_size=32, seed=5)
    x, y = torch.tensor(DATA.train.x), torch.tensor(DATA.train.y)
    optimizer, rng, losses, lengths = torch.optim.Adam(twin.parameters(), 0.02), np.random.default_rng(5), [], []
    for _ in range(3):
        order = rng.permutation(90)
        for batch in (order[:32], order[32:64], order[64:]):   # the last one is smaller
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(twin(x[batch]), y[batch])
            loss.backward()
            lengths.append(float(nn.utils.get_total_norm([p.grad for p in twin.parameters()])))
            optimizer.step()
            losses.append(loss.item())
    torch.testing.assert_close(weights(module), weights(twin), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-10)
    np.testing.assert_allclose(history.grad_norm, lengths, rtol=1e-10)
    assert (history.lr == 0.02).all() and not len(history.validation_loss)


def test_a_seed_reproduces_exactly_dropout_included():
    ends, histories = [], []
    for seed, noise in ((1, 0), (1, 9), (2, 0)):
        torch.manual_seed(noise)   # what was drawn before makes no difference
        module = network(nn.Dropout(0.3))
        state = torch.random.get_rng_state()
        histories.append(fit(module, DATA.train, adam(), 2, 16, seed))
        assert torch.equal(torch.random.get_rng_state(), state), "the global generator was moved"
        ends.append(weights(module))
    assert torch.equal(ends[0], ends[1]) and np.array_equal(histories[0].loss, histories[1].loss)
    assert not torch.equal(ends[0], ends[2])


def test_validation_is_looked_at_and_not_trained_on():
    with_, without = network(nn.Dropout(0.3)), network(nn.Dropout(0.3))
    history = fit(with_, DATA.train, adam(0.01), 4, 30, 0, validation=DATA.validation)
    fit(without, DATA.train, adam(0.01), 4, 30, 0)
    assert torch.equal(weights(with_), weights(without))
    assert history.validation_loss.shape == history.validation_error.shape == (5,)
    x, y = torch.tensor(DATA.validation.x), torch.tensor(DATA.validation.y)
    for module, index in ((network(nn.Dropout(0.3)), 0), (with_, -1)):
        prediction = module.eval()(x)
        assert history.validation_loss[index] == pytest.approx(nn.functional.cross_entropy(prediction, y).item())
        assert history.validation_error[index] == pytest.approx((prediction.argmax(1) != y).double().mean().item())


def test_modes_are_left_as_they_were():
    module = network(nn.Dropout(0.3)).eval()
    module[0].train()
    fit(module, DATA.train, adam(), 1, 30, 0, validation=DATA.validation)
    assert [each.training for each in module.modules()] == [False, True, False, False, False]


def test_the_rate_of_every_step_is_kept():
    schedule = cosine_decay(0.1, steps=6)
    history = fit(network(), DATA.train, momentum(schedule), 2, 30, 0)
    np.testing.assert_allclose(history.lr, [schedule(step) for step in range(6)])


def test_the_length_of_the_gradient_is_that_before_clipping():
    free = fit(network(), DATA.train, gradient_descent(0.0), 1, 30, 0)
    clipped = fit(network(), DATA.train, chain(clip_by_global_norm(1e-3), gradient_descent(0.0)), 1, 30, 0)
    np.testing.assert_array_equal(free.grad_norm, clipped.grad_norm)
    assert free.grad_norm.min() > 1e-3


def test_a_regression_is_not_broadcast():
    data = load("diabetes")
    module = nn.Linear(10, 1).double()
    history = fit(module, data.train, gradient_descent(0.05), 40, len(data.train), 0, validation=data.validation)
    assert not len(history.validation_error) and history.validation_loss.shape == (41,)
    residual = module(torch.tensor(data.validation.x))[:, 0] - torch.tensor(data.validation.y)
    assert history.validation_loss[-1] == pytest.approx(residual.square().mean().item())
    assert history.loss[-1] < 0.6   # broadcast, [n, 1] − [n] could not fall below the variance, 1
    with pytest.raises(ValueError, match=r"module must predict y's shape \(264,\), got \(264, 2\)"):
        fit(nn.Linear(10, 2).double(), data.train, gradient_descent(0.1), 1, 264, 0)


def test_tensors_pairs_and_a_loss_of_ones_own():
    x, y = torch.linspace(-1, 1, 20)[:, None], torch.linspace(-2, 2, 20)[:, None]
    module = nn.Linear(1, 1)
    history = fit(module, (x, y), gradient_descent(0.1), 200, 5, 0, loss=lambda p, y: (p - y).abs().mean())
    assert abs(module.weight.item() - 2) < 0.05 and history.loss.shape == (800,)


def test_float32_module_takes_float64_data():
    module = network(dtype=torch.float32)
    fit(module, DATA.train, adam(), 1, 30, 0)
    assert module[0].weight.dtype == torch.float32


def test_frozen_parameters_stay():
    module = network()
    module[0].requires_grad_(False)
    before = module[0].weight.clone()
    history = fit(module, DATA.train, adam(), 1, 30, 0)
    assert torch.equal(module[0].weight, before)
    assert [name for name in history.optimizer.param_groups[0]["param_names"]] == ["2.weight", "2.bias"]


def test_the_optimizer_comes_back_with_the_averages():
    module = network()
    history = fit(module, DATA.train, weight_ema(adam(0.01), decay=0.5), 2, 30, 0)
    after = weights(module)
    with history.optimizer.averaged_weights():
        assert not torch.equal(weights(module), after)
    assert torch.equal(weights(module), after)


class Breaking(nn.Module):
    """A layer whose gradient is NaN from its fourth use on."""

    def __init__(self):
        super().__init__()
        self.linear, self.uses = nn.Linear(4, 3).double(), 0

    def forward(self, x):
        self.uses += 1
        return self.linear(x) * (torch.nan if self.uses > 3 else 1)


def test_a_nan_stops_the_fit_and_nothing_is_lost():
    module, three = Breaking(), Breaking()
    three.load_state_dict(module.state_dict())
    with pytest.raises(Divergence, match="diverged at step 4: the gradient of linear.weight must be finite") as caught:
        fit(module, DATA.train, adam(), 2, 30, 0)
    expected = fit(three, DATA.train, adam(), 1, 30, 0)
    assert caught.value.step == 4 and np.array_equal(caught.value.trace.loss, expected.loss)
    assert torch.equal(weights(module), weights(three))


def test_a_nan_may_be_skipped_and_is_counted():
    module = Breaking()
    history = fit(module, DATA.train, adam(), 2, 30, 0, check_finite="skip")
    assert history.optimizer.skipped == 3 and weights(module).isfinite().all() and len(history.loss) == 6


X, Y = np.ones((6, 4)), np.zeros(6, int)
OK = {"module": nn.Linear(4, 3).double(), "train": (X, Y), "rule": adam(), "epochs": 1, "batch_size": 2, "seed": 0}


@pytest.mark.parametrize("change, error, told", [
    ({"module": "net"}, TypeError, "module must be a torch.nn.Module"),
    ({"module": nn.Tanh()}, ValueError, "module must have parameters to train"),
    ({"rule": "adam"}, TypeError, "rule must be a Rule"),
    ({"epochs": 0}, ValueError, "epochs must be at least 1"),
    ({"batch_size": 1.5}, TypeError, "batch_size must be a whole number"),
    ({"seed": -1}, ValueError, "seed must be at least 0"),
    ({"loss": "mse"}, TypeError, "loss must be a function"),
    ({"check_finite": "no"}, ValueError, "check_finite must be one of"),
    ({"train": (X, Y[:5])}, ValueError, "train must hold as many x as y, at least one, got 6 and 5"),
    ({"train": (X[:0], Y[:0])}, ValueError, "train must hold as many x as y, at least one"),
    ({"train": (np.full((6, 4), np.nan), Y)}, ValueError, "train's x must"),
    ({"validation": (X, np.full(6, np.inf))}, ValueError, "validation's y must"),
    ({"train": X}, (TypeError, ValueError), "train must be"),
    ({"train": None}, TypeError, "train must be"),
], ids=str)
def test_bad_arguments_are_named(change, error, told):
    with pytest.raises(error) as caught:
        fit(**{**OK, **change})
    assert told in str(caught.value)

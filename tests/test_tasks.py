"""Tasks: what they draw, what they compute, and that it is what PyTorch computes."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from course_lib import load
from course_lib.training import logistic_task, mlp_task, module_task, quadratic_task


def test_each_seed_has_its_own_split_and_start_and_always_the_same():
    task = mlp_task("iris", hidden=(5, 4))
    first, again, other = task.draw(1), task.draw(1), task.draw(2)
    for part in ("train", "validation", "test"):
        assert all(torch.equal(a, b) for a, b in zip(getattr(first, part), getattr(again, part)))
        assert not torch.equal(getattr(first, part)[0], getattr(other, part)[0])
    assert torch.equal(first.w0, again.w0) and not torch.equal(first.w0, other.w0)
    np.testing.assert_array_equal(first.train[0], load("iris", 1).train.x)
    np.testing.assert_array_equal(first.test[1], load("iris", 1).test.y)
    assert first.w0.shape == ((4 + 1) * 5 + (5 + 1) * 4 + (4 + 1) * 3,)


def test_the_network_is_pytorchs():
    task = mlp_task("iris", hidden=(6,))
    draw = task.draw(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3)).double()
    with torch.no_grad():
        for p, piece in zip(net.parameters(), draw.w0.split([24, 6, 18, 3])):
            p.copy_(piece.view(-1, len(p)).T if p.dim() > 1 else piece)
    x, y = draw.validation
    torch.testing.assert_close(task.loss(draw.w0, x, y), cross_entropy(net(x), y), rtol=1e-12, atol=0)
    assert task.metric(draw.w0, x, y) == (net(x).argmax(1) != y).double().mean()


def test_weights_start_as_pytorchs_do():
    w0 = mlp_task("digits", hidden=(400,)).draw(0).w0
    first, second = w0[: 65 * 400], w0[65 * 400 :]
    assert first.abs().max() <= 1 / 8 and first.std() == pytest.approx(1 / 8 / 3**0.5, rel=0.01)
    assert second.abs().max() <= 1 / 20 and second.std() == pytest.approx(1 / 20 / 3**0.5, rel=0.03)


def test_the_loss_survives_large_outputs():
    task = logistic_task("iris")
    draw = task.draw(0)
    w = (1e6 * torch.randn(15, dtype=torch.float64, generator=torch.manual_seed(0))).requires_grad_()
    loss = task.loss(w, *draw.train)
    loss.backward()
    assert loss.isfinite() and w.grad.isfinite().all()


def test_logistic_regression_starts_at_equal_odds():
    task = logistic_task("breast_cancer", batch_size=None)
    draw = task.draw(0)
    assert task.batch_size is None and draw.w0.shape == (62,) and not draw.w0.any()
    assert task.loss(draw.w0, *draw.train).item() == pytest.approx(np.log(2))


def test_features_are_made_of_the_original_measurements():
    def squares(x):
        return np.hstack([x, x**2])[:, 1:]

    task = logistic_task("iris", batch_size=8, features=squares)
    w = torch.randn(24, dtype=torch.float64, generator=torch.manual_seed(0))
    for seed in (0, 3, 11):   # the same by hand, on scikit-learn's own numbers
        draw, data = task.draw(seed), load("iris", seed, standardize=False)
        assert torch.equal(draw.w0, torch.zeros(24, dtype=torch.float64)) and task.batch_size == 8
        for (x, y), part in zip(draw[1:], (data.train, data.validation, data.test)):
            by_hand = np.concatenate([part.x[:, 1:], part.x * part.x], axis=1)
            np.testing.assert_array_equal(x, by_hand)
            np.testing.assert_array_equal(y, part.y)
            z = torch.tensor(by_hand) @ w[:21].view(7, 3) + w[21:]
            torch.testing.assert_close(task.loss(w, x, y), cross_entropy(z, y), rtol=1e-12, atol=0)
            assert task.metric(w, x, y) == (z.argmax(1) != y).double().mean()


def test_features_of_any_kind_of_number_are_taken():
    for kind in (np.float32, np.int64):
        x, _ = logistic_task("iris", features=lambda x: x.astype(kind)).draw(0).train
        np.testing.assert_array_equal(x, load("iris", 0, standardize=False).train.x.astype(kind))
        assert x.dtype == torch.float64


def test_features_that_differ_from_split_to_split_are_named():
    varying = logistic_task("breast_cancer", features=lambda x: x[:, x.mean(0) > np.median(x)])
    with pytest.raises(ValueError, match=r"features\(x\) must have shape \[\d+, \d+\], got \[\d+, \d+\]"):
        for seed in range(20):
            varying.draw(seed)


def test_a_regression_is_measured_in_units_of_its_variance():
    task = mlp_task("diabetes", hidden=())
    draw = task.draw(0)
    assert task.metric_name == "mean squared error"
    assert task.loss(0 * draw.w0, *draw.train).item() == pytest.approx(1)
    assert task.metric is task.loss


def test_any_module_is_a_task():
    def make(features, outputs):
        return torch.nn.Sequential(
            torch.nn.Unflatten(1, (1, 8, 8)), torch.nn.Conv2d(1, 3, 3), torch.nn.Tanh(),
            torch.nn.Flatten(), torch.nn.Linear(108, outputs),
        )

    task = module_task(make, "digits", name="convolutions")
    draw = task.draw(5)
    net = make(64, 10).double()
    torch.nn.utils.vector_to_parameters(draw.w0.double(), net.parameters())
    x, y = draw.test
    torch.testing.assert_close(task.loss(draw.w0.double(), x, y), cross_entropy(net(x), y))
    ws = torch.stack([draw.w0, 2 * draw.w0]).double()
    together = torch.func.vmap(task.loss, (0, None, None))(ws, x, y)
    torch.testing.assert_close(together, torch.stack([task.loss(w, x, y) for w in ws]))
    assert torch.equal(draw.w0, task.draw(5).w0) and task.name == "convolutions"


def test_drawing_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    module_task(torch.nn.Linear, "iris").draw(3)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_quadratic_has_the_gradient_noise_it_promises():
    task = quadratic_task([0.5, 2.0], noise=0.3)
    draw = task.draw(0)
    w = draw.w0.clone().requires_grad_()
    noise = []
    for row in draw.train[0]:
        (g,) = torch.autograd.grad(task.loss(w, row[None], None), w)
        noise.append(g - torch.tensor([0.5, 2.0]) * w.detach())
    noise = torch.stack(noise)
    assert noise.mean(0).abs().max() < 1e-12 and noise.std(0).sub(0.3).abs().max() < 0.01
    assert task.batch_size == 1 and quadratic_task([1.0]).batch_size is None
    for part in (draw.validation, draw.test):
        assert task.metric(w, *part).item() == pytest.approx((0.25 * w[0] ** 2 + w[1] ** 2).item())


@pytest.mark.parametrize("call, error, told", [
    (lambda: quadratic_task([]), ValueError, "eigenvalues must be a vector"),
    (lambda: quadratic_task([-1.0]), ValueError, "eigenvalues must be a vector of numbers >= 0"),
    (lambda: quadratic_task([[1.0]]), ValueError, "eigenvalues must be a vector"),
    (lambda: quadratic_task([1.0], noise=-1), ValueError, "noise must be"),
    (lambda: mlp_task("mnist"), ValueError, "name must be one of"),
    (lambda: mlp_task("iris", hidden=(0,)), ValueError, "hidden must be at least 1"),
    (lambda: mlp_task("iris", batch_size=0), ValueError, "batch_size must be at least 1"),
    (lambda: logistic_task("diabetes"), ValueError, "dataset must have labels"),
    (lambda: logistic_task("iris", features=3), TypeError, "features must be a function"),
    (lambda: logistic_task("iris", features="log"), TypeError, "features must be a function"),
    (lambda: logistic_task("iris", features=lambda x: x[1:]), ValueError, "must have shape [90, outputs], got [89, 4]"),
    (lambda: logistic_task("iris", features=lambda x: x[:, 0]), ValueError, "must have shape [90, outputs], got [90]"),
    (lambda: logistic_task("iris", features=lambda x: 0.0), ValueError, "must have shape [90, outputs], got []"),
    (lambda: logistic_task("iris", features=lambda x: np.where(x > 5, np.inf, x)), ValueError, "features(x) must be finite"),
    (lambda: logistic_task("iris", features=lambda x: None), TypeError, "features(x) must be an array of real numbers"),
    (lambda: logistic_task("iris", features=lambda x: x, batch_size=0), ValueError, "batch_size must be at least 1"),
    (lambda: logistic_task("diabetes", features=lambda x: x), ValueError, "dataset must have labels"),
    (lambda: module_task(lambda m, n: 3, "iris"), TypeError, "make must return a torch.nn.Module"),
    (lambda: module_task(lambda m, n: torch.nn.BatchNorm1d(m), "iris"), ValueError, "without buffers"),
])
def test_bad_arguments_are_named(call, error, told):
    with pytest.raises(error) as caught:
        call()
    assert told in str(caught.value)

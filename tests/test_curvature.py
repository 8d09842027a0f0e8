"""Sharpness: the eigenvalue of a Hessian that was never formed, against one that was."""

import math

import numpy as np
import pytest
import torch

from course_lib.training import mlp_task, sharpness


def bowl(*curvatures, seed=0):
    """A quadratic with these curvatures, turned at random, and its matrix."""
    Q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(curvatures),) * 2))
    H = torch.tensor(Q @ np.diag(curvatures) @ Q.T)
    return (lambda w: w @ H @ w / 2), H


@pytest.fixture(scope="module")
def network():
    """The loss of a small network, a place, and its whole Hessian there."""
    task = mlp_task("iris", hidden=(5,), batch_size=None)
    draw = task.draw(0)

    def loss(w):
        return task.loss(w, *draw.train)

    return loss, draw.w0, torch.autograd.functional.hessian(loss, draw.w0)


@pytest.mark.parametrize("scaled", [False, True])
def test_it_is_the_largest_eigenvalue_of_the_whole_hessian(network, scaled):
    loss, w, H = network
    scale = torch.linspace(0.1, 3.0, len(w), dtype=w.dtype) if scaled else None
    S = torch.diag(scale) if scaled else torch.eye(len(w), dtype=w.dtype)
    values, vectors = np.linalg.eigh((S @ H @ S).numpy())
    largest = abs(values).argmax()
    value, vector = sharpness(loss, w, steps=2000, scale=scale)
    assert value == pytest.approx(values[largest], rel=1e-9)
    assert abs(vector.numpy() @ vectors[:, largest]) == pytest.approx(1, rel=1e-6)


def test_it_is_approached_from_below_and_goes_on_from_a_vector(network):
    loss, w, H = network
    largest = np.linalg.eigvalsh(H.numpy()).max()
    found = [sharpness(loss, w, steps)[0] for steps in (1, 2, 5, 20, 100)]
    assert found == sorted(found) and found[0] < 0.9 * largest and found[-1] <= largest * (1 + 1e-12)
    v = None
    for _ in range(5):   # five times four steps are twenty
        value, v = sharpness(loss, w, steps=4, start=v)
    assert value == pytest.approx(found[3], rel=1e-9)
    assert sharpness(loss, w, steps=1, start=1e6 * v)[0] == pytest.approx(sharpness(loss, w, steps=1, start=v)[0])


def test_the_first_value_is_that_along_the_start():
    loss, H = bowl(1.0, 4.0, 9.0)
    start = torch.tensor([1.0, -2.0, 2.0], dtype=torch.float64)
    value, vector = sharpness(loss, torch.zeros(3, dtype=torch.float64), steps=1, start=start)
    assert value == pytest.approx((start @ H @ start / 9).item(), rel=1e-12)
    torch.testing.assert_close(vector, H @ start / (H @ start).norm())
    ones, _ = sharpness(loss, start, steps=1)
    assert ones == pytest.approx(H.mean().item() * 3, rel=1e-12)


def test_a_saddle_has_the_sign_of_its_largest_curvature():
    loss, _ = bowl(2.0, -5.0, 1.0)
    assert sharpness(loss, torch.ones(3, dtype=torch.float64), steps=200)[0] == pytest.approx(-5, rel=1e-9)


def test_where_nothing_is_curved_it_is_zero():
    w = torch.arange(3.0)
    for flat in (lambda w: (2 * w).sum(), lambda w: (w**3).sum() * 0, lambda w: (w[0] * 0) ** 2):
        value, vector = sharpness(flat, w)
        assert value == 0 and vector.isfinite().all()
    assert math.isnan(sharpness(lambda w: (w - 5).sqrt().sum(), w)[0])


def test_nothing_passed_in_is_changed_and_the_type_is_kept():
    loss = lambda w: (w**4).sum()   # noqa: E731
    w, scale, start = torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.5]), torch.tensor([3.0, 4.0])
    w.requires_grad_()
    before = [x.detach().clone() for x in (w, scale, start)]
    value, vector = sharpness(loss, w, 50, scale, start)
    assert all(torch.equal(a, b) for a, b in zip((w, scale, start), before)) and w.grad is None
    assert type(value) is float and value == pytest.approx(12)
    assert vector.dtype == torch.float32 and not vector.requires_grad


@pytest.mark.parametrize("change, error, told", [
    ({"w": [1.0, 2.0]}, TypeError, "w must be a tensor"),
    ({"w": torch.ones(2, 2)}, TypeError, "w must be a tensor"),
    ({"w": torch.ones(2, dtype=torch.int64)}, TypeError, "w must be a tensor"),
    ({"steps": 0}, ValueError, "steps must be at least 1"),
    ({"steps": 2.5}, TypeError, "steps must be a whole number"),
    ({"scale": torch.ones(3)}, ValueError, "scale must have the shape of w, [2]"),
    ({"scale": 2.0}, ValueError, "scale must have the shape of w, [2]"),
    ({"start": torch.ones(1)}, ValueError, "start must have the shape of w, [2]"),
    ({"start": torch.zeros(2)}, ValueError, "start must not be zero"),
])
def test_bad_arguments_are_named(change, error, told):
    with pytest.raises(error) as caught:
        sharpness(**{"loss": lambda w: (w**2).sum(), "w": torch.ones(2), **change})
    assert told in str(caught.value)

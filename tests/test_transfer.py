"""Networks, digits, inner loops and meta-gradients: closed forms, runs side by side, and what is refused."""

import numpy as np
import pytest
import torch

from course_lib import adam, compare, gradient_descent, momentum
from course_lib.schedules import polynomial_decay
from course_lib.training.runs import batch_order
from course_lib.transfer import (
    Network, adapt, digit_images, digit_task, first_order_maml, fit_together, maml, meta_train, pooled, reptile, sinusoids,
    stacked,
)

NET = Network(3, 4, 2)
H, C = torch.tensor([[1.0], [10.0]], dtype=torch.float64), torch.tensor([[0.0], [1.0]], dtype=torch.float64)


def bowl(w, h, c):
    return (h * (w - c) ** 2).mean() / 2


# ---- the network

def test_the_network_is_pytorchs():
    layers = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    w = torch.cat([part.reshape(-1) for p in (layers[0], layers[2]) for part in (p.weight.T, p.bias)]).detach()
    x, y = torch.randn(7, 3), torch.tensor([0, 1, 1, 0, 1, 0, 0])
    torch.testing.assert_close(NET.predict(w, x), layers(x))
    torch.testing.assert_close(NET.features(w, x), layers[:2](x))
    torch.testing.assert_close(NET.cross_entropy(w, x, y), torch.nn.functional.cross_entropy(layers(x), y))
    torch.testing.assert_close(NET.squared_error(w, x, x[:, :2]), torch.nn.functional.mse_loss(layers(x), x[:, :2]))
    assert NET.error_rate(w, x, y) == (layers(x).argmax(1) != y).float().mean()
    assert len(w) == NET.D == len(NET.start(0))


def test_a_new_head_leaves_the_body_alone():
    w = NET.with_new_head(torch.zeros(NET.D), 3)
    head = NET.per_layer([0.0, 1.0]) > 0
    assert not w[~head].any() and (w[head] != 0).all() and head.sum() == 10


@pytest.mark.parametrize("widths", [(3,), (3, 0), (3, 2.5), ()])
def test_wrong_widths_are_named(widths):
    with pytest.raises((TypeError, ValueError), match="widths must be"):
        Network(*widths)
    with pytest.raises(ValueError, match="values must be one for each of 2 layers"):
        NET.per_layer([1.0])


# ---- runs

def test_runs_side_by_side_are_those_one_by_one():
    x, y = torch.randn(3, 12, 3), torch.randint(0, 2, (3, 12))
    w0, rule = torch.stack([NET.start(s) for s in range(3)]), adam(polynomial_decay(0.01, 9))
    together = fit_together(NET.cross_entropy, w0, x, y, rule, 9, batch_size=5)
    for i in range(3):
        w, state = w0[i], rule.init(w0[i])
        for rows in batch_order(12, 5, 9, 0):
            g = torch.func.grad(NET.cross_entropy)(w, x[i, rows], y[i, rows])
            delta, state = rule.update(g, state, w)
            w = w + delta
        torch.testing.assert_close(together[i], w)


def test_what_does_not_fit_together_is_named():
    x, y = torch.randn(3, 12, 3), torch.randint(0, 2, (3, 12))
    with pytest.raises(ValueError, match="equally many runs, got 2, 3 and 3"):
        fit_together(NET.cross_entropy, torch.zeros(2, NET.D), x, y, adam(), 1, 5)
    with pytest.raises(TypeError, match="rule must be a Rule"):
        adapt(NET.cross_entropy, torch.zeros(NET.D), 0.1, 1, x[0], y[0])
    with pytest.raises(ValueError, match="steps must be at least 0"):
        adapt(NET.cross_entropy, torch.zeros(NET.D), adam(), -1, x[0], y[0])
    with pytest.raises(ValueError, match="splits must hold"):
        stacked([])


# ---- meta-gradients

@pytest.mark.parametrize("k", [0, 1, 4])
def test_meta_gradients_of_quadratics_in_closed_form(k):
    w, rule = torch.tensor([0.4], dtype=torch.float64), gradient_descent(0.05)
    for h, c in zip(H, C):
        left, task = (1 - 0.05 * h) ** k, ((h, c), (h, c))
        torch.testing.assert_close(pooled(bowl)(w, *task), h * (w - c))
        torch.testing.assert_close(reptile(bowl, rule, k)(w, *task), (1 - left) * (w - c))
        torch.testing.assert_close(first_order_maml(bowl, rule, k)(w, *task), h * left * (w - c))
        torch.testing.assert_close(maml(bowl, rule, k)(w, *task), h * left**2 * (w - c))


@pytest.mark.parametrize("rule", [gradient_descent(0.02), momentum(0.02), adam(0.02)], ids=lambda rule: rule.name)
def test_maml_is_the_derivative_through_the_rule(rule):
    net = Network(1, 5, 1)
    w = net.start(1).double()
    x, y = (part.double() for part in sinusoids(np.random.default_rng(0), 2, points=6))
    task = (x[0], y[0]), (x[1], y[1])
    g = maml(net.squared_error, rule, 3)(w, *task)

    def after(w):
        return net.squared_error(adapt(net.squared_error, w, rule, 3, *task[0]), *task[1])

    v = torch.randn(net.D, dtype=torch.float64)
    numeric = (after(w + 1e-6 * v) - after(w - 1e-6 * v)) / 2e-6
    torch.testing.assert_close(g @ v, numeric, rtol=1e-4, atol=1e-7)


def test_meta_training_takes_the_mean_over_tasks_and_each_run_its_rate():
    w0, lr = torch.zeros(2, 1, dtype=torch.float64), torch.tensor([0.0, 0.1], dtype=torch.float64)
    pair = (torch.stack([H, H]), torch.stack([C, C]))
    w = meta_train(pooled(bowl), w0, lambda t: (pair, pair), gradient_descent(1.0), 1, lr)
    torch.testing.assert_close(w[:, 0], torch.tensor([0.0, 0.1 * 5.0], dtype=torch.float64))
    w = meta_train(pooled(bowl), w0, lambda t: (pair, pair), gradient_descent(0.1), 200)
    torch.testing.assert_close(w, torch.full_like(w, 10 / 11))
    with pytest.raises(ValueError, match="lr must have shape"):
        meta_train(pooled(bowl), w0, lambda t: (pair, pair), gradient_descent(0.1), 1, lr[:1])


# ---- data

def test_sinusoids_are_as_the_paper_says():
    x, y = sinusoids(np.random.default_rng(0), 300, 2, points=50)
    assert x.shape == y.shape == (300, 2, 50, 1) and x.abs().max() <= 5
    basis = torch.cat([x.sin(), x.cos()], -1).double()
    head = torch.linalg.lstsq(basis, y.double()).solution
    assert (basis @ head - y).abs().max() < 1e-5
    size, phase = head.norm(dim=-2), torch.atan2(-head[..., 1, :], head[..., 0, :])
    assert 0.1 <= size.min() and size.max() <= 5 and -1e-5 <= phase.min() and phase.max() <= np.pi + 1e-5
    assert abs(size.mean() - 2.55) < 0.2 and abs(phase.mean() - np.pi / 2) < 0.1


def test_digits_are_chosen_relabelled_and_counted():
    train, validation, test = digit_images([7, 2], seed=1, labels=4)
    assert train[0].shape == (8, 64) and list(train[1]) == [0] * 4 + [1] * 4
    whole = digit_images(list(range(10)), seed=1)
    assert sum(len(y) for _, y in whole) == 1797 and whole[0][0].max() == 1
    sevens = whole[0][0][whole[0][1] == 7]
    np.testing.assert_array_equal(train[0][:4], sevens[:4])


def test_moved_digits_are_the_same_digits_elsewhere():
    still, moved = (digit_images([0, 1], seed=0, canvas=c, copies=3)[0][0] for c in (8, 11))
    moved = moved.reshape(-1, 11, 11)
    np.testing.assert_allclose(moved.sum((1, 2)), still.sum(1), rtol=1e-5)
    n = len(still) // 3
    assert len({moved[i].tobytes() for i in (0, n, 2 * n)}) > 1
    places = {(np.flatnonzero(m.any(1))[0], np.flatnonzero(m.any(0))[0]) for m in moved}
    assert len(places) > 8


def test_a_change_is_applied_to_every_part():
    plain, flipped = (digit_images([3, 4], 0, change=change) for change in (None, lambda x: x[:, ::-1]))
    for (a, _), (b, _) in zip(plain, flipped):
        np.testing.assert_array_equal(a.reshape(-1, 8, 8)[:, ::-1], b.reshape(-1, 8, 8))


def test_a_task_can_be_compared_on():
    net = Network(64, 5)
    task = digit_task(net, net.start, [0, 1, 2, 3, 4], labels=2)
    found = compare({"descent": gradient_descent}, task, [0.1, 1.0], 2, 30)
    assert found["descent"].score.mean < 0.4
    assert len({len(task.draw(s).test[1]) for s in range(4)}) == 1


@pytest.mark.parametrize("options, words", [
    ({"classes": [1]}, "classes must be"), ({"classes": [1, 1]}, "classes must be"), ({"classes": [1, 12]}, "classes must be"),
    ({"canvas": 7}, "canvas must be"), ({"copies": 0}, "copies must be"), ({"labels": 500}, "labels must be at most"),
    ({"labels": 0}, "labels must be"), ({"change": lambda x: x * np.nan}, "must be finite"),
])
def test_wrong_digits_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        digit_images(**{"classes": [0, 1], "seed": 0, **options})

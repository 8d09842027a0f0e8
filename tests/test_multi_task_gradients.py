"""Gradients of all losses of a module: equal to one backward pass each, and the step that is made of them."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from course_lib import TorchOptimizer, adam, gradient_descent, momentum
from course_lib.multi_task import combined_backward, mgda, nash, pcgrad, task_gradients, upgrad, write_gradient


class Model(nn.Module):
    """A trunk and a head for each task."""

    def __init__(self, trunk, width, heads, seed=0):
        super().__init__()
        self.trunk, self.heads = trunk, nn.ModuleList(nn.Linear(width, size) for size in heads)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for w in self.parameters():
                w.copy_(0.5 * torch.randn(w.shape, generator=generator))

    def losses(self, x):
        z = self.trunk(x)
        return z, [head(z).square().mean() for head in self.heads]


def mlp(tasks=3, seed=0):
    return Model(nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.ReLU()), 5, range(1, tasks + 1), seed)


def batch(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def one_by_one(losses, params):
    """T separate backward passes, as one would write them."""
    rows = []
    for loss in losses:
        for w in params:
            w.grad = None
        loss.backward(retain_graph=True)
        rows.append(torch.cat([torch.zeros_like(w).flatten() if w.grad is None else w.grad.flatten() for w in params]))
    for w in params:
        w.grad = None
    return torch.stack(rows)


TRUNKS = {
    "linear": (nn.Sequential(nn.Linear(4, 5)), (7, 4)),
    "convolution": (nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.GELU(), nn.Flatten(), nn.Linear(8, 5)), (6, 1, 4, 4)),
    "layer norm": (nn.Sequential(nn.Linear(4, 5), nn.LayerNorm(5), nn.SiLU(), nn.Dropout(0.5)), (7, 4)),
    "attention": (nn.Sequential(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), nn.Flatten(), nn.Linear(12, 5)), (5, 3, 4)),
}


@pytest.mark.parametrize("trunk, shape", TRUNKS.values(), ids=TRUNKS)
@pytest.mark.parametrize("way", [{}, {"batched": True}, {"batched": False}, "features"], ids=str)
def test_rows_are_those_of_separate_passes(trunk, shape, way):
    model = Model(trunk, 5, [1, 2, 3])
    z, losses = model.losses(batch(*shape))
    shared = list(model.trunk.parameters())
    if way == "features":
        found = task_gradients(losses, shared, features=z)
    else:
        found = task_gradients(losses, model, **way)
        torch.testing.assert_close(found, one_by_one(losses, list(model.parameters())))
        found = task_gradients(losses, model.trunk, **way)
    assert all(w.grad is None for w in shared), "gradients are returned, not left behind"
    assert found.shape == (3, sum(w.numel() for w in shared)) and not found.requires_grad
    torch.testing.assert_close(found, one_by_one(losses, shared))


@given(st.integers(1, 5), st.integers(0, 999), st.booleans())
@settings(max_examples=30)
def test_any_number_of_tasks_and_any_form_of_losses(tasks, seed, together):
    model = mlp(tasks, seed)
    z, losses = model.losses(batch(3, 4))
    params = list(model.parameters())
    found = task_gradients(torch.stack(losses) if together else losses, params)
    torch.testing.assert_close(found, one_by_one(losses, params))
    torch.testing.assert_close(task_gradients(losses, model.trunk, features=[z]), found[:, : 30 + 35])


class Squared(torch.autograd.Function):
    """x², with a backward that no batch of rows can go through."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        x, = ctx.saved_tensors
        return 2 * g * x * float((g * 0 + 1).sum() / g.numel())


def test_where_a_batched_pass_is_not_possible_the_passes_come_in_turn():
    model = mlp()
    losses = [Squared.apply(head(model.trunk(batch(5, 4)))).mean() for head in model.heads]
    expected = one_by_one(losses, list(model.parameters()))
    torch.testing.assert_close(task_gradients(losses, model), expected)
    with pytest.raises(RuntimeError, match="vmap"):
        task_gradients(losses, model, batched=True)


def test_sparse_gradients_and_slow_operations_come_out_dense_and_without_a_warning():
    table = nn.Embedding(6, 3, sparse=True)
    losses = [table(torch.tensor([0, 2])).square().sum(), table(torch.tensor([5])).sum()]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = task_gradients(losses, table)
    expected = torch.zeros(2, 6, 3)
    expected[0, [0, 2]] = 2 * table.weight.detach()[[0, 2]]
    expected[1, 5] = 1
    torch.testing.assert_close(found, expected.view(2, -1))


def test_what_a_loss_does_not_depend_on_has_zeros():
    a, b = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    for way in (None, True, False):
        found = task_gradients([a.sum(), (2 * b).sum()], [a, b], batched=way)
        assert found.tolist() == [[1, 1, 0, 0, 0], [0, 0, 2, 2, 2]]


@pytest.mark.parametrize("way", [{}, {"batched": False}, "features"], ids=str)
def test_the_matrix_of_the_last_step_is_written_into(way, monkeypatch):
    monkeypatch.setattr("course_lib.multi_task.jacobians.ON_CPU", 2 * 65)    # two losses at a time, then one
    model = mlp()
    z, losses = model.losses(batch(5, 4))
    out = torch.full((3, 65), torch.nan)
    found = task_gradients(losses, model.trunk, out=out, **({"features": z} if way == "features" else way))
    assert found.data_ptr() == out.data_ptr()
    torch.testing.assert_close(out, one_by_one(losses, list(model.trunk.parameters())))
    for bad in (torch.empty(3, 64), torch.empty(3, 65, dtype=torch.float64), np.empty((3, 65), np.float32)):
        with pytest.raises(ValueError, match=r"out must be a tensor \[3, 65\] of torch.float32 on cpu"):
            task_gradients(losses, model.trunk, out=bad)


def test_frozen_parameters_of_a_module_are_left_out():
    model = mlp()
    model.trunk[0].weight.requires_grad_(False)
    _, losses = model.losses(batch(5, 4))
    assert task_gradients(losses, model.trunk).shape == (3, 6 + 35)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_dtype_is_kept(dtype):
    model = mlp().to(dtype)
    _, losses = model.losses(batch(5, 4).to(dtype))
    found = task_gradients(losses, model)
    assert found.dtype == dtype and mgda(found).dtype == dtype
    write_gradient(mgda(found), model)
    assert model.trunk[0].weight.grad.dtype == dtype


# ---- the step

@pytest.mark.parametrize("features", [False, True])
def test_the_sum_as_a_combiner_is_backward_of_the_sum(features):
    model, twin = mlp(), mlp()
    z, losses = model.losses(batch(5, 4))
    G = combined_backward(losses, lambda G: G.sum(0), model.trunk, model.heads, features=z if features else None)
    sum(twin.losses(batch(5, 4))[1]).backward()
    assert G.shape == (3, 65)
    for w, v in zip(model.parameters(), twin.parameters()):
        torch.testing.assert_close(w.grad, v.grad)


@pytest.mark.parametrize("rule", [gradient_descent(0.1), momentum(0.1), adam(0.1)], ids=lambda rule: rule.name)
@pytest.mark.parametrize("compiled", [False, True])
def test_the_step_is_that_of_any_rule(rule, compiled, untraced):
    """Three steps, against the rule itself on the flat vector of the trunk."""
    model = mlp()
    optimizer = TorchOptimizer(model.parameters(), rule, compiled=compiled)
    trunk, heads = list(model.trunk.parameters()), list(model.heads.parameters())
    w = torch.cat([each.detach().flatten().clone() for each in trunk])
    state, x = rule.init(w), batch(5, 4)
    for _ in range(3):
        optimizer.zero_grad()
        z, losses = model.losses(x)
        G = combined_backward(losses, nash, trunk, heads)
        optimizer.step()
        delta, state = rule.update(nash(G), state, w)
        w = w + delta
        torch.testing.assert_close(torch.cat([each.detach().flatten() for each in trunk]), w)


def test_a_small_step_lowers_every_loss_where_the_plain_sum_does_not():
    x = torch.tensor([1.0, 1.0], dtype=torch.float64, requires_grad=True)

    def losses():
        return [50 * (x[0] - 1.2).square() + x[1].square(), (x[0] + 1).square() + 0.1 * x[1].square()]

    before = [loss.item() for loss in losses()]
    start = x.detach().clone()

    def after(combiner):
        with torch.no_grad():
            x.copy_(start)
        combined_backward(losses(), combiner, [x])
        gradient_descended = start - 1e-3 * x.grad / x.grad.norm()
        with torch.no_grad():
            x.copy_(gradient_descended)
        return [loss.item() < old for loss, old in zip(losses(), before)]

    for combiner in (mgda, nash, upgrad, lambda G: pcgrad(G, np.random.default_rng(0))):
        assert after(combiner) == [True, True]
    assert after(lambda G: G.sum(0)) == [True, False]


def test_a_gradient_is_overwritten_in_place():
    layer = nn.Linear(2, 1)
    write_gradient(torch.tensor([1.0, 2.0, 3.0]), layer)
    held = layer.weight.grad
    d = torch.tensor([4.0, 5.0, 6.0], dtype=torch.float64)
    write_gradient(d, layer.parameters())
    assert layer.weight.grad is held and held.tolist() == [[4.0, 5.0]] and layer.bias.grad.tolist() == [6.0]
    d += 1
    assert held.tolist() == [[4.0, 5.0]]


# ---- errors

def test_bad_arguments_are_named():
    model = mlp()
    _, losses = model.losses(batch(5, 4))
    for bad in ([], [1.0, 2.0], [torch.ones(2, requires_grad=True)], [torch.ones(())]):
        with pytest.raises(ValueError, match="losses must be 0-d tensors with a graph"):
            task_gradients(bad, model)
    for bad in ([], [torch.ones(2)], [1.0], nn.ReLU()):
        with pytest.raises(ValueError, match="params must be a module or tensors that require a gradient"):
            task_gradients(losses, bad)
    with pytest.raises(ValueError, match="batched must be one of"):
        task_gradients(losses, model, batched="yes")
    for bad in (torch.ones(3), np.ones(65), torch.ones(1, 65)):
        with pytest.raises(ValueError, match=r"d must be a tensor \[65\]"):
            write_gradient(bad, model.trunk)
    with pytest.raises(ValueError, match="heads must be a module or tensors"):
        combined_backward(losses, mgda, model.trunk, [1.0])

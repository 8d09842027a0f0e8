"""What is done to a gradient before a rule sees it: clipping and decay, against PyTorch and their own laws."""

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.update_rules import add_decayed_weights, chain, clip_by_global_norm, gradient_descent

vectors = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=8).map(np.array)
bounds = st.floats(1e-3, 1e3)


def clipped(g, max_norm):
    return clip_by_global_norm(max_norm).update(g, {}, g)[0]


def norm(g):
    return np.linalg.norm(np.asarray(g.double() if isinstance(g, torch.Tensor) else g).astype(np.float64).ravel())


@given(vectors, bounds)
def test_clipping_never_lengthens_and_keeps_the_direction(g, max_norm):
    short = clipped(g, max_norm)
    assert norm(short) <= min(norm(g), max_norm * (1 + 1e-14))
    np.testing.assert_allclose(short * norm(g), g * norm(short), rtol=1e-12, atol=1e-250)
    assert norm(short) == pytest.approx(min(norm(g), max_norm), rel=1e-12, abs=1e-150)


@given(vectors, bounds)
def test_clipping_twice_is_clipping_once(g, max_norm):
    once = clipped(g, max_norm)
    np.testing.assert_allclose(clipped(once, max_norm), once, rtol=1e-14)


@given(st.floats(1e-3, 1e3), st.integers(0, 99))
def test_gradient_within_the_bound_is_unchanged_exactly(share, seed):
    g = np.random.default_rng(seed).standard_normal(5)
    for dtype in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16):
        narrow = g.astype(dtype)
        max_norm = norm(narrow) * (1 + 1e-3 + share)
        np.testing.assert_array_equal(clipped(narrow, max_norm), narrow)
        tensor = torch.tensor(narrow.astype(np.float64)).to(getattr(torch, np.dtype(dtype).name))
        assert torch.equal(clipped(tensor, max_norm), tensor)


@given(vectors, bounds)
def test_clipping_equals_torch_to_its_1e_6(g, max_norm):
    twin = torch.nn.Parameter(torch.zeros(len(g), dtype=torch.float64))
    twin.grad = torch.tensor(g.copy())
    torch.nn.utils.clip_grad_norm_(twin, max_norm)
    # torch divides by ‖g‖ + 1e-6: at most that much shorter.
    assert norm(clipped(g, max_norm) - twin.grad.numpy()) <= 1.01e-6


@pytest.mark.parametrize("framework", ["numpy", "torch"])
@pytest.mark.parametrize("dtype, scale, max_norm", [
    ("float32", 1e20, 1.0), ("float32", 1e37, 1.0), ("float32", 1e-30, 1e-32), ("float64", 1e100, 1.0),
    ("float16", 6e4, 1.0), ("float16", 6e4, 100.0), ("float16", 1e-4, 1e-5), ("bfloat16", 1e30, 1.0),
])
def test_huge_and_tiny_gradients_keep_their_direction(framework, dtype, scale, max_norm):
    direction = np.linspace(-1, 1, 400)
    g = (scale * direction).astype(getattr(ml_dtypes, dtype, None) or dtype)
    exact = g.astype(np.float64)
    exact *= max_norm / np.linalg.norm(exact)
    if framework == "torch":
        g = torch.tensor(g.astype(np.float64)).to(getattr(torch, dtype))
    short = clipped(g, max_norm)
    assert short.dtype == g.dtype
    found = np.asarray(short.double() if framework == "torch" else short).astype(np.float64)
    relative, absolute = {"float16": (2**-10, 6e-8), "bfloat16": (2**-8, 0)}.get(dtype, (1e-6, 0))
    np.testing.assert_allclose(found, exact, rtol=relative, atol=absolute)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_zero_gradient_stays_zero(dtype):
    zero = np.zeros(3, dtype)
    np.testing.assert_array_equal(clipped(zero, 1.0), zero)
    tensor = torch.tensor(zero).double().requires_grad_()
    clipped(tensor, 1.0).sum().backward()
    assert tensor.grad.tolist() == [1, 1, 1]   # within the bound clipping is the identity


def test_the_norm_is_over_the_whole_model():
    g = np.array([[3.0, 0.0], [0.0, 4.0]])
    np.testing.assert_allclose(clipped(g, 1.0), g / 5, rtol=1e-15)


def test_gradient_that_is_not_finite_is_not_hidden():
    assert np.isnan(clipped(np.array([np.nan, 1.0]), 1.0)).all()


@given(vectors, vectors, st.floats(0, 2, width=16), st.floats(0, 2, width=16))
@settings(max_examples=40)
def test_decay_equals_torch(start, g, decay, lr):
    n = min(len(start), len(g))
    w, g = start[:n], g[:n]
    twin = torch.nn.Parameter(torch.tensor(w.copy()))
    optimizer = torch.optim.SGD([twin], lr=lr, weight_decay=decay)
    rule = chain(add_decayed_weights(decay), gradient_descent(lr))
    state = rule.init(w)
    for _ in range(3):
        twin.grad = torch.tensor(g.copy())
        optimizer.step()
        delta, state = rule.update(g, state, w)
        w = w + delta
    np.testing.assert_allclose(w, twin.detach().numpy(), rtol=1e-12, atol=1e-9)


def test_decay_is_the_gradient_of_half_lambda_w_squared():
    w = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64, requires_grad=True)
    (0.7 / 2 * (w * w).sum()).backward()
    changed, _ = add_decayed_weights(0.7).update(torch.zeros_like(w), {}, w.detach())
    torch.testing.assert_close(changed, w.grad)


@pytest.mark.parametrize("make, bad", [
    (clip_by_global_norm, 0), (clip_by_global_norm, -1.0), (clip_by_global_norm, np.inf), (add_decayed_weights, -0.1),
])
def test_setting_out_of_range_is_named(make, bad):
    with pytest.raises(ValueError) as caught:
        make(bad)
    said = str(caught.value)
    assert ("max_norm" if make is clip_by_global_norm else "weight_decay") in said
    assert "must be finite and >" in said and f"got {bad!r}" in said


def test_settings_at_the_edge_are_allowed():
    w = np.array([1.0])
    assert add_decayed_weights(0).update(w, {}, 5 * w)[0] == 1.0
    assert clipped(w, 1e-300) == 1e-300

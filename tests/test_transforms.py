"""What is done to a gradient before a rule sees it: clipping and decay, against PyTorch and their own laws."""

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.update_rules import (
    adamw, add_decayed_weights, chain, clip_by_global_norm, gradient_descent, lion, matrices_only,
)

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


# ---- masks

W = np.array([[1.0, -2.0, 4.0], [3.0, 5.0, -6.0]])
MASK = np.array([1, 0, 1])
DECAYING = {
    "add_decayed_weights": lambda mask: chain(add_decayed_weights(0.5, mask), gradient_descent(0.5)),
    "adamw": lambda mask: adamw(0.5, weight_decay=0.5, mask=mask),
    "lion": lambda mask: lion(0.5, weight_decay=0.5, mask=mask),
}
every_decay = pytest.mark.parametrize("make", DECAYING.values(), ids=DECAYING)


def decay(rule, w):
    """Return what a rule adds to w where there is no gradient."""
    delta, _ = rule.update(0 * w, rule.init(w), w)
    return np.asarray(delta)


MASKS = {
    "none": (None, 1), "numbers": (MASK, MASK), "booleans": (MASK.astype(bool), MASK),
    "float32": (MASK.astype(np.float32), MASK), "list": ([1, 0, 1], MASK), "row": (MASK[None], MASK),
    "column": ([[True], [False]], [[1], [0]]), "0-d": (np.array(0), 0), "true": (True, 1), "zero": (0.0, 0),
    "matrices_only": (matrices_only, 1), "where": (lambda w: w > 0, W > 0), "ones": (lambda w: np.ones(3), 1),
    "never": (lambda w: False, 0), "never in numpy": (lambda w: np.bool_(False), 0), "if": (lambda w: w.ndim == 2, 1),
}


@every_decay
@pytest.mark.parametrize("mask, kept", MASKS.values(), ids=MASKS)
def test_decay_goes_where_the_mask_is_1(make, mask, kept):
    np.testing.assert_array_equal(decay(make(mask), W), -0.25 * np.asarray(kept) * W)
    tensor = decay(make(mask), torch.tensor(W, dtype=torch.float32))
    assert tensor.dtype == np.float32
    np.testing.assert_array_equal(tensor, -0.25 * np.asarray(kept) * W)


@every_decay
@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float16, torch.float64])
def test_mask_may_be_a_tensor(make, dtype):
    mask, w = torch.tensor(MASK).to(dtype), torch.tensor(W, dtype=torch.float32)
    delta = decay(make(mask), w)
    assert delta.dtype == np.float32
    np.testing.assert_array_equal(delta, -0.25 * MASK * W)


@every_decay
def test_mask_beside_tensorflow(make):
    tf = pytest.importorskip("tensorflow")
    for mask in (MASK, tf.constant(MASK), tf.constant(MASK > 0), lambda w: w[0] != -2):
        np.testing.assert_array_equal(decay(make(mask), tf.constant(W)), -0.25 * MASK * W)


@every_decay
def test_mask_is_kept_as_it_was(make):
    mask = np.array([1, 0, 1])
    rule = make(mask)
    mask[:] = 0
    np.testing.assert_array_equal(decay(rule, W), -0.25 * MASK * W)
    frozen = np.broadcast_to(MASK, W.shape)
    for mask in (frozen, lambda w: frozen):
        np.testing.assert_array_equal(decay(make(mask), torch.tensor(W)), -0.25 * MASK * W)


@every_decay
def test_mask_under_vmap_and_compile(make):
    w, rule = torch.tensor(np.stack([W, 2 * W])), make(MASK)
    batched = torch.func.vmap(lambda w: rule.update(0 * w, rule.init(w), w)[0])(w)
    np.testing.assert_array_equal(batched, -0.25 * MASK * np.stack([W, 2 * W]))
    compiled = torch.compile(rule.update, fullgraph=True, backend="eager")
    np.testing.assert_array_equal(compiled(0 * w[0], rule.init(w[0]), w[0])[0], -0.25 * MASK * W)


def test_matrices_and_filters_decay_and_vectors_do_not():
    rule = DECAYING["adamw"](matrices_only)
    for shape, factor in (((), 0), ((3,), 0), ((2, 3), 1), ((2, 3, 1, 1), 1)):
        np.testing.assert_array_equal(decay(rule, np.ones(shape)), -0.25 * factor * np.ones(shape))


@every_decay
@pytest.mark.parametrize("shape", [(2,), (4,), (3, 3), (2, 1, 3), (2, 3, 1)], ids=str)
def test_mask_that_does_not_fit_is_named(make, shape):
    for mask in (np.ones(shape), torch.ones(shape), lambda w: np.ones(shape), lambda w: torch.ones(shape)):
        w = W if not isinstance(mask, torch.Tensor) else torch.tensor(W)
        with pytest.raises(ValueError) as caught:
            decay(make(mask), w)
        assert str(caught.value) == f"mask must broadcast to w's shape (2, 3), got shape {shape}"


@every_decay
@pytest.mark.parametrize("bad", [2, -1, [1, 2], [0.5], np.array([np.nan]), "matrices", [None], {}], ids=repr)
def test_what_is_no_mask_is_refused(make, bad):
    with pytest.raises((TypeError, ValueError), match="mask must be an array of 0 and 1, or a function of w, got"):
        make(bad)

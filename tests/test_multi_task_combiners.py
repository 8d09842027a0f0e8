"""Combiners of gradients: closed forms, conditions of optimality, laws of scale and order, and degenerate gradients."""

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from course_lib.multi_task import (
    cagrad, cagrad_weights, combine, gramian, mgda, mgda_weights, nash, nash_weights, pcgrad, pcgrad_weights, upgrad,
    upgrad_weights,
)


def pcgrad_seeded(G):
    return pcgrad(G, np.random.default_rng(0))


COMBINERS = {"mgda": mgda, "pcgrad": pcgrad_seeded, "cagrad": cagrad, "nash": nash, "upgrad": upgrad}
WEIGHTS = {
    "mgda": mgda_weights, "pcgrad": lambda M: pcgrad_weights(M, np.random.default_rng(0)), "cagrad": cagrad_weights,
    "nash": nash_weights, "upgrad": upgrad_weights,
}
SYMMETRIC = [mgda, cagrad, nash, upgrad]   # pcgrad is so in distribution only
every_combiner = pytest.mark.parametrize("combiner", COMBINERS.values(), ids=COMBINERS)
every_symmetric = pytest.mark.parametrize("combiner", SYMMETRIC, ids=lambda combiner: combiner.__name__)
EXAMPLE = np.array([[1.0, 0.0], [-0.5, 1.0]])

shapes = st.tuples(st.integers(1, 8), st.integers(1, 8))
whole = shapes.flatmap(lambda shape: arrays(float, shape, elements=st.integers(-3, 3).map(float)))
drawn = st.builds(lambda shape, seed: np.random.default_rng(seed).standard_normal(shape), shapes, st.integers(0, 9999))
gradients = st.one_of(whole, drawn)
wild = st.builds(
    lambda G, powers: G * 10.0 ** np.array(powers[: len(G)])[:, None],
    gradients, st.lists(st.floats(-12, 12), min_size=8, max_size=8))
pairs = st.builds(lambda D, seed: np.random.default_rng(seed).standard_normal((2, D)),
                  st.integers(2, 6), st.integers(0, 9999))


def norms(G):
    return np.linalg.norm(G, axis=1)


def in_hull(G):
    """Say whether the hull of the rows holds 0, as far as float64 can tell."""
    return np.linalg.norm(mgda(G)) <= 1e-7 * norms(G).min()


# ---- two tasks, by hand

def test_the_example_of_the_book():
    np.testing.assert_allclose(mgda_weights(gramian(EXAMPLE)), [7 / 13, 6 / 13], rtol=0, atol=1e-12)
    assert mgda(EXAMPLE) @ mgda(EXAMPLE) == pytest.approx(4 / 13, abs=1e-12)
    for losses in ([[1], [1]], [[100], [1]], [[1], [100]]):
        d = nash(losses * EXAMPLE)
        np.testing.assert_allclose(d / np.linalg.norm(d), [0.5257, 0.8507], atol=5e-5)


@given(pairs)
def test_mgda_of_two_tasks(G):
    g1, g2 = G
    gamma = np.clip((g2 - g1) @ g2 / ((g1 - g2) @ (g1 - g2)), 0, 1)
    d = mgda(G)
    np.testing.assert_allclose(mgda_weights(gramian(G)), [gamma, 1 - gamma], rtol=0, atol=1e-10)
    if 0.001 < gamma < 0.999:
        np.testing.assert_allclose([d @ g1, d @ g2], d @ d, rtol=0, atol=1e-12 * max(norms(G)) ** 2)


@given(pairs)
def test_pcgrad_and_upgrad_of_two_tasks(G):
    g1, g2 = G
    product = min(g1 @ g2, 0)
    expected = (1 - product / (g1 @ g1)) * g1 + (1 - product / (g2 @ g2)) * g2
    np.testing.assert_allclose(pcgrad_seeded(G), expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(2 * upgrad(G), expected, rtol=1e-7, atol=1e-7)


@given(pairs)
def test_nash_of_two_tasks_is_along_the_bisector(G):
    u1, u2 = G / norms(G)[:, None]
    if u1 @ u2 > -0.999:
        np.testing.assert_allclose(nash(G), (u1 + u2) / np.sqrt(1 + u1 @ u2), rtol=1e-7, atol=1e-7)


@given(pairs, st.floats(0, 2))
def test_cagrad_of_two_tasks_by_a_fine_search(G, c):
    mean, gamma = G.mean(0), np.linspace(0, 1, 20001)[:, None]
    radius, v = c * np.linalg.norm(mean), gamma * G[0] + (1 - gamma) * G[1]
    value = (v @ mean + radius * norms(v)).min()
    d = cagrad(G, c)
    assert np.linalg.norm(d - mean) == pytest.approx(radius, rel=1e-9, abs=1e-12)
    assert (G @ d).min() == pytest.approx(value, rel=1e-5, abs=1e-5)


# ---- any number of tasks

@given(wild)
@example(np.zeros((3, 2)))
@example(np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]]))
def test_mgda_is_the_shortest_of_the_hull(G):
    w, d = mgda_weights(gramian(G)), mgda(G)
    assert w.min() >= 0 and w.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(w @ G, d, rtol=1e-9, atol=1e-12 * norms(G).min())
    # Optimal, and so non-conflicting: no row is nearer to 0 along d than d itself.
    assert np.all(G @ d >= d @ d - 1e-7 * norms(G).min() * norms(G))


@given(gradients)
def test_mgda_beats_a_search_to_1e_6(G):
    """Frank and Wolfe's steps from the best corner never get below it."""
    w = np.eye(len(G))[norms(G).argmin()]
    for _ in range(200):
        corner = np.eye(len(G))[(G @ (w @ G)).argmin()] - w
        length = (corner @ G) @ (corner @ G)
        w = w + np.clip(-(corner @ G) @ (w @ G) / length if length else 0, 0, 1) * corner
    assert np.linalg.norm(mgda(G)) <= np.linalg.norm(w @ G) + 1e-6


@given(wild)
def test_upgrad_hurts_no_task_and_is_a_mean_of_projections(G):
    d, w = upgrad(G), upgrad_weights(gramian(G))
    assert np.all(G @ d >= -1e-7 * norms(G) * norms(G).max())
    assert np.all(w[norms(G) > 0] >= 1 / len(G) * (1 - 1e-12))


@given(drawn, st.integers(0, 9999))
def test_parts_of_upgrad_are_nearer_than_any_other_harmless_direction(G, seed):
    parts = [len(G) * upgrad(np.where(np.arange(len(G))[:, None] == i, 1, 1e-9) * G) for i in range(len(G))]
    rng = np.random.default_rng(seed)
    others = [s * mgda(G) + 0.1 * rng.standard_normal(G.shape[1]) for s in (0, 0.5, 1, 2, 4)]
    for g, part in zip(G, parts):
        for v in others:
            if np.all(G @ v >= 0):
                assert np.linalg.norm(part - g) <= np.linalg.norm(v - g) + 1e-6


@given(gradients)
def test_a_mean_that_hurts_nobody_is_kept_by_upgrad_and_pcgrad(G):
    if (G @ G.T >= 0).all():
        np.testing.assert_allclose(upgrad(G), G.mean(0), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(pcgrad_seeded(G), G.sum(0), rtol=1e-9, atol=1e-9)


@given(wild)
def test_nash_is_agreed_on_or_zero(G):
    alpha, d = nash_weights(gramian(G)), nash(G)
    if not alpha.any():
        assert not d.any() and (not norms(G).all() or in_hull(G / norms(G)[:, None]))
    else:
        assert alpha.min() > 0
        np.testing.assert_allclose(alpha * (G @ (alpha @ G)), 1, rtol=0, atol=1e-6)
        assert np.linalg.norm(d) == pytest.approx(np.sqrt(len(G)), rel=1e-6)
        assert np.all(G @ d > 0)


@given(drawn, st.integers(0, 9999))
def test_nash_has_the_greatest_product_of_gains(G, seed):
    d = nash(G)
    if d.any() and (G @ d > 1e-3 * norms(G)).all():
        near = d + 0.1 * np.random.default_rng(seed).standard_normal((20, len(d)))
        near *= np.linalg.norm(d) / norms(near)[:, None]
        gains = near @ G.T
        gains = gains[(gains > 0).all(1)]
        assert (np.log(gains).sum(1) <= np.log(G @ d).sum() + 1e-9).all()


@given(wild, st.floats(0, 3))
def test_cagrad_is_within_its_ball_and_no_other_value_is_better(G, c):
    """The dual problem bounds what any direction in the ball could give its worst task."""
    mean, longest = G.mean(0), norms(G).max()
    radius, d = c * np.linalg.norm(mean), cagrad(G, c)
    assert np.linalg.norm(d - mean) <= radius * (1 + 1e-9) + 1e-13 * longest
    assert (G @ d).min() >= (G @ mean).min() - 1e-9 * longest * np.linalg.norm(mean)
    alpha = cagrad_weights(gramian(G), c) - 1 / len(G)
    assert alpha.min() >= -1e-12 * max(1, alpha.max())
    bound = np.inf if alpha.sum() <= 0 else (
        alpha @ G @ mean + radius * np.linalg.norm(alpha @ G)) / alpha.sum()
    if longest and in_hull(G):
        bound = min(bound, 0.0)
    if radius > 1e-13 * longest and np.isfinite(bound):
        assert (G @ d).min() >= bound - 1e-8 * (1 + c) * longest * np.linalg.norm(mean)


@given(gradients)
def test_cagrad_goes_from_the_mean_to_mgda(G):
    np.testing.assert_allclose(cagrad(G, c=0), G.mean(0), rtol=1e-12, atol=1e-12)
    d, shortest = cagrad(G, c=1e6), mgda(G)
    if np.linalg.norm(shortest) > 1e-2 and np.linalg.norm(G.mean(0)) > 1e-2:
        np.testing.assert_allclose(d / np.linalg.norm(d), shortest / np.linalg.norm(shortest), rtol=0, atol=1e-3)


def test_pcgrad_follows_the_paper_and_conflicts_with_three_tasks():
    """Algorithm 1 on the vectors themselves, in the order that the same generator draws."""
    worst = 0.0
    for seed in range(200):
        G = np.random.default_rng(seed).standard_normal((4, 3))
        rng, total = np.random.default_rng(seed), 0
        for i, g in enumerate(G):
            v = g.copy()
            for j in rng.permutation(4):
                if j != i and v @ G[j] < 0:
                    v -= (v @ G[j]) / (G[j] @ G[j]) * G[j]
            total = total + v
        d = pcgrad(G, np.random.default_rng(seed))
        np.testing.assert_allclose(d, total, rtol=1e-10, atol=1e-12)
        worst = min(worst, (G @ d).min())
    assert worst < -0.1


# ---- laws

@every_symmetric
@given(gradients, st.randoms(use_true_random=False))
def test_the_order_of_the_tasks_does_not_matter(combiner, G, random):
    order = random.sample(range(len(G)), len(G))
    np.testing.assert_allclose(combiner(G[order]), combiner(G), rtol=1e-5, atol=1e-6)


def test_the_order_of_the_tasks_does_not_matter_to_pcgrad_in_distribution():
    G = np.random.default_rng(3).standard_normal((3, 2)) + [[2, 0], [-1, 1], [-1, -1]]
    rng = np.random.default_rng(0)
    one, other = [np.array([pcgrad(rows, rng) for _ in range(4000)]) for rows in (G, G[[2, 0, 1]])]
    error = np.sqrt((one.var(0) + other.var(0)) / 4000)
    assert one.std() > 0.1 and np.all(np.abs(one.mean(0) - other.mean(0)) <= 4 * error + 1e-12)


@every_combiner
@given(gradients, st.integers(-12, 12))
def test_all_gradients_longer(combiner, G, power):
    factor = 1.0 if combiner is nash else 2.0**power
    np.testing.assert_allclose(combiner(2.0**power * G), factor * combiner(G), rtol=1e-6, atol=1e-6 * factor)


@given(drawn, st.lists(st.floats(-6, 6), min_size=8, max_size=8))
def test_nash_does_not_see_the_unit_of_a_loss(G, powers):
    scale = 10.0 ** np.array(powers[: len(G)])[:, None]
    unit = G / norms(G)[:, None]
    if np.linalg.norm(mgda(unit)) > 1e-3:
        np.testing.assert_allclose(nash(scale * G), nash(G), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("combiner", [upgrad, pcgrad_seeded])
@given(drawn, st.lists(st.floats(0.01, 100), min_size=16, max_size=16))
def test_what_is_linear_in_the_lengths(combiner, G, lengths):
    a, b = np.array(lengths[:8])[: len(G), None], np.array(lengths[8:])[: len(G), None]
    np.testing.assert_allclose(combiner((a + b) * G), combiner(a * G) + combiner(b * G), rtol=1e-6, atol=1e-5)


@every_combiner
@given(drawn, st.integers(0, 9999))
def test_a_rotation_of_the_parameters_rotates_the_direction(combiner, G, seed):
    Q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((G.shape[1], G.shape[1])))
    np.testing.assert_allclose(combiner(G @ Q), combiner(G) @ Q, rtol=1e-5, atol=1e-5)


# ---- degenerate gradients

ONE = np.array([[3.0, -4.0]])
EXPECTED = {   # mgda, pcgrad, cagrad, nash, upgrad
    "one task": (ONE, [3, -4], [3, -4], [4.5, -6], [0.6, -0.8], [3, -4]),
    "identical": (np.repeat(ONE, 3, 0), [3, -4], [9, -12], [4.5, -6], np.sqrt(3) * ONE[0] / 5, [3, -4]),
    "opposite": (np.array([[1.0, 0], [-1, 0]]), *[[0, 0]] * 5),
    "opposite, one longer": (np.array([[1.0, 0], [-2, 0]]), [0, 0], [0, 0], [-0.25, 0], [0, 0], [0, 0]),
    "one is zero": (np.array([[0.0, 0], [2, 0]]), [0, 0], [2, 0], [1, 0], [0, 0], [1, 0]),
    "all are zero": (np.zeros((3, 2)), *[[0, 0]] * 5),
    "collinear": (np.array([[1.0, 0], [4, 0]]), [1, 0], [5, 0], [3.75, 0], [np.sqrt(2), 0], [2.5, 0]),
    "more tasks than parameters": (
        np.array([[1.0], [2], [3]]), [1], [6], [3], [np.sqrt(3)], [2]),
    "a triangle around 0": (
        np.array([[1.0, 0], [-0.5, 0.75**0.5], [-0.5, -(0.75**0.5)]]), [0, 0], None, [0, 0], [0, 0], [0, 0]),
}
case = pytest.mark.parametrize("case", EXPECTED.values(), ids=EXPECTED)


@case
@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e12])
def test_degenerate_gradients_have_the_defined_answer(case, library, scale):
    G, *expected = case
    for (name, combiner), answer in zip(COMBINERS.items(), expected):
        if answer is not None:
            d = combiner(scale * G if library == "numpy" else torch.tensor(scale * G))
            unit = 1.0 if combiner is nash else scale
            np.testing.assert_allclose(np.asarray(d) / unit, answer, rtol=1e-9, atol=1e-7, err_msg=name)


@every_combiner
@given(wild, st.booleans())
def test_never_nan(combiner, G, narrow):
    G = G.astype(np.float32) if narrow else G
    d = combiner(G)
    assert d.dtype == G.dtype and np.isfinite(d).all()


@every_combiner
@pytest.mark.parametrize("small, large", [(1e-12, 1e12), (1e-30, 1e30)])
def test_huge_differences_of_scale_in_float32(combiner, small, large):
    rows = np.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, 0.6, 0.8]]) * [[small], [1], [large]]
    exact, narrow = combiner(rows), combiner(rows.astype(np.float32))
    np.testing.assert_allclose(narrow, exact, rtol=2e-6, atol=1e-6 * np.abs(exact).max())


@every_combiner
def test_nearly_opposite_in_float32_is_as_in_float64(combiner):
    """Products of 32 bits would see the shortest vector no better than to 3e-4."""
    rng = np.random.default_rng(0)
    g = rng.standard_normal(5000).astype(np.float32)
    G = np.stack([g, -g + 1e-5 * rng.standard_normal(5000).astype(np.float32)])
    exact, narrow = combiner(G.astype(float)), combiner(G)
    np.testing.assert_allclose(narrow, exact, rtol=1e-5, atol=1e-6 * max(1e-5, np.abs(exact).max()))


# ---- arrays in, arrays out

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


@every_combiner
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_framework_and_dtype_are_kept(combiner, dtype):
    G = torch.tensor(np.random.default_rng(0).standard_normal((3, 7))).to(dtype)
    before = G.clone()
    d = combiner(G.requires_grad_())
    exact = combiner(G.detach().double().numpy())
    assert isinstance(exact, np.ndarray) and exact.dtype == np.float64
    assert isinstance(d, torch.Tensor) and d.dtype == dtype and d.shape == (7,) and not d.requires_grad
    assert torch.equal(G, before)
    np.testing.assert_allclose(d.double(), exact, rtol=8 * torch.finfo(dtype).eps, atol=8 * torch.finfo(dtype).eps)


@every_combiner
@pytest.mark.gpu
def test_device_is_kept(combiner):
    device = "cuda" if torch.cuda.is_available() else "mps"
    G = torch.randn(3, 7, generator=torch.Generator().manual_seed(0))
    d = combiner(G.to(device))
    assert d.device.type == device
    torch.testing.assert_close(d.cpu(), combiner(G), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("params", [1, 2047, 2048, 300_000])
def test_gramian_is_summed_in_blocks(dtype, params):
    G = np.random.default_rng(0).standard_normal((4, params)).astype(dtype)
    exact = G.astype(float) @ G.T.astype(float)
    tolerance = (1e-6 if dtype == "float32" else 1e-13) * params
    for found in (gramian(G), gramian(torch.tensor(G)), gramian(torch.tensor(G.T.copy()).T)):
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, exact, rtol=0, atol=tolerance)


@every_combiner
@given(drawn)
def test_it_is_weights_of_the_gramian_times_the_gradients(combiner, G):
    name = next(name for name, each in COMBINERS.items() if each is combiner)
    np.testing.assert_allclose(combine(WEIGHTS[name](gramian(G)), G), combiner(G), rtol=1e-9, atol=1e-9)


# ---- errors

@every_combiner
@pytest.mark.parametrize("bad, error, said", [
    (np.zeros(3), ValueError, r"G must be a matrix \[tasks, params\] .* got shape \(3,\)"),
    (np.zeros((0, 3)), ValueError, r"got shape \(0, 3\)"), (np.zeros((3, 0)), ValueError, r"got shape \(3, 0\)"),
    (np.zeros((2, 2), int), TypeError, "G must have a float dtype, got int64"),
    (torch.zeros(2, 2, dtype=torch.int32), TypeError, "G must have a float dtype, got torch.int32"),
    (np.array([[1, np.nan], [0, 1]]), ValueError, "G must be finite, got NaN or infinity in row 0"),
    (np.array([[1.0, 2], [0, np.inf]]), ValueError, "G must be finite, got NaN or infinity in row 1"),
    (torch.tensor([[1.0, 2], [0, np.inf]]), ValueError, "G must be finite, got NaN or infinity in row 1"),
    (np.array([[1e200, 2], [0, 1]]), ValueError, r"rows of norm 0, or from 1e-150 to .* got 1e\+200 in row 0"),
    (np.array([[1.0, 2], [0, 1e-200]]), ValueError, "got 1e-200 in row 1"),
], ids=repr)
def test_bad_gradients_are_named(combiner, bad, error, said):
    with pytest.raises(error, match=said):
        combiner(bad)


def test_other_bad_arguments_are_named():
    with pytest.raises(TypeError, match="rng must be a numpy.random.Generator, got 0"):
        pcgrad(EXAMPLE, 0)
    with pytest.raises(ValueError, match="c must be finite and >= 0, got -0.1"):
        cagrad(EXAMPLE, c=-0.1)
    for bad in ([1.0], [1.0, np.nan], [[1.0, 2.0]]):
        with pytest.raises((TypeError, ValueError), match="weights must be"):
            combine(bad, EXAMPLE)
    tf = pytest.importorskip("tensorflow")
    with pytest.raises(TypeError, match=r"got one of TensorFlow: G.numpy\(\)"):
        mgda(tf.ones((2, 2)))

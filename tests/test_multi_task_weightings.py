"""Weightings of losses: the papers' formulas, closed forms, and the same weights from any framework's losses."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib import adam, gradient_descent
from course_lib.multi_task import (
    FAMO, DynamicWeightAverage, GradNorm, UncertaintyWeighting, equal, random_weighting, weighted_sum,
)

positive = st.lists(st.floats(1e-3, 1e3), min_size=3, max_size=3).map(np.array)
several = st.lists(positive, min_size=1, max_size=5)


# ---- stateless

def test_equal_is_the_plain_sum():
    losses = torch.tensor([0.5, 2.0], requires_grad=True)
    np.testing.assert_array_equal(equal(losses), [1, 1])
    assert weighted_sum(equal(losses), losses) == losses.sum()


@given(st.integers(1, 6), st.integers(0, 999))
def test_random_weights_are_a_softmax_of_normal_numbers(tasks, seed):
    w = random_weighting(np.zeros(tasks), np.random.default_rng(seed))
    z = np.random.default_rng(seed).standard_normal(tasks)
    np.testing.assert_allclose(w, np.exp(z) / np.exp(z).sum(), rtol=1e-12)


def test_random_weights_are_equal_on_average_and_new_at_each_step():
    rng = np.random.default_rng(0)
    drawn = np.array([random_weighting([1.0, 50.0, 0.1], rng) for _ in range(20_000)])
    np.testing.assert_allclose(drawn.mean(0), 1 / 3, atol=4 * drawn.std() / np.sqrt(20_000))
    assert drawn.std(0).min() > 0.1 and len(np.unique(drawn[:, 0])) == 20_000


@pytest.mark.parametrize("form", ["list", "tensor", "array", "tensorflow"])
def test_the_weighted_sum_is_differentiated_where_the_losses_are(form):
    w, x = [0.5, 3.0], np.array([2.0, -1.0])
    if form == "array":
        assert weighted_sum(w, x**2) == 0.5 * 4 + 3
    elif form == "tensorflow":
        tf = pytest.importorskip("tensorflow")
        v = tf.Variable(x)
        with tf.GradientTape() as tape:
            total = weighted_sum(w, [v[0] ** 2, v[1] ** 2])
        np.testing.assert_allclose(tf.convert_to_tensor(tape.gradient(total, v)), [2.0, -6.0])
    else:
        v = torch.tensor(x, requires_grad=True)
        weighted_sum(w, list(v**2) if form == "list" else v**2).backward()
        np.testing.assert_allclose(v.grad, [2.0, -6.0])


# ---- uncertainty

@given(positive)
def test_uncertainty_is_least_where_the_variance_is_the_loss(L):
    weighting = UncertaintyWeighting(3)
    weighting.log_variance = np.log(L)
    np.testing.assert_allclose(weighting.weights * L, 0.5, rtol=1e-12)
    least = weighting.total(L)
    assert least == pytest.approx(np.sum(0.5 + np.log(np.sqrt(L))), rel=1e-12, abs=1e-12)
    for change in (-0.01, 0.01):
        weighting.log_variance = np.log(L) + [change, 0, 0]
        assert weighting.total(L) > least
    before = weighting.log_variance = np.log(L)
    weighting.observe(L)
    np.testing.assert_allclose(weighting.log_variance, before, atol=1e-6)


def test_uncertainty_finds_the_variance_from_anywhere():
    weighting, L = UncertaintyWeighting(3, gradient_descent(0.5)), np.array([0.05, 1.0, 20.0])
    for _ in range(2000):
        weighting.observe(L)
    np.testing.assert_allclose(np.exp(weighting.log_variance), L, rtol=1e-9)


def test_uncertainty_learns_as_one_optimizer_over_model_and_variances_would():
    x = torch.linspace(-1, 1, 20, dtype=torch.float64)[:, None]
    y = torch.cat([2 * x, 30 * x.square()], 1)
    w = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    s = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    theirs = torch.optim.Adam([w, s], lr=0.01)
    v = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    ours, weighting = torch.optim.Adam([v], lr=0.01), UncertaintyWeighting(2, adam(lr=0.01))
    for _ in range(50):
        theirs.zero_grad()
        losses = (x * w - y).square().mean(0)
        together = (losses * torch.exp(-s) / 2 + s / 2).sum()
        together.backward()
        theirs.step()
        ours.zero_grad()
        losses = (x * v - y).square().mean(0)
        total = weighting.total(losses)
        total.backward()
        weighting.observe(losses)
        ours.step()
        assert total.item() == pytest.approx(together.item(), rel=1e-9)
    np.testing.assert_allclose(v.detach(), w.detach(), rtol=1e-9)
    np.testing.assert_allclose(weighting.log_variance, s.detach(), rtol=1e-9)


# ---- dynamic weight average

@given(several, st.floats(0.1, 10))
def test_dynamic_weights_follow_the_paper(epochs, temperature):
    weighting = DynamicWeightAverage(3, temperature)
    for t, losses in enumerate(epochs):
        w = weighting.observe(losses)
        if t == 0:
            np.testing.assert_array_equal(w, 1)
        else:
            z = np.exp((losses / epochs[t - 1] - (losses / epochs[t - 1]).max()) / temperature)
            np.testing.assert_allclose(w, 3 * z / z.sum(), rtol=1e-9)
        assert w.sum() == pytest.approx(3) and weighting.weights is w


# ---- GradNorm

@given(several, st.lists(positive, min_size=5, max_size=5), st.floats(0, 3))
def test_gradnorm_follows_algorithm_1(losses, norms, alpha):
    """The step of the weights by autograd, with the targets as constants."""
    weighting = GradNorm(3, alpha, gradient_descent(1e-4))
    w = torch.ones(3, dtype=torch.float64, requires_grad=True)
    for L, n in zip(losses, norms):
        rate = torch.tensor(L / losses[0])
        G = w * torch.tensor(n)
        target = (G.mean() * (rate / rate.mean()) ** alpha).detach()
        slope, = torch.autograd.grad((G - target).abs().sum(), w)
        with torch.no_grad():
            w = (w - 1e-4 * slope).clamp(min=1e-6)
            w = (3 * w / w.sum()).requires_grad_()
        np.testing.assert_allclose(weighting.observe(L, n), w.detach(), rtol=1e-9)


def test_gradnorm_makes_gradients_of_one_length_and_longer_where_a_task_lags():
    norms = np.array([1.0, 10.0, 0.3])
    even, ahead = GradNorm(3, alpha=0.0, rule=gradient_descent(5e-4)), GradNorm(3, 1.0, gradient_descent(5e-4))
    ahead.observe([1.0, 1.0, 1.0], norms)
    for _ in range(3000):
        w, v = even.observe([1.0, 1.0, 1.0], norms), ahead.observe([0.2, 1.0, 0.6], norms)
    np.testing.assert_allclose(w * norms, (w * norms).mean(), rtol=5e-2)
    np.testing.assert_allclose(v * norms / (v * norms).mean(), np.array([0.2, 1.0, 0.6]) / 0.6, rtol=1e-1)


@given(several, st.floats(1, 100))
def test_gradnorm_keeps_weights_above_0_whatever_the_rate(losses, lr):
    weighting = GradNorm(3, rule=gradient_descent(lr))
    for L in losses:
        w = weighting.observe(L, norms=L[::-1])
        assert (w > 0).all() and w.sum() == pytest.approx(3) and np.isfinite(w).all()


# ---- FAMO

@given(several, several, st.floats(0, 0.1))
def test_famo_follows_the_authors_formulas(before, after, decay):
    """Their loss and their step of the logits, by autograd and by torch's Adam with its penalty."""
    weighting = FAMO(3, decay)
    logits = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    theirs = torch.optim.Adam([logits], lr=0.025, weight_decay=decay)
    for first, second in zip(before, after):
        L = torch.tensor(first, requires_grad=True)
        z = torch.softmax(logits.detach(), 0)
        ((z * L.log()) / (z / L).sum().detach()).sum().backward()
        np.testing.assert_allclose(weighting(first), L.grad, rtol=1e-9)
        delta = torch.tensor(np.log(first) - np.log(second))
        logits.grad, = torch.autograd.grad(torch.softmax(logits, 0), logits, delta)
        theirs.step()
        np.testing.assert_allclose(weighting.observe(first, second), torch.softmax(logits.detach(), 0), atol=1e-6)


@given(positive, st.floats(1e-3, 1e3))
def test_famo_does_not_see_the_unit_of_a_loss(L, unit):
    scale = np.array([unit, 1, 1])
    np.testing.assert_allclose(FAMO(3)(scale * L) * scale / (FAMO(3)(scale * L) @ scale), FAMO(3)(L) / FAMO(3)(L).sum())


def test_famo_lets_all_losses_fall_at_one_rate():
    """Two quadratics with curvatures 100 apart: under the plain sum the flat one lags far behind."""
    def ratio(weigh, observe):
        w = np.array([1.0, 1.0])
        curvatures = np.array([10.0, 0.1])
        for _ in range(400):
            L = 0.5 * curvatures * w**2 + 1e-3
            share = weigh(L)
            w = w - 0.02 * share * curvatures * w / (share @ np.array([1.0, 1.0]))
            observe(L, 0.5 * curvatures * w**2 + 1e-3)
        left = (0.5 * curvatures * w**2 + 1e-3) / (0.5 * curvatures + 1e-3)
        return left[1] / left[0]

    famo = FAMO(2, decay=0.0, rule=adam(lr=0.1))
    assert 1 / 5 < ratio(famo, famo.observe) < 5 < 100 < ratio(equal, lambda *losses: None)


# ---- what they accept

STATEFUL = {
    "uncertainty": (UncertaintyWeighting, lambda weighting, L: weighting.observe(L)),
    "dynamic": (DynamicWeightAverage, lambda weighting, L: weighting.observe(L)),
    "gradnorm": (GradNorm, lambda weighting, L: weighting.observe(L, [1.0, 2.0])),
    "famo": (FAMO, lambda weighting, L: weighting.observe(L, [1.0, 2.0])),
}
every_stateful = pytest.mark.parametrize("make, observe", STATEFUL.values(), ids=STATEFUL)


@every_stateful
def test_losses_of_any_framework(make, observe):
    tf = pytest.importorskip("tensorflow")
    L, found = [0.5, 3.0], []
    forms = (L, np.array(L), torch.tensor(L, requires_grad=True), [torch.tensor(each) for each in L], tf.constant(L),
             [tf.constant(each) for each in L], [np.float32(0.5), 3])
    for form in forms:
        weighting = make(2)
        observe(weighting, form)
        found.append(observe(weighting, [0.4, 2.9]))
    for weights in found:
        np.testing.assert_allclose(weights, found[0], rtol=1e-6)


@every_stateful
@pytest.mark.parametrize("bad, error, said", [
    ([1.0], ValueError, r"losses must be 2 numbers, got shape \(1,\)"), (["a", 1.0], TypeError, "losses must be numbers"),
    ([np.nan, 1.0], ValueError, "losses must be finite"), (1.0, TypeError, "losses must be numbers, one a task, got 1.0"),
    (np.ones((2, 2)), TypeError, "losses must be numbers"), ([torch.ones(3), 1.0], TypeError, "losses must be numbers"),
])
def test_bad_losses_are_named(make, observe, bad, error, said):
    with pytest.raises(error, match=said):
        observe(make(2), bad)


@pytest.mark.parametrize("make, observe", [STATEFUL[name] for name in ("dynamic", "gradnorm", "famo")])
def test_losses_must_be_above_0_where_ratios_are_taken(make, observe):
    with pytest.raises(ValueError, match="losses must be finite and > 0"):
        observe(make(2), [0.0, 1.0])


def test_bad_settings_are_named():
    for make in (UncertaintyWeighting, DynamicWeightAverage, GradNorm, FAMO):
        with pytest.raises(ValueError, match="tasks must be at least 1, got 0"):
            make(0)
        with pytest.raises(TypeError, match="tasks must be a whole number"):
            make(2.0)
    for make in (UncertaintyWeighting, GradNorm, FAMO):
        with pytest.raises(TypeError, match="rule must be a Rule"):
            make(2, rule=0.1)
    with pytest.raises(ValueError, match="temperature must be finite and > 0, got 0"):
        DynamicWeightAverage(2, 0)
    with pytest.raises(ValueError, match="alpha must be finite and >= 0"):
        GradNorm(2, -1)
    with pytest.raises(ValueError, match="decay must be finite and >= 0"):
        FAMO(2, -1)
    with pytest.raises(ValueError, match="norms must be finite and >= 0"):
        GradNorm(2).observe([1.0, 1.0], [1.0, -1.0])
    with pytest.raises(TypeError, match="rng must be"):
        random_weighting([1.0], None)
    with pytest.raises((TypeError, ValueError), match="weights must be"):
        weighted_sum([1.0], [1.0, 2.0])

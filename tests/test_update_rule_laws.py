"""What the papers say of their rules: special cases, invariances and first steps."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_runs import random, run, steps

from course_lib.update_rules import (
    adadelta, adagrad, adam, adamw, add_decayed_weights, chain, gradient_descent, lion, momentum, nadam, rmsprop,
    sign_descent,
)

rates = st.floats(1e-3, 10)
betas = st.floats(0, 0.999)
seeds = st.integers(0, 999)
few = settings(max_examples=30)
W = random(4)


def away_from_zero(seed, count=30):
    """Return gradients whose entries are at least 0.1 in size."""
    g = random((count, 4), seed)
    return g + 0.1 * np.sign(g)


def check_same(a, b, gradients, w=W, rtol=1e-12):
    """Assert that two rules make the same steps, wherever they are."""
    ours, theirs = steps(a, w, gradients), steps(b, w, gradients)
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol * np.abs(theirs).max())


# ---- momentum

@few
@given(rates, seeds)
def test_momentum_without_memory_is_gradient_descent(lr, seed):
    for nesterov in (False, True):
        check_same(momentum(lr, beta=0, nesterov=nesterov), gradient_descent(lr), random((9, 4), seed))


@few
@given(rates, st.floats(0, 0.99), st.booleans(), seeds)
def test_the_averaged_form_is_the_classical_one_at_another_rate(lr, beta, nesterov, seed):
    averaged = momentum(lr / (1 - beta), beta, dampening=beta, nesterov=nesterov)
    check_same(averaged, momentum(lr, beta, nesterov=nesterov), random((30, 4), seed), rtol=1e-11)


def test_a_constant_gradient_is_followed_at_ten_times_the_rate():
    g = np.ones((400, 1))
    assert steps(momentum(0.1, 0.9), g[0], g)[-1] == pytest.approx(-1.0)
    assert steps(momentum(0.1, 0.9, dampening=0.9), g[0], g)[-1] == pytest.approx(-0.1)
    assert steps(momentum(0.1, 0.9, nesterov=True), g[0], g)[-1] == pytest.approx(-1.0)


def test_heavy_ball_on_a_quadratic_is_polyaks_two_step_recurrence():
    a, lr, beta = np.array([0.5, 1.0, 4.0]), 0.3, 0.8
    w = before = np.ones(3)
    rule, v = momentum(lr, beta), momentum(lr, beta).init(np.ones(3))
    for _ in range(20):
        expected = w - lr * a * w + beta * (w - before)
        delta, v = rule.update(a * w, v, w)
        before, w = w, w + delta
        np.testing.assert_allclose(w, expected, rtol=1e-12, atol=1e-14)


def test_nesterov_is_the_gradient_at_the_point_ahead():
    # Nesterov: y = x + β (x − x₋), x₊ = y − η f'(y). Ours runs in y.
    a, lr, beta = np.array([0.5, 1.0, 3.0]), 0.2, 0.7
    x = before = y = np.ones(3)
    rule = momentum(lr, beta, nesterov=True)
    state = rule.init(y)
    for _ in range(20):
        before, x = x, x + beta * (x - before) - lr * a * (x + beta * (x - before))
        delta, state = rule.update(a * y, state, y)
        y = y + delta
        np.testing.assert_allclose(y, x + beta * (x - before), rtol=1e-12, atol=1e-14)


def test_momentum_by_hand():
    g = np.array([[1.0], [2.0], [-4.0]])
    np.testing.assert_allclose(steps(momentum(0.5, 0.5), g[0], g).ravel(), [-0.5, -1.25, 1.375])
    np.testing.assert_allclose(steps(momentum(0.5, 0.5, nesterov=True), g[0], g).ravel(), [-0.75, -1.625, 2.6875])
    np.testing.assert_allclose(steps(momentum(0.5, 0.5, 0.25), g[0], g).ravel(), [-0.375, -0.9375, 1.03125])
    np.testing.assert_allclose(steps(momentum(0.5, 0.5, 0.25, True), g[0], g).ravel(), [-0.5625, -1.21875, 2.015625])


# ---- signs

@few
@given(rates, seeds)
def test_adam_and_rmsprop_without_memory_are_sign_descent(lr, seed):
    g = away_from_zero(seed)
    check_same(adam(lr, 0, 0, eps=0), sign_descent(lr), g)
    check_same(rmsprop(lr, rho=0, eps=0), sign_descent(lr), g)
    check_same(lion(lr, 0, 0), sign_descent(lr), g)


@few
@given(rates, betas, betas, seeds)
def test_the_first_step_has_the_length_of_the_rate(lr, beta1, beta2, seed):
    g, w = 1e3 * away_from_zero(seed)[:1], np.zeros(4)
    for rule in (
        adam(lr, beta1, beta2), adam(lr, beta1, beta2, amsgrad=True), adamw(lr, beta1, beta2), adagrad(lr),
        lion(lr, beta1, beta2), sign_descent(lr),
    ):
        np.testing.assert_allclose(steps(rule, w, g)[0], -lr * np.sign(g[0]), rtol=1e-7)
    np.testing.assert_allclose(
        steps(rmsprop(lr, beta2), w, g)[0], -lr * np.sign(g[0]) / np.sqrt(1 - beta2), rtol=1e-7
    )


def test_lion_by_hand():
    # m = 1, .625, −.28125 after each; c = 2, .25, −1.1875, −.140625.
    g = np.array([[4.0, -4.0], [-0.5, 0.5], [-3.0, 3.0], [0.0, 0.0]])
    signs = np.array([[-0.1, 0.1], [-0.1, 0.1], [0.1, -0.1], [0.1, -0.1]])
    w = np.array([2.0, -4.0])
    np.testing.assert_array_equal(steps(lion(0.1, beta1=0.5, beta2=0.75), w, g), signs)
    found = steps(lion(0.1, beta1=0.5, beta2=0.75, weight_decay=0.5), w, g)
    np.testing.assert_allclose(found, signs + [-0.1, 0.2], rtol=1e-14, atol=1e-16)


def test_lion_turns_when_beta1_says_and_remembers_what_beta2_says():
    w, g = np.zeros(1), np.array([[1.0]] * 200 + [[-1.0]] * 200)
    turns = {}
    for beta1, beta2 in ((0.9, 0.99), (0.5, 0.99), (0.9, 0.9)):
        turns[beta1, beta2] = np.argmax(steps(lion(1.0, beta1, beta2), w, g)[200:, 0] > 0)
    # c < 0 as soon as m < (1 − β₁)/β₁, and after the turn m = (2 − β₂²⁰⁰) β₂ᵗ − 1.
    assert turns == {(0.9, 0.99): 52, (0.5, 0.99): 0, (0.9, 0.9): 6}


# ---- scales

SCALE_FREE = {
    "adagrad": adagrad(0.1, eps=0), "rmsprop": rmsprop(0.1, eps=0), "centred": rmsprop(0.1, eps=0, centered=True),
    "rmsprop with momentum": rmsprop(0.1, eps=0, momentum=0.5), "adam": adam(0.1, eps=0), "nadam": nadam(0.1, eps=0),
    "amsgrad": adam(0.1, eps=0, amsgrad=True), "adamw": adamw(0.1, eps=0, weight_decay=0), "lion": lion(0.1),
    "sign_descent": sign_descent(0.1),
}


@pytest.mark.parametrize("rule", SCALE_FREE.values(), ids=SCALE_FREE)
def test_scale_of_each_coordinates_gradient_does_not_matter(rule):
    g, scales = away_from_zero(0), np.array([1e-90, 1e-3, 1e3, 1e90])
    np.testing.assert_allclose(steps(rule, W, scales * g), steps(rule, W, g), rtol=1e-11)


@pytest.mark.parametrize("rule", [gradient_descent(0.1), momentum(0.1), adadelta(eps=1e-30)], ids=lambda rule: rule.name)
def test_scale_matters_to_the_others(rule):
    g = away_from_zero(0)
    factor = {"adadelta": 1.0}.get(rule.name, 5.0)
    np.testing.assert_allclose(steps(rule, W, 5 * g), factor * steps(rule, W, g), rtol=1e-9)


@pytest.mark.parametrize("make", [
    lambda eps: adagrad(0.1, eps), lambda eps: rmsprop(0.1, eps=eps), lambda eps: adam(0.1, eps=eps),
    lambda eps: adamw(0.1, eps=eps, weight_decay=0), lambda eps: nadam(0.1, eps=eps),
    lambda eps: rmsprop(0.1, eps=eps, centered=True, momentum=0.5),
], ids=["adagrad", "rmsprop", "adam", "adamw", "nadam", "centred"])
def test_eps_has_the_units_of_the_gradient(make):
    g = away_from_zero(0)
    np.testing.assert_allclose(steps(make(7.0), W, 7 * g), steps(make(1.0), W, g), rtol=1e-11)


def test_adadelta_has_the_units_of_the_weights():
    # Scaling w by s scales g by 1/s: the steps scale by s if √ε, a length of w above and of g below the bar, does not matter.
    g, s = away_from_zero(0), 8.0
    free = adadelta(eps=1e-12)
    first, scaled = steps(free, W, g), steps(free, W, g / s)
    np.testing.assert_allclose(np.abs(first[0]), np.sqrt(1e-12 / 0.1), rtol=1e-6)
    np.testing.assert_allclose(scaled, first, rtol=1e-6)


# ---- Adam's memory

def test_amsgrads_largest_v_never_falls():
    g = away_from_zero(0) / np.arange(1, 31)[:, None]
    rule, state, plain, largest = adam(0.1, beta2=0.5, amsgrad=True), None, np.zeros(4), np.zeros(4)
    state = rule.init(W)
    for row in g:
        _, state = rule.update(row, state, W)
        plain = 0.5 * plain + 0.5 * row * row
        largest = np.maximum(largest, plain)
        np.testing.assert_allclose(state["v"], plain, rtol=1e-12)
        np.testing.assert_array_equal(state["v_max"], np.maximum(state["v_max"], state["v"]))
        np.testing.assert_allclose(state["v_max"], largest, rtol=1e-12)
    assert (largest > 5 * plain).all(), "the largest v was one of long ago"


def test_amsgrad_is_adam_while_gradients_grow():
    g = np.sign(random((30, 4))) * 2.0 ** np.arange(30)[:, None]
    check_same(adam(0.1, beta2=0.5, amsgrad=True), adam(0.1, beta2=0.5), g)
    assert not np.allclose(steps(adam(0.1, beta2=0.5, amsgrad=True), W, 1 / g), steps(adam(0.1, beta2=0.5), W, 1 / g))


@few
@given(betas, betas)
def test_bias_correction_makes_a_constant_gradient_a_constant_step(beta1, beta2):
    g = np.full((30, 4), [3.0, -3.0, 0.01, -1e3])
    np.testing.assert_allclose(steps(adam(0.1, beta1, beta2, eps=0), W, g), -0.1 * np.sign(g), rtol=1e-11)


def test_nadam_by_hand():
    beta1, beta2, psi, lr = 0.9, 0.99, 0.5, 0.1
    mu = beta1 * (1 - 0.5 * 0.96 ** (psi * np.arange(1, 12)))
    m = v = 0.0
    for t, g in enumerate(away_from_zero(0, 10)[:, 0], start=1):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        m_hat = mu[t] * m / (1 - np.prod(mu[: t + 1])) + (1 - mu[t - 1]) * g / (1 - np.prod(mu[:t]))
        expected = -lr * m_hat / (np.sqrt(v / (1 - beta2**t)) + 1e-8)
    found = steps(nadam(lr, beta1, beta2, momentum_decay=psi), np.zeros(1), away_from_zero(0, 10)[:, :1])
    np.testing.assert_allclose(found[-1], expected, rtol=1e-12)


# ---- decoupled decay

@few
@given(rates, betas, betas, seeds)
def test_adamw_without_decay_is_adam(lr, beta1, beta2, seed):
    np.testing.assert_array_equal(
        steps(adamw(lr, beta1, beta2, weight_decay=0), W, random((9, 4), seed)),
        steps(adam(lr, beta1, beta2), W, random((9, 4), seed)),
    )


@pytest.mark.parametrize("with_decay, without", [
    (adamw(0.1, weight_decay=0.3), adam(0.1)), (lion(0.1, weight_decay=0.3), lion(0.1)),
], ids=["adamw", "lion"])
def test_decoupled_decay_does_not_depend_on_the_gradient(with_decay, without):
    for scale in (1e-6, 1.0, 1e6):
        g = scale * away_from_zero(0)
        decay = steps(with_decay, W, g) - steps(without, W, g)
        np.testing.assert_allclose(decay, np.broadcast_to(-0.1 * 0.3 * W, decay.shape), rtol=1e-12)


@pytest.mark.parametrize("rule, coupled", [
    (adamw(0.1, weight_decay=0.3), chain(add_decayed_weights(0.3), adam(0.1))),
    (lion(0.1, weight_decay=0.3), chain(add_decayed_weights(0.3), lion(0.1))),
], ids=["adamw", "lion"])
def test_in_an_adaptive_rule_a_penalty_is_no_weight_decay(rule, coupled):
    g = away_from_zero(0)
    assert np.abs(run(rule, W, g)[0] - run(coupled, W, g)[0]).max() > 0.05


def test_in_gradient_descent_a_penalty_is_weight_decay():
    w, lr, decay = W, 0.1, 0.3
    for g in random((9, 4), 1):
        delta, _ = chain(add_decayed_weights(decay), gradient_descent(lr)).update(g, {"t": 0.0}, w)
        np.testing.assert_allclose(w + delta, (1 - lr * decay) * w - lr * g, rtol=1e-12, atol=1e-15)
        w = w + delta


# ---- the variance of centred RMSProp

def test_centred_rmsprop_divides_by_the_deviation():
    # Gradients 3 ± 1: root mean square √10, deviation 1.
    g = 3 + np.tile([[1.0], [-1.0]], (500, 1))
    centred, plain = steps(rmsprop(1.0, 0.99, centered=True), np.zeros(1), g), steps(rmsprop(1.0, 0.99), np.zeros(1), g)
    np.testing.assert_allclose(np.abs(plain[-1] / centred[-1]), 1 / np.sqrt(10), rtol=0.01)


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_centred_rmsprop_survives_gradients_that_do_not_change(library):
    g = np.full((400, 3), [0.1, 3.3, 0.0])
    w, g = (W[:3], g) if library == "numpy" else (torch.tensor(W[:3]), torch.tensor(g))
    assert np.isfinite(steps(rmsprop(0.1, 0.5, centered=True), w, g)).all()

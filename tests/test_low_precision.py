"""bfloat16 and float16 weights: no rule stalls, though .999 is 1 in bfloat16 and 1e-4² is 0 in float16."""

import ml_dtypes
import numpy as np
import pytest
from rule_runs import ROUNDING, array, numbers
from test_update_rules import EXAMPLES, batches

from course_lib.update_rules import Rule, adam, adamw, nadam, rmsprop, weight_ema

NARROW = ["bfloat16", "float16"]
both = pytest.mark.parametrize("library", ["numpy", "torch"])


def naive_adam(lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """Return Adam as it runs when every number takes the dtype of the weights."""
    narrow = lambda x: np.asarray(x).astype(ml_dtypes.bfloat16)   # noqa: E731
    start = {"m": narrow(np.zeros(3)), "v": narrow(np.zeros(3)), "p1": narrow(1.0), "p2": narrow(1.0)}
    one, b1, b2 = narrow(1.0), narrow(beta1), narrow(beta2)

    def update(g, state, w, lr):
        g, p1, p2 = narrow(g), b1 * state["p1"], b2 * state["p2"]
        m = b1 * state["m"] + (one - b1) * g
        v = b2 * state["v"] + narrow(1 - beta2) * g * g
        with np.errstate(divide="ignore"):
            delta = -lr * (m / (one - p1)) / (np.sqrt(v / (one - p2)) + eps)
        return delta, {**state, "m": m, "v": v, "p1": p1, "p2": p2}

    return Rule("naive_adam", {"lr": lr}, lambda w: start, update)


def way(rule, dtype, count=400):
    """Return the path over a quadratic of a rule that sees weights and gradients in a narrow dtype.

    The weights themselves are kept in float64, or a step below half their last digit would be lost whatever the rule.
    """
    curvature, minimizer = np.array([1.0, 2.0, 4.0]), np.array([1.5, -0.75, 0.25])
    w, path = np.zeros(3), []
    state = rule.init(array("numpy", w, dtype))
    for t in range(count * batches(rule)):
        seen = array("numpy", w, dtype)
        g = array("numpy", curvature * (numbers(seen) - minimizer), dtype)
        delta, state = rule.update(g, state, seen, lr=rule.lr / (1 + t / batches(rule) / 10))
        w = w + numbers(delta)
        path.append(w)
    return np.array(path)


def distance(rule, dtype):
    """Return how far a narrow run is from the float64 one at its end, in roundings of 1."""
    return np.abs(way(rule, dtype)[-1] - way(rule, "float64")[-1]).max() / ROUNDING[dtype]


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("rule", EXAMPLES.values(), ids=EXAMPLES)
def test_four_hundred_steps_follow_float64(rule, dtype):
    # A sign may turn a step earlier or later: two of the last steps, of .1/41 each, come on top.
    assert distance(rule, dtype) < 2 + 0.2 / 41 / ROUNDING[dtype]


def test_a_naive_adam_stands_still():
    np.testing.assert_array_equal(way(naive_adam(0.1), "bfloat16"), 0)


@both
@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("make", [adam, adamw, nadam, lambda: rmsprop(rho=0.999)], ids=["adam", "adamw", "nadam", "rmsprop"])
def test_squares_are_forgotten_when_gradients_vanish(make, dtype, library):
    w, rule = array(library, np.ones(3), dtype), make()
    _, state = rule.update(w, rule.init(w), w)
    first = numbers(state["v"])
    for _ in range(1000):
        _, state = rule.update(0 * w, state, w)
    np.testing.assert_allclose(numbers(state["v"]), 0.999**1000 * first, rtol=1e-4)


def test_a_naive_adam_never_forgets():
    w, rule = array("numpy", np.ones(3), "bfloat16"), naive_adam(0.1)
    _, state = rule.update(w, rule.init(w), w)
    first = state["v"]
    for _ in range(100):
        _, state = rule.update(0 * w, state, w)
    np.testing.assert_array_equal(state["v"], first)


@both
@pytest.mark.parametrize("dtype", NARROW)
def test_powers_are_exact_to_float64(dtype, library):
    w = array(library, np.ones(3), dtype)
    for rule, powers in (
        (adamw(), {"beta1_power": 0.9**1000, "beta2_power": 0.999**1000}),
        (nadam(), {"beta2_power": 0.999**1000, "decay_power": 0.96 ** (0.004 * 1000)}),
    ):
        state = rule.init(w)
        for _ in range(1000):
            _, state = rule.update(w, state, w)
        for name, power in powers.items():
            assert float(state[name]) == pytest.approx(power, rel=1e-12, abs=0)


@both
@pytest.mark.parametrize("g", [1e-7, 1e-4, 1.0, 6e4])
@pytest.mark.parametrize("rule", [
    rule for label, rule in EXAMPLES.items() if label in ("adam", "adam amsgrad", "adamw masked", "sign_descent")
], ids=lambda rule: rule.name)
def test_squares_of_float16_neither_vanish_nor_overflow(rule, g, library):
    w = array(library, np.zeros(3), "float16")
    g = array(library, [g, -g, g], "float16")
    delta, _ = rule.update(g, rule.init(w), w)
    np.testing.assert_allclose(numbers(delta), [-0.1, 0.1, -0.1], rtol=0.2 if float(g[0]) < 1e-6 else 1e-3)


@both
def test_average_of_weights_sees_steps_that_bfloat16_would_lose(library):
    w = array(library, np.ones(3), "bfloat16")
    rule = weight_ema(rmsprop(), decay=0.999)
    state = rule.init(w)
    state["t"] += 1
    _, state = rule.update(0 * w, state, 2 * w)
    np.testing.assert_allclose(numbers(state["average"]), 1.001, rtol=1e-6)

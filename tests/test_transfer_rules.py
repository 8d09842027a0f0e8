"""A rate for each layer and a pull towards the start: closed forms, every framework, and what they refuse."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rule_runs import array, numbers, random, run, steps

from course_lib import KerasOptimizer, TorchOptimizer
from course_lib.schedules import step_decay
from course_lib.transfer import layer_rates, pull_to_start, stages
from course_lib.update_rules import (
    Rule, adam, adamw, add_decayed_weights, chain, clip_by_global_norm, describe, gradient_descent, lion, momentum, rebuild,
    rmsprop, weight_ema,
)

W, G = random(6), random((5, 6), 1)
RULES = [gradient_descent(0.1), momentum(0.1), adam(0.1), adamw(0.1, weight_decay=0.3), lion(0.1, weight_decay=0.3),
         rmsprop(0.1), chain(add_decayed_weights(0.2), momentum(0.1)), weight_ema(adam(0.1))]
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
every_library = pytest.mark.parametrize("library", ["numpy", "torch", "tensorflow"])


# ---- rates

@every_rule
def test_a_factor_is_that_rate_for_that_weight_alone(rule):
    factors = np.array([0.0, 0.1, 0.5, 1.0, 2.0, 3.0])
    found, _ = run(layer_rates(rule, factors), W, G)
    for i, factor in enumerate(factors):
        one, _ = run(rule, W[i : i + 1], G[:, i : i + 1], lr=factor * rule.lr)
        np.testing.assert_allclose(found[i], one[0], rtol=1e-12)


@every_rule
def test_factors_of_one_change_nothing_and_of_zero_freeze(rule):
    np.testing.assert_array_equal(steps(layer_rates(rule, 1.0), W, G), steps(rule, W, G))
    assert not steps(layer_rates(rule, 0.0), W, G).any()


@every_library
def test_every_library_makes_the_same_steps(library):
    rule = layer_rates(chain(pull_to_start(0.3, np.array([1, 1, 0, 0, 1, 1])), adam(0.1)), np.linspace(0, 1, 6))
    found, _ = run(rule, array(library, W), [array(library, g) for g in G])
    np.testing.assert_allclose(numbers(found), run(rule, W, G)[0], rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_the_dtype_of_the_weights_is_kept(dtype):
    w = array("torch", W, dtype)
    rule = layer_rates(chain(pull_to_start(0.1), momentum(0.1)), np.linspace(0, 1, 6))
    delta, state = rule.update(w, rule.init(w), w)
    assert delta.dtype == w.dtype and delta[0] == 0


def test_a_list_gives_each_array_its_own_factor():
    ws = [random((2, 3)), random(4, 1)]
    gs, rule = [w**2 for w in ws], layer_rates(momentum(0.1), [0.0, [1.0, 0.0, 1.0, 0.0]])
    deltas, _ = rule.update_all(gs, [rule.init(w) for w in ws], ws)
    assert not deltas[0].any()
    np.testing.assert_allclose(deltas[1], -0.1 * gs[1] * [1, 0, 1, 0])


def test_clipping_before_it_still_sees_the_whole_model():
    ws, rule = [np.ones(2), np.ones(2)], chain(clip_by_global_norm(1.0), layer_rates(gradient_descent(1.0), [0.0, 1.0]))
    deltas, _ = rule.update_all([np.full(2, 5.0)] * 2, [rule.init(w) for w in ws], ws)
    np.testing.assert_allclose(deltas[1], -0.5)


def test_a_schedule_and_a_rate_of_the_caller_are_multiplied():
    rule = layer_rates(gradient_descent(step_decay(1.0, 0.5, 2)), 0.5)
    np.testing.assert_allclose(steps(rule, np.ones(1), np.ones((4, 1)))[:, 0], [-0.5, -0.5, -0.25, -0.25])
    np.testing.assert_allclose(steps(rule, np.ones(1), np.ones((2, 1)), lr=3.0)[:, 0], -1.5)


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_stages_change_after_their_step(library):
    rule = layer_rates(gradient_descent(1.0), stages([np.zeros(2), np.array([0, 1]), np.ones(2)], [1, 3]))
    found = steps(rule, array(library, np.ones(2)), [array(library, np.ones(2))] * 4)
    np.testing.assert_array_equal(-found, [[0, 0], [0, 1], [0, 1], [1, 1]])


def test_under_vmap_each_run_is_what_it_is_alone():
    rule = layer_rates(momentum(0.1), stages([np.eye(6)[5], np.ones(6)], [2]))
    ws, gs = torch.tensor(random((3, 6), 4)), torch.tensor(random((5, 3, 6), 5))
    together, state = ws, torch.func.vmap(rule.init)(ws)
    for g in gs:
        delta, state = torch.func.vmap(rule.update)(g, state, together)
        together = together + delta
    for i in range(3):
        torch.testing.assert_close(together[i], run(rule, ws[i], gs[:, i])[0])


# ---- the pull

@given(st.floats(0, 5), st.floats(-3, 3))
def test_from_zero_the_pull_is_weight_decay(strength, to):
    away = np.full(6, to)
    found = pull_to_start(strength).update(G[0], {"start": np.zeros(6)}, away)[0]
    np.testing.assert_array_equal(found, add_decayed_weights(strength).update(G[0], {}, away)[0])


def test_it_ends_at_the_minimum_of_the_penalised_loss():
    h, alpha = np.linspace(0.5, 2, 6), 0.7
    w, _ = run_on(chain(pull_to_start(alpha), gradient_descent(0.3)), W, lambda w: h * (w - 5.0), 400)
    np.testing.assert_allclose(w, (h * 5 + alpha * W) / (h + alpha), rtol=1e-12)


def run_on(rule, w, slope, steps):
    state = rule.init(w)
    for _ in range(steps):
        delta, state = rule.update(slope(w), state, w)
        w = w + delta
    return w, state


def test_the_start_is_kept_and_the_mask_lets_weights_go():
    rule = chain(pull_to_start(1.0, np.array([1, 1, 1, 0, 0, 0])), gradient_descent(0.1))
    w, state = run_on(rule, W, lambda w: np.ones(6), 3)
    np.testing.assert_array_equal(state["0.start"], W)
    np.testing.assert_allclose(w[3:], W[3:] - 0.3)
    assert (w[:3] > W[:3] - 0.3).all()


# ---- saved, and in the frameworks

@pytest.mark.parametrize("factors", [0.5, np.linspace(0, 1, 6), [np.linspace(0, 1, 6)], stages([0.0, 1.0], [2])], ids=repr)
def test_it_is_made_again_from_json(factors):
    rule = layer_rates(chain(pull_to_start(0.2, np.array([1, 0, 1, 0, 1, 0])), adam(0.1)), factors)
    again = rebuild(**json.loads(json.dumps(describe(rule))))
    np.testing.assert_allclose(steps(again, W, G), steps(rule, W, G), rtol=1e-12)
    assert rule.replace(beta1=0.5).options["beta1"] == 0.5


def test_in_pytorch_it_is_a_group_with_its_own_rate():
    first, second = (torch.nn.Parameter(torch.tensor(w)) for w in (W[:3].copy(), W[3:].copy()))
    own = TorchOptimizer([{"params": [first], "lr": 0.01}, {"params": [second]}], momentum(0.1))
    expected = layer_rates(momentum(0.1), np.repeat([0.1, 1.0], 3))
    w, state = W, expected.init(W)
    for g in G:
        first.grad, second.grad = torch.tensor(g[:3]), torch.tensor(g[3:])
        own.step()
        delta, state = expected.update(g, state, w)
        w = w + delta
    np.testing.assert_allclose(np.concatenate([first.detach(), second.detach()]), w, rtol=1e-12)


def test_in_keras_a_list_gives_each_weight_its_factor():
    keras = pytest.importorskip("keras")
    a, b = keras.Variable(W[:3].astype("float32")), keras.Variable(W[3:].astype("float32"))
    optimizer = KerasOptimizer(layer_rates(chain(pull_to_start(0.5), momentum(0.1)), [0.0, 1.0]))
    for g in G.astype("float32"):
        optimizer.apply([keras.ops.convert_to_tensor(g[:3]), keras.ops.convert_to_tensor(g[3:])], [a, b])
    np.testing.assert_array_equal(a.numpy(), W[:3].astype("float32"))
    np.testing.assert_allclose(b.numpy(), run(chain(pull_to_start(0.5), momentum(0.1)), W[3:], G[:, 3:])[0], rtol=1e-5)


# ---- what is refused

@pytest.mark.parametrize("factors, error, words", [
    (-0.1, ValueError, "factors must be at least 0"), (np.array([1, np.nan]), ValueError, "factors must be finite"),
    ("fast", TypeError, "factors must be an array"), ([1.0, -1.0], ValueError, "factors must be at least 0"),
])
def test_a_wrong_factor_is_named(factors, error, words):
    with pytest.raises(error, match=words):
        layer_rates(momentum(0.1), factors)


def test_factors_that_do_not_fit_are_named():
    for factors, words in ((np.ones(5), "factors must broadcast"), ([1.0, 1.0], "one for each of 1 arrays, got 2")):
        rule = layer_rates(momentum(0.1), factors)
        with pytest.raises(ValueError, match=words):
            rule.update(W, rule.init(W), W)


def test_a_rule_without_a_rate_is_refused():
    with pytest.raises(ValueError, match="rule must have a learning rate"):
        layer_rates(Rule("fixed", {}, lambda w: {}, lambda g, state, w, lr: (-g, state)), 1.0)
    with pytest.raises(TypeError, match="rule must be a Rule"):
        layer_rates(0.1, 1.0)


@pytest.mark.parametrize("factors, boundaries", [([1.0], [1]), ([0.0, 1.0], []), ([0.0, 1.0, 1.0], [3, 3]), (1.0, [2])])
def test_stages_that_do_not_follow_each_other_are_refused(factors, boundaries):
    with pytest.raises(ValueError, match="factors must hold|boundaries must ascend"):
        stages(factors, boundaries)


@pytest.mark.parametrize("strength", [-1.0, np.inf, "strong", None])
def test_a_wrong_strength_is_named(strength):
    with pytest.raises((TypeError, ValueError), match="strength must be"):
        pull_to_start(strength)

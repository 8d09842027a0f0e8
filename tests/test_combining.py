"""Transforms and a rule as one rule: order, state, and what may not be combined."""

import json

import numpy as np
import pytest

from course_lib.update_rules import (
    Rule, Transform, add_decayed_weights, adamw, chain, clip_by_global_norm, describe, gradient_descent, momentum, rebuild,
)

W, G = np.array([1.0, -1.0]), np.array([6.0, 8.0])
CLIP, DECAY, DESCENT = clip_by_global_norm(5.0), add_decayed_weights(3.0), gradient_descent(1.0)


def step(rule):
    return rule.update(G, rule.init(W), W)[0]


def averaging():
    """A transform with memory: the mean of the gradients so far."""

    def update(g, state, w):
        n = state["n"] + 1
        mean = state["mean"] + (g - state["mean"]) / n
        return mean, {"mean": mean, "n": n}

    return Transform("averaging", {}, lambda w: {"mean": 0 * w, "n": 0.0}, update)


def test_the_order_is_the_order_written():
    np.testing.assert_allclose(step(chain(CLIP, DECAY, DESCENT)), -(G / 2 + 3 * W), rtol=1e-15)
    longer = G + 3 * W
    np.testing.assert_allclose(step(chain(DECAY, CLIP, DESCENT)), -5 * longer / np.linalg.norm(longer), rtol=1e-15)


def test_a_chain_of_one_is_the_rule():
    np.testing.assert_array_equal(step(chain(DESCENT)), step(DESCENT))


def test_a_chain_in_a_chain_is_flat():
    nested, flat = chain(CLIP, chain(DECAY, chain(DESCENT))), chain(CLIP, DECAY, DESCENT)
    assert repr(nested) == repr(flat) and nested.settings == flat.settings == {"parts": [CLIP, DECAY, DESCENT]}
    np.testing.assert_array_equal(step(nested), step(flat))


def test_the_learning_rate_is_the_last_parts():
    rule = chain(CLIP, gradient_descent(lr=0.25))
    assert isinstance(rule, Rule) and rule.lr == 0.25
    schedule = chain(CLIP, gradient_descent(lr=lambda step: step / 10))
    state, rates = schedule.init(W), []
    for _ in range(3):
        delta, state = schedule.update(W, state, W)
        rates.append(-delta[0])
    np.testing.assert_allclose(rates, [0, 0.1, 0.2], rtol=1e-15)


def test_each_part_keeps_its_own_state():
    rule = chain(averaging(), averaging(), DESCENT)
    state = rule.init(W)
    assert sorted(state) == ["0.mean", "0.n", "1.mean", "1.n", "t"]
    before = {key: np.copy(value) for key, value in state.items()}
    first, state1 = rule.update(G, state, W)
    second, state2 = rule.update(3 * G, state1, W)
    np.testing.assert_array_equal(first, -G)
    np.testing.assert_array_equal(state2["0.mean"], 2 * G)
    np.testing.assert_array_equal(state2["1.mean"], 1.5 * G)
    np.testing.assert_array_equal(second, -1.5 * G)
    assert (state2["0.n"], state2["1.n"], state2["t"]) == (2, 2, 2)
    assert all(np.array_equal(state[key], before[key]) for key in before), "the state passed in was written into"


def test_a_chain_is_saved_as_its_parts():
    rule = chain(DECAY, CLIP, DESCENT)
    saved = json.loads(json.dumps(describe(rule)))
    assert [part["name"] for part in saved["settings"]["parts"]] == [
        "add_decayed_weights", "clip_by_global_norm", "gradient_descent",
    ]
    np.testing.assert_array_equal(step(rebuild(**saved)), step(rule))
    np.testing.assert_array_equal(step(rebuild(rule.name, rule.settings)), step(rule))
    with pytest.raises(ValueError, match="'averaging'.*register"):
        describe(chain(averaging(), DESCENT))


def test_settings_of_all_parts_are_options_of_the_chain():
    rule = chain(CLIP, DECAY, momentum(0.1, beta=0.5))
    assert rule.options == {
        "max_norm": 5.0, "weight_decay": 3.0, "mask": None, "lr": 0.1, "beta": 0.5, "dampening": 0.0, "nesterov": False,
    }
    changed = rule.replace(max_norm=2.0, beta=0.25)
    assert changed.options == {**rule.options, "max_norm": 2.0, "beta": 0.25}
    assert [part.name for part in changed.settings["parts"]] == ["clip_by_global_norm", "add_decayed_weights", "momentum"]
    assert rule.options["max_norm"] == 5.0


def test_a_setting_that_two_parts_have_is_neithers():
    rule = chain(DECAY, adamw(0.1))
    assert "weight_decay" not in rule.options and rule.options["lr"] == 0.1
    with pytest.raises(ValueError, match="weight_decay is no setting, or not of one part alone"):
        rule.replace(weight_decay=0.5)


@pytest.mark.parametrize("parts, kinds", [
    ((), "[]"), ((CLIP,), "['Transform']"), ((CLIP, DECAY), "['Transform', 'Transform']"),
    ((DESCENT, DESCENT), "['Rule', 'Rule']"), ((DESCENT, CLIP), "['Rule', 'Transform']"),
    ((CLIP, "adam"), "['Transform', 'str']"), ((None, DESCENT), "['NoneType', 'Rule']"),
    ((chain(CLIP, DESCENT), DESCENT), "'Rule']"), (([CLIP, DESCENT],), "['list']"),
], ids=str)
def test_anything_else_is_refused(parts, kinds):
    with pytest.raises(ValueError) as caught:
        chain(*parts)
    said = str(caught.value)
    assert "parts must be transforms, then exactly one rule" in said and kinds in said


@pytest.mark.parametrize("state", [None, "t", {}, {"0.n": 1.0}], ids=repr)
def test_what_is_no_state_is_refused(state):
    with pytest.raises(ValueError, match="state must come from init"):
        chain(CLIP, DESCENT).update(G, state, W)


@pytest.mark.parametrize("shape", [(3,), (1,), ()])
@pytest.mark.parametrize("transform", [CLIP, DECAY], ids=lambda transform: transform.name)
def test_shapes_that_disagree_are_named(transform, shape):
    rule = chain(transform, DESCENT)
    with pytest.raises(ValueError) as caught:
        rule.update(np.ones(shape), rule.init(W), W)
    assert f"g must have w's shape (2,), got {shape}" in str(caught.value)

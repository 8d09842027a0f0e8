"""Where a rule meets its caller: bad arguments are named, and a reader's own rule is as good as the book's."""

import math

import numpy as np
import pytest
import torch

from course_lib.update_rules import Rule, Transform, gradient_descent, momentum

RULE = gradient_descent(lr=0.1)
W = np.array([1.0, 2.0])


def message(error, call, *args, **kwargs):
    """Return the text of the error that the call must raise, of exactly this type."""
    with pytest.raises(error) as caught:
        call(*args, **kwargs)
    assert caught.type is error
    return str(caught.value)


@pytest.mark.parametrize("bad, told", [
    (np.array([1, 2]), "int64"), (torch.tensor([1, 2]), "int64"), (np.array([True]), "bool"),
    (np.array(["a"]), "<U1"), (np.array([1j]), "complex128"), ([1.0, 2.0], "[1.0, 2.0]"), (None, "None"),
    (True, "True"), ("w", "'w'"),
], ids=repr)
def test_what_is_no_float_array_is_refused(bad, told):
    said = message(TypeError, RULE.init, bad)
    assert said.startswith("w must") and told in said
    said = message(TypeError, RULE.update, bad, {"t": 0.0}, W)
    assert said.startswith("g must") and told in said


@pytest.mark.parametrize("g", [np.ones(3), np.ones(1), np.ones((2, 1)), np.float64(1.0)], ids=np.shape)
def test_shapes_that_disagree_are_named(g):
    said = message(ValueError, RULE.update, g, RULE.init(W), W)
    assert "g must have w's shape (2,)" in said and f"got {np.shape(g)}" in said


@pytest.mark.parametrize("state", [{}, {"v": W}, None, "t", ["t"], 3.0], ids=repr)
def test_what_is_no_state_is_refused(state):
    said = message(ValueError, RULE.update, W, state, W)
    assert "state must come from init" in said and repr(state) in said


@pytest.mark.parametrize("lr, error", [
    (-0.1, ValueError), (math.nan, ValueError), (math.inf, ValueError), (np.array([0.1, -0.2]), ValueError),
    (np.array([0.1, math.nan]), ValueError), ("0.1", TypeError), (False, TypeError), ([0.1, 0.2], TypeError),
], ids=repr)
def test_bad_lr_at_an_update_is_named(lr, error):
    said = message(error, RULE.update, W, RULE.init(W), W, lr=lr)
    assert said.startswith("lr must be") and "got" in said
    assert str(lr) in said or isinstance(lr, np.ndarray)


@pytest.mark.parametrize("rate, error", [(-1.0, ValueError), (math.nan, ValueError), (None, TypeError), ("1", TypeError)])
def test_bad_rate_from_a_schedule_is_named(rate, error):
    said = message(error, RULE.update, W, RULE.init(W), W, lr=lambda step: rate)
    assert said.startswith("lr must be") and repr(rate) in said


@pytest.mark.parametrize("shape", [(3, 1), (3,), (1, 1), (1, 2)], ids=str)
def test_lr_that_does_not_fit_is_refused(shape):
    for lr, w in ((np.ones(shape), W), (torch.ones(shape), torch.ones(2)), (torch.ones(shape), torch.tensor(W))):
        said = message(ValueError, RULE.update, w, RULE.init(w), w, lr=lr)
        assert said == f"lr must broadcast to w's shape (2,), got shape {shape}"


def test_a_formula_that_loses_the_shape_is_told():
    summed = Rule("summed", {}, lambda w: {}, lambda g, state, w, lr: (-g.sum(), state))
    said = message(ValueError, summed.update, W, summed.init(W), W)
    assert said == "delta must have w's shape (2,), got ()"


def test_tensors_are_never_branched_on():
    w, lr = torch.ones(2), torch.tensor(-0.5)
    torch.testing.assert_close(RULE.update(w, RULE.init(w), w, lr=lr)[0], torch.tensor([0.5, 0.5]))
    assert gradient_descent(lr).lr is lr


def test_python_numbers_are_weights_too():
    delta, state = RULE.update(4, RULE.init(2.0), 2.0)
    assert delta == -0.4 and delta.dtype == np.float64 and state == {"t": 1.0}


def test_float32_weights_are_not_promoted_by_wide_rates():
    w = np.ones(2, np.float32)
    for lr in (np.float64(0.1), np.array([0.1, 0.2]), np.float32(0.1)):
        assert (w + RULE.update(w, RULE.init(w), w, lr=lr)[0]).dtype == np.float32


def test_settings_are_plain_and_complete():
    rule = gradient_descent(np.float32(0.5))
    assert rule.settings == {"lr": 0.5} and type(rule.settings["lr"]) is float
    assert rule.lr == 0.5 and repr(rule) == "gradient_descent(lr=0.5)"
    assert Rule("nameless", {}, lambda w: {}, None).lr is None


def heavy(beta):
    """A rule without a learning rate, with memory."""

    def update(g, state, w, lr):
        assert lr is None
        v = beta * state["v"] + g
        return -v, {**state, "v": v}

    return Rule("heavy", {"beta": beta}, lambda w: {"v": 0 * w}, update)


def test_a_rule_of_ones_own_keeps_its_state_and_its_count():
    rule, g = heavy(0.5), np.array([1.0, -2.0])
    state = rule.init(W)
    for t, factor in enumerate([1, 1.5, 1.75], start=1):
        delta, state = rule.update(g, state, W)
        np.testing.assert_array_equal(delta, -factor * g)
        assert state["t"] == t and set(state) == {"v", "t"}


def test_a_rule_cannot_lose_the_count():
    careless = Rule("careless", {}, lambda w: {}, lambda g, state, w, lr: (-g, {}))
    _, state = careless.update(W, {"t": 4.0}, W)
    assert state == {"t": 5.0}


def test_settings_are_changed_in_a_copy():
    rule = momentum(0.1, beta=0.5)
    changed = rule.replace(beta=0.25, nesterov=True)
    assert repr(changed) == "momentum(lr=0.1, beta=0.25, dampening=0.0, nesterov=True)"
    assert repr(rule) == "momentum(lr=0.1, beta=0.5, dampening=0.0, nesterov=False)"
    assert rule.replace() is rule
    assert message(ValueError, rule.replace, beta=1.5).startswith("beta must be finite and >= 0 and < 1")
    assert message(ValueError, rule.replace, rho=0.5).startswith("rho is no setting")
    assert "'heavy'" in message(ValueError, heavy(0.5).replace, beta=0.25), "unknown to the registry"
    rule.options["beta"] = 0.75
    assert rule.options["beta"] == 0.5, "options are a copy"


def test_transform_checks_what_it_gets():
    double = Transform("double", {}, lambda w: {}, lambda g, state, w: (2 * g, state))
    assert message(TypeError, double.init, [1]).startswith("w must be an array")
    assert "g must have w's shape (2,), got (3,)" in message(ValueError, double.update, np.ones(3), {}, W)
    changed, _ = double.update(W.astype(np.float16), {}, W)
    assert changed.dtype == np.float16

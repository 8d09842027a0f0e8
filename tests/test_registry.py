"""Rules as JSON: what is described is made again, and what cannot be is refused by name."""

import json
import math

import numpy as np
import pytest
import torch
from rule_runs import random, steps

from course_lib.update_rules import (
    Rule, Transform, accumulate_gradients, adam, adamw, add_decayed_weights, chain, clip_by_global_norm, describe,
    gradient_descent, lion, matrices_only, momentum, rebuild, register, rmsprop, weight_ema,
)
from course_lib.update_rules.registry import _REGISTRY

W, G = random((2, 3)), random((4, 2, 3), 1)


class Ramp:
    """What a schedule is to the registry: a name, settings, and a call."""

    def __init__(self, slope):
        self.name, self.settings, self.slope = "ramp", {"slope": slope}, slope

    def __call__(self, step):
        return self.slope * step

    def __repr__(self):
        return f"ramp({self.slope})"


def ramp(slope):
    return Ramp(slope)


def heavy(beta):
    """A rule without a learning rate, with memory."""

    def update(g, state, w, lr):
        v = beta * state["v"] + g
        return -v, {**state, "v": v}

    return Rule("heavy", {"beta": beta}, lambda w: {"v": 0 * w}, update)


def tripling():
    return Transform("tripling", {}, lambda w: {}, lambda g, state, w: (3 * g, state))


def first_column(w):
    """A mask of a reader."""
    return np.array([1, 0, 0])


@pytest.fixture
def readers(monkeypatch):
    """Register what a reader wrote, until the test is over."""
    monkeypatch.setattr("course_lib.update_rules.registry._REGISTRY", dict(_REGISTRY))
    for factory in (ramp, heavy, tripling, first_column):
        assert register(factory) is factory


def through_json(part):
    """Return a rule after it was written and read."""
    return rebuild(**json.loads(json.dumps(describe(part), allow_nan=False)))


@pytest.mark.parametrize("rule", [
    gradient_descent(0.1), momentum(0.1, nesterov=True), rmsprop(0.1, centered=True, momentum=0.5),
    adamw(0.1, mask=matrices_only), adamw(0.1, weight_decay=0.5, mask=[[1], [0]]),
    lion(0.1, weight_decay=0.5, mask=np.array([True, False, True])), adamw(0.1, weight_decay=0.5, mask=np.array(1.0)),
    chain(clip_by_global_norm(1.0), add_decayed_weights(0.5, mask=[1, 0, 0]), adam(0.1, amsgrad=True)),
    chain(clip_by_global_norm(1.0), accumulate_gradients(weight_ema(chain(add_decayed_weights(0.5), adam(0.1))), 2)),
])
def test_there_and_back(rule):
    again = through_json(rule)
    assert type(again) is type(rule) and repr(again) == repr(rule)
    assert json.dumps(describe(again)) == json.dumps(describe(rule))
    np.testing.assert_array_equal(steps(again, W, G), steps(rule, W, G))
    np.testing.assert_array_equal(steps(rebuild(rule.name, rule.settings), W, G), steps(rule, W, G))


def test_what_a_description_says():
    rule = chain(clip_by_global_norm(2), accumulate_gradients(adamw(0.5, mask=[True, False]), 3))
    adamws = {
        "lr": 0.5, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "amsgrad": False, "weight_decay": 0.01,
        "mask": {"array": [True, False]},
    }
    gathered = {"rule": {"name": "adamw", "settings": adamws}, "steps": 3}
    assert describe(rule) == {"name": "chain", "settings": {"parts": [
        {"name": "clip_by_global_norm", "settings": {"max_norm": 2.0}},
        {"name": "accumulate_gradients", "settings": gathered},
    ]}}
    assert describe(lion(mask=matrices_only))["settings"]["mask"] == {"function": "matrices_only"}


@pytest.mark.parametrize("lr", [
    torch.tensor(0.5), torch.tensor(0.5, dtype=torch.bfloat16), torch.tensor(0.5, requires_grad=True), np.float32(0.5),
    np.array(0.5),
], ids=repr)
def test_a_rate_is_saved_as_a_number(lr):
    assert json.dumps(describe(adam(lr))["settings"]["lr"]) == "0.5"
    assert through_json(adam(lr)).lr == 0.5


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.bfloat16, torch.float32])
def test_a_mask_that_is_a_tensor_is_saved(dtype):
    rule = adamw(0.1, weight_decay=0.5, mask=torch.tensor([1, 0, 1]).to(dtype))
    w, g = torch.tensor(W), torch.tensor(G)
    np.testing.assert_array_equal(steps(through_json(rule), w, g), steps(rule, w, g))


def test_schedules_and_what_readers_wrote(readers):
    rule = chain(tripling(), add_decayed_weights(0.5, mask=first_column), momentum(lr=Ramp(0.25)))
    assert describe(rule)["settings"]["parts"][2]["settings"]["lr"] == {"name": "ramp", "settings": {"slope": 0.25}}
    again = through_json(rule)
    assert isinstance(again.lr, Ramp) and again.lr(2) == 0.5
    np.testing.assert_array_equal(steps(again, W, G), steps(rule, W, G))
    assert through_json(heavy(0.5)).settings == {"beta": 0.5}
    assert heavy(0.5).replace(beta=0.25).settings == {"beta": 0.25}


def test_a_notebooks_cell_may_run_twice(readers):
    def heavy(beta):
        """The same cell, changed a little."""

    register(heavy)
    assert rebuild("heavy", {"beta": 0.5}) is None


@pytest.mark.parametrize("part, told", [
    (heavy(0.5), "name must be a registered one"), (chain(tripling(), adam()), "'tripling'"),
    (weight_ema(heavy(0.5)), "'heavy'"), (adam(lr=Ramp(0.5)), "'ramp'"), (adam(lr=lambda step: 0.1), "lr cannot be saved"),
    (adamw(mask=first_column), "mask cannot be saved"), (adamw(mask=lambda w: 1), "mask cannot be saved"),
    (accumulate_gradients(chain(add_decayed_weights(0.1, mask=first_column), adam()), 2), "mask cannot be saved"),
], ids=["rule", "transform", "wrapped", "schedule", "lambda", "mask", "mask lambda", "deep"])
def test_what_is_not_registered_is_told(part, told):
    with pytest.raises(ValueError) as caught:
        describe(part)
    assert told in str(caught.value) and "call register first" in str(caught.value)


def test_a_function_of_a_registered_name_is_not_taken_for_it():
    def matrices_only(w):
        return 1.0

    with pytest.raises(ValueError, match="mask cannot be saved"):
        describe(adamw(mask=matrices_only))


@pytest.mark.parametrize("saved", [
    {"name": "heavy", "settings": {"beta": 0.5}}, {"name": None, "settings": {}},
    {"name": "adamw", "settings": {"mask": {"function": "first_column"}}},
    {"name": "chain", "settings": {"parts": [{"name": "tripling", "settings": {}}]}},
], ids=str)
def test_an_unknown_name_is_told_with_the_known_ones(saved):
    with pytest.raises(ValueError, match=r"registered one \(.*gradient_descent.*\), got .*call register first"):
        rebuild(**saved)


def test_rebuilding_checks_the_settings_as_making_does():
    with pytest.raises(ValueError, match="beta1 must be"):
        rebuild("adam", {"beta1": 1.5})
    with pytest.raises(TypeError, match="beta3"):
        rebuild("adam", {"beta3": 0.5})
    with pytest.raises(ValueError, match="lr must be finite"):
        rebuild("chain", {"parts": [{"name": "adam", "settings": {"lr": math.nan}}]})
    with pytest.raises(ValueError, match="parts must be transforms"):
        rebuild("chain", {"parts": []})


def test_names_are_not_taken_from_others():
    def gradient_descent(lr):
        """Only the name is the book's."""

    with pytest.raises(ValueError, match="'gradient_descent' is taken"):
        register(gradient_descent)
    for bad in (3, None, "adam"):
        with pytest.raises(TypeError, match=f"factory must be a function that makes a rule, got {bad!r}"):
            register(bad)
    assert rebuild("gradient_descent", {"lr": 1.0}).lr == 1.0

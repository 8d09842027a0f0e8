"""Rules around a rule: gathered gradients are one larger batch; averaged weights are PyTorch's, and change no step."""

import numpy as np
import pytest
import torch
from rule_runs import array, numbers, random, run, steps
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from course_lib.update_rules import (
    Rule, accumulate_gradients, adam, adamw, add_decayed_weights, chain, clip_by_global_norm, gradient_descent, lion,
    momentum, nadam, rmsprop, weight_ema,
)

W = random(4)
CLIP = clip_by_global_norm(1.0)
RULES = [gradient_descent(0.1), momentum(0.1), rmsprop(0.1), adam(0.1), adamw(0.1), nadam(0.1), lion(0.1),
         chain(CLIP, add_decayed_weights(0.1), adam(0.1)), weight_ema(adam(0.1))]
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
both = pytest.mark.parametrize("library", ["numpy", "torch"])


def test_wrappers_are_rules_with_the_rules_rate():
    for wrapped in (accumulate_gradients(adam(0.25), 2), weight_ema(adam(0.25))):
        assert isinstance(wrapped, Rule) and wrapped.lr == 0.25
        assert wrapped.replace(lr=0.5).lr == 0.5 and wrapped.replace(lr=0.5).name == wrapped.name
    assert accumulate_gradients(adam(), 2).replace(steps=3).settings["steps"] == 3
    assert weight_ema(adam()).replace(decay=0.5, beta1=0.25).options["beta1"] == 0.25


# ---- gathering

@every_rule
@pytest.mark.parametrize("k", [1, 2, 5])
def test_k_batches_are_one_step_of_their_mean(rule, k):
    batches = random((3, k, 4), 1)
    found = steps(accumulate_gradients(rule, k), W, batches.reshape(3 * k, 4)).reshape(3, k, 4)
    np.testing.assert_array_equal(found[:, :-1], 0)
    np.testing.assert_allclose(found[:, -1], steps(rule, W, batches.mean(axis=1)), rtol=1e-12, atol=1e-14)


@both
def test_in_between_the_rules_memory_stands_still(library):
    rule, w = accumulate_gradients(adam(0.1), 3), array(library, W)
    _, before = run(rule, w, [w] * 3)
    assert before["t"] == 1 and before["batches"] == 0 and not numbers(before["gathered"]).any()
    _, state = rule.update(5 * w, before, w)
    for key, value in before.items():
        same = np.array_equal(numbers(state[key]), numbers(value))
        assert same != (key in ("gathered", "batches")), key
    np.testing.assert_allclose(numbers(state["gathered"]), 5 * W / 3)


@both
def test_a_batch_that_was_not_finite_is_gone_after_the_step(library):
    rule, w = accumulate_gradients(gradient_descent(0.1), 2), array(library, W)
    _, state = run(rule, w, [w * np.inf, w])
    assert not numbers(state["gathered"]).any()


def test_clipping_outside_sees_each_batch_and_inside_their_mean():
    g = np.array([[30.0, 40.0], [-30.0, -39.0]])
    each = steps(chain(CLIP, accumulate_gradients(gradient_descent(1.0), 2)), g[0], g)
    mean = steps(accumulate_gradients(chain(CLIP, gradient_descent(1.0)), 2), g[0], g)
    clipped = g / np.linalg.norm(g, axis=1, keepdims=True)
    np.testing.assert_allclose(each, [[0, 0], -clipped.mean(axis=0)], rtol=1e-12)
    np.testing.assert_allclose(mean, [[0, 0], [0, -0.5]], rtol=1e-12)


@both
def test_a_schedule_inside_sees_the_steps_made(library):
    rule, w = accumulate_gradients(gradient_descent(lambda step: 10.0 ** -step), 2), array(library, np.zeros(1))
    found = steps(rule, w, [w + 1] * 6)
    np.testing.assert_allclose(found.ravel(), [0, -1, 0, -0.1, 0, -0.01])


@pytest.mark.parametrize("bad", [0, -1, 1.5, 2.0, True, "2", None], ids=repr)
def test_batches_are_counted_in_whole_numbers(bad):
    with pytest.raises((TypeError, ValueError), match=f"steps must be .*{bad!r}"):
        accumulate_gradients(adam(), bad)


# ---- averaging

@every_rule
def test_the_steps_of_the_rule_are_unchanged(rule):
    if rule.name != "weight_ema":
        g = random((9, 4), 1)
        np.testing.assert_array_equal(steps(weight_ema(rule, 0.5), W, g), steps(rule, W, g))


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9, 0.999])
def test_average_is_torchs(decay):
    model = torch.nn.Linear(2, 2, bias=False, dtype=torch.float64)
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
    rule, w = weight_ema(adam(0.1), decay), model.weight.detach().clone()
    state = rule.init(w)
    torch.testing.assert_close(state["average"], w)
    for g in torch.tensor(random((30, 2, 2), 1)):
        delta, state = rule.update(g, state, w)
        w = w + delta
        with torch.no_grad():
            model.weight.copy_(w)
        averaged.update_parameters(model)
        torch.testing.assert_close(state["average"], averaged.module.weight.detach(), rtol=1e-12, atol=1e-14)


def test_average_by_hand():
    rule, w = weight_ema(gradient_descent(1.0), decay=0.75), np.array([100.0])
    state = rule.init(w)
    for expected in (104.0, 105.0, 106.75):   # of the weights 104, 108, 112
        delta, state = rule.update(np.array([-4.0]), state, w)
        w = w + delta
        np.testing.assert_allclose(state["average"], expected)


def test_gathered_batches_do_not_move_the_average():
    g = random((6, 4), 1)
    _, gathered = run(accumulate_gradients(weight_ema(adam(0.1), 0.5), 2), W, g)
    _, plain = run(weight_ema(adam(0.1), 0.5), W, g.reshape(3, 2, 4).mean(axis=1))
    np.testing.assert_allclose(gathered["average"], plain["average"], rtol=1e-12)


# ---- misuse

@pytest.mark.parametrize("wrap", [lambda rule: accumulate_gradients(rule, 2), weight_ema], ids=["accumulate", "ema"])
@pytest.mark.parametrize("bad", [None, "adam", abs, CLIP, 0.1], ids=repr)
def test_what_is_no_rule_is_refused(wrap, bad):
    with pytest.raises(TypeError, match="rule must be a Rule"):
        wrap(bad)


@pytest.mark.parametrize("inner", [lambda rule: rule, lambda rule: chain(CLIP, rule)], ids=["bare", "chained"])
def test_one_in_another_of_its_kind_is_refused(inner):
    gathered, averaged = inner(accumulate_gradients(adam(), 2)), inner(weight_ema(adam()))
    with pytest.raises(ValueError, match="rule must not gather gradients already"):
        accumulate_gradients(gathered, 2)
    with pytest.raises(ValueError, match="rule must not average the weights already"):
        weight_ema(averaged)
    with pytest.raises(ValueError, match="put weight_ema inside accumulate_gradients"):
        weight_ema(gathered)
    with pytest.raises(ValueError, match="rule must not average the weights already"):
        weight_ema(inner(accumulate_gradients(averaged, 2)))
    assert accumulate_gradients(averaged, 2).lr == adam().lr


@pytest.mark.parametrize("rule", [accumulate_gradients(adam(), 2), weight_ema(adam())], ids=lambda rule: rule.name)
def test_what_is_no_state_is_refused(rule):
    for state in (None, {}, {"m": W}):
        with pytest.raises(ValueError, match="state must come from init"):
            rule.update(W, state, W)
    with pytest.raises(ValueError, match=r"g must have w's shape \(4,\), got \(3,\)"):
        rule.update(W[:3], rule.init(W), W)
    with pytest.raises(TypeError, match="w must be an array"):
        rule.init([1.0])

"""A model of many arrays: what looks at the whole model sees all of it, everything else each array alone."""

import ml_dtypes
import numpy as np
import pytest
import torch
from rule_runs import array, numbers, random
from test_update_rules import EXAMPLES, batches

from course_lib.update_rules import (
    Transform, accumulate_gradients, adam, adamw, add_decayed_weights, chain, clip_by_global_norm, gradient_descent,
    momentum, weight_ema,
)

SHAPES = [(2, 3), (), (0,), (4,)]
CLIP, DESCENT = clip_by_global_norm(0.5), gradient_descent(1.0)
all_three = pytest.mark.parametrize("library", ["numpy", "torch", "tensorflow"])


def arrays(library, seed, dtypes=("float64",) * 4):
    return [array(library, random(shape, seed + i), dtype) for i, (shape, dtype) in enumerate(zip(SHAPES, dtypes))]


def run_all(rule, ws, count=3, **options):
    """Return the deltas of each step and the last states, for random gradients in NumPy."""
    states, made = [rule.init(w) for w in ws], []
    for t in range(count):
        gs = [random(w.shape, 10 * t + i) for i, w in enumerate(ws)]
        deltas, states = rule.update_all(gs, states, ws, **options)
        made.append(deltas)
    return made, states


def same(a, b):
    assert len(a) == len(b)
    for x, y in zip(a, b):
        np.testing.assert_allclose(numbers(x), numbers(y), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("rule", [
    rule for label, rule in EXAMPLES.items() if "clip_by_global_norm" not in repr(rule)
], ids=lambda rule: rule.name)
def test_each_array_is_updated_alone(rule):
    ws = arrays("numpy", 0)
    made, states = run_all(rule, ws, 2 * batches(rule))
    for i, w in enumerate(ws):
        state = rule.init(w)
        for t, deltas in enumerate(made):
            delta, state = rule.update(random(w.shape, 10 * t + i), state, w)
            np.testing.assert_array_equal(deltas[i], delta)
        assert state.keys() == states[i].keys()
        same(state.values(), states[i].values())


@all_three
@pytest.mark.parametrize("dtypes", [
    ("float64",) * 4, ("float32",) * 4, ("float16", "float32", "bfloat16", "float16"), ("bfloat16",) * 4,
    ("float64", "float16", "float32", "float32"),
], ids="-".join)
def test_clipping_sees_all_arrays_as_one_vector(library, dtypes):
    gs, ws = arrays(library, 1, dtypes), arrays(library, 5, dtypes)
    whole = np.concatenate([numbers(g).ravel() for g in gs])
    expected = -0.5 * whole / np.linalg.norm(whole)
    rule = chain(CLIP, DESCENT)
    deltas, _ = rule.update_all(gs, [rule.init(w) for w in ws], ws)
    assert [delta.dtype for delta in deltas] == [w.dtype for w in ws]
    assert [tuple(delta.shape) for delta in deltas] == SHAPES
    found = np.concatenate([numbers(delta).ravel() for delta in deltas])
    tolerance = 1e-12 if set(dtypes) == {"float64"} else 1e-6 if set(dtypes) == {"float32"} else 2**-8
    np.testing.assert_allclose(found, expected, rtol=tolerance)


def test_a_gradient_within_the_bound_is_left_as_it_is():
    ws = arrays("numpy", 0)
    rule = chain(clip_by_global_norm(100.0), DESCENT)
    deltas, _ = rule.update_all(ws, [rule.init(w) for w in ws], ws)
    for delta, w in zip(deltas, ws):
        np.testing.assert_array_equal(delta, -w)


@all_three
def test_clipping_reaches_through_wrappers(library):
    inner = chain(CLIP, DESCENT)
    ws, gs = arrays(library, 0), arrays(library, 1)
    plain, _ = inner.update_all(gs, [inner.init(w) for w in ws], ws)
    for rule in (weight_ema(inner), accumulate_gradients(inner, 1), chain(add_decayed_weights(0.0), weight_ema(inner))):
        same(rule.update_all(gs, [rule.init(w) for w in ws], ws)[0], plain)


def counting(whole_model):
    """A transform with memory: what it saw so far, by entry and by number of calls and in total."""

    def init(w):
        return {"sum": 0 * w, "calls": 0.0, "total": 0.0}

    def update(g, state, w):
        state = {"sum": state["sum"] + g, "calls": state["calls"] + 1, "total": state["total"] + g.sum()}
        return state["sum"] / state["calls"] + 0 * state["total"], state

    return Transform("counting", {}, init, update, whole_model=whole_model)


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_memory_of_what_sees_the_whole_model(library):
    ws = arrays(library, 0)
    seen = []
    for whole_model in (True, False):
        rule = chain(counting(whole_model), momentum(1.0))
        states = [rule.init(w) for w in ws]
        for t in range(3):
            gs = [w + t for w in ws]
            deltas, states = rule.update_all(gs, states, ws)
        seen.append(deltas)
        for w, state in zip(ws, states):
            assert tuple(state["0.sum"].shape) == tuple(w.shape) and state["0.calls"] == 3 and state["t"] == 3
            np.testing.assert_allclose(numbers(state["0.sum"]), 3 * numbers(w) + 3)
            expected = sum(np.sum(3 * numbers(v) + 3) for v in (ws if whole_model else [w]))
            assert float(state["0.total"]) == pytest.approx(expected)
    same(*seen)


def test_one_array_needs_no_list():
    w, g = random((2, 3)), random((2, 3), 1)
    rule = chain(CLIP, weight_ema(adam(0.1)))
    (delta,), (state,) = rule.update_all([g], [rule.init(w)], [w])
    alone, own = rule.update(g, rule.init(w), w)
    np.testing.assert_array_equal(delta, alone)
    assert state.keys() == own.keys()


@pytest.mark.parametrize("rule", EXAMPLES.values(), ids=EXAMPLES)
def test_a_model_without_arrays_makes_no_steps(rule):
    assert rule.update_all([], [], []) == ([], [])


# ---- settings that differ from array to array

@pytest.mark.parametrize("rule", EXAMPLES.values(), ids=EXAMPLES)
def test_a_rate_for_each_array(rule):
    ws, lrs = arrays("numpy", 0), [0.1, 0.2, 0.3, lambda step: 0.4]
    made, _ = run_all(rule, ws, batches(rule), lr=lrs)
    for i, lr in enumerate([0.1, 0.2, 0.3, 0.4]):
        alike, _ = run_all(rule, ws, batches(rule), lr=lr)
        np.testing.assert_array_equal(made[-1][i], alike[-1][i])


@pytest.mark.parametrize("wrap", [
    lambda rule: rule, lambda rule: chain(clip_by_global_norm(100.0), rule), weight_ema,
    lambda rule: accumulate_gradients(rule, 1), lambda rule: accumulate_gradients(chain(CLIP, weight_ema(rule)), 1),
], ids=["bare", "chain", "ema", "accumulate", "all"])
def test_rules_with_other_settings(wrap):
    ws, rule = arrays("numpy", 0), wrap(adamw(0.1))
    others = [{}, {"lr": 0.2}, {"beta1": 0.5, "weight_decay": 0.5}, {"amsgrad": True, "eps": 0.1}]
    rules = [rule.replace(**changes) for changes in others]
    states = [each.init(w) for each, w in zip(rules, ws)]
    gs = arrays("numpy", 1)
    deltas, after = rule.update_all(gs, states, ws, rules=rules)
    assert ("v_max" in after[3]) and ("v_max" not in after[0])
    for i, each in enumerate(rules):
        alike, _ = each.update_all(gs, [each.init(w) for w in ws], ws)
        np.testing.assert_array_equal(deltas[i], alike[i])


def test_transforms_with_other_settings():
    ws = [np.ones(2)] * 2
    rule = chain(add_decayed_weights(0.0), DESCENT)
    rules = [rule, rule.replace(weight_decay=0.5)]
    deltas, _ = rule.update_all([np.zeros(2)] * 2, [rule.init(w) for w in ws], ws, rules=rules)
    np.testing.assert_array_equal(deltas, [[0, 0], [-0.5, -0.5]])


def test_what_sees_the_whole_model_has_one_setting():
    ws, rule = [np.ones(2)] * 2, chain(CLIP, DESCENT)
    states = [rule.init(w) for w in ws]
    with pytest.raises(ValueError, match=r"clip_by_global_norm\(max_norm=0.5\).*clip_by_global_norm\(max_norm=2.0\)"):
        rule.update_all(ws, states, ws, rules=[rule, rule.replace(max_norm=2.0)])
    deltas, _ = rule.update_all(ws, states, ws, rules=[rule, rule.replace(max_norm=0.5, lr=2.0)])
    np.testing.assert_allclose(deltas, [[-0.25, -0.25], [-0.5, -0.5]])


# ---- lists that disagree

@pytest.mark.parametrize("rule", EXAMPLES.values(), ids=EXAMPLES)
def test_lists_of_other_lengths_are_refused(rule):
    ws = arrays("numpy", 0)[:3]
    full = {"gs": ws, "states": [rule.init(w) for w in ws], "ws": ws, "lr": [0.1] * 3, "rules": [rule] * 3}
    rule.update_all(**full)
    for name in full:
        for other in (full[name][:-1], [*full[name], full[name][-1]]):
            with pytest.raises(ValueError, match="must have equal lengths"):
                rule.update_all(**{**full, name: other})


@pytest.mark.parametrize("transform", [CLIP, add_decayed_weights(0.1)], ids=lambda transform: transform.name)
def test_transforms_refuse_lists_of_other_lengths_too(transform):
    ws = arrays("numpy", 0)
    full = {"gs": ws, "states": [{}] * 4, "ws": ws, "transforms": [transform] * 4}
    transform.update_all(**full)
    for name in full:
        with pytest.raises(ValueError, match="must have equal lengths"):
            transform.update_all(**{**full, name: full[name][:-1]})


def test_the_array_that_is_wrong_is_told():
    ws, rule = [np.ones(2), np.ones(3)], chain(CLIP, DESCENT)
    states = [rule.init(w) for w in ws]
    with pytest.raises(ValueError, match=r"g must have w's shape \(2,\), got \(3,\)"):
        rule.update_all(ws[::-1], states, ws)
    with pytest.raises(ValueError, match="state must come from init"):
        rule.update_all(ws, [states[0], {}], ws)


def test_narrow_gradients_of_wide_weights():
    ws = [np.ones(2, np.float32), np.ones(3, np.float32)]
    gs = [w.astype(ml_dtypes.bfloat16) for w in ws]
    rule = chain(CLIP, DESCENT)
    deltas, _ = rule.update_all(gs, [rule.init(w) for w in ws], ws)
    for delta in deltas:
        assert delta.dtype == np.float32
        np.testing.assert_allclose(delta, -0.5 / np.sqrt(5), rtol=1e-6)


def test_a_model_on_torch_keeps_its_graph():
    lr = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    rule, ws = chain(clip_by_global_norm(100.0), adam(0.1)), arrays("torch", 0)
    deltas, _ = rule.update_all(ws, [rule.init(w) for w in ws], ws, lr)
    sum(delta.sum() for delta in deltas).backward()
    assert lr.grad.isfinite() and lr.grad != 0

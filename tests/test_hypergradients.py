"""Rates learnt by gradient: against autograd, finite differences and closed forms, alike in every framework."""

import copy
import json
import math
import re

import numpy as np
import pytest
import torch
from rule_runs import array, label, numbers, random, run, steps

from course_lib.frameworks import TorchOptimizer
from course_lib.transfer import layer_rates
from course_lib.tuning import hypergradient_descent, unrolled
from course_lib.update_rules import (
    accumulate_gradients, adadelta, adagrad, adam, adamw, add_decayed_weights, chain, clip_by_global_norm, describe,
    gradient_descent, lion, matrices_only, momentum, nadam, rebuild, rmsprop, sign_descent, weight_ema,
)
from course_lib.update_rules.registry import _REGISTRY

LR = 0.125   # the same number in float32 and in float64
RULES = {
    "gradient_descent": gradient_descent(LR),
    "momentum": momentum(LR, dampening=0.25),
    "nesterov": momentum(LR, beta=0.8, nesterov=True),
    "adagrad": adagrad(LR),
    "rmsprop": rmsprop(LR),
    "rmsprop centred": rmsprop(LR, rho=0.9, momentum=0.5, centered=True),
    "adadelta": adadelta(LR, eps=1e-2),
    "adam": adam(LR),
    "amsgrad": adam(LR, amsgrad=True),
    "adamw": adamw(LR, weight_decay=0.25, mask=matrices_only),
    "nadam": nadam(LR),
    "sign_descent": sign_descent(LR),
    "lion": lion(LR, weight_decay=0.25),
    "decayed": chain(add_decayed_weights(0.25), momentum(LR)),
    "clipped": chain(clip_by_global_norm(0.5), adamw(LR)),
    "accumulated": accumulate_gradients(chain(clip_by_global_norm(0.5), adam(LR)), steps=2),
}
every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
every_rule_of_one_batch = pytest.mark.parametrize("rule", list(RULES.values())[:-1], ids=list(RULES)[:-1])
every_library = pytest.mark.parametrize("library", ["numpy", "torch", "tensorflow"])
both_forms = pytest.mark.parametrize("normalised", [False, True], ids=["plain", "normalised"])
SHAPES = [(3, 2), (4,), ()]
RATES = {False: 1e-3, True: 0.05}   # by whether they are shares of the rate


def arrays(seed, dtype="float64"):
    return [random(shape, 10 * seed + i).astype(dtype) for i, shape in enumerate(SHAPES)]


def slopes(ws, step):
    """The gradients of one batch: those of ½ Σ a w², and noise."""
    return [(1 + i) * numbers(w) + 0.1 * noise for i, (w, noise) in enumerate(zip(ws, arrays(100 + step)))]


def trained(rule, count=20, **options):
    """Return weights and states of a model of several arrays, on NumPy."""
    ws = arrays(0)
    states = [rule.init(w) for w in ws]
    for step in range(count):
        deltas, states = rule.update_all(slopes(ws, step), states, ws, **options)
        ws = [w + delta for w, delta in zip(ws, deltas)]
    return ws, states


def close(found, expected, tolerance=1e-12):
    assert len(found) == len(expected)
    for a, b in zip(found, expected):
        np.testing.assert_allclose(numbers(a), numbers(b), rtol=tolerance, atol=tolerance)


def hills(w):
    """A smooth loss with a curvature that changes."""
    return (0.5 + w**2).sqrt().sum() + torch.sin(w[1:] * w[:-1]).sum()


def tensor(values, **options):
    return torch.tensor(values, dtype=torch.float64, **options)


def slope(w):
    w = w.detach().requires_grad_()
    return torch.autograd.grad(hills(w), w)[0]


def test_every_rule_of_the_library_is_tested():
    ours = {name for name, factory in _REGISTRY.items() if factory.__module__.startswith("course_lib.update_rules")}
    described = json.dumps([describe(rule) for rule in RULES.values()])
    assert ours - {"weight_ema"} <= set(re.findall(r'"(?:name|function)": "(\w+)"', described))


# ---- what it is made of

@every_library
@both_forms
@every_rule
def test_with_a_rate_of_0_it_is_the_rule_itself(rule, normalised, library):
    w, gradients = array(library, random(4)), [array(library, g) for g in random((6, 4), 1)]
    found = steps(hypergradient_descent(rule, 0.0, normalised), w, gradients)
    np.testing.assert_allclose(found, steps(rule, w, gradients), rtol=1e-12, atol=1e-15)


@every_rule
def test_steps_are_proportional_to_the_rate_and_the_memory_does_not_know_it(rule):
    w, gradients = random(4), random((6, 4), 1)
    np.testing.assert_allclose(
        steps(rule, w, gradients, lr=0.3), 0.3 * steps(rule, w, gradients, lr=1.0), rtol=1e-12, atol=1e-15,
    )
    states = [rule.init(w), rule.init(w)]
    for g in gradients:
        states = [rule.update(g, state, w, lr=lr)[1] for state, lr in zip(states, (0.3, 1.0))]
    for key, value in states[0].items():
        np.testing.assert_array_equal(value, states[1][key], err_msg=key)


# ---- the hypergradient

@both_forms
@every_rule
def test_the_rate_descends_the_derivative_of_the_loss_with_respect_to_it(rule, normalised):
    share, w = RATES[normalised], tensor(random(4))
    learning = hypergradient_descent(rule, share, normalised)
    state, plain, factor = learning.init(w), rule.init(w), 1.0
    for step in range(6):
        eta = tensor(factor * LR, requires_grad=True)
        delta, plain = rule.update(slope(w), plain, w, lr=eta)
        moved, state = learning.update(slope(w), state, w)
        torch.testing.assert_close(moved, delta.detach(), rtol=1e-12, atol=1e-14)
        derivative = 0.0   # of a step that gathers only
        if delta.requires_grad:
            derivative = torch.autograd.grad(hills(w + delta), eta, retain_graph=True)[0].item()
        plain = {key: value.detach() for key, value in plain.items()}
        w = w + moved
        length = (slope(w).norm() * delta.detach().norm() / (factor * LR)).item()
        if normalised:
            factor *= math.exp(-share * derivative / max(length, 1e-30))
        else:
            factor -= share * derivative / LR
        _, ahead = learning.update(slope(w), state, w)
        assert ahead["factor"].item() == pytest.approx(factor, rel=1e-12), step
    assert abs(factor - 1) > 1e-4


@every_library
def test_the_rate_is_never_negative_and_grows_again_from_0(library):
    rule = hypergradient_descent(gradient_descent(0.5), rate=0.01)
    w = array(library, [0.0])
    state, found = rule.init(w), []
    for g in (1.0, -1000.0, -1.0, -2.0):   # the step at rate 1 is −g, also where none is made
        delta, state = rule.update(array(library, [g]), state, w)
        found.append((float(numbers(state["factor"])), numbers(delta)[0]))
    np.testing.assert_allclose(found, [(1, -0.5), (0, 0), (20, 10), (20.04, 20.04)], rtol=1e-12, atol=0)


@both_forms
def test_the_rate_grows_where_gradients_agree_and_shrinks_where_they_do_not(normalised):
    rule = hypergradient_descent(gradient_descent(LR), RATES[normalised], normalised)
    for g, sign in ((random(4), 1), (-random(4), -1)):
        _, state = run(rule, random(4), [random(4), g])
        if normalised:
            assert state["factor"] == pytest.approx(math.exp(sign * RATES[True]), rel=1e-12)
        assert (state["factor"] > 1) == (sign > 0)


def test_normalised_a_step_up_and_one_down_cancel():
    rule, g = hypergradient_descent(gradient_descent(LR), 0.7, normalised=True), random(4)
    _, state = run(rule, random(4), [g, g, -g])
    assert state["factor"] == pytest.approx(1.0, rel=1e-12)


def test_normalised_the_units_of_the_loss_do_not_matter():
    w, gradients = random(4), random((9, 4), 1) + 0.5
    found = [run(hypergradient_descent(adam(LR, eps=0.0), 0.05, True), w, scale * gradients) for scale in (1.0, 1e8)]
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-12)
    assert found[0][1]["factor"] == pytest.approx(found[1][1]["factor"], rel=1e-12) != 1


def test_a_poor_rate_is_mended():
    def minimised(rule):
        w = 5 * random(6)
        state = rule.init(w)
        for _ in range(100):
            delta, state = rule.update(np.linspace(0.1, 1.0, 6) * w, state, w)
            w = w + delta
        return 0.5 * np.linspace(0.1, 1.0, 6) @ w**2

    for rule, rate in ((gradient_descent(1e-3), 1e-3), (momentum(1e-4), 1e-5), (adam(1e-3), 1e-4)):
        assert minimised(hypergradient_descent(rule, rate)) < 0.5 * minimised(rule), rule.name
        assert minimised(hypergradient_descent(rule, 0.05, normalised=True)) < 0.5 * minimised(rule), rule.name


# ---- one rate for the whole model

@every_library
@both_forms
@every_rule
def test_several_arrays_are_one_vector(rule, normalised, library):
    if "matrices_only" in repr(rule):
        rule = rule.replace(mask=None)   # of one vector it would decay nothing
    rule = hypergradient_descent(rule, RATES[normalised], normalised)
    ws = [array(library, w) for w in arrays(0)]
    flat = array(library, np.concatenate([w.ravel() for w in arrays(0)]))
    states, state = [rule.init(w) for w in ws], rule.init(flat)
    for step in range(5):
        gs = slopes(ws, step)
        deltas, states = rule.update_all([array(library, g) for g in gs], states, ws)
        delta, state = rule.update(array(library, np.concatenate([g.ravel() for g in gs])), state, flat)
        np.testing.assert_allclose(np.concatenate([numbers(d).ravel() for d in deltas]), numbers(delta), rtol=1e-9)
        ws, flat = [w + d for w, d in zip(ws, deltas)], flat + delta
    for each in states:
        np.testing.assert_allclose(numbers(each["factor"]), numbers(state["factor"]), rtol=1e-9)
    assert numbers(state["factor"]) != 1


@both_forms
@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
@every_rule
def test_torchs_optimizer_makes_the_same_steps(rule, compiled, normalised, untraced):
    rule = hypergradient_descent(rule, RATES[normalised], normalised)
    ws = [torch.nn.Parameter(tensor(w)) for w in arrays(0)]
    optimizer = TorchOptimizer(ws, rule, compiled=compiled)
    for step in range(20):
        for w, g in zip(ws, slopes(ws, step)):
            w.grad = tensor(g)
        optimizer.step()
    expected, states = trained(rule)
    close(ws, expected, 1e-10)
    for w, state in zip(ws, states):
        close([optimizer.state[w][key] for key in state], state.values(), 1e-10)
    assert states[0]["factor"] != 1


@both_forms
@every_rule
def test_kerass_optimizer_makes_the_same_steps(rule, normalised):
    keras, tf = pytest.importorskip("keras"), pytest.importorskip("tensorflow")
    from course_lib.frameworks import KerasOptimizer

    rule = hypergradient_descent(rule, RATES[normalised], normalised)
    ws = [keras.Variable(w, dtype="float64") for w in arrays(0)]
    optimizer = KerasOptimizer(rule)
    for step in range(20):
        optimizer.apply([tf.constant(g) for g in slopes([w.numpy() for w in ws], step)], ws)
    close(ws, trained(rule)[0], 1e-10)
    again = KerasOptimizer.from_config(json.loads(json.dumps(optimizer.get_config())))
    assert again.rule.settings["normalised"] is normalised and repr(again.rule) == repr(rule)


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
def test_groups_keep_the_ratio_of_their_rates(compiled, untraced):
    rule = hypergradient_descent(adam(LR), 1e-3)
    ws = [torch.nn.Parameter(tensor(w)) for w in arrays(0)]
    groups = [{"params": ws[:1], "lr": 0.5}, {"params": ws[1:]}]
    optimizer = TorchOptimizer(groups, rule, compiled=compiled)
    for step in range(8):
        before = [w.detach().clone() for w in ws]
        for w, g in zip(ws, slopes(ws, step)):
            w.grad = tensor(g)
        optimizer.step()
        for w, old, lr in zip(ws, before, (0.5, LR, LR)):
            state = optimizer.state[w]
            torch.testing.assert_close(w.detach() - old, lr * state["factor"] * state["unit"], rtol=1e-9, atol=1e-12)
    assert len({optimizer.state[w]["factor"].item() for w in ws}) == 1 != optimizer.state[ws[0]]["factor"]
    close(ws, trained(rule, 8, lr=[0.5, LR, LR])[0], 1e-10)


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
def test_a_schedulers_rate_multiplies_what_is_learnt(compiled, untraced):
    rule, w = hypergradient_descent(gradient_descent(LR), 1e-3), torch.nn.Parameter(tensor(random(4)))
    optimizer = TorchOptimizer([w], rule, compiled=compiled)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    for step in range(5):
        before, w.grad = w.detach().clone(), w.detach().clone()
        optimizer.step()
        scheduler.step()
        expected = -LR * 0.5**step * optimizer.state[w]["factor"] * before
        torch.testing.assert_close(w.detach() - before, expected, rtol=1e-12, atol=1e-15)
    assert optimizer.state[w]["factor"] > 1


@every_library
def test_a_callers_rate_multiplies_what_is_learnt(library):
    rule, w = hypergradient_descent(adam(LR), 1e-3), array(library, random(4))
    gradients = [array(library, g) for g in random((5, 4), 1)]
    for given in (0.5, lambda step: 0.5 / (1 + step)):
        state, own = rule.init(w), rule.init(w)
        for step, g in enumerate(gradients):
            delta, state = rule.update(g, state, w, lr=given)
            _, own = rule.update(g, own, w)
            share = (given(step) if callable(given) else given) / LR
            expected = LR * numbers(own["factor"]) * numbers(own["unit"])
            np.testing.assert_allclose(numbers(delta), share * expected, rtol=1e-12)
    with pytest.raises(ValueError, match="lr must be finite and >= 0"):
        rule.update(gradients[0], rule.init(w), w, lr=-1.0)


def test_a_saved_optimizer_goes_on_with_the_rate_it_has_learnt():
    rule, (a, b) = hypergradient_descent(momentum(LR), 1e-3), (torch.nn.Parameter(tensor(random(4))) for _ in range(2))
    first, second = TorchOptimizer([a], rule), TorchOptimizer([b], rule)
    for step in range(8):
        if step == 4:
            second.load_state_dict(copy.deepcopy(first.state_dict()))
            b.data.copy_(a.data)
        a.grad, b.grad = a.detach().clone(), b.detach().clone()
        first.step()
        if step >= 4:
            second.step()
    assert torch.equal(a, b) and first.state[a]["factor"] == second.state[b]["factor"] != 1


# ---- dtypes, purity, parts

@every_library
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
@both_forms
def test_dtypes_are_kept_and_the_memory_is_float32_at_least(library, dtype, normalised):
    rule, w = hypergradient_descent(adam(LR), RATES[normalised], normalised), array(library, random(4), dtype)
    state = rule.init(w)
    for seed in range(3):
        delta, state = rule.update(array(library, random(4, seed), dtype), state, w)
        assert delta.dtype == w.dtype and tuple(delta.shape) == (4,)
    assert ("64" if dtype == "float64" else "32") in str(state["unit"].dtype)
    if library == "numpy":
        assert type(state["factor"]) is float
    if library == "torch":
        assert state["factor"].dtype == torch.float64
    wide = run(rule, random(4), [random(4, seed) for seed in range(3)])[1]["factor"]
    tolerance = {"bfloat16": 2e-2, "float16": 2e-3, "float32": 1e-6, "float64": 1e-12}[dtype]
    assert float(numbers(state["factor"])) == pytest.approx(wide, rel=tolerance)


@every_library
@pytest.mark.parametrize("dtypes", [
    ("float32", "bfloat16", "float16"), ("float64", "float32", "bfloat16"), ("float16", "float32", "float64"),
], ids="-".join)
def test_a_model_may_be_of_several_dtypes(library, dtypes):
    rule = hypergradient_descent(adam(LR), 1e-2)
    ws = [array(library, w, dtype) for w, dtype in zip(arrays(0), dtypes)]
    wide, states = arrays(0), [rule.init(w) for w in ws]
    expected = [rule.init(w) for w in wide]
    for step in range(3):
        gs = [array(library, g, dtype) for g, dtype in zip(arrays(step), dtypes)]
        deltas, states = rule.update_all(gs, states, ws)
        right, expected = rule.update_all(arrays(step), expected, wide)
    assert [delta.dtype for delta in deltas] == [w.dtype for w in ws]
    close(deltas, right, 0.02)
    for state in states:
        assert float(numbers(state["factor"])) == pytest.approx(expected[0]["factor"], rel=1e-2)


@both_forms
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_small_changes_of_the_rate_add_up_in_float32(library, normalised):
    rule = hypergradient_descent(gradient_descent(1.0), 1e-9, normalised)
    w = array(library, [0.0], "float32")
    _, state = run(rule, w, [w + 1] * 101)
    assert float(state["factor"]) - 1 == pytest.approx(1e-7, rel=1e-5)


@every_library
def test_nothing_that_is_given_is_modified(library):
    rule, w = hypergradient_descent(adam(LR), 1e-2), array(library, random(4))
    _, state = rule.update(w, rule.init(w), w)
    before = copy.deepcopy({key: numbers(value) for key, value in state.items()})
    rule.update(array(library, random(4, 1)), state, w)
    np.testing.assert_array_equal(numbers(w), random(4))
    for key, value in state.items():
        np.testing.assert_array_equal(numbers(value), before[key], err_msg=key)


@every_rule
def test_it_is_described_and_made_again(rule):
    rule = hypergradient_descent(rule, 0.25, True)
    again = rebuild(**json.loads(json.dumps(describe(rule))))
    assert repr(again) == repr(rule) and again.lr == LR
    w, gradients = random(4), random((4, 4), 1)
    np.testing.assert_array_equal(steps(again, w, gradients), steps(rule, w, gradients))


def test_settings_of_it_and_of_its_rule_are_replaced():
    rule = hypergradient_descent(chain(clip_by_global_norm(1.0), adam(LR)), 0.25)
    changed = rule.replace(lr=0.5, rate=0.75, normalised=True, beta1=0.5)
    inner = chain(clip_by_global_norm(1.0), adam(0.5, beta1=0.5))
    assert repr(changed) == repr(hypergradient_descent(inner, 0.75, True)) and changed.lr == 0.5
    w, gradients = random(4), random((4, 4), 1)
    expected = steps(hypergradient_descent(inner, 0.75, True), w, gradients)
    np.testing.assert_array_equal(steps(changed, w, gradients), expected)
    with pytest.raises(ValueError, match="gamma is no setting"):
        rule.replace(gamma=1.0)


@both_forms
@pytest.mark.parametrize("name", ["gradient_descent", "momentum", "adam", "lion"])
def test_runs_side_by_side_are_those_one_after_the_other(name, normalised):
    rule = hypergradient_descent(RULES[name], RATES[normalised], normalised)
    ws, gradients = tensor(random((3, 4))), tensor(random((5, 3, 4), 1) + 1)
    states, moved = torch.func.vmap(rule.init)(ws), []
    for g in gradients:
        deltas, states = torch.func.vmap(rule.update)(g, states, ws)
        moved.append(deltas)
    for i, w in enumerate(ws):
        np.testing.assert_allclose(torch.stack(moved)[:, i], steps(rule, w, gradients[:, i]), rtol=1e-12)
    assert len(set(states["factor"].tolist())) == 3


def test_averages_around_it_are_those_of_the_weights():
    rule, w = weight_ema(hypergradient_descent(gradient_descent(LR), 1e-2), decay=0.5), random(4)
    state, average = rule.init(w), None
    for g in random((4, 4), 1):
        delta, state = rule.update(g, state, w)
        w = w + delta
        average = w if average is None else 0.5 * average + 0.5 * w
    np.testing.assert_allclose(state["average"], average, rtol=1e-12)


@every_rule_of_one_batch
def test_gathered_around_it_batches_are_one_of_their_mean(rule):
    batches, learning = random((5, 2, 4), 1), hypergradient_descent(rule, 1e-2)
    found = steps(accumulate_gradients(learning, 2), random(4), batches.reshape(10, 4))[1::2]
    np.testing.assert_allclose(found, steps(learning, random(4), batches.mean(axis=1)), rtol=1e-9, atol=1e-12)


@every_library
def test_what_had_no_gradient_of_late_does_not_bring_back_an_older_rate(library):
    rule, w = hypergradient_descent(gradient_descent(LR), 1e-2), array(library, random(4))
    ws = [array(library, random(3, 1), "float32"), w, array(library, random(2, 2))]
    states = [rule.init(each) for each in ws]
    for _ in range(4):   # the first has no gradient, nor has the last
        _, states[1:2] = rule.update_all([w], states[1:2], [w])
    learnt = float(numbers(states[1]["factor"]))
    assert learnt > 1.01
    _, states = rule.update_all(ws, states, ws)
    after = [float(numbers(state["factor"])) for state in states]
    assert after == pytest.approx(3 * [learnt + 1e-2 / LR * random(4) @ random(4)], rel=1e-6)


def test_rates_of_layers_count_inside_it_and_outside():
    ws, gs, factors = [random(4), random(3, 1)], [random(4, 2), random(3, 3)], [0.0, 0.5]
    for rule, seen in (
        (hypergradient_descent(layer_rates(gradient_descent(LR), factors), 1e-3), factors),
        (layer_rates(hypergradient_descent(gradient_descent(LR), 1e-3), factors), [1.0, 1.0]),
    ):
        deltas, states = rule.update_all(ws, [rule.init(w) for w in ws], ws)
        close(deltas, [0 * ws[0], -LR / 2 * ws[1]])
        deltas, states = rule.update_all(gs, states, ws)
        factor = 1 + 1e-3 / LR * sum(part * (w @ g) for part, w, g in zip(seen, ws, gs))
        close(deltas, [0 * ws[0], -LR / 2 * factor * gs[1]])


# ---- a whole run unrolled

SPREAD = np.array([0.5, 1.0, 3.0])


def moving(w, t):
    """A loss that is another at every step."""
    return hills(w) + (w * tensor(random(4, t))).sum()


@every_rule
def test_the_gradient_of_a_run_is_that_of_finite_differences(rule):
    w0, rates = tensor(random(4)), np.array([0.02, 0.01, 0.03, 0.02, 0.01])
    value, gradient = unrolled(moving, rule, w0, rates)
    w, state = w0, rule.init(w0)
    for t, lr in enumerate(rates):
        w = w.detach().requires_grad_()
        g, = torch.autograd.grad(moving(w, t), w)
        delta, state = rule.update(g, state, w.detach(), lr=lr)
        w = w.detach() + delta
    assert value == pytest.approx(moving(w, 5).item(), rel=1e-12)
    for t in range(5):
        ends = [unrolled(moving, rule, w0, rates + h * np.eye(5)[t])[0] for h in (1e-6, -1e-6)]
        assert gradient[t] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-6), t
    assert gradient.dtype == np.float64 and np.abs(gradient).max() > 0.1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_of_gradient_descent_on_a_quadratic_it_is_the_closed_form(dtype):
    w0, rates = array("torch", [1.0, -2.0, 0.5], dtype), np.array([0.1, 0.3, 0.2])
    spread = array("torch", SPREAD, dtype)
    shrunk = 1 - rates[:, None] * SPREAD
    last = np.array([1.0, -2.0, 0.5]) * shrunk.prod(axis=0)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    loss, rule = lambda w, t: (spread * w**2).sum() / 2, gradient_descent(9.0)
    value, gradient = unrolled(loss, rule, w0, rates)
    assert value == pytest.approx(SPREAD @ last**2 / 2, rel=tolerance)
    np.testing.assert_allclose(gradient, -(SPREAD**2 * last**2 / shrunk).sum(axis=1), rtol=tolerance)
    value, gradient = unrolled(loss, rule, w0, rates, final=torch.sum)
    assert value == pytest.approx(last.sum(), rel=tolerance)
    np.testing.assert_allclose(gradient, -(SPREAD * last / shrunk).sum(axis=1), rtol=tolerance)
    assert gradient.dtype == np.float64


@every_rule_of_one_batch
def test_of_one_step_it_is_the_hypergradient(rule):
    w = tensor(random(4))
    _, gradient = unrolled(lambda w, t: hills(w), rule, w, [LR])
    learning = hypergradient_descent(rule, 1e-3)
    delta, state = learning.update(slope(w), learning.init(w), w)
    _, state = learning.update(slope(w + delta), state, w + delta)
    assert LR * (state["factor"].item() - 1) == pytest.approx(-1e-3 * gradient[0], rel=1e-9)


def test_a_run_is_differentiated_also_where_gradients_are_off_and_changes_nothing():
    w0, rates = torch.nn.Parameter(tensor(random(4))), np.array([0.01, 0.02])
    expected = unrolled(moving, adam(LR), w0, rates)
    with torch.no_grad():
        found = unrolled(moving, adam(LR), w0, rates)
    assert found[0] == expected[0] and (found[1] == expected[1]).all()
    assert w0.grad is None and (numbers(w0) == random(4)).all() and rates.tolist() == [0.01, 0.02]
    plain = tensor(random(4))
    assert unrolled(moving, adam(LR), plain, rates)[0] == expected[0] and not plain.requires_grad


# ---- misuse

LEARNING = hypergradient_descent(adam(), 0.1)


@pytest.mark.parametrize("make, error, words", [
    (lambda: hypergradient_descent(None, 0.1), TypeError, "rule must be a Rule"),
    (lambda: hypergradient_descent("adam", 0.1), TypeError, "rule must be a Rule"),
    (lambda: hypergradient_descent(clip_by_global_norm(1.0), 0.1), TypeError, "rule must be a Rule"),
    (lambda: hypergradient_descent(adam(lambda t: 0.1), 0.1), ValueError, "rule must have a number above 0 as its lr"),
    (lambda: hypergradient_descent(adam(0.0), 0.1), ValueError, "rule must have a number above 0 as its lr"),
    (lambda: hypergradient_descent(adam(), -0.1), ValueError, "rate must be finite and >= 0"),
    (lambda: hypergradient_descent(adam(), np.nan), ValueError, "rate must be finite and >= 0"),
    (lambda: hypergradient_descent(adam(), "0.1"), TypeError, "rate must be a number"),
    (lambda: hypergradient_descent(LEARNING, 0.1), ValueError, "rule must not learn its rate already"),
    (lambda: hypergradient_descent(chain(clip_by_global_norm(1.0), accumulate_gradients(LEARNING, 2)), 0.1), ValueError,
     "rule must not learn its rate already"),
    (lambda: hypergradient_descent(weight_ema(adam()), 0.1), ValueError, "put hypergradient_descent inside weight_ema"),
    (lambda: hypergradient_descent(accumulate_gradients(weight_ema(adam()), 2), 0.1), ValueError,
     "put hypergradient_descent inside weight_ema"),
])
def test_wrong_arguments_are_named(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_what_is_no_state_is_refused():
    rule, w = hypergradient_descent(adam(), 0.1), random(4)
    for state in (None, {}, {"m": w}):
        with pytest.raises(ValueError, match="state must come from init"):
            rule.update(w, state, w)
    with pytest.raises(ValueError, match=r"g must have w's shape \(4,\), got \(3,\)"):
        rule.update(w[:3], rule.init(w), w)
    with pytest.raises(TypeError, match="w must be an array"):
        rule.init([1.0])
    with pytest.raises(ValueError, match="gs, states, ws, lr, rules must have equal lengths"):
        rule.update_all([w], [rule.init(w)], [w, w])


@pytest.mark.parametrize("wrong, error, words", [
    ({"rule": "adam"}, TypeError, "rule must be a Rule"),
    ({"w0": np.ones(4)}, TypeError, "w0 must be a tensor"),
    ({"rates": [0.1, -0.1]}, ValueError, "rates must be a vector of numbers >= 0"),
    ({"rates": []}, ValueError, "rates must be a vector"),
    ({"rates": 0.1}, ValueError, "rates must be a vector"),
    ({"rates": [np.nan]}, ValueError, "rates must be finite"),
    ({"rates": "fast"}, TypeError, "rates must be an array"),
], ids=label)
def test_wrong_arguments_of_a_run_are_named(wrong, error, words):
    with pytest.raises(error, match=words):
        unrolled(**{"loss": moving, "rule": adam(LR), "w0": tensor(random(4)), "rates": [0.1], **wrong})

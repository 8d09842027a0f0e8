"""What every update rule of the book promises, whatever its formula says."""

import json
import math

import numpy as np
import pytest
import torch
from rule_runs import DTYPES, ROUNDING, array, numbers, random, run, steps

from course_lib.update_rules import (
    Rule, accumulate_gradients, adadelta, adagrad, adam, adamw, add_decayed_weights, chain, clip_by_global_norm,
    describe, gradient_descent, lion, matrices_only, momentum, nadam, rebuild, rmsprop, sign_descent, weight_ema,
)
from course_lib.update_rules.registry import _REGISTRY

CLIP, DECAY, DESCENT = clip_by_global_norm(0.7), add_decayed_weights(0.3), gradient_descent(0.1)

# A rule added to the library gets all the tests below by one line here.
EXAMPLES = {
    "gradient_descent": DESCENT,
    "momentum": momentum(0.1),
    "momentum dampened": momentum(0.1, beta=0.8, dampening=0.8),
    "momentum nesterov": momentum(0.1, nesterov=True),
    "adagrad": adagrad(0.1),
    "rmsprop": rmsprop(0.1, rho=0.9),
    "rmsprop centred": rmsprop(0.1, rho=0.9, centered=True),
    "rmsprop with momentum": rmsprop(0.1, rho=0.9, momentum=0.8),
    "rmsprop with everything": rmsprop(0.1, rho=0.9, momentum=0.8, centered=True),
    "adadelta": adadelta(),
    "adam": adam(0.1),
    "adam amsgrad": adam(0.1, beta2=0.9, amsgrad=True),
    "adamw": adamw(0.1, weight_decay=0.3),
    "adamw masked": adamw(0.1, weight_decay=0.3, amsgrad=True, mask=matrices_only),
    "nadam": nadam(0.1),
    "sign_descent": sign_descent(0.1),
    "lion": lion(0.1),
    "lion with decay": lion(0.1, weight_decay=0.3, mask=matrices_only),
    "clip_by_global_norm": chain(CLIP, DESCENT),
    "add_decayed_weights": chain(add_decayed_weights(0.3, mask=matrices_only), DESCENT),
    "chain": chain(CLIP, DECAY, adam(0.1)),
    "accumulate_gradients": accumulate_gradients(adam(0.1), 2),
    "accumulate_gradients of a chain": chain(CLIP, accumulate_gradients(chain(DECAY, momentum(0.1)), 3)),
    "weight_ema": weight_ema(nadam(0.1), decay=0.9),
    "weight_ema within all": chain(CLIP, accumulate_gradients(weight_ema(chain(DECAY, adamw(0.1))), 2)),
}

every_rule = pytest.mark.parametrize("rule", EXAMPLES.values(), ids=EXAMPLES)
both = pytest.mark.parametrize("library", ["numpy", "torch"])
all_three = pytest.mark.parametrize("library", ["numpy", "torch", "tensorflow"])


def batches(rule):
    """Return how many gradients go into one step."""
    return rule.options.get("steps", 1)


def gradients(rule, count, shape=(2, 3), scale=1.0):
    """Return gradients for `count` steps."""
    return list(scale * random((count * batches(rule), *shape), 1))


def parts(part):
    """Yield a rule or transform, and whatever it is made of."""
    yield part
    for inner in (*part.settings.get("parts", ()), part.settings.get("rule")):
        if inner is not None:
            yield from parts(inner)


PARTS = {part.name: part for rule in EXAMPLES.values() for part in parts(rule)}
NUMBERS = [(name, key) for name, part in PARTS.items() for key, value in part.settings.items() if type(value) is float]
ONE = 1.0
SMALLEST = {"float16": 6e-8}   # below it float16 has 0 alone
BELOW_ONE = {"beta", "beta1", "beta2", "rho", "momentum", "dampening", "decay"}


def test_every_registered_name_has_an_example():
    masks = {getattr(part.settings.get("mask"), "__name__", None) for rule in EXAMPLES.values() for part in parts(rule)}
    for name, factory in _REGISTRY.items():
        if factory.__module__.startswith("course_lib.update_rules"):
            assert name in PARTS or name in masks, f"{name!r} is registered: give it a line in EXAMPLES"


# ---- arrays in, arrays out

@both
@every_rule
def test_nothing_is_written_into(rule, library):
    w, gs = array(library, random((2, 3))), [array(library, g) for g in gradients(rule, 3)]
    states, deltas = [rule.init(w)], []
    kept = {f"g{i}": g for i, g in enumerate(gs)} | {"w": w}
    before = {key: numbers(value).tobytes() for key, value in kept.items()}
    for t, g in enumerate(gs):
        for key, value in {**states[-1], "delta": deltas[-1] if deltas else w}.items():
            kept[f"{t} {key}"] = value
            before[f"{t} {key}"] = numbers(value).tobytes()
        delta, state = rule.update(g, states[-1], w)
        deltas.append(delta)
        states.append(state)
    for key, value in kept.items():
        assert numbers(value).tobytes() == before[key], f"{key} was written into"


@both
@every_rule
def test_no_memory_is_shared_with_weights_and_gradient(rule, library):
    # A framework writes into both in place: the state must not change with them.
    w, state = array(library, random((2, 3))), None
    for g in [array(library, g) for g in gradients(rule, 2)]:
        for key, value in (state or rule.init(w)).items():
            kept = numbers(value)
            w += 1
            g += 1
            np.testing.assert_array_equal(numbers(value), kept, f"{key} changed with w or g")
        delta, state = rule.update(g, state or rule.init(w), w)
        kept = numbers(delta)
        w += 1
        g += 1
        np.testing.assert_array_equal(numbers(delta), kept)


def kind(value):
    return (getattr(value, "dtype", type(value)), tuple(getattr(value, "shape", ())))


@all_three
@every_rule
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_and_shape_are_kept(rule, library, dtype):
    wide = "float64" if dtype == "float64" else "float32"
    for shape in [(), (0,), (3,), (2, 3, 4)]:
        w, moved = array(library, random(shape), dtype), 0
        state = rule.init(w)
        kinds = {key: kind(value) for key, value in state.items()}
        assert all(wide in str(found) for found, own in kinds.values() if own == shape != ()), "the state is narrow"
        for g in gradients(rule, 2, shape):
            delta, state = rule.update(array(library, g, dtype), state, w)
            assert kind(delta) == kind(w) == kind(w + delta)
            assert {key: kind(value) for key, value in state.items()} == kinds
            moved += np.abs(numbers(delta)).sum()
        assert (moved > 0) == (math.prod(shape) > 0)


@every_rule
def test_three_frameworks_agree(rule):
    start, gs = random((2, 3)), gradients(rule, 5, scale=5.0)
    expected, end = run(rule, start, gs)
    for library in ("torch", "tensorflow"):
        w, state = run(rule, array(library, start), [array(library, g) for g in gs])
        np.testing.assert_allclose(numbers(w), expected, rtol=1e-13, atol=1e-14)
        assert state.keys() == end.keys()
        for key, value in end.items():
            np.testing.assert_allclose(numbers(state[key]), value, rtol=1e-12, atol=1e-14, err_msg=key)


@all_three
@every_rule
@pytest.mark.parametrize("dtype", ROUNDING)
def test_every_step_in_narrow_floats_is_the_exact_one_rounded(rule, library, dtype):
    w, gs = array(library, random((2, 30)), dtype), [array(library, g, dtype) for g in gradients(rule, 12, (2, 30))]
    narrow, exact = steps(rule, w, gs), steps(rule, numbers(w), [numbers(g) for g in gs])
    # One rounding at the end; before it a few in float32, of terms that may cancel. TensorFlow keeps βᵗ in float32 too,
    # where 1 − .999 is off by 3e-5.
    before = (4e-5 if library == "tensorflow" else 16 * ROUNDING["float32"]) * np.abs(exact).max()
    np.testing.assert_allclose(narrow, exact, rtol=ROUNDING[dtype], atol=before + SMALLEST.get(dtype, 0))


@both
@every_rule
def test_strides_make_no_difference(rule, library):
    w, gs = array(library, random((8, 6))), [array(library, g) for g in gradients(rule, 2, (8, 6))]
    straight, _ = run(rule, w.T[:, ::2] + 0, [g.T[:, ::2] + 0 for g in gs])
    crooked, _ = run(rule, w.T[:, ::2], [g.T[:, ::2] for g in gs])
    np.testing.assert_allclose(numbers(crooked), numbers(straight), rtol=1e-14, atol=1e-15)


# ---- steps and rates

@both
@every_rule
def test_t_counts_beyond_what_the_weights_could_count(rule, library):
    w = array(library, random(3), "bfloat16")
    state = rule.init(w)
    assert state["t"] == 0
    state["t"] += 254
    for t in range(255, 260):   # bfloat16 has no 257
        for _ in range(batches(rule)):
            assert state["t"] == t - 1
            _, state = rule.update(w, state, w)
        assert state["t"] == t
    if library == "numpy":
        assert type(state["t"]) is float
    else:
        assert state["t"].dtype == torch.float64 and state["t"].shape == ()


@both
@every_rule
def test_lr_is_overridden_by_number_array_and_schedule(rule, library):
    w, gs = array(library, random((2, 3))), [array(library, g) for g in gradients(rule, 2)]
    rates = [0.25, 0.5]
    slow, fast = [steps(rule, w, gs, lr=rate) for rate in rates]
    assert not np.allclose(slow, fast)
    rows = steps(rule, w, gs, lr=array(library, np.array(rates)[:, None]))
    np.testing.assert_array_equal(rows, np.stack([slow[:, 0], fast[:, 1]], axis=1))
    for same in (array(library, 0.5), np.float32(0.5), lambda step: 0.5, rule.replace(lr=0.5).lr):
        np.testing.assert_array_equal(steps(rule, w, gs, lr=same), fast)
    np.testing.assert_array_equal(steps(rule.replace(lr=0.5), w, gs), fast)
    np.testing.assert_array_equal(steps(rule, w, gs, lr=0), 0)


@both
@every_rule
def test_schedule_is_called_with_the_steps_made(rule, library):
    seen, w = [], array(library, random((2, 3)))
    run(rule, w, [w] * 3 * batches(rule), lr=lambda step: seen.append(step) or 0.1)
    assert [int(step) for step in seen] == [t for t in range(3) for _ in range(batches(rule))]
    assert all(isinstance(step, int if library == "numpy" else torch.Tensor) for step in seen)


# ---- what frameworks make of a rule

@every_rule
def test_vmap_equals_a_loop(rule):
    gs = [torch.tensor(3 * g) for g in gradients(rule, 4)]

    def end(lr, w):
        return run(rule, w, gs, lr=lr)[0]

    lr, w = torch.tensor([0.1, 0.2, 0.4]), torch.tensor(random((3, 2, 3), 1))
    looped = torch.stack([end(*pair) for pair in zip(lr, w)])
    torch.testing.assert_close(torch.func.vmap(end)(lr, w), looped, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(torch.func.vmap(end, (0, None))(lr, w[0])[0], looped[0], rtol=1e-12, atol=1e-12)


@every_rule
@pytest.mark.parametrize("shape", [(4, 2, 3), (4,)], ids=str)
def test_vmap_over_the_state_keeps_its_dtypes(rule, shape):
    w = torch.tensor(random(shape), dtype=torch.float32)
    singles = [rule.init(single) for single in w]
    state = {key: torch.stack([single[key] for single in singles]) for key in singles[0]}
    kinds, lr = {key: kind(value) for key, value in state.items()}, torch.linspace(0.1, 0.2, 4, dtype=torch.float64)
    for g in gradients(rule, 2, shape):
        g = torch.tensor(g, dtype=torch.float32)
        deltas = [rule.update(*one, lr=rate) for *one, rate in zip(g, singles, w, lr)]
        singles = [single for _, single in deltas]
        delta, state = torch.func.vmap(rule.update)(g, state, w, lr)
        torch.testing.assert_close(delta, torch.stack([delta for delta, _ in deltas]))
        assert delta.dtype == torch.float32 and {key: kind(value) for key, value in state.items()} == kinds


@every_rule
def test_compiles_once_into_one_graph(rule):
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph

    w, gs = torch.tensor(random((2, 3)), dtype=torch.float32), gradients(rule, 3)
    torch._dynamo.reset()
    step, state, plain = torch.compile(rule.update, fullgraph=True, backend=backend), rule.init(w), rule.init(w)
    for t, g in enumerate(gs):
        g, lr = torch.tensor(g, dtype=torch.float32), torch.tensor(0.3 / (t + 1))
        expected, plain = rule.update(g, plain, w, lr)
        delta, state = step(g, state, w, lr)
        torch.testing.assert_close(delta, expected)
        torch.testing.assert_close(state, plain)
        w = w + delta
    assert len(graphs) == 1, "compiled again for a new step or a new rate"


@every_rule
def test_tensorflow_traces_once(rule):
    tf = pytest.importorskip("tensorflow")
    w, gs = array("tensorflow", random((2, 3)), "float32"), gradients(rule, 3)
    step, state, plain = tf.function(rule.update), rule.init(w), rule.init(w)
    for t, g in enumerate(gs):
        g, lr = array("tensorflow", g, "float32"), tf.constant(0.3 / (t + 1))
        expected, plain = rule.update(g, plain, w, lr)
        delta, state = step(g, state, w, lr)
        np.testing.assert_allclose(numbers(delta), numbers(expected), rtol=1e-4, atol=1e-6)
        assert {key: kind(value) for key, value in state.items()} == {key: kind(value) for key, value in plain.items()}
    assert step.experimental_get_tracing_count() == 1


@every_rule
def test_autograd_goes_through_lr_and_gradient(rule):
    w, start = torch.tensor(random((2, 2))), torch.tensor(random((2, 2), 1))
    lr = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)

    def end(lr, g):
        powers = [g / (t + 1) ** 2 for t in range(3 * batches(rule))]
        return run(rule, w, powers, lr=lr)[0]

    assert torch.autograd.gradcheck(end, (lr, start.requires_grad_()))


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")   # when forward mode is first used
@every_rule
def test_derivative_by_lr_survives_gradients_that_are_zero(rule):
    curvature = torch.tensor([[0.0, 1.0, 2.0], [0.5, 0.0, 3.0]], dtype=torch.float64)

    def loss(lr):
        w = torch.ones(2, 3, dtype=torch.float64)
        state = rule.init(w)
        for _ in range(4 * batches(rule)):
            delta, state = rule.update(curvature * w, state, w, lr)
            w = w + delta
        return (curvature * w * w).sum()

    lr = torch.tensor(0.03, dtype=torch.float64)
    measured = (loss(lr + 1e-6) - loss(lr - 1e-6)) / 2e-6
    by_hand = lr.clone().requires_grad_()
    loss(by_hand).backward()
    derivatives = {
        "backward": by_hand.grad, "grad": torch.func.grad(loss)(lr), "forward": torch.func.jacfwd(loss)(lr),
        "grad of vmap": torch.func.grad(lambda lr: torch.func.vmap(loss)(lr.expand(2)).mean())(lr),
    }
    for way, derivative in derivatives.items():
        torch.testing.assert_close(derivative, measured, rtol=1e-6, atol=1e-7, msg=lambda said: f"{way}: {said}")
    assert torch.func.hessian(loss)(lr).isfinite()


# ---- settings

@every_rule
def test_rebuilt_from_json_it_makes_the_same_steps(rule):
    again = rebuild(**json.loads(json.dumps(describe(rule), allow_nan=False)))
    assert isinstance(again, Rule) and repr(again) == repr(rule) and again.options == rule.options
    w, gs = random((2, 3)), gradients(rule, 3)
    np.testing.assert_array_equal(steps(again, w, gs), steps(rule, w, gs))


@pytest.mark.parametrize("bad, error", [
    (-0.1, ValueError), (math.nan, ValueError), (math.inf, ValueError), (np.array(-1.0), ValueError),
    ("0.1", TypeError), (True, TypeError), (None, TypeError), ([0.1], TypeError), (abs, TypeError), (ONE, ValueError),
], ids=repr)
@pytest.mark.parametrize("name, key", NUMBERS)
def test_bad_setting_is_named(name, key, bad, error):
    if (bad is abs and key == "lr") or (bad is ONE and key not in BELOW_ONE):
        assert rebuild(name, {**PARTS[name].settings, key: bad}).settings[key] == bad
        return
    with pytest.raises(error) as caught:
        rebuild(name, {**PARTS[name].settings, key: bad})
    assert str(caught.value).startswith(f"{key} must be")
    assert repr(bad) in str(caught.value) or repr(np.asarray(bad)[()]) in str(caught.value)


@pytest.mark.parametrize("name, key", [(name, key) for name, part in PARTS.items() for key, value in part.settings.items()
                                       if type(value) is bool])
def test_a_switch_is_true_or_false(name, key):
    for bad in (0, 1.0, "no", None):
        with pytest.raises(TypeError, match=f"{key} must be True or False, got {bad!r}"):
            rebuild(name, {**PARTS[name].settings, key: bad})
    assert rebuild(name, {**PARTS[name].settings, key: np.bool_(True)}).settings[key] is True


@every_rule
def test_replace_changes_one_setting_and_it_matters(rule):
    w, gs = random((2, 3)), [g / (t + 1) for t, g in enumerate(gradients(rule, 4))]
    before, said = run(rule, w, gs), repr(rule)
    changeable = {key: value for key, value in rule.options.items() if isinstance(value, (bool, int, float))}
    assert "lr" in changeable
    for key, value in changeable.items():
        other = not value if isinstance(value, bool) else value + 1 if key == "steps" else (value or 0.2) / 2
        changed = rule.replace(**{key: other})
        assert changed.options == {**rule.options, key: other} and repr(rule) == said
        after = run(changed, w, gs)
        assert any(np.any(after[1].get(name) != end) for name, end in before[1].items()) or np.any(after[0] != before[0])
    assert rule.replace().options == rule.options
    with pytest.raises(ValueError, match="momentums is no setting"):
        rule.replace(momentums=0.5)


def test_adadelta_would_never_start_without_eps():
    with pytest.raises(ValueError, match="eps must be finite and > 0, got 0"):
        adadelta(eps=0)


# ---- by hand

def test_gradient_descent_by_hand():
    delta, state = gradient_descent(0.5).update(np.array([2.0, -4.0]), {"t": 6.0}, np.zeros(2))
    np.testing.assert_array_equal(delta, [-1.0, 2.0])
    assert state == {"t": 7.0}


def test_powers_beside_tensorflow_are_exact_to_float32():
    tf = pytest.importorskip("tensorflow")
    w = tf.ones(3, tf.bfloat16)
    state = adam().init(w)
    for _ in range(100):
        _, state = adam().update(w, state, w)
    assert float(state["beta2_power"]) == pytest.approx(0.999**100, rel=1e-5)

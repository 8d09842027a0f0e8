"""What every registered rule and transform promises; and gradient descent against PyTorch and Keras."""

import json
import math

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.update_rules import Rule, chain, gradient_descent, rebuild
from course_lib.update_rules.rule import _REGISTRY

CLIP = {"name": "clip_by_global_norm", "settings": {"max_norm": 0.7}}
DECAY = {"name": "add_decayed_weights", "settings": {"weight_decay": 0.3}}
DESCENT = {"name": "gradient_descent", "settings": {"lr": 0.1}}

# A rule added to the library gets all the tests below by one line here.
EXAMPLES = {
    "gradient_descent": DESCENT["settings"],
    "clip_by_global_norm": CLIP["settings"],
    "add_decayed_weights": DECAY["settings"],
    "chain": {"parts": [CLIP, DECAY, DESCENT]},
}

SETTINGS = [(name, key) for name, example in EXAMPLES.items() for key, value in example.items() if type(value) is float]
DTYPES = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16, "float32": np.float32, "float64": np.float64}
SHAPES = [(), (0,), (3,), (2, 3, 4)]
every_rule = pytest.mark.parametrize("name", sorted(_REGISTRY))
both = pytest.mark.parametrize("library", ["numpy", "torch"])


def made(name):
    """Return an example of a registered name, as a rule: a transform stands before gradient descent."""
    assert name in EXAMPLES, f"{name!r} is registered: give it example settings in EXAMPLES"
    part = rebuild(name, EXAMPLES[name])
    return part if isinstance(part, Rule) else chain(part, gradient_descent(lr=0.1))


def random(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def array(library, values, dtype="float64"):
    if library == "numpy":
        return np.asarray(values).astype(DTYPES[dtype])
    return torch.tensor(np.asarray(values)).to(getattr(torch, dtype))


def numbers(x):
    """Return the values of an array of any framework, as float64."""
    return np.asarray(x.double() if isinstance(x, torch.Tensor) else x).astype(np.float64)


def run(rule, w, gradients, **options):
    state = rule.init(w)
    for g in gradients:
        delta, state = rule.update(g, state, w, **options)
        w = w + delta
    return w, state


# ---- every registered name

@both
@every_rule
def test_inputs_stay_unchanged_bit_for_bit(name, library):
    rule, w, g = made(name), array(library, random(5)), array(library, 9 * random(5, 1))
    _, state = run(rule, w, [g])
    before = {key: (value, numbers(value).tobytes()) for key, value in {"w": w, "g": g, **state}.items()}
    rule.update(g, state, w)
    after = {"w": w, "g": g, **state}
    assert after.keys() == before.keys()
    for key, (same, content) in before.items():
        assert after[key] is same and numbers(same).tobytes() == content, f"{key} was written into"


@both
@every_rule
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_and_shape_are_kept(name, library, dtype, shape):
    w = array(library, random(shape), dtype)
    delta, _ = made(name).update(array(library, random(shape, 1), dtype), made(name).init(w), w)
    assert delta.dtype == w.dtype and delta.shape == w.shape and (w + delta).dtype == w.dtype
    assert math.prod(shape) == 0 or np.abs(numbers(delta)).max() > 0


@both
@every_rule
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_narrow_floats_agree_with_float64(name, library, dtype):
    w, g = array(library, random(50), dtype), array(library, random(50, 1), dtype)
    exact, _ = run(made(name), numbers(w), [numbers(g)])
    epsilon = {"float16": 2**-10, "bfloat16": 2**-7, "float32": 2**-23}[dtype]
    np.testing.assert_allclose(numbers(run(made(name), w, [g])[0]), exact, rtol=2 * epsilon, atol=2 * epsilon)


@both
@every_rule
def test_strides_make_no_difference(name, library):
    w, g = array(library, random((4, 6))), array(library, random((4, 6), 1))
    straight, _ = run(made(name), w[:, ::2] * 1, [g[:, ::2] * 1])
    np.testing.assert_allclose(numbers(run(made(name), w[:, ::2], [g[:, ::2]])[0]), numbers(straight), rtol=1e-14)


@both
@every_rule
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_t_counts_beyond_what_the_weights_could_count(name, library, dtype):
    rule, w = made(name), array(library, random(3), dtype)
    state = rule.init(w)
    assert state["t"] == 0
    for t in range(1, 260):   # bfloat16 has no 257
        _, state = rule.update(w, state, w)
        assert state["t"] == t
    if library == "numpy":
        assert type(state["t"]) is float
    else:
        assert state["t"].dtype == torch.float64 and state["t"].shape == ()


@every_rule
def test_three_frameworks_agree(name):
    tf = pytest.importorskip("tensorflow")
    start, gradients = random(7), [5 * random(7, seed) for seed in range(1, 6)]
    reference, _ = run(made(name), start, gradients)
    for convert in (torch.tensor, tf.constant):
        w, state = run(made(name), convert(start), [convert(g) for g in gradients])
        np.testing.assert_allclose(np.asarray(w), reference, rtol=1e-13, atol=1e-14)
        assert float(state["t"]) == 5
    half = tf.constant(start, dtype=tf.float16)
    delta, _ = made(name).update(half, made(name).init(half), half)
    assert delta.dtype == tf.float16 and np.isfinite(delta.numpy()).all()


@both
@every_rule
def test_lr_is_overridden_by_number_array_and_schedule(name, library):
    rule, w, g = made(name), array(library, random((2, 3))), array(library, random((2, 3), 1))
    state, rates = rule.init(w), [0.25, 0.5]
    steps = [numbers(rule.update(g, state, w, lr=rate)[0]) for rate in rates]
    assert not np.allclose(*steps)
    column = array(library, np.array(rates)[:, None])
    np.testing.assert_array_equal(numbers(rule.update(g, state, w, lr=column)[0]), [steps[0][0], steps[1][1]])
    np.testing.assert_array_equal(numbers(rule.update(g, state, w, lr=array(library, 0.5))[0]), steps[1])
    np.testing.assert_array_equal(numbers(rule.update(g, state, w, lr=lambda step: 0.5)[0]), steps[1])
    np.testing.assert_array_equal(numbers(rule.update(g, state, w, lr=0)[0]), 0)


@both
@every_rule
def test_schedule_is_called_with_the_steps_made(name, library):
    seen = []
    w = array(library, random(3))
    run(made(name), w, [w] * 3, lr=lambda step: seen.append(step) or 0.1)
    assert [int(step) for step in seen] == [0, 1, 2]
    assert all(isinstance(step, int if library == "numpy" else torch.Tensor) for step in seen)


@every_rule
def test_vmap_equals_a_loop(name):
    rule, gradients = made(name), torch.tensor(3 * random((4, 5)))

    def end(lr, w):
        return run(rule, w, gradients, lr=lr)[0]

    lr, w = torch.tensor([0.1, 0.2, 0.4]), torch.tensor(random((3, 5), 1))
    looped = torch.stack([end(*pair) for pair in zip(lr, w)])
    torch.testing.assert_close(torch.func.vmap(end)(lr, w), looped, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(torch.func.vmap(end, (0, None))(lr, w[0])[0], looped[0], rtol=1e-12, atol=1e-12)


@every_rule
def test_compiles_once_into_one_graph(name):
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph

    rule, w = made(name), torch.tensor(random(6), dtype=torch.float32)
    gradients = [torch.tensor(random(6, seed), dtype=torch.float32) for seed in range(3)]
    expected = [run(rule, w, gradients[:n], lr=torch.tensor(0.2))[0] for n in (1, 2, 3)]
    step, state = torch.compile(rule.update, fullgraph=True, backend=backend), rule.init(w)
    for g, end in zip(gradients, expected):
        delta, state = step(g, state, w, torch.tensor(0.2))
        w = w + delta
        torch.testing.assert_close(w, end)
    assert len(graphs) == 1, "compiled again for a new step"


@every_rule
def test_autograd_goes_through_lr_and_gradient(name):
    rule, w = made(name), torch.tensor(random(4))
    lr = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    g = torch.tensor(random(4, 1), requires_grad=True)
    assert torch.autograd.gradcheck(lambda lr, g: run(rule, w, [g, g * g], lr=lr)[0], (lr, g))


@every_rule
def test_rebuilt_from_json_it_makes_the_same_steps(name):
    rule, gradients = made(name), list(random((3, 4), 1))
    part = rebuild(name, EXAMPLES[name])
    assert part.name == name
    again = rebuild(rule.name, json.loads(json.dumps(rule.settings)))
    assert repr(again) == repr(rule) and part.settings == EXAMPLES[name]
    np.testing.assert_array_equal(run(again, random(4), gradients)[0], run(rule, random(4), gradients)[0])


@pytest.mark.parametrize("bad, error", [
    (-0.1, ValueError), (math.nan, ValueError), (math.inf, ValueError), (np.array(-1.0), ValueError),
    ("0.1", TypeError), (True, TypeError), (None, TypeError), ([0.1], TypeError),
], ids=repr)
@pytest.mark.parametrize("name, setting", SETTINGS)
def test_bad_setting_is_named(name, setting, bad, error):
    with pytest.raises(error) as caught:
        rebuild(name, {**EXAMPLES[name], setting: bad})
    assert f"{setting} must be" in str(caught.value)
    assert repr(bad) in str(caught.value) or repr(bad[()]) in str(caught.value)


# ---- gradient descent

@given(st.floats(0, 8, width=16), st.lists(st.integers(1, 4), max_size=3), st.integers(0, 999))
@settings(max_examples=15)
def test_gradient_descent_equals_torch_and_keras(lr, shape, seed):
    keras = pytest.importorskip("keras")
    start, gradients = random(shape, seed), random([5, *shape], seed + 1)
    ours, _ = run(gradient_descent(lr), start, gradients)
    theirs = torch.nn.Parameter(torch.tensor(start))
    optimizer = torch.optim.SGD([theirs], lr=lr)
    variable = keras.Variable(start, dtype="float64")
    twin = keras.optimizers.SGD(learning_rate=lr)
    for g in gradients:
        theirs.grad = torch.tensor(g)
        optimizer.step()
        twin.apply_gradients([(keras.ops.convert_to_tensor(g, dtype="float64"), variable)])
    np.testing.assert_allclose(theirs.detach().numpy(), ours, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(variable.value.numpy(), ours, rtol=1e-12, atol=1e-12)


def test_gradient_descent_by_hand():
    delta, state = gradient_descent(0.5).update(np.array([2.0, -4.0]), {"t": 6.0}, np.zeros(2))
    np.testing.assert_array_equal(delta, [-1.0, 2.0])
    assert state == {"t": 7.0}

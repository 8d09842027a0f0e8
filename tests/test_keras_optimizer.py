"""KerasOptimizer: the same steps as the rules make on NumPy, and all that Keras does with an optimizer."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from course_lib import update_rules
from course_lib.schedules import cosine_decay, warmup
from course_lib.update_rules import (
    Rule, Transform, accumulate_gradients, adadelta, adagrad, adam, adamw, add_decayed_weights, chain,
    clip_by_global_norm, describe, gradient_descent, lion, matrices_only, momentum, nadam, register, registry,
    rmsprop, sign_descent, weight_ema,
)

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")
keras_optimizer = pytest.importorskip("course_lib.frameworks.keras_optimizer")
KerasOptimizer = keras_optimizer.KerasOptimizer

ROOT = Path(__file__).resolve().parent.parent
LR = 0.125   # the same number in float32 and in float64


def inertia(lr):
    """A reader's rule, whose state holds the very arrays that it was given, one of them twice."""
    def update(g, state, w, lr):
        delta = 0.5 * (w - state["before"]) + 0.25 * (w - state["earlier"]) - lr * g
        return delta, {**state, "before": w, "earlier": state["before"]}

    return Rule("inertia", {"lr": lr}, lambda w: {"before": w, "earlier": w}, update)


def no_rate():
    return Rule("no_rate", {}, lambda w: {}, lambda g, state, w, lr: (-0.25 * g, state))


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    """Register the reader's rules for one test: other tests go through the whole registry."""
    monkeypatch.setattr(registry, "_REGISTRY", {**registry._REGISTRY})
    register(inertia)
    register(no_rate)


# A rule added to the library gets the tests below by one line here.
RULES = {
    "inertia": inertia(LR),
    "gradient_descent": gradient_descent(LR),
    "momentum": momentum(LR),
    "nesterov": momentum(LR, dampening=0.5, nesterov=True),
    "adagrad": adagrad(LR),
    "rmsprop": rmsprop(LR),
    "rmsprop_all": rmsprop(LR, rho=0.9, momentum=0.5, centered=True),
    "adadelta": adadelta(LR),
    "adam": adam(LR),
    "amsgrad": adam(LR, amsgrad=True),
    "adamw": adamw(LR, weight_decay=0.25, mask=matrices_only),
    "nadam": nadam(LR),
    "sign_descent": sign_descent(LR),
    "lion": lion(LR, weight_decay=0.25),
    "chain": chain(clip_by_global_norm(0.5), add_decayed_weights(0.25, mask=matrices_only), momentum(LR)),
    "accumulate": accumulate_gradients(chain(clip_by_global_norm(0.5), adam(LR)), steps=3),
    "clip_each_batch": chain(clip_by_global_norm(0.5), accumulate_gradients(adam(LR), steps=2)),
    "weight_ema": weight_ema(adam(LR), decay=0.75),
    "all": chain(clip_by_global_norm(1.0), accumulate_gradients(weight_ema(nadam(LR), decay=0.75), steps=2)),
}
every_rule = pytest.mark.parametrize("name", RULES)
SHAPES = [(3, 2), (4,), ()]

# How `fit` may run its steps, and how a loop of one's own may.
FITS = {"graph": {}, "eager": {"run_eagerly": True}, "xla": {"jit_compile": True}, "loop": {"steps_per_execution": 4}}
every_fit = pytest.mark.parametrize("how", FITS)
LOOPS = {"eager": lambda f: f, "graph": tf.function, "xla": tf.function(jit_compile=True)}
every_loop = pytest.mark.parametrize("how", LOOPS)

# Keras asks NumPy for a copy of a variable in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")


def arrays(seed, dtype="float64"):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in SHAPES]


def run(rule, ws, steps, dtype="float64", **options):
    """Return weights and states after some steps of a rule on NumPy, with random gradients."""
    states = [rule.init(w) for w in ws]
    for seed in range(1, steps + 1):
        deltas, states = rule.update_all(arrays(seed, dtype), states, ws, **options)
        ws = [w + delta for w, delta in zip(ws, deltas)]
    return ws, states


def variables(dtype="float64"):
    return [keras.Variable(w, dtype=dtype, name=f"w{i}") for i, w in enumerate(arrays(0, dtype))]


def train(optimizer, steps, dtype="float64", how="eager", build=True):
    """Return variables after the same steps of an optimizer."""
    ws = variables(dtype)
    if build:
        optimizer.build(ws)
    step = LOOPS[how](lambda gs: optimizer.apply(gs, ws))
    for seed in range(1, steps + 1):
        step([tf.constant(g) for g in arrays(seed, dtype)])
    return ws


def entries(optimizer):
    """Return the variables of an optimizer by the last part of their paths."""
    return {v.path.split("/")[-1]: v.numpy() for v in optimizer.variables}


def assert_close(ours, theirs, tolerance):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.numpy(), b, rtol=tolerance, atol=tolerance)


def assert_same(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(*(x.numpy() if hasattr(x, "numpy") else x for x in (a, b)))


def values(*holders):
    """Return copies of all variables of models and optimizers."""
    return [v.numpy().copy() for holder in holders for v in holder.variables]


# A line through points: the gradient of the loss is easily written down.
POINTS = np.random.default_rng(7).standard_normal((32, 3)).astype("float32")
TARGETS = POINTS @ np.array([[1.0], [-2.0], [0.5]], dtype="float32")
BATCH = 8


def line(optimizer, **options):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="line")])
    model.compile(optimizer, loss="mse", **options)
    return model


def fit(model, epochs=1, x=POINTS, **options):
    return model.fit(x, TARGETS, batch_size=BATCH, epochs=epochs, shuffle=False, verbose=0, **options)


def line_on_numpy(rule, epochs, lr=None):
    w, state = np.zeros((3, 1)), None
    state = rule.init(w)
    for _ in range(epochs):
        for x, y in zip(np.split(POINTS, 4), np.split(TARGETS, 4)):
            delta, state = rule.update(2 / BATCH * x.T.astype(float) @ (x @ w - y), state, w, lr)
            w = w + delta
    return w


def network(optimizer, **options):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(1)])
    model.compile(optimizer, loss="mse", **options)
    return model


def unregistered(lr=LR):
    return Rule("unregistered", {"lr": lr}, lambda w: {}, lambda g, state, w, lr: (-lr * g, state))


# ---- the same steps as on NumPy

def test_every_public_name_has_an_example():
    described = json.dumps([describe(rule) for rule in RULES.values()])
    others = {"Rule", "Transform", "register", "rebuild", "describe"}
    missing = [name for name in set(update_rules.__all__) - others if f'"{name}"' not in described]
    assert not missing, f"give {missing} an example in RULES"


@every_rule
@pytest.mark.parametrize("dtype, tolerance", [("float32", 3e-5), ("float64", 1e-12)])
def test_equals_the_rule_on_numpy(name, dtype, tolerance):
    expected, states = run(RULES[name], arrays(0, dtype), 5, dtype)
    optimizer = KerasOptimizer(RULES[name])
    assert_close(train(optimizer, 5, dtype), expected, tolerance)
    found = entries(optimizer)
    for i, state in enumerate(states):
        for key, value in state.items():
            np.testing.assert_allclose(found[f"w{i}_{key}"], value, rtol=tolerance, atol=tolerance, err_msg=key)


@every_rule
def test_equals_the_rule_on_numpy_within_a_function(name):
    ws = train(KerasOptimizer(RULES[name]), 4, how="graph")
    assert_close(ws, run(RULES[name], arrays(0), 4)[0], 1e-12)


@every_loop
def test_the_state_may_be_made_by_the_first_step(how):
    ws = train(KerasOptimizer(RULES["weight_ema"], use_ema=True), 3, how=how, build=False)
    assert_close(ws, run(RULES["weight_ema"], arrays(0), 3)[0], 1e-12)
    big = keras.Variable(np.ones((20, 20)), dtype="float64")   # TensorFlow treats constants of more than 128 numbers differently
    optimizer = KerasOptimizer(adam(LR))
    LOOPS[how](lambda: optimizer.apply([tf.ones((20, 20), tf.float64)], [big]))()
    np.testing.assert_allclose(big.numpy(), 1 - LR)


@every_fit
def test_fit_equals_the_rule_on_numpy(how):
    rule = chain(clip_by_global_norm(2.0), adam(warmup(cosine_decay(0.5, steps=6), steps=3)))
    model = line(KerasOptimizer(rule), **FITS[how])
    fit(model, epochs=3)
    assert_close(model.weights, [line_on_numpy(rule, 3)], 2e-5)
    assert int(model.optimizer.iterations.numpy()) == 12


def test_clipping_sees_the_whole_model():
    optimizer = KerasOptimizer(chain(clip_by_global_norm(1.0), gradient_descent(1.0)))
    ws = variables()
    optimizer.apply([tf.constant(100 * g) for g in arrays(1)], ws)
    moved = np.concatenate([(w.numpy() - start).ravel() for w, start in zip(ws, arrays(0))])
    assert np.linalg.norm(moved) == pytest.approx(1.0, rel=1e-12)


def test_a_rule_of_the_readers_own():
    seen = Transform("peek", {}, lambda w: {"n": 1 + 0 * w}, lambda g, s, w: (g * s["n"], {"n": s["n"] + 1}))
    rule = chain(seen, unregistered())
    assert_close(train(KerasOptimizer(rule), 3), run(rule, arrays(0), 3)[0], 1e-12)


def test_a_rule_without_a_learning_rate():
    rule = no_rate()
    optimizer = KerasOptimizer(rule)
    assert_close(train(optimizer, 3), run(rule, arrays(0), 3)[0], 1e-12)
    assert float(optimizer.learning_rate.numpy()) == 1
    again = KerasOptimizer.from_config(optimizer.get_config())
    assert_same(train(again, 3), train(KerasOptimizer(rule), 3))


def test_float64_throughout():
    keras.config.set_floatx("float64")
    try:
        rule = adam(cosine_decay(0.1, steps=9))
        assert_close(train(KerasOptimizer(rule), 7), run(rule, arrays(0), 7)[0], 1e-12)
        assert_close(train(KerasOptimizer(adam(0.1)), 7), run(adam(0.1), arrays(0), 7)[0], 1e-12)
    finally:
        keras.config.set_floatx("float32")


# ---- the learning rate

def test_learning_rate_can_be_set_and_is_what_counts():
    optimizer = KerasOptimizer(chain(clip_by_global_norm(1.0), momentum(0.1)))
    assert optimizer.learning_rate.numpy() == np.float32(0.1)
    optimizer.learning_rate = LR
    assert_close(train(optimizer, 3), run(RULES_MOMENTUM, arrays(0), 3)[0], 1e-12)


RULES_MOMENTUM = chain(clip_by_global_norm(1.0), momentum(LR))


def test_keras_callbacks_set_it():
    def schedule(epoch, rate):
        return [0.5, 0.25, 0.125][epoch]

    model = line(KerasOptimizer(gradient_descent(9.0)))
    fit(model, epochs=3, callbacks=[keras.callbacks.LearningRateScheduler(schedule)])
    w, rule, state = np.zeros((3, 1)), gradient_descent(9.0), {"t": 0.0}
    for rate in (0.5, 0.25, 0.125):
        for x, y in zip(np.split(POINTS, 4), np.split(TARGETS, 4)):
            delta, state = rule.update(2 / BATCH * x.T @ (x @ w - y), state, w, lr=rate)
            w = w + delta
    assert_close(model.weights, [w], 1e-5)
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=1, min_delta=1e9)
    fit(model, epochs=3, callbacks=[plateau])
    assert float(model.optimizer.learning_rate.numpy()) == 0.125 / 4


KERAS_SCHEDULE = keras.optimizers.schedules.InverseTimeDecay(0.5, 1, 0.5)
SCHEDULES = {
    "ours": warmup(cosine_decay(0.5, steps=6), steps=2),
    "keras": KERAS_SCHEDULE,
    "function": lambda step: 0.5 / (1 + step),
    "constant function": lambda step: 0.5,
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_is_asked_from_0(name):
    schedule = SCHEDULES[name]
    optimizer = KerasOptimizer(adamw(schedule))
    ws = train(optimizer, 5, dtype="float32")
    rates = [float(schedule(step)) for step in range(6)]
    expected, states = arrays(0), [adamw().init(w) for w in arrays(0)]
    for step in range(5):
        deltas, states = adamw().update_all(arrays(step + 1), states, expected, lr=rates[step])
        expected = [w + delta for w, delta in zip(expected, deltas)]
    assert_close(ws, expected, 1e-5)
    assert float(optimizer.learning_rate) == pytest.approx(rates[5], rel=1e-5)


@pytest.mark.parametrize("name", ["ours", "keras"])
def test_schedule_cannot_be_set(name):
    model = line(KerasOptimizer(adam(SCHEDULES[name])))
    with pytest.raises(TypeError, match="not settable"):
        model.optimizer.learning_rate = 0.1
    with pytest.raises(TypeError, match="not settable"):
        fit(model, callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch: 0.1)])


def test_schedule_of_an_accumulating_rule_counts_its_steps():
    rule = weight_ema(adam(cosine_decay(0.5, steps=4)))
    rule = chain(clip_by_global_norm(0.5), accumulate_gradients(rule, steps=3))
    optimizer = KerasOptimizer(rule)
    assert_close(train(optimizer, 8, "float32", how="graph"), run(rule, arrays(0), 8)[0], 1e-5)
    assert float(optimizer.learning_rate) == pytest.approx(cosine_decay(0.5, steps=4)(2), rel=1e-6)


def test_setting_a_schedule_later():
    optimizer = KerasOptimizer(gradient_descent(9.0))
    optimizer.learning_rate = KERAS_SCHEDULE
    assert_close(train(optimizer, 3, "float32"), run(gradient_descent(KERAS_SCHEDULE), arrays(0), 3)[0], 1e-5)
    again = KerasOptimizer.from_config(optimizer.get_config())
    assert_same(train(again, 3, "float32"), train(KerasOptimizer(gradient_descent(KERAS_SCHEDULE)), 3, "float32"))


# ---- the state

@pytest.mark.parametrize("dtype, state", [("bfloat16", "float32"), ("float32", "float32"), ("float64", "float64")])
def test_state_is_kept_in_float32_at_least(dtype, state):
    optimizer = KerasOptimizer(RULES["all"])
    optimizer.build(variables(dtype))
    found = {v.path.split("/")[-1]: v for v in optimizer.variables}
    keys = ["m", "v", "beta2_power", "decay_power", "mu_product", "t", "average", "gathered", "batches"]
    assert list(found) == ["iteration", "learning_rate", "skipped", *(f"w{i}_{key}" for i in range(3) for key in keys)]
    for i, shape in enumerate(SHAPES):
        assert {found[f"w{i}_{key}"].dtype for key in keys} == {state}
        assert found[f"w{i}_m"].shape == found[f"w{i}_average"].shape == shape and found[f"w{i}_t"].shape == ()


def test_built_once():
    optimizer, ws = KerasOptimizer(adam()), variables()
    optimizer.build(ws)
    before = list(map(id, optimizer.variables))
    optimizer.build(ws)
    optimizer.apply_gradients(zip([tf.ones_like(w) for w in ws], ws))
    assert list(map(id, optimizer.variables)) == before
    with pytest.raises(ValueError, match="Unknown variable"):
        optimizer.apply([tf.ones(2)], [keras.Variable(np.ones(2))])
    optimizer.apply([tf.ones_like(w) for w in ws])
    with pytest.raises(ValueError, match="must already be built"):
        KerasOptimizer(adam()).apply([tf.ones(2)])


def test_apply_gradients_returns_the_iterations():
    optimizer, ws = KerasOptimizer(adam()), variables()
    assert optimizer.apply_gradients([(tf.ones_like(w), w) for w in ws]) is optimizer.iterations
    optimizer.apply([])
    assert int(optimizer.iterations.numpy()) == 1


def test_averaged_weights():
    optimizer = KerasOptimizer(RULES["weight_ema"])
    with pytest.raises(ValueError, match="rule must be weight_ema"), optimizer.averaged_weights():
        pass
    ws = train(optimizer, 4)
    last, states = run(RULES["weight_ema"], arrays(0), 4)
    with pytest.raises(ZeroDivisionError), optimizer.averaged_weights():
        assert_close(ws, [state["average"] for state in states], 1e-12)
        raise ZeroDivisionError
    assert_close(ws, last, 1e-12)
    optimizer = KerasOptimizer(adam())
    optimizer.build(ws)
    with pytest.raises(ValueError, match="rule must be weight_ema"), optimizer.averaged_weights():
        pass


# ---- saving

SAVED = {
    "all": RULES["all"],
    "ours": chain(clip_by_global_norm(1.0), lion(SCHEDULES["ours"], mask=matrices_only)),
    "keras": weight_ema(adam(KERAS_SCHEDULE)),
    "own": inertia(0.25),
}


@pytest.mark.parametrize("name", SAVED)
def test_config_makes_it_again(name):
    optimizer = KerasOptimizer(SAVED[name], check_finite="skip", weight_decay=0.25, name="mine")
    config = json.loads(json.dumps(optimizer.get_config()))
    again = KerasOptimizer.from_config(config)
    assert config == json.loads(json.dumps(again.get_config())), "from_config changes or forgets something"
    assert (again.name, again.check_finite, again.weight_decay) == ("mine", "skip", 0.25)
    assert_same(train(again, 3, "float32"), train(optimizer, 3, "float32"))


@pytest.mark.parametrize("name", SAVED)
def test_saved_model_goes_on_as_if_never_interrupted(name, tmp_path):
    whole = line(KerasOptimizer(SAVED[name]), run_eagerly=True)
    fit(whole, epochs=2)
    part = line(KerasOptimizer(SAVED[name]), run_eagerly=True)
    fit(part)
    part.save(tmp_path / "model.keras")
    before = values(part, part.optimizer)
    keras.backend.clear_session()
    again = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(again.optimizer, KerasOptimizer)
    assert_same(values(again, again.optimizer), before)
    fit(again)
    assert_same(values(again, again.optimizer), values(whole, whole.optimizer))


def test_a_rate_that_was_set_is_saved(tmp_path):
    model = network(KerasOptimizer(adam(0.5)), run_eagerly=True)
    fit(model)
    model.optimizer.learning_rate = 0.25
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.optimizer.learning_rate.numpy() == model.optimizer.get_config()["learning_rate"] == 0.25


def test_saved_weights_go_on_too(tmp_path):
    model = network(KerasOptimizer(unregistered()), run_eagerly=True)
    fit(model)
    model.save_weights(tmp_path / "model.weights.h5")
    again = network(KerasOptimizer(unregistered()), run_eagerly=True)
    again.optimizer.build(again.trainable_variables)   # as Keras wants it
    again.load_weights(tmp_path / "model.weights.h5")
    assert_same(values(again, again.optimizer), values(model, model.optimizer))


PROGRAM = """
import sys
import numpy as np
from course_lib.frameworks import KerasOptimizer
import keras

model = keras.models.load_model(sys.argv[1])
assert isinstance(model.optimizer, KerasOptimizer)
data = np.load(sys.argv[2])
model.fit(data["x"], data["y"], batch_size=8, epochs=2, shuffle=False, verbose=0)
np.savez(sys.argv[3], *[v.numpy() for v in model.variables + model.optimizer.variables])
"""


def test_goes_on_in_a_fresh_process(tmp_path):
    rule = chain(clip_by_global_norm(1.0), adamw(SCHEDULES["ours"], mask=matrices_only))
    whole, part = network(KerasOptimizer(rule)), network(KerasOptimizer(rule))
    fit(whole, epochs=3)
    fit(part)
    part.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x=POINTS, y=TARGETS)
    files = [str(tmp_path / name) for name in ("model.keras", "data.npz", "end.npz")]
    subprocess.run([sys.executable, "-c", PROGRAM, *files], cwd=ROOT, check=True)
    with np.load(tmp_path / "end.npz") as end:
        assert_same([end[name] for name in end], values(whole, whole.optimizer))


@pytest.mark.parametrize("rule", [unregistered(), gradient_descent(lambda step: 0.1), unregistered(KERAS_SCHEDULE)], ids=["rule", "schedule", "both"])
def test_what_is_not_registered_trains_but_is_not_saved(rule, tmp_path):
    model = network(KerasOptimizer(rule), run_eagerly=True)
    fit(model)
    with pytest.raises(ValueError, match="call register first"):
        model.save(tmp_path / "model.keras")


# ---- gradients that are not plain tensors

@pytest.mark.parametrize("how", ["graph", "xla"])
def test_sparse_gradients_of_an_embedding(how):
    words = np.array([[1, 1, 4], [0, 1, 2], [4, 4, 4], [2, 1, 0]])
    table = keras.layers.Embedding(6, 2, embeddings_initializer="ones")
    model = keras.Sequential([keras.Input((3,), dtype="int32"), table, keras.layers.Flatten()])
    model.compile(KerasOptimizer(chain(clip_by_global_norm(0.5), adam(LR))), loss="mse", **FITS[how])
    model.fit(words, np.zeros((4, 6)), batch_size=1, epochs=2, shuffle=False, verbose=0)
    rule, w = chain(clip_by_global_norm(0.5), adam(LR)), np.ones((6, 2))
    state = rule.init(w)
    for row in [*words, *words]:
        g = np.zeros((6, 2))
        np.add.at(g, row, 2 / 6 * w[row])
        delta, state = rule.update(g, state, w)
        w = w + delta
    assert_close(model.weights, [w], 1e-5)


def test_duplicates_of_a_sparse_gradient_are_summed():
    w = keras.Variable(np.ones((3, 2), dtype="float32"))
    sparse = tf.IndexedSlices(tf.constant([[1.0, 2.0], [3.0, 4.0]]), tf.constant([1, 1]), tf.constant([3, 2]))
    KerasOptimizer(gradient_descent(1.0), loss_scale_factor=2.0, clipvalue=2.5).apply([sparse], [w])
    np.testing.assert_array_equal(w.numpy(), [[1, 1], [-1, -1.5], [1, 1]])


def test_a_weight_without_gradient_is_left_alone():
    optimizer, ws = KerasOptimizer(adamw(LR)), variables()
    with pytest.warns(UserWarning, match="Gradients do not exist.*w1"):
        optimizer.apply([tf.ones((3, 2), tf.float64), None, tf.ones((), tf.float64)], ws)
    np.testing.assert_array_equal(ws[1].numpy(), arrays(0)[1])
    assert [entries(optimizer)[f"w{i}_t"] for i in range(3)] == [1, 0, 1]
    assert ws[0].numpy()[0, 0] == pytest.approx(arrays(0)[0][0, 0] * (1 - LR * 0.01) - LR, abs=1e-7)
    with pytest.raises(ValueError, match="No gradients provided"):
        optimizer.apply([None] * 3, ws)


# ---- narrow floats

@pytest.mark.parametrize("policy, end", [("mixed_bfloat16", 0.02), ("mixed_float16", 0.02), ("bfloat16", 0.1)])
def test_narrow_policies_learn(policy, end):
    keras.config.set_dtype_policy(policy)
    try:
        rule = chain(clip_by_global_norm(4.0), adam(cosine_decay(0.5, steps=60)))
        model = line(KerasOptimizer(rule))
        losses = fit(model, epochs=15).history["loss"]
    finally:
        keras.config.set_dtype_policy("float32")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer) == (policy == "mixed_float16")
    assert losses[-1] < end < losses[0]


def test_bfloat16_weights_keep_an_average_that_forgets():
    w = keras.Variable(np.ones(1), dtype="bfloat16", name="w")
    optimizer = KerasOptimizer(adam(2.0**-6, beta2=0.999))
    step = tf.function(lambda: optimizer.apply([tf.constant([3.0], tf.bfloat16)], [w]))
    for _ in range(300):
        step()
    assert entries(optimizer)["w_v"] == pytest.approx(9 * (1 - 0.999**300), rel=1e-3)
    assert float(w.numpy()[0]) == pytest.approx(1 - 300 * 2.0**-6, rel=0.01)


# ---- the options of Keras

OPTIONS = {
    "clipnorm": {"clipnorm": 0.5},
    "clipvalue": {"clipvalue": 0.5},
    "global_clipnorm": {"global_clipnorm": 0.5},
    "weight_decay": {"weight_decay": 0.25},
    "use_ema": {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 3},
    "loss_scale_factor": {"loss_scale_factor": 4.0},
    "gradient_accumulation_steps": {"gradient_accumulation_steps": 2},
    "many": {"clipnorm": 0.5, "weight_decay": 0.25, "use_ema": True, "gradient_accumulation_steps": 2},
}


@pytest.mark.parametrize("how", ["eager", "graph"])
@pytest.mark.parametrize("name", OPTIONS)
def test_options_do_what_they_do_in_keras(name, how):
    ends = []
    for optimizer in (KerasOptimizer(gradient_descent(LR), **OPTIONS[name]), keras.optimizers.SGD(LR, **OPTIONS[name])):
        optimizer.exclude_from_weight_decay(var_names=["w1"])
        ws = train(optimizer, 5, how=how)
        optimizer.finalize_variable_values(ws)
        ends.append([w.numpy() for w in [*ws, optimizer.variables[0]]])   # the iterations
    for ours, theirs in zip(*ends):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert not np.allclose(ends[0][0], train(KerasOptimizer(gradient_descent(LR)), 5)[0].numpy())


def test_constraints_hold():
    w = keras.Variable(np.full(2, 0.25))
    w.constraint = keras.constraints.NonNeg()
    KerasOptimizer(gradient_descent(1.0)).apply([tf.constant([1.0, -1.0])], [w])
    np.testing.assert_array_equal(w.numpy(), [0.0, 1.25])


# ---- gradients that are not finite

@every_loop
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_broken_gradient_raises_and_changes_nothing(how, wrong):
    optimizer, ws = KerasOptimizer(adam(LR), weight_decay=0.5, use_ema=True), variables()
    optimizer.build(ws)
    step = LOOPS[how](lambda gs: optimizer.apply(gs, ws))
    step([tf.constant(g) for g in arrays(1)])
    before = [w.numpy().copy() for w in [*ws, *optimizer.variables]]
    broken = [tf.constant(g) for g in arrays(2)]
    broken[1] = tf.where(tf.range(4) == 2, tf.constant(wrong, tf.float64), broken[1])
    if how == "xla":   # which cannot raise
        step(broken)
        assert int(optimizer.skipped.numpy()) == 1
        optimizer.skipped.assign(0)
    else:
        error = {"eager": FloatingPointError, "graph": tf.errors.InvalidArgumentError}[how]
        with pytest.raises(error, match="the gradient of w1 must be finite; no step was made"):
            step(broken)
    assert_same([*ws, *optimizer.variables], before)


@every_loop
def test_a_broken_gradient_is_skipped_and_counted(how):
    rule = chain(clip_by_global_norm(2.0), adam(cosine_decay(0.5, steps=20)))
    optimizer, ws = KerasOptimizer(rule, check_finite="skip", weight_decay=0.5), variables()
    optimizer.build(ws)
    step = LOOPS[how](lambda gs: optimizer.apply(gs, ws))
    for seed in range(1, 4):
        gs = [tf.constant(g) for g in arrays(seed)]
        step(gs)
        step([*gs[:2], tf.constant(np.nan, tf.float64)])
    assert int(optimizer.skipped.numpy()) == 3
    optimizer.skipped.assign(0)
    whole = KerasOptimizer(rule, weight_decay=0.5)
    assert_close([*ws, *optimizer.variables], [v.numpy() for v in [*train(whole, 3), *whole.variables]], 1e-7)


BROKEN = np.where(np.arange(32)[:, None] == 20, np.nan, POINTS)   # the third of four batches


@pytest.mark.parametrize("how", ["graph", "loop"])
def test_fit_raises_and_names_the_weight(how):
    model, whole = line(KerasOptimizer(adam(LR)), **FITS[how]), line(KerasOptimizer(adam(LR)))
    with pytest.raises(tf.errors.InvalidArgumentError, match="the gradient of [^ ]*line/kernel must be finite"):
        fit(model, x=BROKEN)
    whole.fit(POINTS[:16], TARGETS[:16], batch_size=BATCH, shuffle=False, verbose=0)
    assert_same(values(model, model.optimizer), values(whole, whole.optimizer))


def test_unchecked_it_is_stepped_on():
    optimizer = KerasOptimizer(gradient_descent(LR), check_finite=False)
    w = keras.Variable(np.ones(2))
    optimizer.apply([tf.constant([np.nan, 1.0], tf.float32)], [w])
    np.testing.assert_array_equal(w.numpy(), np.array([np.nan, 1 - LR]))


def test_the_count_of_skipped_steps_is_saved(tmp_path):
    model = line(KerasOptimizer(adam(LR), check_finite="skip"), run_eagerly=True)
    fit(model, x=BROKEN)
    model.save(tmp_path / "model.keras")
    assert int(keras.models.load_model(tmp_path / "model.keras").optimizer.skipped.numpy()) == 1


def test_loss_scaling_sees_overflow_first():
    optimizer = KerasOptimizer(adam(LR))
    scaled = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=4.0)
    w = keras.Variable(np.ones(2, dtype="float32"))
    scaled.apply([tf.constant([np.inf, 1.0])], [w])
    assert scaled.dynamic_scale.numpy() == 2 and int(optimizer.iterations.numpy()) == 0
    scaled.apply([tf.constant([8.0, -8.0])], [w])
    np.testing.assert_allclose(w.numpy(), [1 - LR, 1 + LR], rtol=1e-6)


# ---- wrong arguments, other backends

@pytest.mark.parametrize("bad", ["adam", adam, None, clip_by_global_norm(1.0), keras.optimizers.Adam()], ids=lambda bad: type(bad).__name__)
def test_rule_must_be_a_rule(bad):
    with pytest.raises(TypeError, match="rule must be a Rule") as caught:
        KerasOptimizer(bad)
    assert repr(bad) in str(caught.value)


@pytest.mark.parametrize("options, error, message", [
    ({"check_finite": "always"}, ValueError, "check_finite must be one of True, False, 'skip', got 'always'"),
    ({"colour": "red"}, ValueError, "not recognized.*colour"),
    ({"clipnorm": 1.0, "clipvalue": 1.0}, ValueError, "Only one of"),
    ({"gradient_accumulation_steps": 1}, ValueError, "gradient_accumulation_steps"),
    ({"learning_rate": 0.1}, TypeError, "learning_rate must be given to the rule"),
], ids=lambda case: next(iter(case)) if isinstance(case, dict) else "")
def test_wrong_options(options, error, message):
    with pytest.raises(error, match=message):
        KerasOptimizer(adam(), **options)


@pytest.mark.parametrize("lr", [1, np.float32(1), np.array(1.0), tf.constant(1.0)], ids=lambda lr: type(lr).__name__)
def test_rates_that_are_numbers(lr):
    assert KerasOptimizer(adam(lr)).learning_rate.numpy() == 1


def test_a_rate_for_each_entry_is_refused():
    with pytest.raises(TypeError, match="lr must be a number, got array"):
        KerasOptimizer(adam(np.array([0.1, 0.2])))


def test_wrong_shape_is_named():
    with pytest.raises(ValueError, match=r"g must have w's shape \(2,\), got \(3,\)"):
        KerasOptimizer(adam()).apply([tf.ones(3)], [keras.Variable(np.ones(2))])


def test_distribution_is_refused():
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        with pytest.raises(NotImplementedError, match="strategy must be that of one device, got OneDeviceStrategy"):
            KerasOptimizer(adam()).build(variables())


def test_other_backends_are_refused(monkeypatch):
    monkeypatch.setattr(keras_optimizer, "BACKEND", "jax")
    with pytest.raises(NotImplementedError, match="Keras must run on tensorflow or torch, got 'jax'"):
        KerasOptimizer(adam())


ON_TORCH = """
import sys
import numpy as np
sys.path.insert(0, "tests")
import test_keras_optimizer as tests
import keras, torch

assert keras.config.backend() == "torch"
for name, rule in tests.RULES.items():
    optimizer = tests.KerasOptimizer(rule)
    ws = [keras.Variable(w, dtype="float64") for w in tests.arrays(0)]
    for seed in range(1, 8):
        optimizer.apply([torch.tensor(g) for g in tests.arrays(seed)], ws)
    for w, end in zip(ws, tests.run(rule, tests.arrays(0), 7)[0]):
        np.testing.assert_allclose(w.numpy(), end, rtol=1e-12, atol=1e-12, err_msg=name)

rule = tests.chain(tests.clip_by_global_norm(2.0), tests.adam(tests.SCHEDULES["ours"]))
model = tests.line(tests.KerasOptimizer(rule))
tests.fit(model, epochs=2)
np.testing.assert_allclose(model.weights[0].numpy(), tests.line_on_numpy(rule, 2), rtol=1e-5)
before = tests.values(model, model.optimizer)
try:
    model.train_on_batch(tests.BROKEN[16:24], tests.TARGETS[16:24])
except FloatingPointError as error:
    assert "line/kernel must be finite" in str(error)
else:
    raise AssertionError("no error")
tests.assert_same(tests.values(model, model.optimizer), before)
model.save(sys.argv[1])
again = keras.models.load_model(sys.argv[1])
for each in (model, again):
    tests.fit(each)
tests.assert_same(tests.values(again, again.optimizer), tests.values(model, model.optimizer))
"""


def test_on_the_torch_backend(tmp_path):
    command = [sys.executable, "-c", ON_TORCH, str(tmp_path / "model.keras")]
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, "KERAS_BACKEND": "torch"})

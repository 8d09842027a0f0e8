"""Schedules against their twins in PyTorch and Keras, on every kind of step, alone and inside a rule."""

import json
import math

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from course_lib import TorchOptimizer, schedules
from course_lib.schedules import (
    Schedule, constant, cosine_decay, cosine_restarts, cyclic, exponential_decay, inverse_time_decay, join, one_cycle,
    polynomial_decay, step_decay, warmup,
)
from course_lib.update_rules import adam, chain, clip_by_global_norm, describe, gradient_descent, rebuild
from rule_runs import label

# One example of each, as a function of lr; a new schedule gets the tests below by a line here.
EXAMPLES = {
    "constant": constant,
    "step_decay": lambda lr: step_decay(lr, factor=0.3, every=5),
    "exponential_decay": lambda lr: exponential_decay(lr, factor=0.8),
    "inverse_time_decay": lambda lr: inverse_time_decay(lr, rate=0.3),
    "polynomial_decay": lambda lr: polynomial_decay(lr, steps=6, power=2.0, end=0.01),
    "cosine_decay": lambda lr: cosine_decay(lr, steps=6, end=0.01),
    "cosine_restarts": lambda lr: cosine_restarts(lr, steps=5, end=0.01),
    "cosine_restarts_longer": lambda lr: cosine_restarts(lr, steps=1, multiplier=3, end=0.01),
    "cyclic": lambda lr: cyclic(0.01, lr, half_period=3),
    "cyclic_halved": lambda lr: cyclic(0.01, lr, half_period=2, mode="triangular2"),
    "cyclic_fading": lambda lr: cyclic(0.01, lr, half_period=2, mode="exp_range", gamma=0.9),
    "one_cycle": lambda lr: one_cycle(lr, steps=9),
    "one_cycle_from_the_top": lambda lr: one_cycle(lr, steps=8, pct_start=0.1, div_factor=5.0, final_div_factor=2.0),
    "warmup": lambda lr: warmup(cosine_decay(lr, steps=6, end=0.01), steps=3),
    "join": lambda lr: join([warmup(constant(lr), 2), polynomial_decay(lr, 3), exponential_decay(lr, 0.5)], [3, 8]),
}
every_schedule = pytest.mark.parametrize("make", EXAMPLES.values(), ids=EXAMPLES)
STEPS = range(12)


def test_every_schedule_has_an_example():
    made = {make(0.4).name for make in EXAMPLES.values()}
    assert made == {*schedules.__all__} - {"Schedule", "Plateau"}


# ---- twins

def torchs(make, lr, steps):
    """The rates of a scheduler of torch."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler, rates = make(optimizer), []
    for step in range(steps):
        if step:
            optimizer.step()
            scheduler.step()
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


rate_and_steps = given(st.floats(1e-6, 10), st.integers(1, 40), st.floats(0.1, 4), st.floats(0, 1))


@rate_and_steps
@settings(max_examples=12)
def test_equal_to_torchs_step_by_step(lr, steps, power, fraction):
    factor = 1 - 0.9 * fraction
    pairs = [
        (step_decay(lr, factor, steps), lambda o: lr_scheduler.StepLR(o, steps, factor)),
        (exponential_decay(lr, factor), lambda o: lr_scheduler.ExponentialLR(o, factor)),
        (constant(lr), lambda o: lr_scheduler.ConstantLR(o, factor=1.0)),
        (inverse_time_decay(lr, power), lambda o: lr_scheduler.LambdaLR(o, lambda t: 1 / (1 + power * t))),
        (polynomial_decay(lr, steps, power), lambda o: lr_scheduler.PolynomialLR(o, steps, power)),
        (cosine_decay(lr, steps, fraction * lr), lambda o: lr_scheduler.CosineAnnealingLR(o, steps, fraction * lr)),
        (warmup(constant(lr), steps), lambda o: lr_scheduler.LambdaLR(o, lambda t: min(t + 1, steps) / steps)),
    ]
    for ours, theirs in pairs:
        rates = [ours(step) for step in range(steps + 1)]
        np.testing.assert_allclose(rates, torchs(theirs, lr, steps + 1), rtol=1e-9, atol=1e-12 * lr, err_msg=str(ours))


@given(st.floats(1e-6, 10), st.integers(1, 25), st.integers(1, 4), st.floats(0, 1))
@settings(max_examples=20)
def test_restarts_and_triangles_equal_torchs_without_end(lr, steps, multiplier, fraction):
    low, gamma = fraction * lr, 1 - 0.5 * fraction
    restarts = cosine_restarts(lr, steps, multiplier, low)
    pairs = [(restarts, lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, steps, multiplier, low))]
    for mode in ("triangular", "triangular2", "exp_range"):
        pairs.append((cyclic(low, lr, steps, mode, gamma), lambda o, mode=mode: lr_scheduler.CyclicLR(
            o, low, lr, steps, mode=mode, gamma=gamma, cycle_momentum=False)))
    long = 6 * steps + 7
    for ours, theirs in pairs:
        rates = [ours(step) for step in range(long)]
        np.testing.assert_allclose(rates, torchs(theirs, lr, long), rtol=1e-9, atol=1e-9 * lr, err_msg=str(ours))


@given(st.floats(1e-6, 10), st.integers(1, 40), st.floats(0, 1), st.floats(1, 50), st.floats(1, 1e5))
@settings(max_examples=40)
def test_one_cycle_equals_torchs_until_torch_refuses(lr, steps, share, div, final):
    if share * steps == 1:   # there torch divides by zero; see below
        share = 0.0
    ours = one_cycle(lr, steps, share, div, final)
    theirs = torchs(lambda o: lr_scheduler.OneCycleLR(
        o, lr, steps, pct_start=share, div_factor=div, final_div_factor=final, cycle_momentum=False), lr, steps)
    np.testing.assert_allclose([ours(step) for step in range(steps)], theirs, rtol=1e-7, atol=1e-12 * lr)


def test_after_its_end_one_cycle_stays_where_torchs_raises():
    ours = one_cycle(0.5, steps=10)
    assert ours(9) == ours(10) == ours(10**6) == pytest.approx(0.5 / 25 / 1e4)
    make = lambda o: lr_scheduler.OneCycleLR(o, 0.5, 10, cycle_momentum=False)
    assert torchs(make, 0.5, 11)[10] > 1000 * ours(10)   # one step past its end torch's has turned and rises
    with pytest.raises(ValueError, match="Tried to step 11 times"):
        torchs(make, 0.5, 12)
    with pytest.raises(ZeroDivisionError):
        torchs(lambda o: lr_scheduler.OneCycleLR(o, 0.5, 10, pct_start=0.1, cycle_momentum=False), 0.5, 1)
    assert one_cycle(0.5, 10, pct_start=0.1)(0) == 0.5 and one_cycle(0.5, 10, pct_start=1.0)(99) == 0.5
    assert one_cycle(0.5, steps=1)(0) == pytest.approx(0.5 / 25 / 1e4)


def test_restarts_come_at_the_very_step():
    for steps, multiplier in [(1, 2), (3, 2), (10, 3), (7, 10), (1, 1000)]:
        rate = cosine_restarts(1.0, steps, multiplier)
        begin, length = 0, steps
        while begin < 2**40:
            assert rate(begin) == 1.0
            if begin and length > 2 * multiplier:   # the run before had more than two steps
                assert rate(begin - 1) < 0.6
            assert rate(begin + length / 2) == pytest.approx(0.5)
            begin, length = begin + length, length * multiplier


def test_joined_parts_keep_clocks_of_their_own():
    asked = []
    parts = [lambda step, name=name: asked.append((name, step)) or ord(name) for name in "abc"]
    rate = join(parts, [2, 5])
    assert [rate(step) for step in range(7)] == [97.0] * 2 + [98.0] * 3 + [99.0] * 2
    assert asked == [("a", 0), ("a", 1), ("b", 0), ("b", 1), ("b", 2), ("c", 0), ("c", 1)]
    assert join([constant(0.5)], [])(3) == 0.5
    nested = join([join([constant(1.0), constant(2.0)], [1]), constant(3.0)], (4,))
    assert [nested(step) for step in range(6)] == [1.0, 2.0, 2.0, 2.0, 3.0, 3.0]
    np.testing.assert_array_equal(nested(np.arange(6)), [1.0, 2.0, 2.0, 2.0, 3.0, 3.0])


@given(st.floats(1e-3, 10), st.lists(st.integers(1, 9), min_size=1, max_size=3))
@settings(max_examples=15)
def test_join_equals_torchs_sequence_of_schedulers_without_memory(lr, lengths):
    boundaries = np.cumsum(lengths).tolist()
    ours = join([exponential_decay(lr, 0.9), *(inverse_time_decay(lr, 0.2 * k) for k in boundaries)], boundaries)

    def theirs(optimizer):
        parts = [lr_scheduler.LambdaLR(optimizer, lambda t: 0.9**t)]
        parts += [lr_scheduler.LambdaLR(optimizer, lambda t, k=k: 1 / (1 + 0.2 * k * t)) for k in boundaries]
        return lr_scheduler.SequentialLR(optimizer, parts, milestones=boundaries)

    steps = boundaries[-1] + 5
    np.testing.assert_allclose([ours(step) for step in range(steps)], torchs(theirs, lr, steps), rtol=1e-12)


def test_parts_cannot_change_each_other_where_torchs_do():
    # Two schedulers of torch on one optimizer multiply what they find; the second changes what the first would do.
    alone = torchs(lambda o: lr_scheduler.CosineAnnealingLR(o, 10), 0.5, 8)
    both = torchs(lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.CosineAnnealingLR(o, 10), lr_scheduler.StepLR(o, 4, 0.1)]), 0.5, 8)
    assert both[:4] == alone[:4] and both[4] == pytest.approx(0.1 * alone[4])
    cosine = cosine_decay(0.5, 10)
    before = [cosine(step) for step in range(8)]
    warmup(join([cosine, cosine], [3]), 2)(5)
    assert [cosine(step) for step in range(8)] == before == pytest.approx(alone)


@rate_and_steps
@settings(max_examples=6)
def test_equal_to_keras(lr, steps, power, fraction):
    twins = pytest.importorskip("keras").optimizers.schedules
    factor = 1 - 0.9 * fraction
    pairs = [
        (exponential_decay(lr, factor), twins.ExponentialDecay(lr, 1, factor)),
        (step_decay(lr, factor, steps), twins.ExponentialDecay(lr, steps, factor, staircase=True)),
        (inverse_time_decay(lr, power), twins.InverseTimeDecay(lr, 1, power)),
        (polynomial_decay(lr, steps, power, fraction * lr), twins.PolynomialDecay(lr, steps, fraction * lr, power)),
        (cosine_decay(lr, steps, fraction * lr), twins.CosineDecay(lr, steps, alpha=fraction)),
    ]
    for ours, theirs in pairs:
        for step in {0, 1, steps // 2, steps, steps + 5}:
            np.testing.assert_allclose(ours(step), float(theirs(step)), rtol=1e-5, atol=1e-6 * lr, err_msg=str(ours))


def test_warmup_then_cosine_equals_torchs_sequence():
    def theirs(optimizer):
        rise = lr_scheduler.LambdaLR(optimizer, lambda t: (t + 1) / 4)
        fall = lr_scheduler.CosineAnnealingLR(optimizer, T_max=8)
        return lr_scheduler.SequentialLR(optimizer, [rise, fall], milestones=[4])

    ours = warmup(cosine_decay(0.5, steps=8), steps=4)
    np.testing.assert_allclose([ours(step) for step in range(12)], torchs(theirs, 0.5, 12), rtol=1e-12)


# ---- the end and the beginning

@pytest.mark.parametrize("decay", [polynomial_decay, cosine_decay])
def test_the_end_is_kept_where_torchs_cosine_rises_again(decay):
    rate = decay(0.4, steps=5, end=0.03)
    assert rate(4) > 0.03 and [rate(step) for step in (5, 6, 10, 10**9)] == [0.03] * 4
    assert decay(0.4, steps=5)(7) == 0 and decay(0.1, steps=1)(0) == pytest.approx(0.1)
    np.testing.assert_array_equal(rate(np.array([5.0, 5.5, 99.0])), 0.03)
    theirs = torchs(lambda o: lr_scheduler.CosineAnnealingLR(o, 5, 0.03), 0.4, 11)
    assert theirs[5] == pytest.approx(0.03) and theirs[10] == pytest.approx(0.4)


def test_warmup_by_hand():
    rate = warmup(lambda step: 0.8 / (1 + step), steps=4)
    np.testing.assert_allclose([rate(step) for step in range(7)], [0.2, 0.4, 0.6, 0.8, 0.8, 0.4, 0.8 / 3], rtol=1e-15)
    twice = warmup(warmup(constant(1.0), steps=2), steps=2)   # s(0) = 1/2
    assert [twice(step) for step in range(5)] == [0.25, 0.5, 0.5, 1.0, 1.0]
    assert [warmup(constant(3), steps=1)(step) for step in range(2)] == [3.0, 3.0]


def test_warmup_hands_a_plain_function_whole_steps():
    table = warmup([0.9, 0.6, 0.3].__getitem__, steps=3)
    assert [table(step) for step in range(6)] == pytest.approx([0.3, 0.6, 0.9, 0.9, 0.6, 0.3])
    assert warmup(lambda step: 1, steps=2)(np.int64(0)) == 0.5


# ---- what a step may be

@every_schedule
def test_arrays_and_tensors_equal_numbers_one_by_one(make):
    rate = make(0.4)
    reference = [rate(step) for step in STEPS]
    assert all(type(each) is float for each in reference)
    for one in (float, np.int64, np.int32, np.float32, np.float64, np.array):
        assert [rate(one(step)) for step in STEPS] == reference and type(rate(one(3))) is float
    steps = np.arange(len(STEPS))
    for narrow, wide in [(int, float), (np.float32,) * 2, (np.float64,) * 2, (np.float16, np.float32),
                         (ml_dtypes.bfloat16, np.float32)]:
        rates = rate(steps.astype(narrow))
        assert rates.dtype == wide and rates.shape == steps.shape
        np.testing.assert_allclose(rates, reference, rtol=1e-6 if wide is np.float32 else 1e-14)
    for narrow, wide in [(torch.int64, torch.float32), (torch.int32, torch.float32), (torch.float64,) * 2,
                         (torch.float32,) * 2, (torch.bfloat16, torch.float32)]:
        rates = rate(torch.tensor(steps).to(narrow))
        assert rates.dtype == wide
        np.testing.assert_allclose(rates, reference, rtol=1e-14 if wide is torch.float64 else 1e-5, atol=1e-8)
    np.testing.assert_array_equal(rate(steps.reshape(3, 4)), rate(steps).reshape(3, 4))
    assert rate(torch.tensor(3)).shape == () and rate(np.zeros((0, 2))).shape == (0, 2)


@every_schedule
def test_tensorflow_steps_also_inside_a_function(make):
    tf = pytest.importorskip("tensorflow")
    rate, reference = make(0.4), [make(0.4)(step) for step in STEPS]
    traced = tf.function(rate)
    for dtype in (tf.int64, tf.float32, tf.float64):
        steps = tf.range(len(STEPS), dtype=dtype)
        np.testing.assert_allclose(rate(steps), reference, rtol=1e-6)
        np.testing.assert_allclose([traced(step) for step in steps], reference, rtol=1e-6)
    for variable in (tf.Variable, pytest.importorskip("keras").Variable):   # the step count of an optimizer
        assert rate(variable(3, dtype="int64")).numpy() == pytest.approx(reference[3])
    assert rate(tf.constant(3.0)).dtype == tf.float32


@every_schedule
def test_vmap_and_one_compiled_graph(make):
    torch.compiler.reset()
    rate, graphs = make(0.4), []
    compiled = torch.compile(lambda *steps: [rate(step) for step in steps], fullgraph=True,
                             backend=lambda graph, _: graphs.append(graph) or graph)
    both = torch.arange(12), torch.arange(12.0)
    for steps, rates in zip(both, zip(*(compiled(*pair) for pair in zip(*both)))):
        torch.testing.assert_close(torch.func.vmap(rate)(steps), rate(steps))
        torch.testing.assert_close(torch.stack(rates), rate(steps))
    assert len(graphs) == 1, "compiled again for a new step"


@every_schedule
def test_lr_may_be_a_tensor_to_differentiate_and_to_batch(make):
    lrs = torch.tensor([0.1, 0.4, 2.0], dtype=torch.float64)
    for step in (0, 4, 9, torch.tensor(4.0, dtype=torch.float64)):
        batch = torch.func.vmap(lambda lr: make(lr)(step))(lrs)
        np.testing.assert_allclose(batch, [float(make(float(lr))(step)) for lr in lrs], rtol=1e-12)
        lr = lrs[1].clone().requires_grad_()
        slope, = torch.autograd.grad(make(lr)(step), lr)
        np.testing.assert_allclose(slope, (make(1.4)(step) - make(0.4)(step)), rtol=1e-9, atol=1e-12)


# ---- inside a rule

@every_schedule
@pytest.mark.parametrize("array", [np.array, torch.tensor], ids=["numpy", "torch"])
def test_a_rule_steps_at_the_rate_of_the_steps_made(make, array):
    rate = make(0.4)
    for rule in (gradient_descent(rate), chain(clip_by_global_norm(9.0), gradient_descent(rate)), adam(rate, eps=0.0)):
        w, g = array([5.0]), array([1.0])
        state, path = rule.init(w), []
        for _ in STEPS:
            delta, state = rule.update(g, state, w)
            path.append(-float(delta[0]))
        np.testing.assert_allclose(path, [rate(step) for step in STEPS], rtol=1e-6)


@every_schedule
def test_torchs_optimizers_step_at_the_rates_of_the_schedule(make):
    """Ours with the schedule in its rule; torch's own by LambdaLR around a base rate of 1."""
    rate = make(0.4)
    for own in (True, False):
        w = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        if own:
            optimizer, clock = TorchOptimizer([w], gradient_descent(rate)), None
        else:
            optimizer = torch.optim.SGD([w], lr=1.0)
            clock = lr_scheduler.LambdaLR(optimizer, rate)
        path = []
        for _ in STEPS:
            w.grad, before = torch.ones_like(w), w.item()
            optimizer.step()
            if clock:
                clock.step()
            path.append(before - w.item())
        np.testing.assert_allclose(path, [rate(step) for step in STEPS], rtol=1e-9, atol=1e-15)


# ---- saved and made again

@pytest.mark.parametrize("schedule", [
    *(make(0.4) for make in EXAMPLES.values()), warmup(warmup(inverse_time_decay(0.2, 0.1), 2), 3),
], ids=label)
def test_described_in_json_and_rebuilt(schedule):
    again = rebuild(**json.loads(json.dumps(describe(schedule))))
    assert repr(again) == repr(schedule)
    assert [again(step) for step in STEPS] == [schedule(step) for step in STEPS]
    rule = rebuild(**json.loads(json.dumps(describe(chain(clip_by_global_norm(1.0), adam(schedule))))))
    assert repr(rule.lr) == repr(schedule)


def test_a_plain_function_cannot_be_saved():
    with pytest.raises(ValueError, match="schedule cannot be saved.*register"):
        describe(warmup(lambda step: 0.1, 3))
    with pytest.raises(ValueError, match="'halving'.*register"):
        describe(Schedule("halving", {}, lambda step: 0.5**step))
    assert describe(constant(torch.tensor(0.5)))["settings"] == {"lr": 0.5}


# ---- wrong arguments

@pytest.mark.parametrize("step, error, words", [
    (-1, ValueError, "step must be finite and >= 0, got -1"), (-0.5, ValueError, "step must be finite and >= 0"),
    (np.int64(-1), ValueError, "step must be finite and >= 0"), (np.array(-1), ValueError, "step must be finite"),
    (np.array([3, -1]), ValueError, "step must be finite and >= 0"), (math.nan, ValueError, "step must be finite"),
    (np.array([math.inf]), ValueError, "step must be finite"), (True, TypeError, "step must be a number, got True"),
    (np.True_, TypeError, "step must be a number"), (np.array([True]), TypeError, "step must be a number or an array"),
    (torch.tensor(True), TypeError, "step must be a number or an array"), ("3", TypeError, "step must be a number, got '3'"),
    (None, TypeError, "step must be a number, got None"), ([1, 2], TypeError, "step must be a number"),
    (np.array(["3"]), TypeError, "step must be an array of real numbers"), (1j, TypeError, "step must be a number"),
], ids=label)
@every_schedule
def test_wrong_step_is_named(make, step, error, words):
    with pytest.raises(error) as caught:
        make(0.4)(step)
    assert words in str(caught.value)


@pytest.mark.parametrize("make, arguments, name", [
    *((each, {"lr": 0.1, **more}, "lr") for each, more in [
        (constant, {}), (inverse_time_decay, {"rate": 1.0}), (polynomial_decay, {"steps": 3}), (cosine_decay, {"steps": 3}),
        (step_decay, {"factor": 0.5, "every": 3}), (exponential_decay, {"factor": 0.5}), (cosine_restarts, {"steps": 3})]),
    (step_decay, {"lr": 0.1, "factor": 0.1, "every": 2}, "factor"),
    (exponential_decay, {"lr": 0.1, "factor": 0.1}, "factor"), (cosine_restarts, {"lr": 0.1, "steps": 3, "end": 0.0}, "end"),
    *((cyclic, {"low": 0.1, "high": 0.2, "half_period": 2, "gamma": 1.0}, name) for name in ("low", "high", "gamma")),
    *((one_cycle, {"peak": 0.1, "steps": 9, "pct_start": 0.3, "div_factor": 2.0, "final_div_factor": 3.0}, name)
      for name in ("peak", "pct_start", "div_factor", "final_div_factor")),
    (inverse_time_decay, {"lr": 0.1, "rate": 0.1}, "rate"),
    *((each, {"lr": 0.1, "steps": 3, "end": 0.0}, "end") for each in (polynomial_decay, cosine_decay)),
    (polynomial_decay, {"lr": 0.1, "steps": 3, "power": 1.0}, "power"),
], ids=lambda x: getattr(x, "__name__", ""))
@pytest.mark.parametrize("bad, error", [
    (-0.1, ValueError), (math.nan, ValueError), (math.inf, ValueError),
    ("0.1", TypeError), (True, TypeError), (None, TypeError), (lambda step: 0.1, TypeError),
], ids=label)
def test_wrong_number_is_named(make, arguments, name, bad, error):
    with pytest.raises(error) as caught:
        make(**{**arguments, name: bad})
    assert f"{name} must be" in str(caught.value) and repr(bad) in str(caught.value)


@pytest.mark.parametrize("make, name", [
    (lambda n: polynomial_decay(0.1, n), "steps"), (lambda n: cosine_decay(0.1, n), "steps"),
    (lambda n: warmup(constant(0.1), n), "steps"), (lambda n: cosine_restarts(0.1, n), "steps"),
    (lambda n: cosine_restarts(0.1, 5, multiplier=n), "multiplier"), (lambda n: one_cycle(0.1, n), "steps"),
    (lambda n: step_decay(0.1, 0.5, n), "every"), (lambda n: cyclic(0.1, 0.2, n), "half_period"),
    (lambda n: join([constant(0.1)] * 2, [n]), "boundaries"),
], ids=range(9))
@pytest.mark.parametrize("bad, error", [(0, ValueError), (-3, ValueError), (2.0, TypeError), (True, TypeError)])
def test_wrong_number_of_steps_is_named(make, name, bad, error):
    with pytest.raises(error, match=f"{name} must be .*, got {bad}"):
        make(bad)


@pytest.mark.parametrize("call, words", [
    (lambda: cyclic(0.3, 0.2, 5), "low must be at most high = 0.2, got 0.3"),
    (lambda: cyclic(0.1, 0.2, 5, mode="sine"), "mode must be one of 'triangular', 'triangular2', 'exp_range', got 'sine'"),
    (lambda: cyclic(0.1, 0.2, 5, mode="exp_range", gamma=1.1), "gamma must be finite and > 0 and <= 1, got 1.1"),
    (lambda: step_decay(0.1, 1.5, 3), "factor must be finite and > 0 and <= 1, got 1.5"),
    (lambda: exponential_decay(0.1, 0), "factor must be finite and > 0 and <= 1, got 0"),
    (lambda: one_cycle(0.1, 9, pct_start=1.5), "pct_start must be finite and >= 0 and <= 1, got 1.5"),
    (lambda: one_cycle(0.1, 9, div_factor=0.5), "div_factor must be finite and >= 1, got 0.5"),
    (lambda: join([constant(0.1)] * 3, [5, 5]), "boundaries must ascend from 1 on, got [5, 5]"),
    (lambda: join([constant(0.1)] * 3, [5, 3]), "boundaries must ascend from 1 on, got [5, 3]"),
    (lambda: join([constant(0.1)] * 3, [5]), "boundaries must be one fewer than the 3 schedules, got [5]"),
    (lambda: join([], []), "boundaries must be one fewer than the 0 schedules, got []"),
])
def test_settings_that_contradict_each_other_are_refused(call, words):
    with pytest.raises(ValueError) as caught:
        call()
    assert words in str(caught.value)


def test_join_takes_lists_of_functions():
    for schedules, boundaries, name in [(constant(0.1), [], "schedules"), ([0.1], [], "schedules"),
                                        ([constant(0.1)] * 2, 5, "boundaries"), ([adam(), constant(0.1)], [3], "schedules")]:
        with pytest.raises(TypeError, match=f"{name} must be"):
            join(schedules, boundaries)


def test_other_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="power must be finite and > 0, got 0"):
        polynomial_decay(0.1, 3, power=0)
    for bad in (0.1, None, adam()):
        with pytest.raises(TypeError, match="schedule must be a function of the step, got"):
            warmup(bad, 3)

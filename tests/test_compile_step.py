"""A compiled step makes the rule's own steps: as traced, bit for bit; as compiled, to the last digits of the dtype."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from rule_runs import ROUNDING, numbers, random, run
from test_update_rules import EXAMPLES

from course_lib import schedules
from course_lib.kernels import best_device, compile_step
from course_lib.update_rules import (
    Rule, accumulate_gradients, adam, adamw, chain, clip_by_global_norm, gradient_descent, lion, matrices_only,
    momentum, nadam, rmsprop, weight_ema,
)

EPSILON = {**ROUNDING, "float64": 2.0**-53}
RULES = {
    **EXAMPLES,
    "settings of its own": adamw(0.3, beta1=0.5, beta2=0.7, eps=1e-3, weight_decay=0.01, amsgrad=True),
    "rate as a tensor": momentum(torch.tensor(0.1)),
    "scheduled": nadam(schedules.warmup(schedules.cosine_decay(0.1, 50), 10)),
    "scheduled within": chain(clip_by_global_norm(1.0), weight_ema(adam(schedules.one_cycle(0.1, 60)))),
    "masked by an array": adamw(0.1, weight_decay=0.5, mask=np.arange(7) % 2),
}


@pytest.fixture(params=["cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
def device(request):
    """Return where to step: the expectations are the same."""
    return "cpu" if request.param == "cpu" else best_device()


def problem(count=3, shape=7, dtype="float32", device="cpu"):
    """Return parameters, and gradients for `count` steps."""
    dtype = getattr(torch, dtype)
    w, *gs = (torch.tensor(random(shape, seed)).to(device, dtype) for seed in range(count + 1))
    return w, gs


def fast(rule, w, gs, step=None, **options):
    """Return the parameters and the state after one step in place for each gradient, w itself left alone."""
    w, step = w.clone(), step or compile_step(rule)
    state = rule.init(w)
    for g in gs:
        kept = g.clone()
        assert step(w, g, state, **options) is None
        assert torch.equal(g, kept)
    return w, state


def assert_same(ours, plain, roundings=0):
    """Compare w and the state of two runs, each entry at its scale, to so many roundings of its dtype."""
    (w, state), (w_plain, state_plain) = ours, plain
    assert state.keys() == state_plain.keys()
    for key, x in {**state, "w": w}.items():
        expected = {**state_plain, "w": w_plain}[key]
        assert x.dtype == expected.dtype and x.shape == expected.shape
        precision = EPSILON[str(x.dtype).removeprefix("torch.")]
        atol = roundings * precision * np.abs(numbers(expected)).max(initial=0)
        np.testing.assert_allclose(numbers(x.cpu()), numbers(expected.cpu()), rtol=0, atol=atol, err_msg=key)


# ---- the same steps

@pytest.mark.parametrize("dtype", EPSILON)
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_hundred_steps_as_traced_are_the_rules_bit_for_bit(rule, dtype, traced):
    w, gs = problem(100, dtype=dtype)
    assert_same(fast(rule, w, gs), run(rule, w, gs))
    assert len(traced) == 1


COMPILED = {
    "adam float64": (adam(0.1), "float64"),
    "adamw bfloat16": (adamw(0.1, weight_decay=0.3), "bfloat16"),
    "rmsprop float32": (rmsprop(0.1, momentum=0.5, centered=True), "float32"),
    "scheduled nadam float32": (RULES["scheduled"], "float32"),
    "everything float16": (chain(clip_by_global_norm(1.0), accumulate_gradients(weight_ema(lion(0.1)), 2)), "float16"),
}


@pytest.mark.parametrize("rule, dtype", COMPILED.values(), ids=COMPILED)
def test_a_hundred_steps_as_compiled_are_the_rules_to_some_roundings(rule, dtype, device):
    w, gs = problem(100, 1009, dtype, device)
    assert_same(fast(rule, w, gs), run(rule, w, gs), roundings=32)


def test_the_compiled_program_is_one_loop_without_arrays_of_its_own():
    from torch._inductor import config, utils

    w, gs = problem(30, 5003)
    step, rule = compile_step(adam(0.1)), adam(0.1)
    with config.patch(force_disable_caches=True):
        ours, [code] = utils.run_and_get_code(lambda: fast(rule, w, gs, step))
    assert len(re.findall(r"\bfor ?\(int64_t", code)) == 1
    assert not re.search(r"empty_strided\w*\(\(|torch\.empty", code)
    assert_same(ours, run(rule, w, gs), roundings=32)


def by_the_rate_and_the_clock(lr):
    """A reader's rule: its own clock, a number that is no tensor, numbers of NumPy, and a choice by `where`."""
    def update(g, state, w, lr):
        seen = 0.5 * state["seen"] + np.float64(0.5) * g
        step = torch.where(seen.abs() > state["level"], seen, g.sign() * np.float32(0.25))
        return -lr * step / (1 + state["t"]), {**state, "seen": seen, "level": state["level"] * 0.75}

    return Rule("own", {"lr": lr}, lambda w: {"seen": 0 * w, "level": 1.0}, update)


def test_a_readers_own_rule_compiles_and_its_numbers_go_on(device):
    rule = by_the_rate_and_the_clock(0.1)
    w, gs = problem(20, 101, device=device)
    ours, (w_plain, state) = fast(rule, w, gs), run(rule, w, gs)
    assert state["level"] == 0.75**20 and ours[1]["level"].dtype == torch.float64
    assert_same(ours, (w_plain, {**state, "level": torch.tensor(0.75**20, dtype=torch.float64)}), roundings=32)


# ---- one compilation

def test_neither_rate_nor_clock_compiles_anything_again(traced):
    rule = adam(schedules.inverse_time_decay(0.4, 0.5))
    w, gs = problem(40)
    step, state, plain, plain_state = compile_step(rule), rule.init(w), w.clone(), rule.init(w)
    rates = [None, 0.1, 0.2, 1, 0, np.float32(0.3), torch.tensor(0.1).double(), schedules.cosine_decay(1.0, 30)]
    for i, g in enumerate(gs):
        lr = rates[i % len(rates)]
        step(w, g, state, lr)
        delta, plain_state = rule.update(g, plain_state, plain, lr)
        plain += delta
    assert len(traced) == 1
    assert_same((w, state), (plain, plain_state))


def test_a_rate_is_remembered_but_not_for_another_rate():
    w, (g,) = torch.zeros(2), [torch.ones(2)]
    step, rule = compile_step(gradient_descent(1.0)), gradient_descent(1.0)
    state = rule.init(w)
    for lr in (0.25, 0.25, None, 0.5, torch.tensor(2.0), 0.5):
        step(w, g, state, lr)
    assert w.tolist() == [-4.5, -4.5] and state["t"] == 6


def test_one_step_object_for_many_layouts_compiles_each_once(traced):
    rule = adamw(0.1, weight_decay=0.3, mask=matrices_only)
    step = compile_step(rule)
    layouts = [(7, "float32"), (7, "float64"), ((2, 3), "float32"), (0, "float32"), (1, "float16"), ((), "float32")]
    for _ in range(2):
        for shape, dtype in layouts:
            w, gs = problem(3, shape, dtype)
            assert_same(fast(rule, w, gs, step), run(rule, w, gs))
    assert len(traced) == len(layouts)


@pytest.mark.parametrize("size", [0, 1, 2, 31, (3, 5), (1, 1, 1)])
def test_sizes_that_no_vector_unit_likes(size, traced):
    w, gs = problem(4, size)
    rule = chain(clip_by_global_norm(1.0), adam(0.1))
    assert_same(fast(rule, w, gs), run(rule, w, gs))


@pytest.mark.parametrize("lay", [lambda x: x.t(), lambda x: x[::2], lambda x: x[:, 1], lambda x: x[1:, :2]])
def test_any_layout_in_memory_is_written_where_it_lies(lay, traced):
    w, gs = problem(5, (6, 4))
    rule, whole = momentum(0.1), w.clone()
    view, state, step = lay(whole), rule.init(lay(whole)), compile_step(rule)
    for g in gs:
        step(view, lay(g), state)
    expected = run(rule, lay(w), [lay(g) for g in gs])
    assert_same((view, state), expected)
    lay(w).copy_(expected[0])
    assert torch.equal(whole, w)


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
def test_a_gradient_of_another_dtype_changes_no_dtype(dtype, traced):
    (w, _), (_, gs) = problem(5), problem(5, dtype=dtype)
    assert_same(fast(adam(0.1), w, gs), run(adam(0.1), w, [g.float() for g in gs]), roundings=8)


# ---- what shares memory

def hoarder(lr):
    """It remembers w, g, and one entry under two names."""
    def update(g, state, w, lr):
        return -lr * (g + state["g"] + 0.1 * state["w"]), {**state, "g": g, "w": w, "same": state["w"]}

    return Rule("hoarder", {"lr": lr}, lambda w: {"g": 0 * w, "w": w, "same": w}, update)


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_entries_that_are_w_or_g_or_each_other_are_kept_apart(dtype, traced):
    w, gs = problem(6, dtype=dtype)
    assert_same(fast(hoarder(0.1), w, gs), run(hoarder(0.1), w, gs))
    compiled = fast(hoarder(0.1), w, gs)[1]
    assert len({x.data_ptr() for x in compiled.values()}) == len(compiled)


def test_one_tensor_as_parameters_gradient_and_state(traced):
    rule = momentum(0.1)
    w, _ = problem()
    expected = rule.update(w, {**rule.init(w), "v": w}, w)
    ours, state = w.clone(), rule.init(w)
    state["v"] = ours
    compile_step(rule)(ours, ours, state)
    assert_same((ours, state), (w + expected[0], expected[1]))


def test_plain_numbers_of_a_state_become_tensors_and_count_on(traced):
    rule, (w, gs) = adam(0.1), problem(4)
    state = {key: value if value.shape else value.item() for key, value in rule.init(w).items()}
    step, ours = compile_step(rule), w.clone()
    for g in gs:
        step(ours, g, state)
    assert_same((ours, state), run(rule, w, gs))
    assert len(traced) == 1


def test_entries_are_written_where_they_lie_and_autograd_knows(traced):
    rule, w = adam(0.1), problem()[0].requires_grad_()
    state = rule.init(w.detach())
    pointers = {key: value.data_ptr() for key, value in state.items()}
    loss = w.square().sum()
    compile_step(rule)(w, torch.ones(7), state)
    assert {key: value.data_ptr() for key, value in state.items()} == pointers
    assert w.is_leaf and w.requires_grad and not any(value.requires_grad for value in state.values())
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


# ---- what is refused, before anything is changed

def branches(g, state, w, lr):
    return (-lr * g if g.sum() > 0 else 0 * g), state


def uses_numpy(g, state, w, lr):
    return torch.from_numpy(-0.1 * np.sign(g.numpy())), state


def changes_a_shape(g, state, w, lr):
    return -lr * g, {**state, "seen": g[:2]}


def steps_in_another_shape(g, state, w, lr):
    return -lr * g[:2], state


@pytest.mark.parametrize("update, words", [
    (branches, r"where\(\) in place of if, got own\(lr=0.1\)"), (uses_numpy, r"tensor operations.*got own\(lr=0.1\)"),
    (changes_a_shape, r"state\['seen'\] must keep its shape \(7,\).*got \(2,\)"),
    (steps_in_another_shape, r"delta must have w's shape \(7,\), got \(2,\)"),
])
def test_a_rule_that_cannot_be_compiled_is_refused(update, words, traced):
    rule, (w, (g, *_)) = Rule("own", {"lr": 0.1}, lambda w: {"seen": 0 * w}, update), problem()
    before, state = w.clone(), rule.init(w)
    for _ in range(2):
        with pytest.raises(ValueError, match=words):
            compile_step(rule)(w, g, state)
    assert torch.equal(w, before) and state["t"] == 0 and not state["seen"].any()


@pytest.mark.parametrize("bad", [adam, 0.1, None, "adam", clip_by_global_norm(1.0)])
def test_what_is_no_rule_is_refused(bad):
    with pytest.raises(TypeError, match="rule must be a Rule"):
        compile_step(bad)


@pytest.mark.parametrize("changes, error, words", [
    ({"lr": -0.1}, ValueError, "lr must be finite and >= 0, got -0.1"), ({"lr": float("nan")}, ValueError, "lr.*nan"),
    ({"lr": float("inf")}, ValueError, "lr must be finite"),
    ({"lr": "fast"}, TypeError, "lr must be a number, got 'fast'"),
    ({"lr": lambda step: -1.0}, ValueError, "lr must be finite"),
    ({"lr": torch.ones(3)}, ValueError, "lr must broadcast"),
    ({"lr": np.ones(7)}, TypeError, "lr must be a number"),
    ({"w": np.ones(7)}, TypeError, "w must be a tensor of PyTorch, got ndarray"),
    ({"w": [1.0]}, TypeError, "w must be a tensor"),
    ({"w": torch.ones(7, dtype=torch.int64)}, TypeError, "w must have a float dtype"),
    ({"g": None}, TypeError, "g must be a tensor of PyTorch, got NoneType"),
    ({"g": torch.ones(1)}, ValueError, "g must have w's shape"),
    ({"g": torch.ones(7, dtype=torch.int64)}, TypeError, "g must have a float dtype"),
    ({"g": torch.ones(7).to_sparse()}, TypeError, "g must be dense"),
    ({"state": None}, TypeError, "state must be what rule.init"), ({"state": {}}, ValueError, "state.* must"),
    ({"state": {"t": "x"}}, TypeError, r"state\['t'\] must be a tensor or a number, got 'x'"),
    ({"state": {"t": torch.tensor(0.0)}}, ValueError, r"state\['m'\] must have shape \(7,\).*got none"),
    ({"state": {**adam().init(torch.ones(7)), "v": torch.ones(5)}}, ValueError,
     r"state\['v'\] must have shape \(7,\).*got one of shape \(5,\)"),
], ids=lambda value: None if isinstance(value, dict) else "")
@pytest.mark.parametrize("scheduled", [False, True])
def test_wrong_arguments_are_named_and_nothing_changes(changes, error, words, scheduled, traced):
    rule, (w, (g, *_)) = adam(schedules.constant(0.1) if scheduled else 0.1), problem()
    state = rule.init(w)
    step = compile_step(rule)
    before = w.clone()
    for _ in range(2):
        with pytest.raises(error, match=words):
            step(**{"w": w, "g": g, "state": state, **changes})
    assert torch.equal(w, before)
    assert_same((w, state), (before, rule.init(w)))
    step(w, g, state)
    assert_same((w, state), run(rule, before, [g]))


# ---- no compiler

ALONE = """
import warnings, torch
from course_lib import adam
from course_lib.kernels import compile_step
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for rule, sizes in ((adam(0.1), (3, 4, 3)), (adam(0.2), (3,))):
        step = compile_step(rule)
        for size in sizes:
            w, plain, g = torch.ones(size), torch.ones(size), torch.arange(size) - 1.0
            state = rule.init(w)
            step(w, g, state)
            assert torch.equal(w, plain + rule.update(g, rule.init(plain), plain)[0]) and state["t"] == 1
for each in caught:
    if issubclass(each.category, RuntimeWarning):
        print(each.category.__name__, each.filename.rpartition("/")[2], each.message)
"""


def test_without_a_compiler_the_steps_are_the_same_after_one_warning(tmp_path):
    environment = {**os.environ, "CXX": "nonexistent", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path), "PYTHONPATH": "."}
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run([sys.executable, "-c", ALONE], cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    [line] = done.stdout.splitlines()
    assert line.startswith("RuntimeWarning <string> no compiler, so the step runs one operation at a time:"), line

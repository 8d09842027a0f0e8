"""The Triton kernel of AdamW makes the rule's steps: here in Triton's interpreter, where there is a GPU also on it."""

import inspect
import os
import re
import runpy
import sys
from threading import Thread

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_runs import ROUNDING, numbers, random, run

from course_lib import adam, adamw, chain, clip_by_global_norm, matrices_only, nadam, schedules
from course_lib.kernels import interpreting, triton_adamw, triton_kernel
from course_lib.kernels.triton_kernel import BLOCK, adamw_kernel

triton = pytest.importorskip("triton")

RULE = adamw(0.1, weight_decay=0.3)
WIDE = {"float16": "float32", "bfloat16": "float32", "float32": "float32", "float64": "float64"}
EPSILON = {**ROUNDING, "float64": 2.0**-53}
every_dtype = pytest.mark.parametrize("dtype", WIDE)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    """Return where to step: the expectations are the same."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU that Triton knows")
    return request.param


def tensor(values, dtype="float32", device="cpu"):
    """Return a tensor of the values, rounded to a dtype."""
    return torch.tensor(np.asarray(values)).to(device, getattr(torch, dtype))


def problem(count=100, shape=(2, 304), dtype="float32", device="cpu"):
    """Return parameters, and gradients for `count` steps."""
    return tensor(random(shape), dtype, device), [tensor(g, dtype, device) for g in random((count, *shape), 1)]


def stepped(rule, w, gradients, state=None, **options):
    """Return the parameters and the state after one step of the kernel for each gradient, w itself left alone."""
    w, state, step = w.clone(), rule.init(w) if state is None else state, triton_adamw(rule)
    for g in gradients:
        assert step(w, g, state, **options) is None
    return w, state


def assert_same(ours, plain, dtype, roundings):
    """Compare w and the state of two runs; w to so many roundings of its dtype, the rest of its own, at its scale."""
    (w, state), (w_plain, state_plain) = ours, plain
    assert w.dtype == w_plain.dtype and state.keys() == state_plain.keys()
    pairs = {"w": (w, w_plain, dtype), **{key: (state[key], state_plain[key], WIDE[dtype]) for key in ("m", "v")}}
    for name, (x, x_plain, precision) in pairs.items():
        assert x.dtype == x_plain.dtype and x.shape == x_plain.shape
        x, x_plain = numbers(x.cpu()), numbers(x_plain.cpu())
        atol = roundings * EPSILON[precision] * np.abs(x_plain).max(initial=0)
        np.testing.assert_allclose(x, x_plain, rtol=0, atol=atol, err_msg=name)
    for key in ("beta1_power", "beta2_power", "t"):
        assert state[key].dtype == torch.float64 and state[key] == state_plain[key], key


# ---- the same steps

@every_dtype
def test_a_hundred_steps_are_the_rules(dtype, device):
    w, gs = problem(dtype=dtype, device=device)
    # A last digit of the square root may turn the rounding of w: often in 100 steps; where w is narrow, hardly once.
    narrow = dtype in ("float16", "bfloat16")
    assert_same(stepped(RULE, w, gs), run(RULE, w, gs), dtype, roundings=4 if narrow else 32)


@every_dtype
def test_one_step_from_a_state_is_the_rules(dtype, device):
    rule = adamw(0.01, beta1=0.5, beta2=0.75, eps=0.1, weight_decay=2.0)
    w, gs = problem(4, dtype=dtype, device=device)
    _, state = run(rule, w, gs[:3])
    ours = stepped(rule, w, gs[3:], state={key: value.clone() for key, value in state.items()})
    delta, state = rule.update(gs[3], state, w)
    assert_same(ours, (w + delta, state), dtype, roundings=2)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_step_is_rounded_before_it_is_added(dtype, device):
    # From 1, a step a little longer than half a last digit: rounded it is the half, which goes to the even 1.
    rule, w = adam(ROUNDING[dtype] * (1 + 0.75 * ROUNDING[dtype]), eps=0.0), tensor([1.0, 1.0], dtype, device)
    g = tensor([-1.0, 1.0], dtype, device)
    assert_same(stepped(rule, w, [g]), run(rule, w, [g]), dtype, roundings=0)
    assert stepped(rule, w, [g])[0][0] == 1 and (w[0].double() + rule.lr).to(w.dtype) == 1 + 2 * ROUNDING[dtype]


@pytest.mark.parametrize("size", [1, 15, 16, 17, BLOCK - 1, BLOCK, BLOCK + 1, 5000])
def test_any_size_and_nothing_beyond_it(size, device):
    w, gs = problem(3, (size,), device=device)
    around = [torch.full((size + 64,), 7.0, device=device) for _ in range(3)]
    w_in, m_in, v_in = (x[16 : 16 + size] for x in around)
    state = {**RULE.init(w), "m": m_in.zero_(), "v": v_in.zero_()}
    w_in.copy_(w)
    step = triton_adamw(RULE)
    for g in gs:
        step(w_in, g, state)
    assert_same((w_in, state), run(RULE, w, gs), "float32", roundings=4)
    assert all((x[:16] == 7).all() and (x[16 + size :] == 7).all() for x in around)


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (2, 3, 4)], ids=str)
def test_any_shape(shape, device):
    w, gs = problem(3, shape, device=device)
    assert_same(stepped(RULE, w, gs), run(RULE, w, gs), "float32", roundings=4)


def test_arrays_that_begin_anywhere_in_memory(device):
    w, gs = problem(3, (50,), device=device)
    shifted = torch.cat([w.new_zeros(1), w])[1:]
    state = RULE.init(w)
    step = triton_adamw(RULE)
    for g in gs:
        step(shifted, torch.cat([g.new_zeros(3), g])[3:], state)
    assert_same((shifted, state), run(RULE, w, gs), "float32", roundings=4)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_adam_is_adamw_without_decay(dtype, device):
    w, gs = problem(5, dtype=dtype, device=device)
    ours = stepped(adam(0.1), w, gs)
    assert torch.equal(ours[0], stepped(adamw(0.1, weight_decay=0.0), w, gs)[0])
    assert not torch.equal(ours[0], stepped(RULE, w, gs)[0])
    assert_same(ours, run(adam(0.1), w, gs), dtype, roundings=4)


def test_it_goes_on_from_the_rules_state_and_the_rule_from_its(device):
    w, gs = problem(9, dtype="float64", device=device)
    whole = run(RULE, w, gs)
    w1, state = run(RULE, w, gs[:3])
    w2, state = stepped(RULE, w1, gs[3:6], state)
    for g in gs[6:]:
        delta, state = RULE.update(g, state, w2)
        w2 = w2 + delta
    assert_same((w2, state), whole, "float64", roundings=8)


@given(
    seed=st.integers(0, 2**32 - 1), lr=st.floats(0, 10), beta1=st.floats(0, 0.999), beta2=st.floats(0, 0.99999),
    eps=st.floats(1e-12, 1), weight_decay=st.floats(0, 10), scale=st.sampled_from([1e-20, 1e-3, 1.0, 1e20]),
)
@settings(max_examples=25)
def test_settings_of_every_kind(seed, lr, beta1, beta2, eps, weight_decay, scale):
    rule = adamw(lr, beta1, beta2, eps, weight_decay)
    w, gs = tensor(random(5, seed), "float64"), [tensor(scale * g, "float64") for g in random((4, 5), seed + 1)]
    longest, plain, state = w.abs(), w, rule.init(w)
    for g in gs:
        delta, state = rule.update(g, state, plain)
        plain = plain + delta
        longest = torch.maximum(longest, torch.maximum(delta.abs(), plain.abs()))
    ours, ours_state = stepped(rule, w, gs)
    # Where the step and the decay cancel, what is left is as exact as they are.
    assert ((ours - plain).abs() <= 1e-12 * (1 + lr * weight_decay) ** 4 * longest).all()
    assert torch.equal(ours_state["m"], state["m"]) and torch.equal(ours_state["v"], state["v"])


def test_what_is_not_finite_goes_through_without_a_warning(device):
    rule = adamw(0.1, eps=0.0)
    w, gs = tensor([1.0, 1.0, 1.0, 1.0], device=device), [tensor([0.0, np.nan, np.inf, 2.0], device=device)] * 2
    ours, plain = stepped(rule, w, gs), run(rule, w, gs)
    for x, x_plain in ((ours[0], plain[0]), (ours[1]["m"], plain[1]["m"]), (ours[1]["v"], plain[1]["v"])):
        np.testing.assert_allclose(numbers(x.cpu()), numbers(x_plain.cpu()), rtol=1e-6)
    assert ours[0].isnan().tolist() == [True, True, True, False]
    narrow = tensor([1.0, 60000.0], "float16", device)
    assert stepped(adamw(1e5), narrow, [narrow])[0].tolist() == [-np.inf, -np.inf]


# ---- the learning rate

RATES = {
    "number": lambda device: 0.03, "zero": lambda device: 0, "numpy": lambda device: np.float64(0.03),
    "0-d array": lambda device: np.array(0.03), "float64": lambda device: tensor(0.03, "float64", device),
    "float32": lambda device: tensor(0.03, "float32", device), "on the CPU": lambda device: tensor(0.03, "float64"),
    "to learn": lambda device: tensor(0.03, "float64", device).requires_grad_(),
    "an entry": lambda device: tensor([0.1, 0.03], "float64", device)[1],
    "schedule": lambda device: schedules.cosine_decay(0.1, 4),
}


@pytest.mark.parametrize("lr", RATES.values(), ids=RATES)
def test_the_rate_of_the_caller_overrides(lr, device):
    w, gs = problem(5, (20,), "float64", device)
    lr = lr(device)
    ours = stepped(RULE, w, gs, lr=lr)
    assert not ours[0].requires_grad
    # The rule takes ηλ in the precision of η, the kernel always in float64.
    precise = lr.detach().double() if isinstance(lr, torch.Tensor) else lr
    assert_same(ours, run(RULE, w, gs, lr=precise), "float64", roundings=8)


@pytest.mark.parametrize("rate", [schedules.cosine_decay(0.1, 4), torch.tensor(0.03, dtype=torch.float64)])
def test_the_rate_of_the_rule(rate, device):
    rule, (w, gs) = adamw(rate, weight_decay=0.3), problem(6, (20,), "float64", device)
    assert_same(stepped(rule, w, gs), run(rule, w, gs), "float64", roundings=8)


@pytest.mark.gpu
def test_steps_neither_wait_for_the_gpu_nor_compile_again():
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU that Triton knows")
    w, gs = problem(1, (5000,), device="cuda")
    rule = adamw(schedules.cosine_decay(0.1, 4), weight_decay=0.3)
    state, step, table = rule.init(w), triton_adamw(rule), torch.linspace(0, 1, 8, dtype=torch.float64, device="cuda")
    step(w, gs[0], state)
    kernels = triton_kernel._kernel("cuda").device_caches[w.device.index][0]
    compiled, mode = len(kernels), torch.cuda.get_sync_debug_mode()
    assert compiled
    torch.cuda.set_sync_debug_mode("error")
    try:
        for lr in (None, 0.5, 1, 16.0, torch.tensor(0.5), table[0], table[1], table[2], table.float()[3]):
            step(w, gs[0], state, lr=lr)
    finally:
        torch.cuda.set_sync_debug_mode(mode)
    assert len(kernels) == compiled


@pytest.mark.gpu
def test_more_parameters_than_32_bits_count():
    if not torch.cuda.is_available() or torch.cuda.mem_get_info()[0] < 32e9:
        pytest.skip("needs a GPU that Triton knows with 32 GB free")
    w = torch.zeros(2**31 + 17, dtype=torch.bfloat16, device="cuda")
    g = torch.zeros_like(w)
    ends = torch.tensor([0, 2**31 - 1, 2**31, 2**31 + 16], device="cuda")
    g[ends] = -1
    triton_adamw(adam(0.5))(w, g, adam().init(w))
    assert w[ends].tolist() == [0.5] * 4 and w.count_nonzero() == 4


# ---- in place, and nothing else

def test_w_and_the_state_change_in_place_and_g_does_not(device):
    w, gs = problem(1, (20,), device=device)
    state, step = RULE.init(w), triton_adamw(RULE)
    g, before, places = gs[0].clone(), w.clone(), {key: value.data_ptr() for key, value in state.items()}
    step(w, gs[0], state)
    assert torch.equal(gs[0], g) and (w != before).all()
    assert {key: value.data_ptr() for key, value in state.items()} == places
    assert [state[key].item() for key in ("t", "beta1_power", "beta2_power")] == [1, 0.9, 0.999]


def test_a_parameter_of_a_module(device):
    w, gs = problem(1, (20,), device=device)
    parameter = torch.nn.Parameter(w.clone())
    state = RULE.init(parameter)
    kept = parameter.square().sum()
    triton_adamw(RULE)(parameter, gs[0], state)
    assert_same((parameter, state), run(RULE, w, gs), "float32", roundings=4)
    assert parameter.requires_grad and parameter.is_leaf
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        kept.backward()


def test_triton_is_left_as_it_was():
    import triton.language as tl
    names = {owner: dict(vars(owner)) for owner in (tl, tl.core, tl.math, tl.tensor)}
    stepped(RULE, *problem(2, (20,), "bfloat16"))
    with pytest.raises(triton.runtime.errors.InterpreterError):
        interpreting.Interpreted(adamw_kernel)[(1,)](*[None] * 8, **CONSTANTS)
    for owner, before in names.items():
        after = dict(vars(owner))
        assert [name for name in before.keys() | after.keys() if before.get(name) is not after.get(name)] == []
    assert "TRITON_INTERPRET" not in os.environ and not triton.knobs.runtime.interpret
    assert "create_fp_trunc" not in vars(triton.runtime.interpreter.interpreter_builder)


def test_threads_take_turns():
    w, gs = problem(6, (20,))
    results = {}
    threads = [Thread(target=lambda i=i: results.update({i: stepped(RULE, w, gs)})) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3
    for ours in results.values():
        assert_same(ours, run(RULE, w, gs), "float32", roundings=4)


# ---- the kernel, compiled for a GPU that need not be here

CONSTANTS = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.3, "BLOCK": BLOCK}


def assembly(dtype, wide, size="i32", architecture=80):
    """Return the kernel in the GPU's assembly language, for whole blocks that start at multiples of 16 bytes."""
    kernel = triton.jit(adamw_kernel, do_not_specialize=triton_kernel.CHANGING)
    types = [f"*{dtype}", f"*{dtype}", f"*{wide}", f"*{wide}", *["*fp64"] * 3, size, *["constexpr"] * len(CONSTANTS)]
    signature = dict(zip(kernel.arg_names, types, strict=True))
    constants = {(kernel.arg_names.index(name),): value for name, value in CONSTANTS.items()}
    aligned = {(i,): [["tt.divisibility", 16]] for i in (0, 1, 2, 3, 7)}
    source = triton.compiler.ASTSource(kernel, signature, constants, aligned)
    target = triton.backends.compiler.GPUTarget("cuda", architecture, 32)
    return triton.compile(source, target=target, options={"num_warps": triton_kernel.WARPS}).asm["ptx"]


@pytest.mark.parametrize("dtype, wide, size", [
    ("fp32", "fp32", "i32"), ("fp32", "fp32", "i64"), ("bf16", "fp32", "i32"), ("fp16", "fp32", "i32"),
    ("fp64", "fp64", "i32"),
])
def test_each_number_is_read_and_written_once_128_bits_at_a_time(dtype, wide, size, tmp_path, monkeypatch):
    monkeypatch.setattr(triton.knobs.cache, "dir", str(tmp_path))
    stepped(RULE, *problem(1, (20,)))   # what was interpreted before must not matter
    code = assembly(dtype, wide, size)
    traffic = {"ld": 0, "st": 0}
    for way, vector, bits in re.findall(r"\b(ld|st)\.global\.(?:v(\d)\.)?b(\d+)", code):
        if vector:
            assert int(vector) * int(bits) == 128
            traffic[way] += 128 // 8
        else:
            assert (way, bits) == ("ld", "64"), "only η and the powers are single numbers"
    width = {"fp16": 2, "bf16": 2, "fp32": 4, "fp64": 8}
    each = BLOCK // (32 * triton_kernel.WARPS)
    assert traffic["ld"] == each * 2 * (width[dtype] + width[wide])
    assert traffic["st"] == each * (width[dtype] + 2 * width[wide])
    assert len(re.findall(r"\bld\.global\.b64", code)) == 3 and "local" not in code


def test_another_learning_rate_compiles_nothing_wherever_it_lies(tmp_path, monkeypatch):
    class Driver:   # of a GPU that is not here: Triton compiles for it, and nothing is launched
        get_current_target = staticmethod(lambda: triton.backends.compiler.GPUTarget("cuda", 80, 32))
        get_current_device = staticmethod(lambda: 0)
        get_current_stream = staticmethod(lambda device: 0)

    class Compiled:
        def __getitem__(self, grid):
            return lambda *args, **constants: kernel.warmup(*args, grid=grid, **constants)

    monkeypatch.setattr(triton.knobs.cache, "dir", str(tmp_path))
    monkeypatch.setattr(triton.runtime.driver, "_active", Driver())
    kernel = triton_kernel._kernel.__wrapped__("cuda")
    monkeypatch.setattr(triton_kernel, "_kernel", lambda device: Compiled())
    (w, (g,)), step, table = problem(1, (5007,)), triton_adamw(RULE), torch.linspace(0, 1, 8, dtype=torch.float64)
    state = RULE.init(w)
    step(w, g, state)
    kernels = kernel.device_caches[0][0]
    assert len(kernels) == 2, "one for what 16 divides, one for the rest"
    assert table[1].data_ptr() % 16 and not table[2].data_ptr() % 16
    for lr in (None, 0.5, 1, 16.0, torch.tensor(0.5), table[0], table[1], table[2], schedules.cosine_decay(0.1, 4)):
        step(w, g, state, lr=lr)
    assert len(kernels) == 2
    step(w[:5001], g[:5001], {**state, "m": state["m"][:5001], "v": state["v"][:5001]})
    assert len(kernels) == 2
    step(w.bfloat16(), g.bfloat16(), RULE.init(w.bfloat16()))
    assert len(kernels) == 4


@pytest.mark.parametrize("size, launched", [(0, []), (7, [7]), (4096, [4096]), (5007, [4992, 15])])
def test_all_but_the_odd_end_is_launched_with_a_size_that_16_divides(size, launched, monkeypatch):
    sizes = []

    class Recorder:
        def __getitem__(self, grid):
            return lambda w, *args, **constants: sizes.append((grid, w.numel(), args[-1]))

    monkeypatch.setattr(triton_kernel, "_kernel", lambda device: Recorder())
    stepped(RULE, *problem(1, (size,)))
    assert sizes == [((-(-length // BLOCK),), length, length) for length in launched]


def test_readers_see_the_kernel_that_runs():
    source = inspect.getsource(adamw_kernel)
    assert source.startswith("def adamw_kernel(") and "    m = beta1 * m + (1 - beta1) * g\n" in source
    assert triton_kernel._kernel("cpu")._function.fn is adamw_kernel


# ---- errors

@pytest.mark.parametrize("rule, error, message", [
    (nadam(), ValueError, r"rule must be adam\(...\) or adamw\(...\), got nadam\("),
    (chain(clip_by_global_norm(1.0), adam()), ValueError, r"rule must be adam\(...\) or adamw\(...\), got chain\("),
    (adam, TypeError, r"rule must be adam\(...\) or adamw\(...\), got <function adam"),
    (adam(amsgrad=True), ValueError, "rule must have amsgrad=False"),
    (adamw(mask=matrices_only), ValueError, "rule must have mask=None"),
    (adam(beta1=torch.tensor(0.9)), ValueError, r"rule must have a number for beta1: .*got tensor\(0.9"),
    (adamw(weight_decay=np.array([0.1, 0.2])), ValueError, "rule must have a number for weight_decay"),
], ids=["nadam", "chain", "no rule", "amsgrad", "mask", "a tensor", "an array"])
def test_a_rule_that_it_cannot_run(rule, error, message):
    with pytest.raises(error, match=f"^{message}"):
        triton_adamw(rule)


W = torch.ones(4, 4)
FITTING = {"w": W, "g": W, "lr": None}
WRONG = {
    "w of NumPy": ({"w": np.ones((4, 4)), "g": np.ones((4, 4))}, TypeError,
                   "w must be a tensor of PyTorch, got ndarray"),
    "w a list": ({"w": [1.0]}, TypeError, "w must be an array or a tensor"),
    "w of integers": ({"w": W.int()}, TypeError, "w must have a float dtype"),
    "w in float8": ({"w": W.to(torch.float8_e5m2)}, ValueError, "w must have a dtype of .* got torch.float8_e5m2"),
    "w turned": ({"w": torch.rand(4, 4).T}, ValueError, "w must be a contiguous tensor.* got .*, not contiguous"),
    "w elsewhere": ({"w": W.to("meta")}, ValueError, "w must be on the CPU or a GPU that Triton knows, got meta"),
    "g of another shape": ({"g": W[0]}, ValueError, r"g must have w's shape \(4, 4\), got \(4,\)"),
    "g in float64": ({"g": W.double()}, ValueError, "g must be a contiguous tensor, torch.float32.* got torch.float64"),
    "g turned": ({"g": torch.rand(4, 4).T}, ValueError, "g must be a contiguous tensor.* not contiguous"),
    "g elsewhere": ({"g": W.to("meta")}, ValueError, "g must be a contiguous tensor.* on cpu, got .* on meta"),
    "no state": ({"state": None}, ValueError, "state must come from init"),
    "state of another rule": ({"state": {"t": torch.zeros((), dtype=torch.float64)}}, ValueError,
                              r"state\['m'\] must be a contiguous tensor.* got None"),
    "m in bfloat16": ({"m": W.bfloat16()}, ValueError, r"state\['m'\] must be .*torch.float32 .* got torch.bfloat16"),
    "m turned": ({"m": torch.rand(4, 4).T}, ValueError, r"state\['m'\] must be .* not contiguous"),
    "v of another shape": ({"v": W[:2]}, ValueError, r"state\['v'\] must be .* got .* shape \(2, 4\)"),
    "t of NumPy": ({"t": 3.0}, ValueError, r"state\['t'\] must be .*torch.float64 of shape \(\).* got 3.0"),
    "power in float32": ({"beta2_power": torch.tensor(1.0)}, ValueError,
                         r"state\['beta2_power'\] must be .*torch.float64"),
    "lr negative": ({"lr": -0.1}, ValueError, "lr must be finite and >= 0, got -0.1"),
    "lr a word": ({"lr": "fast"}, TypeError, "lr must be a number, got 'fast'"),
    "lr a schedule below 0": ({"lr": lambda t: -1.0}, ValueError, "lr must be finite and >= 0, got -1.0"),
    "lr for each row": ({"lr": torch.ones(4, 1)}, ValueError, "lr must be a number or a 0-d tensor, got tensor"),
    "lr for each column": ({"lr": np.ones(4)}, ValueError, "lr must be a number or a 0-d tensor, got array"),
}


@pytest.mark.parametrize("change, error, message", WRONG.values(), ids=WRONG)
def test_a_wrong_argument_is_named_and_changes_nothing(change, error, message):
    w, step = torch.rand(4, 4), triton_adamw(RULE)
    arguments = {"w": w, "g": torch.rand(4, 4), "state": RULE.init(w), "lr": 0.1}
    for key, value in change.items():
        (arguments if key in arguments else arguments["state"])[key] = value
    state, kept = arguments["state"] or {}, w.clone()
    before = {key: value.clone() for key, value in state.items() if isinstance(value, torch.Tensor)}
    with pytest.raises(error, match=f"^{message}"):
        step(**arguments)
    assert torch.equal(w, kept)
    for key, value in before.items():
        assert torch.equal(state[key], value), key


def test_without_triton_one_clear_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)
    module = runpy.run_path(triton_kernel.__file__, run_name="without_triton")   # it can be imported all the same
    with pytest.raises(ImportError, match="^triton_adamw needs the package triton, which is made for Linux alone$"):
        module["triton_adamw"](RULE)
    with pytest.raises(ImportError, match="^a Triton kernel needs the package triton$"):
        interpreting.Interpreted(adamw_kernel)


@pytest.mark.parametrize("version, enough", [("3.5.1", False), ("2.9.0", False), ("3.6.0", True), ("3.10.0+git", True)])
def test_the_interpreter_of_older_versions_is_not_used(version, enough, monkeypatch):
    monkeypatch.setattr(triton, "__version__", version)
    if enough:
        interpreting.Interpreted(adamw_kernel)
    else:
        with pytest.raises(ImportError, match=f"needs Triton 3.6 or later, got {version}"):
            interpreting.Interpreted(adamw_kernel)

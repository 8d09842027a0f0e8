"""AdamW as one GPU kernel, written by hand in Triton."""

from __future__ import annotations

from functools import cache

import torch

from course_lib.kernels.interpreting import Interpreted
from course_lib.update_rules import Rule
from course_lib.update_rules.inputs import check_state, gradient_at, setting

try:
    import triton
    import triton.language as tl
except ImportError:  # It is made for Linux alone. `triton_adamw` says so when it is called.
    triton = tl = None

__all__ = ["triton_adamw", "adamw_kernel"]

KEYS = ("m", "v", "beta1_power", "beta2_power", "t")

# 1024 numbers for 4 warps of 32 threads are 8 for each thread: from each array two loads of 128
# bits in float32, one in bfloat16.
BLOCK, WARPS = 1024, 4
# What 16 does not divide is launched apart: a mask that may end anywhere forbids wide loads.
WHOLE = 16
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
# A learning rate may lie anywhere in memory: where, must not be compiled in.
CHANGING = ["lr_ptr", "beta1_power_ptr", "beta2_power_ptr"]


def adamw_kernel(
    w_ptr, g_ptr, m_ptr, v_ptr, lr_ptr, beta1_power_ptr, beta2_power_ptr, size,
    beta1: tl.constexpr, beta2: tl.constexpr, eps: tl.constexpr, weight_decay: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """One step of AdamW for one block of parameters; many such programs run at once.

    It is bound by memory: w, g, m and v are read once, w, m and v are written once, which
    is 28 bytes for each parameter in float32.

    Parameters
    ----------
    w_ptr, g_ptr, m_ptr, v_ptr : pointers to `size` numbers
        w and g in one dtype, m and v in float32 at least.
    lr_ptr, beta1_power_ptr, beta2_power_ptr : pointers to one number each, in float64
        η, and β₁ and β₂ to the power of the steps made. They change from step to step.
    size : int
        How many parameters there are.
    beta1, beta2, eps, weight_decay : float
        Compiled in, to full precision; other values are another kernel.
    BLOCK : int
        How many parameters one program treats: a power of 2.
    """
    # Which parameters are mine? Beyond 2³¹ of them, 32 bits cannot count.
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < size

    # Read each number once, and compute in the dtype of m: float32 at least.
    m = tl.load(m_ptr + i, mask=inside)
    v = tl.load(v_ptr + i, mask=inside)
    g = tl.load(g_ptr + i, mask=inside).to(m.dtype)
    w = tl.load(w_ptr + i, mask=inside).to(m.dtype)

    # What all parameters share is exact in float64 before it is rounded.
    lr = tl.load(lr_ptr)
    beta1_power = beta1 * tl.load(beta1_power_ptr)
    beta2_power = beta2 * tl.load(beta2_power_ptr)

    # Algorithm 2 of the paper.
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    m_hat = m / (1 - beta1_power).to(m.dtype)
    v_hat = v / (1 - beta2_power).to(m.dtype)
    delta = -lr.to(m.dtype) * m_hat / (tl.sqrt(v_hat) + eps)
    delta = delta - (lr * weight_decay).to(m.dtype) * w

    # The step is rounded to the dtype of w, then added. Write each number once.
    delta = delta.to(w_ptr.dtype.element_ty).to(m.dtype)
    tl.store(w_ptr + i, w + delta, mask=inside)
    tl.store(m_ptr + i, m, mask=inside)
    tl.store(v_ptr + i, v, mask=inside)


def triton_adamw(rule):
    """AdamW's step as one pass over memory: `adamw_kernel`, compiled for the GPU.

    On the CPU the same kernel runs in Triton's interpreter: to read and to test it, not to
    be quick. The steps are the rule's. A GPU joins products with sums, and in float32 it
    divides and takes roots to a unit or two of the last place; so far they may differ.

    Nothing waits for the GPU. β₁, β₂, ε and λ are compiled in, as numbers known beforehand
    make the shortest kernel: a rule is compiled when it first steps, once for each dtype,
    and for the odd end of a size that 16 does not divide. Another learning rate compiles
    nothing.

    Parameters
    ----------
    rule : Rule
        `adamw(...)` or `adam(...)`, with numbers for all settings but `lr`, without mask and
        AMSGrad.

    Returns
    -------
    step : callable
        `step(w, g, state, lr=None)` changes w and the state in place and returns nothing.
        w : tensor of any shape, in float16, bfloat16, float32 or float64. g : its gradient, of
        the same dtype. state : from `rule.init(w)`. All are contiguous and on one device.
        lr : number, 0-d tensor or schedule, instead of the rule's own. Nothing can be
        differentiated through a step.

    Raises
    ------
    ImportError
        If there is no Triton, which is made for Linux; on the CPU, if it is older than 3.6.
    TypeError, ValueError
        If it is no rule, or one that the kernel cannot run; from `step`, before anything is
        changed, if an argument does not fit.

    References
    ----------
    I. Loshchilov, F. Hutter, Decoupled weight decay regularization, ICLR 2019,
    arXiv:1711.05101, Algorithm 2. P. Tillet, H. T. Kung, D. Cox, Triton: an intermediate
    language and compiler for tiled neural network computations, MAPL 2019,
    doi:10.1145/3315508.3329973.

    Examples
    --------
    >>> from course_lib import adamw
    >>> rule = adamw(lr=0.5, weight_decay=0.1)
    >>> w, g = torch.tensor([10.0, 10.0]), torch.tensor([3.0, 0.0])
    >>> state = rule.init(w)
    >>> triton_adamw(rule)(w, g, state)
    >>> w, state["t"].item()
    (tensor([9.0000, 9.5000]), 1.0)
    """
    if triton is None:
        raise ImportError("triton_adamw needs the package triton, which is made for Linux alone")
    constants = _constants(rule)

    @torch.no_grad()
    def step(w, g, state, lr=None):
        _check(w, g, state)
        lr = _on_device(rule.lr if lr is None else lr, state, w)
        m, v, beta1_power, beta2_power, t = (state[key] for key in KEYS)
        arrays = [x.view(-1) for x in (w, g, m, v)]
        whole = w.numel() // WHOLE * WHOLE
        with torch.cuda.device_of(w):  # Triton launches on the current device
            for part in (slice(0, whole), slice(whole, w.numel())):
                size = part.stop - part.start
                if size:
                    _kernel(w.device.type)[(-(-size // BLOCK),)](
                        *(x[part] for x in arrays), lr, beta1_power, beta2_power, size,
                        **constants, BLOCK=BLOCK, num_warps=WARPS,
                    )
        # After the kernel, not in it: a program would read what another has written.
        beta1_power.mul_(constants["beta1"])
        beta2_power.mul_(constants["beta2"])
        t.add_(1)
        for x in (w, m, v):  # autograd cannot see a kernel write
            torch.autograd.graph.increment_version(x)

    return step


@cache
def _kernel(device):
    if device == "cpu":
        return Interpreted(adamw_kernel)
    return triton.jit(adamw_kernel, do_not_specialize=CHANGING)


def _constants(rule):
    if not isinstance(rule, Rule):
        raise TypeError(f"rule must be adam(...) or adamw(...), got {rule!r}")
    if rule.name not in ("adam", "adamw"):
        raise ValueError(f"rule must be adam(...) or adamw(...), got {rule!r}")
    if rule.settings["amsgrad"]:
        raise ValueError("rule must have amsgrad=False: the kernel keeps no largest v")
    if rule.settings.get("mask") is not None:
        raise ValueError("rule must have mask=None: the kernel decays all parameters")
    settings = {"weight_decay": 0.0, **rule.settings}
    constants = {key: settings[key] for key in ("beta1", "beta2", "eps", "weight_decay")}
    for key, value in constants.items():
        if not isinstance(value, float):
            raise ValueError(f"rule must have a number for {key}: it is compiled in, got {value!r}")
    return constants


def _check(w, g, state):
    gradient_at(g, w)
    check_state(state)
    if not isinstance(w, torch.Tensor):
        raise TypeError(f"w must be a tensor of PyTorch, got {type(w).__name__}")
    if w.device.type not in ("cpu", "cuda"):
        raise ValueError(f"w must be on the CPU or a GPU that Triton knows, got {w.device}")
    if w.dtype not in DTYPES:
        raise ValueError(f"w must have a dtype of {', '.join(map(str, DTYPES))}, got {w.dtype}")
    wide, shape = torch.promote_types(w.dtype, torch.float32), tuple(w.shape)
    wanted = [(w.dtype, shape)] * 2 + [(wide, shape)] * 2 + [(torch.float64, ())] * 3
    given = {"w": w, "g": g, **{f"state[{key!r}]": state.get(key) for key in KEYS}}
    for (name, x), (dtype, shape) in zip(given.items(), wanted):
        fits = isinstance(x, torch.Tensor) and (x.dtype, x.device) == (dtype, w.device)
        if not fits or tuple(x.shape) != shape or not x.is_contiguous():
            raise ValueError(
                f"{name} must be a contiguous tensor, {dtype} of shape {shape} on {w.device}, "
                f"got {_kind(x)}"
            )


def _kind(x):
    if not isinstance(x, torch.Tensor):
        return repr(x)
    order = "" if x.is_contiguous() else ", not contiguous"
    return f"{x.dtype} of shape {tuple(x.shape)} on {x.device}{order}"


def _on_device(lr, state, w):
    """lr as a 0-d float64 tensor beside w; a number gets there without a wait."""
    lr = setting("lr", lr(state["t"]) if callable(lr) else lr, least=0)
    if isinstance(lr, float):
        return torch.full((), lr, dtype=torch.float64, device=w.device)
    if not isinstance(lr, torch.Tensor) or lr.ndim:
        raise ValueError(f"lr must be a number or a 0-d tensor, got {lr!r}")
    return lr.to(w.device, torch.float64, non_blocking=True)

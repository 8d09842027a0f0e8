"""An update rule, compiled: the formulas of the chapter as one loop over the parameters."""

import warnings
from functools import cache

import torch
from torch._inductor.compile_fx import compile_fx, compile_fx_inner
from torch.fx.experimental.proxy_tensor import make_fx

from course_lib.kernels.in_place import apart, check_entries, whole_step
from course_lib.update_rules import Rule
from course_lib.update_rules.arrays import scalar
from course_lib.update_rules.inputs import check_state
from course_lib.validation import number

# Below this many numbers PyTorch, too, does not share an operation among threads.
_GRAIN = 32768


def compile_step(rule):
    """A rule as one step in place, compiled to a single pass over memory.

    The rule's own lines are traced once for each size and dtype, and PyTorch's compiler
    turns them into one loop (C++ on a CPU, Triton on a GPU) that reads w, g and the state
    once and writes w and the state once. Neither a new learning rate nor the number of
    the step compiles anything again.

    Parameters
    ----------
    rule : Rule
        Any rule, a reader's own included. It must be made of operations on tensors: a
        choice by value is `where`, not `if`.

    Returns
    -------
    callable
        `step(w, g, state, lr=None) -> None` changes w [D] and every entry of `state` in
        place. `g` is an array like w, `state` comes from `rule.init(w)`, and `lr`, a
        number, a tensor or a schedule, stands in for the rule's own.

    Raises
    ------
    TypeError, ValueError
        From `compile_step`, if rule is no Rule; from `step`, before anything is changed,
        if an argument is wrong, the rule's formulas cannot be traced, or an entry of the
        state does not keep its shape.

    Warns
    -----
    RuntimeWarning
        Once, where there is no compiler: the steps are the same, one operation at a time.

    References
    ----------
    J. Ansel et al., PyTorch 2: faster machine learning through dynamic Python bytecode
    transformation and graph compilation, ASPLOS 2024, doi:10.1145/3620665.3640366.

    Examples
    --------
    >>> from course_lib import adam
    >>> rule, w = adam(lr=0.5), torch.tensor([3.0, -0.01])
    >>> state, step = rule.init(w), compile_step(rule)
    >>> step(w, w.clone(), state)
    >>> w.round(decimals=3), int(state["t"])
    (tensor([2.5000, 0.4900]), 1)
    """
    if not isinstance(rule, Rule):
        raise TypeError(f"rule must be a Rule, such as adam(lr=1e-3), got {rule!r}")
    return CompiledStep(rule)


class CompiledStep:
    """What `compile_step` returns: a program for each layout of the tensors it has met."""

    def __init__(self, rule):
        self.rule = rule
        self._rates = Rates(rule)
        self._programs = {}

    @torch.no_grad()
    def __call__(self, w, g, state, lr=None):
        g = apart(w, g, state)
        program, tensors = self.bind(w, g, state, self._rates(lr, w, state))
        program(*tensors)
        torch.autograd.graph.increment_version([w, *state.values()])

    @torch.no_grad()
    def bind(self, w, g, state, rate):
        """The program for these tensors, and the tensors in the order in which it wants them."""
        tensors = (w, g, rate, *state.values())
        layout = (*state, *[(x.dtype, x.shape, x.stride(), x.device) for x in tensors])
        if layout not in self._programs:
            function = whole_step([self.rule], [list(state)], self.rule)
            try:
                self._programs[layout] = compiled(function, tensors, self.rule)
            except ValueError:
                check_entries(state, self.rule.init(w))
                raise
        return self._programs[layout], tensors


class Rates:
    """Learning rates as 0-d tensors: to a compiled program a plain number is a constant."""

    def __init__(self, rule):
        self.rule = rule
        self.last = None
        self.tensor = None

    def __call__(self, lr, w, state):
        lr = self.rule.lr if lr is None else lr
        if callable(lr):
            check_state(state)
            # On a GPU the count stays there: to read it would make the processor wait.
            lr = lr(int(state["t"]) if w.device.type == "cpu" else state["t"])
        if isinstance(lr, torch.Tensor):
            return lr
        if self.tensor is None or self.tensor.device != w.device:
            self.last = 0.0 if lr is None else number("lr", lr, least=0)
            self.tensor = scalar(self.last, like=w)
        elif lr is not None and lr != self.last:
            self.last = number("lr", lr, least=0)
            self.tensor.fill_(self.last)
        return self.tensor


def compiled(function, tensors, rule):
    """A function that changes tensors in place, compiled for tensors like these.

    Parameters
    ----------
    function : callable
        Takes the tensors and returns an empty list.
    tensors : sequence of torch.Tensor
    rule : Rule
        Whose formulas they are, for the message of an error.

    Returns
    -------
    callable
        The function itself, after a warning, where there is no compiler.
    """
    try:
        # Traced on tensors without data, so that no value can become part of the program.
        graph = make_fx(function, tracing_mode="fake", _allow_non_fake_inputs=True)(*tensors)
    except (TypeError, ValueError):
        raise
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"rule must consist of tensor operations, where() in place of if, got {rule!r}: {reason}"
        ) from error
    # With the same roundings as one operation at a time, in float16 and bfloat16 too. That
    # shapes are right is seen to by whoever calls the program.
    options = {"emulate_precision_casts": True, "size_asserts": False}
    if max(x.numel() for x in tensors) < _GRAIN:
        options["cpp.threads"] = 1
    try:
        return _program(graph, list(tensors), options)
    except Exception as error:
        reason = _missing_compiler(error)
        if reason is None:
            raise
        _warn_once(f"no compiler, so the step runs one operation at a time: {reason}")
        return torch.no_grad()(function)


def _program(graph, tensors, options):
    """The compiler's program itself; what autograd wraps around it takes longer than a small step."""
    made = []

    def compile_inner(*args, **kwargs):
        made.append((compile_fx_inner(*args, **kwargs), len(args[1])))
        return made[-1][0]

    wrapped = compile_fx(graph, tensors, inner_compile=compile_inner, config_patches=options)
    # Tensors that the rule brings along, such as a mask, only the wrapped one knows.
    if len(made) == 1 and made[0][1] == len(tensors):
        program = getattr(made[0][0], "current_callable", made[0][0])
        return lambda *tensors: program(list(tensors))
    return wrapped


@cache
def _warn_once(message):
    warnings.warn(message, RuntimeWarning, stacklevel=7)


def _missing_compiler(error):
    """The reason, if it is that C++ or Triton is not there; None for any other error."""
    from torch._inductor import exc

    missing = (exc.InvalidCxxCompiler, exc.TritonMissing, exc.GPUTooOldForTriton)
    while error is not None:
        if isinstance(error, missing):
            return str(error).partition("\n")[0]
        error = getattr(error, "inner_exception", None) or error.__cause__
    return None

"""JavaScript from the very functions of `course_lib`: they are run on symbols, and what they do is written down.

An `Expression` stands for a number that is not known yet. Python's operators and NumPy's functions on it make larger
expressions, so that a rule, a schedule or an objective, called with symbols, returns its own formula. That formula is
printed as JavaScript in the order in which Python would compute it. To the rules' `arrays.py` symbols are one more
framework, beside NumPy, PyTorch and TensorFlow.

Where the code branches on a symbol, it is run once for either answer, and the formula holds a choice.
"""

import builtins
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np

from course_lib.objectives import convex, landscapes
from course_lib.schedules import combining, cycles, decays
from course_lib.update_rules import adaptive, arrays, heavy_ball, inputs, moments

CHECKS = {   # module: what it checks its settings with, or makes a number with; a symbol passes
    convex: ("number", "float"),
    landscapes: ("count",),
    **{module: ("count",) for module in (combining, cycles, decays)},
    **{module: ("switch",) for module in (adaptive, heavy_ball, moments)},
}
_made = {}      # every expression once, so that equal ones are the same
_answers = {}   # to the branches on the path that is being run


class Undecided(BaseException):   # no handler of the code that is traced is to catch it
    """The code asks whether a condition holds that depends on a symbol."""


class Expression:
    """An operation on numbers and other expressions; made by `symbol` and by computing with expressions."""

    dtype = "float64"
    shape = ()

    def __init__(self, operation, *parts):
        self.operation, self.parts = operation, parts

    def __bool__(self):
        if self not in _answers:
            raise Undecided(self)
        return _answers[self]

    def __eq__(self, other):
        raise TypeError("== on a symbol cannot be traced: compare with < or >")

    __hash__ = object.__hash__

    def __neg__(self):
        return make("negative", self)

    def __abs__(self):
        return make("Math.abs", self)

    def __pow__(self, power):
        if not isinstance(power, Expression) and power in (0, 1, 2):   # as NumPy does
            return (1, self, make("*", self, self))[int(power)]
        return make("Math.pow", self, power)

    def __rpow__(self, base):
        return make("Math.pow", base, self)

    def __floordiv__(self, other):   # of whole numbers
        return make("Math.floor", self / other)

    def __mod__(self, other):   # JavaScript's takes the sign of the first number, Python's of the second
        return make("%", make("+", make("%", self, other), other), other)

    def cos(self):
        """cos, for NumPy's function of that name."""
        return make("Math.cos", self)

    def sin(self):
        """sin, for NumPy's function of that name."""
        return make("Math.sin", self)


def _give_operators():
    def operator(sign, swapped):
        def operate(self, other):
            if np.ndim(other):
                return NotImplemented   # NumPy takes an array apart
            return make(sign, other, self) if swapped else make(sign, self, other)
        return operate

    for name, sign in {"add": "+", "sub": "-", "mul": "*", "truediv": "/"}.items():
        setattr(Expression, f"__{name}__", operator(sign, swapped=False))
        setattr(Expression, f"__r{name}__", operator(sign, swapped=True))
    for name, sign in {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}.items():
        setattr(Expression, f"__{name}__", operator(sign, swapped=False))


_give_operators()


def make(operation, *parts):
    """The expression, without operations that change nothing."""
    parts = [part.item() if isinstance(part, (np.generic, np.ndarray)) else part for part in parts]
    match operation, *[part if isinstance(part, (bool, int, float)) else None for part in parts]:   # what is known
        case ("+", 0, _) | ("*", 1, _):
            return parts[1]
        case ("+" | "-", _, 0) | ("*" | "/", _, 1):
            return parts[0]
        case ("*", 0, _) | ("*", _, 0):
            return 0   # of finite numbers
        case ("choice", _, a, b) if parts[1] is parts[2] or (a is not None and a == b):
            return parts[1]
    key = operation, *((type(part), part) for part in parts)
    return _made.setdefault(key, Expression(operation, *parts))


def symbol(name):
    """The number that JavaScript calls `name`."""
    return make("symbol", name)


def call(name):
    """The function of one number that JavaScript calls `name`."""
    return lambda x: make(name, x)


ARRAYS = SimpleNamespace(   # what `arrays.py` asks a framework for
    __name__="JavaScript", float32="float64", float64="float64",
    sqrt=lambda x: make("Math.sqrt", x),
    sign=lambda x: make("Math.sign", x),
    cos=lambda x: make("Math.cos", x),
    maximum=lambda x, floor: make("Math.max", x, floor),
    where=lambda condition, a, b: make("choice", condition, a, b),
    zeros_like=lambda x: 0,
    constant=lambda value, dtype: value,
)


@contextmanager
def symbols_allowed():
    """Within it the library takes expressions as settings and arrays."""
    frameworks = arrays.framework
    is_symbol = lambda x: isinstance(x, Expression)   # noqa: E731

    def lenient(check):
        return lambda *arguments, **bounds: (
            arguments[-1] if is_symbol(arguments[-1]) else check(*arguments, **bounds))

    with ExitStack() as stack:
        for module in (arrays, inputs):
            stack.enter_context(patch.object(module, "framework", lambda x: ARRAYS if is_symbol(x) else frameworks(x)))
        for module, names in CHECKS.items():
            for name in names:
                check = vars(module).get(name) or getattr(builtins, name)
                stack.enter_context(patch.object(module, name, lenient(check), create=True))
        yield


def trace(function):
    """What `function()` returns, a dict of numbers and expressions; where it branches on a symbol, choices."""
    with symbols_allowed():
        return _trace(function, {})


def _trace(function, answers):
    _answers.clear()
    _answers.update(answers)
    try:
        return function()
    except Undecided as question:
        [condition] = question.args
    yes = _trace(function, {**answers, condition: True})
    no = _trace(function, {**answers, condition: False})
    # What only one path keeps, such as a state that only a variant has, is 0 on the other.
    names = dict.fromkeys([*yes, *no])
    return {name: make("choice", condition, yes.get(name, 0), no.get(name, 0)) for name in names}

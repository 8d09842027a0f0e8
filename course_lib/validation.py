"""Errors that name the argument, its value and what is allowed."""

import math
from numbers import Integral, Real

import numpy as np


def number(name, value, *, above=None, least=None, below=None, most=None):
    """Return `value` as a Python float, or raise.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : int, float, NumPy scalar or 0-d array
    above, least, below, most : float, optional
        Allowed range: value > above, value >= least, value < below, value <= most.

    Raises
    ------
    TypeError
        If `value` is not a number (a bool is not one).
    ValueError
        If it is NaN, infinite or out of range.
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    allowed = "finite"
    inside = math.isfinite(value)
    if above is not None:
        allowed += f" and > {above}"
        inside = inside and value > above
    if least is not None:
        allowed += f" and >= {least}"
        inside = inside and value >= least
    if below is not None:
        allowed += f" and < {below}"
        inside = inside and value < below
    if most is not None:
        allowed += f" and <= {most}"
        inside = inside and value <= most
    if not inside:
        raise ValueError(f"{name} must be {allowed}, got {value!r}")
    return float(value)


def count(name, value, *, least=1):
    """Return `value` as a Python int of at least `least`, or raise, naming the argument."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value!r}")
    return int(value)


def one_of(name, value, allowed):
    """Return `value` if it is among `allowed`, or raise, naming the argument and the choices."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value


def finite_array(name, value, *, copy=False):
    """Return `value` as a float array without NaN or infinity, or raise, naming the argument.

    float32 and float64 (and any other float dtype) are kept; integers become float64.
    """
    try:
        array = np.array(value, copy=True) if copy else np.asarray(value)
        if array.dtype.kind in "iu":
            array = array.astype(float)
        # Floats NumPy does not know itself (bfloat16) have kind "V".
        if array.dtype.kind not in "fV":
            raise TypeError
        finite = bool(np.isfinite(array).all())
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be an array of real numbers, got {value!r}") from None
    if not finite:
        raise ValueError(f"{name} must be finite, got {value!r}")
    return array

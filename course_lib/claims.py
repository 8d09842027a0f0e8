"""Claims: a sentence of the book, beside the measurement that proves it."""

import math

import numpy as np

__all__ = ["claim", "ClaimError"]


class ClaimError(AssertionError):
    """What the text says is not what was measured."""


def claim(text, measured, expected=True, *, within=None, at_most=None, at_least=None):
    """Print one line if the claim holds, raise if it does not.

    The line shows what was expected and how closely, never the measured digits: it reads
    the same on every machine where the claim is true.

    Parameters
    ----------
    text : str
        One sentence, without a full stop.
    measured : bool, int, float, str or array
        What was found. An array is held to the tolerance in every entry.
    expected : same kind, optional
        What the text says; without it, `measured` must be True.
    within : float or str, optional
        The tolerance: absolute (`within=1e-9`) or relative (`within="3%"`). Without it
        the two must be equal, and a float with a fraction is not accepted.
    at_most, at_least : float, optional
        A bound in place of `expected`; together, a range.

    Raises
    ------
    ClaimError
        If the claim is false; the message holds the text, the measured value and the
        expected one. It is an `AssertionError`.
    TypeError, ValueError
        If the claim cannot be checked: no text, or a tolerance of no meaning.

    Examples
    --------
    >>> claim("Halving twice leaves a quarter", 0.5**2, 0.25, within=1e-12)
    claim ✓ Halving twice leaves a quarter: 0.25 ± 1e-12
    >>> claim("Ten halvings leave less than a thousandth", 0.5**10, at_most=1e-3)
    claim ✓ Ten halvings leave less than a thousandth: at most 0.001
    """
    if not isinstance(text, str) or not text.strip() or "\n" in text:
        raise ValueError(f"text must be one line of words, got {text!r}")
    if at_most is not None or at_least is not None:
        if expected is not True or within is not None:
            raise TypeError("at_most and at_least stand in place of expected and within")
        shown, holds = _bounds(measured, at_most, at_least)
    elif within is not None:
        if expected is True:
            raise TypeError("expected must be given beside within, got none")
        shown, holds = _close(measured, expected, within)
    else:
        shown, holds = _equal(measured, expected)
    if not holds:
        raise ClaimError(f"{text}: measured {measured!r}, expected {shown}")
    print(f"claim ✓ {text}" + ("" if expected is True and shown == "true" else f": {shown}"))


def _bounds(measured, at_most, at_least):
    low, high = (None if bound is None else _number("a bound", bound) for bound in (at_least, at_most))
    values = _numbers("measured", measured)
    holds = (high is None or bool((values <= high).all())) and (
        low is None or bool((values >= low).all())
    )
    if low is not None and high is not None:
        return f"between {_digits(low)} and {_digits(high)}", holds
    return (f"at most {_digits(high)}" if low is None else f"at least {_digits(low)}"), holds


def _close(measured, expected, within):
    values, wanted = _numbers("measured", measured), _numbers("expected", expected)
    if values.shape != wanted.shape and wanted.ndim:
        raise ValueError(f"measured has shape {values.shape}, expected {wanted.shape}")
    if isinstance(within, str):
        tolerance, shown = _share(within) * np.abs(wanted), f"within {within}"
    else:
        tolerance = _number("within", within)
        shown = f"± {_digits(tolerance)}"
    if not np.all(tolerance > 0):
        raise ValueError(f"within must be above 0 (and expected not 0 for a share), got {within!r}")
    holds = bool((np.abs(values - wanted) <= tolerance).all())
    if wanted.size > 4:
        return f"{wanted.size} values {shown}", holds
    digits = ", ".join(_to_tolerance(v, np.min(tolerance)) for v in wanted.flat)
    return f"{digits} {shown}", holds


def _equal(measured, expected):
    if isinstance(expected, (bool, np.bool_)):
        if not isinstance(measured, (bool, np.bool_)):
            raise TypeError(f"measured must be True or False, or expected given, got {measured!r}")
        return str(bool(expected)).lower(), bool(measured) == bool(expected)
    found, wanted = np.asarray(measured), np.asarray(expected)
    if wanted.dtype.kind == "f" and not np.all(wanted == np.rint(wanted)):
        raise ValueError(f"within must say how closely a float is expected, such as {expected!r}")
    if found.size == 0:
        raise ValueError("measured must hold at least one value")
    if found.shape != wanted.shape and wanted.ndim:
        raise ValueError(f"measured has shape {found.shape}, expected {wanted.shape}")
    return str(expected), bool(np.all(found == wanted))


def _numbers(name, value):
    array = np.asarray(value, dtype=float)
    if array.size == 0:
        raise ValueError(f"{name} must hold at least one number")
    return array


def _share(within):
    try:
        share = float(within.removesuffix("%")) / 100
    except ValueError:
        share = math.nan
    if not within.endswith("%") or not math.isfinite(share):
        raise ValueError(f'within must be a number or a share such as "3%", got {within!r}')
    return share


def _number(name, value):
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    return float(value)


def _digits(value):
    return f"{value:.6g}"


def _to_tolerance(value, tolerance):
    """`value` to the decimals that the tolerance lets one tell apart."""
    if not 1e-4 <= abs(value) < 1e9:
        return _digits(value)
    decimals = max(0, -math.floor(math.log10(tolerance)))
    shown = f"{value:.{min(decimals, 12)}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown

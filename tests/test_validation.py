"""Arguments are checked once, and a wrong one is told by name, with its value and what is allowed."""

import math
from decimal import Decimal
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.validation import count, finite_array, number, one_of


def message(error, call, *args, **kwargs):
    """Return the text of the error that the call must raise, of exactly this type."""
    with pytest.raises(error) as caught:
        call(*args, **kwargs)
    assert caught.type is error
    return str(caught.value)


# ---- numbers

@pytest.mark.parametrize("value", [2, 2.0, np.int64(2), np.float16(2), np.float32(2), np.array(2.0), Fraction(2)], ids=repr)
def test_every_kind_of_number_becomes_a_python_float(value):
    assert type(number("x", value)) is float and number("x", value) == 2.0


@pytest.mark.parametrize("value", ["2", b"2", None, True, np.bool_(True), 2j, [2], np.array([2.0]), Decimal(2), abs], ids=repr)
def test_what_is_no_number_is_refused(value):
    assert message(TypeError, number, "x", value) == f"x must be a number, got {value!r}"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan"), np.array(np.inf)], ids=repr)
def test_what_is_not_finite_is_refused(value):
    assert message(ValueError, number, "x", value).startswith("x must be finite, got ")
    assert "finite and > 0" in message(ValueError, number, "x", value, above=0)


@given(st.floats(-2, 2))
def test_bounds_hold_where_they_say(value):
    for bounds, inside in (
        ({"above": 0}, value > 0), ({"least": 0}, value >= 0), ({"below": 1}, value < 1),
        ({"least": 0, "below": 1}, 0 <= value < 1), ({"above": -1, "below": 1}, -1 < value < 1),
    ):
        if inside:
            assert number("beta", value, **bounds) == value
        else:
            said = message(ValueError, number, "beta", value, **bounds)
            assert said.startswith("beta must be finite and") and said.endswith(f"got {value!r}")


def test_the_edges_belong_where_the_signs_say():
    assert number("x", 0.0, least=0) == 0.0
    assert message(ValueError, number, "x", 0.0, above=0) == "x must be finite and > 0, got 0.0"
    assert message(ValueError, number, "x", 1, least=0, below=1) == "x must be finite and >= 0 and < 1, got 1"
    assert message(ValueError, number, "x", -5e-324, least=0) == "x must be finite and >= 0, got -5e-324"


# ---- whole numbers

@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3)])
def test_whole_numbers_become_python_ints(value):
    assert type(count("steps", value)) is int and count("steps", value) == 3


@pytest.mark.parametrize("value", [3.0, "3", None, True, np.True_, np.float64(3), [3], Fraction(3)], ids=repr)
def test_what_is_no_whole_number_is_refused(value):
    assert message(TypeError, count, "steps", value) == f"steps must be a whole number, got {value!r}"


@pytest.mark.parametrize("value, least", [(0, 1), (-1, 0), (1, 2), (-(10**30), 1)])
def test_too_few_is_refused(value, least):
    assert message(ValueError, count, "steps", value, least=least) == f"steps must be at least {least}, got {value}"
    assert count("steps", least, least=least) == least


# ---- choices

def test_one_of_names_the_choices():
    assert one_of("mode", "b", ("a", "b")) == "b"
    for bad in ("c", "A", None, 0, ["a"]):
        assert message(ValueError, one_of, "mode", bad, ("a", "b")) == f"mode must be one of 'a', 'b', got {bad!r}"


# ---- arrays

@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_float_dtypes_are_kept(dtype):
    assert finite_array("w", np.ones(2, dtype)).dtype == dtype


@pytest.mark.parametrize("value", [[1, 2], np.array([1, 2], np.uint8), (1.0, 2), torch.tensor([1.0, 2.0]).double()], ids=str)
def test_other_numbers_become_float64(value):
    array = finite_array("w", value)
    assert array.dtype == np.float64 and array.tolist() == [1, 2]


@pytest.mark.parametrize("value", ["w", None, [None], [1j], [True], ["1"], [[1], [1, 2]], Ellipsis, {}, abs], ids=repr)
def test_what_is_no_array_of_numbers_is_refused(value):
    assert message(TypeError, finite_array, "w", value) == f"w must be an array of real numbers, got {value!r}"


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ml_dtypes.bfloat16])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_bad_entry_is_enough(dtype, bad):
    value = np.array([1.0, bad, 2.0]).astype(dtype)
    assert message(ValueError, finite_array, "w", value) == f"w must be finite, got {value!r}"


def test_a_copy_is_made_on_demand_alone():
    value = np.ones(3)
    assert finite_array("w", value) is value
    copy = finite_array("w", value, copy=True)
    copy[0] = 5
    assert value[0] == 1

"""Claims: true ones print what was expected, false ones fail, and one that could not fail is refused."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.claims import ClaimError, claim

NAN = float("nan")

TRUE = [
    ((True,), {}, "claim ✓ It is so"),
    ((np.bool_(True),), {}, "claim ✓ It is so"),
    ((False, False), {}, "claim ✓ It is so: false"),
    ((3, 3), {}, "claim ✓ It is so: 3"),
    ((3.0, 3), {}, "claim ✓ It is so: 3"),
    (("saddle", "saddle"), {}, "claim ✓ It is so: saddle"),
    (([1, 2], [1, 2]), {}, "claim ✓ It is so: [1, 2]"),
    ((np.array([7, 7]), 7), {}, "claim ✓ It is so: 7"),
    ((0.25003, 0.25), {"within": 1e-4}, "claim ✓ It is so: 0.25 ± 0.0001"),
    ((103, 100), {"within": "3%"}, "claim ✓ It is so: 100 within 3%"),
    ((-97.1, -100), {"within": "3%"}, "claim ✓ It is so: -100 within 3%"),
    (([1.01, 1.99], [1, 2]), {"within": "1.5%"}, "claim ✓ It is so: 1, 2 within 1.5%"),
    ((np.full(3, 5.001), 5), {"within": 0.01}, "claim ✓ It is so: 5 ± 0.01"),
    ((np.linspace(0, 1, 9), np.linspace(0, 1, 9)), {"within": 1e-9}, "claim ✓ It is so: 9 values ± 1e-09"),
    ((1e-12, 0), {"within": 1e-9}, "claim ✓ It is so: 0 ± 1e-09"),
    ((0.93, ), {"at_most": 1}, "claim ✓ It is so: at most 1"),
    ((np.float32(17.25), ), {"at_least": 17}, "claim ✓ It is so: at least 17"),
    (([2, 3], ), {"at_least": 2, "at_most": 3}, "claim ✓ It is so: between 2 and 3"),
    ((float("inf"), ), {"at_least": 1e9}, "claim ✓ It is so: at least 1e+09"),
]

FALSE = [
    ((False,), {}, "true"), ((True, False), {}, "false"), ((4, 3), {}, "3"), (("bowl", "saddle"), {}, "saddle"),
    (([1, 2], [1, 3]), {}, "[1, 3]"), ((np.array([7, 8]), 7), {}, "7"), ((NAN, 3), {}, "3"), (([3, NAN], 3), {}, "3"),
    ((0.2502, 0.25), {"within": 1e-4}, "0.25 ± 0.0001"), ((103.1, 100), {"within": "3%"}, "100 within 3%"),
    ((-96.9, -100), {"within": "3%"}, "-100 within 3%"), ((-100, 100), {"within": "3%"}, "100 within 3%"),
    ((NAN, 1), {"within": 1e9}, "1 ±"), ((np.inf, 1), {"within": 1e9}, "1 ±"), ((None, 1), {"within": 1}, "1 ± 1"),
    (([1, 2.5], [1, 2]), {"within": 0.1}, "1, 2 ± 0.1"), (([5, 5, 6], 5), {"within": 0.5}, "5 ± 0.5"),
    ((1.01,), {"at_most": 1}, "at most 1"), ((16.99,), {"at_least": 17}, "at least 17"),
    (([2, 3.5],), {"at_least": 2, "at_most": 3}, "between 2 and 3"), ((1.9,), {"at_least": 2, "at_most": 3}, "between"),
    ((NAN,), {"at_most": 1}, "at most 1"), ((NAN,), {"at_least": 1}, "at least 1"), (([2, NAN],), {"at_least": 1}, "1"),
]


@pytest.mark.parametrize("values, options, line", TRUE, ids=str)
def test_a_true_claim_prints_one_line(values, options, line, capsys):
    assert claim("It is so", *values, **options) is None
    assert capsys.readouterr().out == line + "\n"


@pytest.mark.parametrize("values, options, shown", FALSE, ids=str)
def test_a_false_claim_fails_and_prints_nothing(values, options, shown, capsys):
    with pytest.raises(ClaimError) as caught:
        claim("It is so", *values, **options)
    said = str(caught.value)
    assert said.startswith("It is so: measured ") and repr(values[0]) in said
    assert shown in said.partition("expected ")[2]
    assert isinstance(caught.value, AssertionError) and capsys.readouterr().out == ""


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e3), st.floats(-3, 3))
def test_within_holds_exactly_inside_the_tolerance(expected, tolerance, away):
    measured = expected + away * tolerance
    if abs(measured - expected) <= tolerance:
        claim("It is so", measured, expected, within=tolerance)
    else:
        with pytest.raises(ClaimError):
            claim("It is so", measured, expected, within=tolerance)


@pytest.mark.parametrize("options, edge, out", [
    ({"at_most": 1.5}, 1.5, np.inf), ({"at_least": 1.5}, 1.5, -np.inf),
    ({"expected": 8.0, "within": 0.5}, 8.5, np.inf), ({"expected": 8.0, "within": "25%"}, 6.0, -np.inf),
], ids=str)
def test_the_boundary_belongs_to_the_claim_and_the_next_float_does_not(options, edge, out):
    claim("It is so", edge, **options)
    with pytest.raises(ClaimError):
        claim("It is so", np.nextafter(edge, out), **options)


@given(st.floats(0.1, 0.9), st.sampled_from([{"expected": 0.5, "within": 0.45}, {"expected": 0.5, "within": "95%"},
                                             {"at_most": 1}, {"at_least": 0}, {"at_least": 0, "at_most": 1}]))
def test_the_line_is_the_same_whatever_was_measured(measured, options):
    def line(value):
        from contextlib import redirect_stdout
        from io import StringIO

        with redirect_stdout(StringIO()) as out:
            claim("It is so", value, **options)
        return out.getvalue()

    assert line(measured) == line(0.5) != ""


def test_no_measured_digits_are_printed(capsys):
    claim("It is so", 0.123456789, 0.12, within=0.01)
    claim("It is so", [0.123456789] * 3, at_most=1)
    claim("It is so", np.full(9, 0.123456789), np.full(9, 0.12), within="10%")
    assert not re.search(r"0\.123", capsys.readouterr().out)


@pytest.mark.parametrize("values, options, error, words", [
    ((1.0, 1.0), {"within": 0}, ValueError, ("within must be above 0", "got 0")),
    ((1.0, 1.0), {"within": -0.1}, ValueError, ("within must be above 0", "-0.1")),
    ((1.0, 1.0), {"within": NAN}, ValueError, ("within must be a finite number", "nan")),
    ((1.0, 1.0), {"within": float("inf")}, ValueError, ("within must be a finite number", "inf")),
    ((1.0, 1.0), {"within": True}, ValueError, ("within must be a finite number", "True")),
    ((1.0, 1.0), {"within": [0.1]}, ValueError, ("within must be a finite number", "[0.1]")),
    ((1.0, 1.0), {"within": "0%"}, ValueError, ("within must be above 0", "'0%'")),
    ((1.0, 1.0), {"within": "-3%"}, ValueError, ("within must be above 0", "'-3%'")),
    ((1.0, 1.0), {"within": "nan%"}, ValueError, ("within must be a number or a share", "'nan%'")),
    ((1.0, 1.0), {"within": "inf%"}, ValueError, ("within must be a number or a share", "'inf%'")),
    ((1.0, 1.0), {"within": "3"}, ValueError, ("within must be a number or a share", '"3%"', "'3'")),
    ((1.0, 1.0), {"within": "a bit%"}, ValueError, ("within must be a number or a share", "'a bit%'")),
    ((0.0, 0.0), {"within": "3%"}, ValueError, ("within must be above 0", "expected not 0")),
    ((1.0,), {"within": 0.1}, TypeError, ("expected must be given",)),
    ((0.5, 0.5), {}, ValueError, ("within must say how closely", "0.5")),
    (([0.5, 1], [0.5, 1]), {}, ValueError, ("within must say how closely",)),
    ((np.float32(0.1), np.float32(0.1)), {}, ValueError, ("within must say how closely",)),
    ((NAN, NAN), {}, ValueError, ("within must say how closely",)),
    (([], []), {}, ValueError, ("measured must hold at least one",)), (([], 3), {}, ValueError, ("measured must hold",)),
    (([], 3), {"within": 0.1}, ValueError, ("measured must hold at least one",)),
    (([], []), {"within": 0.1}, ValueError, ("measured must hold at least one",)),
    (([],), {"at_most": 1}, ValueError, ("measured must hold at least one",)),
    (([1, 1], [1, 1, 1]), {}, ValueError, ("measured has shape (2,)", "(3,)")), ((1, [1, 1]), {}, ValueError, ("()", "(2,)")),
    (([1, 1], [1, 1, 1]), {"within": 0.1}, ValueError, ("measured has shape (2,)", "(3,)")),
    ((1.0,), {}, TypeError, ("measured must be True or False", "1.0")), ((1, True), {}, TypeError, ("measured", "got 1")),
    ((np.array([True]),), {}, TypeError, ("measured must be True or False",)),
    ((1.0, 2.0), {"at_most": 3}, TypeError, ("at_most and at_least",)),
    ((1.0,), {"at_most": 3, "within": 0.1}, TypeError, ("at_most and at_least",)),
    ((1.0,), {"at_most": NAN}, ValueError, ("bound must be a finite number", "nan")),
    ((1.0,), {"at_most": float("inf")}, ValueError, ("bound must be a finite number", "inf")),
    ((1.0,), {"at_least": "2"}, ValueError, ("bound must be a finite number", "'2'")),
], ids=str)
def test_a_claim_that_cannot_be_checked_is_refused(values, options, error, words, capsys):
    with pytest.raises(error) as caught:
        claim("It is so", *values, **options)
    assert caught.type is error and all(word in str(caught.value) for word in words), str(caught.value)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("text", ["", "  ", None, 3, "two\nlines"], ids=repr)
def test_the_text_is_one_line_of_words(text):
    with pytest.raises(ValueError) as caught:
        claim(text, True)
    assert "text must be one line" in str(caught.value) and repr(text) in str(caught.value)

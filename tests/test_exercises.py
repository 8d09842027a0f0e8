"""Exercises: right answers are accepted, wrong ones get their hint, odd ones never break the page."""

import re
import warnings
from fractions import Fraction

import numpy as np
import pytest

from course_lib.exercises import EXERCISES, Exercise, check
from course_lib.exercises.exercise import is_close

ACCEPTED = [(name, i) for name, exercise in EXERCISES.items() for i in range(len(exercise.accepted))]
REJECTED = [(name, i) for name, exercise in EXERCISES.items() for i in range(len(exercise.rejected))]
every_exercise = pytest.mark.parametrize("name", sorted(EXERCISES))


class Odd:
    """Neither a number nor a function."""

    def __repr__(self):
        return "an odd thing"


def raising(*args):
    raise KeyError("forgotten")


ODD = [
    Odd(), object, np.nan, np.inf, -12345.5, 1j, "", "one", b"1", [], (), {}, {1}, [[1], [2, 3]], np.array([]),
    np.zeros((2, 2)), np.array(["a"]), np.array(None), Fraction(12345, 7), range(3), iter([1]), NotImplemented,
    lambda *args: None, lambda *args: "", lambda *args: np.nan, lambda *args: args[0], lambda *args: [],
    lambda *args: Odd(), lambda *args: np.zeros((3, 3)), lambda *args: [[1], [2, 3]], lambda: 1.0, raising, print,
]


def printed(capsys, name, answer):
    assert check(name, answer) is None
    return capsys.readouterr().out


@pytest.mark.parametrize("name, i", ACCEPTED)
def test_right_answers_are_accepted(name, i, capsys):
    assert printed(capsys, name, EXERCISES[name].accepted[i]) == f"✓ {name}\n"


@pytest.mark.parametrize("name, i", REJECTED)
def test_wrong_answers_get_their_hint(name, i, capsys):
    answer, words = EXERCISES[name].rejected[i]
    with warnings.catch_warnings():   # a wrong answer may well divide by zero
        warnings.simplefilter("ignore", RuntimeWarning)
        out = printed(capsys, name, answer)
    assert out.startswith(f"✗ {name}: ") and words in out and len(words) >= 4
    assert len(out.splitlines()) == 1


@every_exercise
def test_there_are_answers_to_judge_by(name):
    exercise = EXERCISES[name]
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*-\d+", name) and exercise.name == name
    assert len(exercise.accepted) >= 2 and len(exercise.rejected) >= 2


def test_exercises_of_a_chapter_are_numbered_without_gaps():
    chapters = {}
    for name in EXERCISES:
        chapter, _, number = name.rpartition("-")
        chapters.setdefault(chapter, []).append(int(number))
    for chapter, numbers in chapters.items():
        assert sorted(numbers) == list(range(1, len(numbers) + 1)), chapter


@every_exercise
@pytest.mark.parametrize("nothing", [None, ...])
def test_no_answer_yet(name, nothing, capsys):
    assert printed(capsys, name, nothing) == f"· {name}: no answer yet\n"


@every_exercise
@pytest.mark.parametrize("i", range(len(ODD)))
@pytest.mark.filterwarnings("default")
def test_odd_answers_get_a_hint_and_never_an_exception(name, i, capsys):
    out = printed(capsys, name, ODD[i])
    last = out.splitlines()[-1]
    assert last.startswith(f"✗ {name}: ") and len(last) > len(f"✗ {name}: ")


@pytest.mark.parametrize("name", [name for name, exercise in EXERCISES.items() if callable(exercise.accepted[0])])
def test_an_answer_that_raises_is_told_how(name, capsys):
    assert printed(capsys, name, raising) == f"✗ {name}: your answer raised KeyError: 'forgotten'\n"


@every_exercise
def test_judging_leaves_no_trace(name, capsys):
    before = np.random.get_state()[1].tobytes()
    right = EXERCISES[name].accepted[0]
    assert printed(capsys, name, right) == printed(capsys, name, right)
    assert np.random.get_state()[1].tobytes() == before


@pytest.mark.parametrize("name", ["gradient-descent-99", "", None, 1, "gradient_descent-1"], ids=repr)
def test_unknown_exercise_is_named(name):
    with pytest.raises(ValueError) as caught:
        check(name, 1.0)
    said = str(caught.value)
    assert "name must be one of" in said and "'gradient-descent-1'" in said and f"got {name!r}" in said


def test_a_new_exercise_is_known_at_once(monkeypatch, capsys):
    monkeypatch.setitem(EXERCISES, "testing-1", None)   # so that it is gone again after the test
    Exercise("testing-1", lambda answer: None if answer == 4 else "Two and two.", (4, 4.0), ((5, "Two"), (3, "two")))
    assert printed(capsys, "testing-1", 4) == "✓ testing-1\n"
    assert printed(capsys, "testing-1", 5) == "✗ testing-1: Two and two.\n"


def test_is_close_takes_one_number_within_the_share():
    assert is_close(1.009, 1, 0.01) and is_close(Fraction(1, 3), 1 / 3, 1e-9) and is_close(np.array(-2.0), -2, 1e-9)
    assert not is_close(1.011, 1, 0.01) and not is_close([1.0, 1.0], 1, 0.01) and not is_close(np.nan, 1, 0.01)

"""What an exercise is, and how an answer is checked."""

from dataclasses import dataclass
from typing import Callable

import numpy as np

from course_lib.validation import one_of

EXERCISES = {}


@dataclass(frozen=True)
class Exercise:
    """A question whose answer can be judged by running it.

    Parameters
    ----------
    name : str
        The chapter's word and a number: "gradient-descent-1".
    judge : callable
        `judge(answer)` returns None for a right answer, else a hint: one sentence.
    accepted : tuple
        Equivalent right answers. The tests hand each to the judge.
    rejected : tuple of pairs
        Wrong answers one may well give, each with a few words of the hint it gets.
    """

    name: str
    judge: Callable
    accepted: tuple
    rejected: tuple

    def __post_init__(self):
        EXERCISES[self.name] = self


def check(name, answer):
    """Print ✓ if the answer is right, a hint if it is not.

    Parameters
    ----------
    name : str
        The exercise, as written above its cell: "gradient-descent-1".
    answer : number, array or function
        Whatever the exercise asks for; None or ... while there is none yet.

    Raises
    ------
    ValueError
        If there is no exercise of that name.
    """
    exercise = EXERCISES[one_of("name", name, tuple(EXERCISES))]
    if answer is None or answer is ...:
        print(f"· {name}: no answer yet")
        return
    try:
        hint = exercise.judge(answer)
    except Exception as error:
        hint = f"your answer raised {type(error).__name__}: {error}"
    print(f"✓ {name}" if hint is None else f"✗ {name}: {hint}")


def is_close(answer, value, share):
    """True where `answer` is one number within `share` (0.01 for 1%) of `value`."""
    number = np.asarray(answer, dtype=float)
    return number.size == 1 and abs(number.item() - value) <= share * abs(value)

"""The committed results were measured on the code that is committed, and say what the book says."""

import importlib
import re

import pytest

from benchmarks import run
from tools import chapters
from tools.lint.reading import Chapter, prose


def row(name, subject):
    """Return one row of a committed result."""
    return next(row for row in run.result(name)["rows"] if row["subject"] == subject)


@pytest.mark.parametrize("name", run.NAMES)
def test_result_is_current(name):
    measured = {row["subject"]: row["fingerprint"] for row in run.result(name)["rows"]}
    stale = [subject for subject, mark in importlib.import_module(f"benchmarks.{name}").subjects().items()
             if measured.get(subject) != mark]
    assert not stale, f"results/{name}.json is not about the present {', '.join(stale)}: run make bench"


def test_import_takes_at_most_twice_numpys_time():
    assert row("import_time", "course_lib")["ratio"] <= 2


@pytest.mark.parametrize("path", chapters.paths(), ids=lambda path: path.stem)
def test_card_promises_no_less_than_was_measured(path):
    card = " ".join(prose(cell.source) for _, cell in Chapter.at(path).markdown[:3])
    promised = int(re.search(r"(\d+)\s+seconds to run", card)[1])
    measured = row("notebook_time", path.stem)["seconds"]
    assert measured <= promised <= 60, f"the card promises {promised} s, measured were {measured} s, 60 are allowed"

"""A step runs when its inputs change and only then; a digest changes with the outputs' causes and with nothing else."""

import os
import sys

import pytest
from nbformat import v4

from tools import chapters, fresh, kernels


@pytest.fixture
def step(tmp_path):
    """Return a function that runs a step over a folder of inputs and says how often it has run so far."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("a")
    log = tmp_path / "log"
    program = f"open({str(log)!r}, 'a').write('x')"

    def run(command=(sys.executable, "-c", program)):
        fresh.main([str(tmp_path / "stamps" / "stamp"), str(tmp_path / "in"), "--", *command])
        return len(log.read_text()) if log.exists() else 0

    return run


def test_a_step_runs_once(step, tmp_path):
    assert [step(), step()] == [1, 1]
    os.utime(tmp_path / "in" / "a.txt", (0, 0))
    (tmp_path / "in" / "__pycache__").mkdir()
    (tmp_path / "in" / "__pycache__" / "a.pyc").write_text("b")
    assert step() == 1


def test_a_step_runs_again_after_a_change(step, tmp_path):
    step()
    (tmp_path / "in" / "a.txt").write_text("b")
    assert step() == 2
    (tmp_path / "in" / "a.txt").rename(tmp_path / "in" / "c.txt")
    assert step() == 3
    (tmp_path / "in" / "c.txt").unlink()
    assert step() == 4


def test_a_failed_step_runs_again(step):
    step((sys.executable, "-c", "raise SystemExit(1)"))
    assert step() == 1


def notebook(*sources):
    return v4.new_notebook(cells=[v4.new_code_cell(source) for source in sources])


def test_digest_depends_on_code_library_and_order():
    marks = [
        chapters.digest(notebook("a", "b"), []),
        chapters.digest(notebook("b", "a"), []),
        chapters.digest(notebook("ab"), []),
        chapters.digest(notebook("a", "b"), ["course_lib/__init__.py"]),
        chapters.digest(notebook("a", "b"), ["course_lib/gone.py"]),
    ]
    assert len(set(marks)) == len(marks)


def test_digest_depends_on_committed_results_where_a_chapter_can_read_them(tmp_path, monkeypatch):
    for pins in chapters.PINS:
        (tmp_path / pins).write_text("numpy==2\n")
    results = tmp_path / "course_lib" / "results"
    results.mkdir(parents=True)
    (results / "__init__.py").write_text("")
    monkeypatch.setattr(chapters, "ROOT", tmp_path)
    reader, other = ["course_lib/results/__init__.py"], ["course_lib/__init__.py"]
    marks = []
    for content in (None, "1", "2"):
        if content:
            (results / "table.json").write_text(content)
        marks.append([chapters.digest(notebook("a"), modules) for modules in (reader, other)])
    assert len({mark for mark, _ in marks}) == 3 and len({mark for _, mark in marks}) == 1


def test_digest_leaves_out_prose_and_address():
    here, there = (notebook(f"%pip install https://github.com/{name}/archive/x.zip") for name in ("a/b", "c/d.e"))
    there.cells.append(v4.new_markdown_cell("More words."))
    assert chapters.digest(here, []) == chapters.digest(there, [])


def test_tidy_removes_what_varies_and_keeps_what_matters():
    cell = v4.new_code_cell("1", metadata={"execution": {"iopub": "now"}, "tags": ["hide-cell"]}, id="kept")
    first = v4.new_notebook(cells=[cell, v4.new_code_cell("2")])
    first.cells[1].id = "kept"
    first.metadata["language_info"] = {"name": "python", "version": "3.11.7"}
    text = chapters.text_of(chapters.tidy(first))
    assert "iopub" not in text and "3.11.7" not in text
    assert "hide-cell" in text and text.count('"id": "kept"') == 1
    assert chapters.text_of(chapters.tidy(first)) == text


def test_the_plainest_environment_turns_every_library_down():
    settings = kernels.plainest()
    assert {"NPY_DISABLE_CPU_FEATURES", "OPENBLAS_CORETYPE", "ATEN_CPU_CAPABILITY", "XLA_FLAGS"} <= set(settings)
    assert all(isinstance(value, str) for value in settings.values())

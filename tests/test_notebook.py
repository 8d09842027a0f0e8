"""What a chapter shows of the library: its source, an error that is meant to happen, and a bar that vanishes."""

import ast
import inspect

import IPython
import IPython.display
import pytest

from course_lib import notebook
from course_lib.claims import ClaimError
from course_lib.notebook import progress, show_error, show_source
from course_lib.update_rules import Rule, gradient_descent


@pytest.fixture
def shown(monkeypatch):
    """What is displayed, as a list."""
    things = []
    monkeypatch.setattr(IPython.display, "display", things.append)
    return things


def code(shown):
    """Return the Python of the one code block that was shown."""
    (block,) = shown
    assert block.data.startswith("```python\n") and block.data.endswith("\n```")
    source = block.data.removeprefix("```python\n").removesuffix("\n```")
    ast.parse(source)
    return source


# ---- source

def test_source_is_the_librarys_own_without_the_docstring(shown):
    show_source(gradient_descent)
    source, whole = code(shown), inspect.getsource(gradient_descent)
    assert source.startswith("@register\ndef gradient_descent(lr):\n    lr = learning_rate(lr)\n")
    assert '"""' not in source and "delta = -lr * g" in source
    assert set(source.splitlines()) <= set(whole.splitlines()), "a line was changed"
    left_out = inspect.getdoc(gradient_descent)
    assert len(whole.splitlines()) - len(source.splitlines()) == len(left_out.splitlines()) + 1   # the closing quotes


def test_docstring_is_shown_on_demand(shown):
    show_source(gradient_descent, docstring=True)
    assert code(shown) == inspect.getsource(gradient_descent).rstrip()


def test_methods_and_classes_can_be_shown(shown):
    show_source(Rule.update)
    assert code(shown).startswith("def update(self, g, state, w, lr=None):\n    ")
    shown.clear()
    show_source(Rule)
    assert code(shown).startswith("class Rule:\n    def __init__(")


def documented_only():
    """All there is."""


def without():
    return 1


def test_a_body_is_never_left_empty(shown):
    for thing in (documented_only, ClaimError, without):
        shown.clear()
        show_source(thing)
        assert code(shown) == inspect.getsource(thing).rstrip()


def test_a_lambda_is_shown_as_it_stands(shown):
    double = lambda x: 2 * x  # noqa: E731
    show_source(double)
    assert code(shown) == "double = lambda x: 2 * x  # noqa: E731"


@pytest.mark.parametrize("thing", [3, len, None, "text"], ids=repr)
def test_what_has_no_source_is_refused(thing, shown):
    with pytest.raises(TypeError) as caught:
        show_source(thing)
    assert "thing must be a function or class with source" in str(caught.value) and repr(thing) in str(caught.value)
    assert shown == []


# ---- errors

class Silent(Exception):
    """An error without a message."""


def fail(error):
    raise error


@pytest.mark.parametrize("error, line", [
    (ValueError("lr must be >= 0"), "ValueError: lr must be >= 0"), (TypeError("one\ntwo"), "TypeError: one"),
    (Silent(), "Silent"), (KeyError("k"), "KeyError: 'k'"), (AssertionError("no"), "AssertionError: no"),
], ids=repr)
def test_the_error_is_printed_in_one_line_and_returned(error, line, capsys):
    assert show_error(fail, error) is error
    assert capsys.readouterr().out == line + "\n"


def test_arguments_are_passed_on(capsys):
    error = show_error(gradient_descent, lr=-1.0)
    assert "lr must be finite and >= 0, got -1.0" in str(error)
    assert capsys.readouterr().out == f"ValueError: {error}\n"


def test_a_call_that_works_is_a_failure(capsys):
    with pytest.raises(AssertionError, match="int.*meant to fail and did not"):
        show_error(int, "2")
    assert capsys.readouterr().out == ""


def test_an_interrupt_is_not_swallowed():
    with pytest.raises(KeyboardInterrupt):
        show_error(fail, KeyboardInterrupt())


# ---- progress

class Notebook:
    """An IPython whose cells are run by somebody who could answer a question, or not."""

    def __init__(self, watched):
        self.kernel, self.watched = self, watched

    def get_parent(self):
        return {"content": {"allow_stdin": self.watched} if self.watched is not None else {}}


@pytest.fixture
def cleared(monkeypatch):
    """A notebook's cell whose bar is looked at every second, and what was cleared in it: wait or at once."""
    calls, clock = [], iter(range(1000))
    monkeypatch.setattr(IPython, "get_ipython", lambda: Notebook(watched=True))
    monkeypatch.setattr(IPython.display, "clear_output", lambda wait=False: calls.append(wait))
    monkeypatch.setattr(notebook.time, "monotonic", lambda: next(clock))
    return calls


def test_outside_a_notebook_there_is_no_bar(capsys):
    assert list(progress(range(5), "fitting", every=0)) == [0, 1, 2, 3, 4]
    assert list(progress(iter("ab"), "fitting", every=0)) == ["a", "b"]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("watched", [False, None])
def test_where_nobody_watches_there_is_no_bar(cleared, monkeypatch, capsys, watched):
    monkeypatch.setattr(IPython, "get_ipython", lambda: Notebook(watched))
    assert list(progress("ab", "fitting", every=0)) == ["a", "b"]
    assert capsys.readouterr().out == "" and cleared == []


def test_the_bar_grows_to_its_end_and_vanishes(cleared, capsys):
    assert list(progress("abcd", "fitting", every=0)) == list("abcd")
    bars = capsys.readouterr().out.splitlines()
    assert bars == [f"fitting {'█' * 5 * k}{'░' * (20 - 5 * k)} {k}/4" for k in (1, 2, 3, 4)]
    assert cleared == [True] * 4 + [False]


def test_the_bar_is_drawn_no_more_often_than_asked(cleared, capsys):
    list(progress(range(100), "fitting", every=1e9))
    assert capsys.readouterr().out == "" and cleared == [False]


def test_nothing_is_left_after_a_break(cleared):
    for item in progress(range(100), "fitting", every=0):
        if item == 3:
            break
    assert cleared == [True] * 3 + [False]


def test_nothing_to_do_is_no_error(cleared):
    assert list(progress([], "fitting")) == [] and cleared == [False]

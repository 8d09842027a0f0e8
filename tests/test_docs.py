"""Every public name is documented: what it is, and each of its parameters."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "course_lib").rglob("*.py"))
MODULES = [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in FILES]


def parameters(thing):
    """Return the names of the parameters that a caller may give."""
    try:
        names = list(inspect.signature(thing).parameters)
    except (TypeError, ValueError):
        return []
    return [name for name in names if name not in ("self", "args", "kwargs")]


def section(text, title):
    """Return a section of a NumPy-style docstring, or ""."""
    found = re.search(rf"^{title}\n-+\n(.*?)(?=^\S[^\n]*\n-+$|\Z)", text, re.M | re.S)
    return found.group(1) if found else ""


def faults(name, thing):
    """Return what the docstring of a public name lacks."""
    text = inspect.getdoc(thing) or ""
    summary = text.partition("\n")[0].strip()
    if not summary or summary.startswith(f"{name}("):
        return [f"{name}: no summary line"]
    if inspect.isclass(thing):   # what a class is made of is told as its parameters, its attributes, or in words
        described = set(re.findall(r"\w+", text)) | ({"message"} if issubclass(thing, BaseException) else set())
    else:
        lines = re.findall(r"^([\w*][\w*, ]*?)\s*(?::.*)?$", section(text, "Parameters"), re.M)
        described = {part.strip().lstrip("*") for line in lines for part in line.split(",")}
    missing = [parameter for parameter in parameters(thing) if parameter not in described]
    return [f"{name}: its Parameters leave out {', '.join(missing)}"] if missing else []


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_documented(name):
    module = importlib.import_module(name)
    assert (module.__doc__ or "").strip(), f"{name} has no docstring"
    wrong = []
    for public in getattr(module, "__all__", []):
        thing = getattr(module, public)
        if callable(thing):   # a module or a constant is described where it stands
            wrong += faults(public, thing)
    assert not wrong, "\n".join(wrong)


def test_undocumented_names_are_caught():
    def bare(w):
        pass

    def half(w, v):
        """Add.

        Parameters
        ----------
        w : ndarray
            The first.
        """

    assert faults("bare", bare) == ["bare: no summary line"]
    assert faults("half", half) == ["half: its Parameters leave out v"]

"""Reading and writing a chapter's file, and the digest that says whether its outputs are current.

A chapter is a notebook in book/. It is written in one canonical form, so that a run that changes no output
changes no byte.
"""

import hashlib
import json
import os
import re
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"
PINS = ("requirements.txt", "requirements-site.txt")
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {"name": "python", "pygments_lexer": "ipython3"}
VOLATILE = ("execution", "ExecuteTime", "collapsed", "scrolled")
PATHS = re.compile(r"(?:/(?:home|root|Users|tmp|var|opt|usr|work|mnt|content)/|[A-Z]:\\\\?)[\w.-]+|site-packages")
ADDRESS = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+(?=/archive/)")


def paths(name=None):
    """Return every chapter's path, or only that of the chapter called `name`."""
    found = [path for path in sorted(BOOK.rglob("*.ipynb")) if ".ipynb_checkpoints" not in path.parts]
    if name is None:
        return found
    chosen = [path for path in found if path.stem == Path(name).stem]
    if not chosen:
        raise SystemExit(f"there is no chapter {name!r}; chapters: {', '.join(path.stem for path in found)}")
    return chosen


def read(path):
    """Return the notebook at `path`."""
    return nbformat.read(path, as_version=4)


def text_of(notebook):
    """Return the notebook as the text that is committed: sorted keys, one space of indent, plain UTF-8."""
    plain = json.loads(nbformat.writes(notebook))
    return json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def write(path, notebook):
    """Write the notebook to `path` in one step: a reader sees the old file or the new one."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text_of(notebook), encoding="utf-8", newline="\n")
    os.replace(beside, path)


def tidy(notebook):
    """Remove, in place, what differs from one run or machine to the next; give each cell a lasting id."""
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata.update(kernelspec=dict(KERNELSPEC), language_info=dict(LANGUAGE))
    taken = set()
    for number, cell in enumerate(notebook.cells):
        for key in VOLATILE:
            cell.metadata.pop(key, None)
        if not cell.get("id") or cell.id in taken:
            cell.id = hashlib.sha256(f"{number}\n{cell.source}".encode()).hexdigest()[:8]
        taken.add(cell.id)
    return notebook


def digest(notebook, modules):
    """Return the hash of what the outputs depend on: code, the library files it loaded, and the pins.

    Prose is left out, and so is the repository's address: neither changes an output.
    """
    total = hashlib.sha256()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            total.update(ADDRESS.sub("", cell.source).encode() + b"\0")
    if "course_lib/results/__init__.py" in modules:   # the chapter may show what was measured
        modules = {*modules, *(file.relative_to(ROOT).as_posix() for file in (ROOT / "course_lib/results").glob("*.json"))}
    for module in sorted(modules):
        file = ROOT / module
        content = file.read_bytes() if file.is_file() else b"missing"
        total.update(f"{module}\0{hashlib.sha256(content).hexdigest()}\0".encode())
    for pins in PINS:
        lines = (line.split("#")[0].strip() for line in (ROOT / pins).read_text().splitlines())
        total.update("\n".join(line for line in lines if line).encode() + b"\0")
    return f"sha256:{total.hexdigest()}"


def is_current(notebook):
    """Say whether the committed outputs were made by the present code, library and pins."""
    made = notebook.metadata.get("descent", {})
    return made.get("digest") == digest(notebook, made.get("modules", []))

"""A chapter as the rules see it: its cells, its Markdown parsed once, and the pages that it must agree with."""

import re
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from markdown_it import MarkdownIt
from mdit_py_plugins.anchors.index import slugify
from mdit_py_plugins.dollarmath import dollarmath_plugin

from tools import chapters, stamp
from tools.lint.tex import symbols

RULES = {}
MARKDOWN = MarkdownIt("commonmark").enable("table").use(dollarmath_plugin, allow_labels=False, double_inline=True)


def rule(function):
    """Register a rule under its own name."""
    RULES[function.__name__] = function
    return function


@lru_cache(maxsize=4096)
def tokens(source):
    """Return the Markdown tokens of `source`, the inline ones in place of the block that holds them."""
    flat = []
    for token in MARKDOWN.parse(source):
        flat += token.children or [] if token.type == "inline" else [token]
    return flat


def formulas(source):
    """Return the formulas of `source` as (TeX, whether it is displayed)."""
    return [(token.content, token.type != "math_inline") for token in tokens(source) if token.type.startswith("math")]


def prose(source):
    """Return the words a reader reads: no code, no formulas, no tags, no comments."""
    kept = []
    for token in tokens(source):
        if token.type == "text":
            kept.append(token.content)
        elif token.type in ("html_block", "html_inline"):
            kept.append(re.sub(r"<!--.*?-->|<[^>]*>", " ", token.content, flags=re.S))
        elif token.type in ("softbreak", "hardbreak") or token.type.endswith("_close") and token.block:
            kept.append("\n")
    return "".join(kept)


def links(source):
    """Return the targets of the links and pictures of `source`."""
    found = [token.attrGet("href") or token.attrGet("src") for token in tokens(source)]
    return [str(target) for target in found if target] + re.findall(r'(?:href|src)="([^"]+)"', source)


def anchors(notebook):
    """Return the anchors that the site gives to the headings of a notebook."""
    found = set()
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parsed = MARKDOWN.parse(cell.source)
            pairs = zip(parsed, parsed[1:])
            found |= {slugify(after.content) for before, after in pairs if before.type == "heading_open"}
    return found


def shown(cell):
    """Return everything that a code cell printed, as text."""
    parts = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        parts += [output.get("text", "")] + [data[kind] for kind in data if kind.startswith("text/")]
    return "".join(parts)


@dataclass
class Chapter:
    """One notebook and where it lies."""

    path: Path
    notebook: object

    @classmethod
    def at(cls, path):
        """Read the chapter at `path`."""
        return cls(path, chapters.read(path))

    @cached_property
    def markdown(self):
        """The Markdown cells, as (number, cell)."""
        return [(number, cell) for number, cell in enumerate(self.notebook.cells) if cell.cell_type == "markdown"]

    @cached_property
    def code(self):
        """The code cells, as (number, cell)."""
        return [(number, cell) for number, cell in enumerate(self.notebook.cells) if cell.cell_type == "code"]


@dataclass
class Book:
    """The pages that chapters must agree with, and the repository's address."""

    symbols: set = field(default_factory=set)
    sources: set = field(default_factory=set)
    repository: str = stamp.PLACEHOLDER

    @classmethod
    def at(cls, root):
        """Read the book in the repository at `root`."""
        known = set()
        for row in notation_rows((root / "book" / "notation.md").read_text(encoding="utf-8")):
            known |= row
        sources = set(links((root / "book" / "bibliography.md").read_text(encoding="utf-8")))
        return cls(known, sources, stamp.stamped(root))


def notation_rows(page):
    """Return, for every row of the page's tables, the symbols defined in its first column."""
    first = [line.split("|")[1] for line in page.splitlines() if line.startswith("|")]
    rows = [set().union(*(symbols(tex) for tex, _ in formulas(cell))) for cell in first]
    return [row for row in rows if row]


def complaints(check, chapter, book):
    """Return what a rule finds wrong with a chapter, each with the chapter and the cell named."""
    found = []
    for number, message in check(chapter, book):
        where = ""
        if number is not None:
            lines = chapter.notebook.cells[number].source.strip().splitlines() or [""]
            where = f"cell {number} ({lines[0][:50]!r}): "
        found.append(f"{chapter.path.name}: {where}{message}")
    return found

"""What the tests of the site share: its pages, read from the table of contents, and its folder."""

import functools
import re
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "_build" / "html"


def documents(entry):
    """The documents of a table of contents, without suffix, in order."""
    for key, value in entry.items():
        if key in ("root", "file"):
            yield re.sub(r"\.(md|ipynb)$", "", value)
        elif isinstance(value, list):
            for part in value:
                yield from documents(part)


def source_of(document):
    """The file a page is written in."""
    return next(path for suffix in (".md", ".ipynb") if (path := ROOT / f"{document}{suffix}").exists())


DOCUMENTS = list(documents(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))))
PAGES = [f"{document}.html" for document in DOCUMENTS]
SOURCES = [source_of(document) for document in DOCUMENTS]


@pytest.fixture(scope="session")
def site():
    """The folder of the site; it must have been built from the present pages."""
    for source in SOURCES:
        built = SITE / "_sources" / source.relative_to(ROOT)
        if not built.exists() or built.read_bytes() != source.read_bytes():
            pytest.fail(f"the site is not built from the present {source.relative_to(ROOT)}: run make book")
    return SITE


@functools.cache
def html_of(path):
    """The parsed page at `path`."""
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")

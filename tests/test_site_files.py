"""The files of the built site: they stand alone, and every link leads somewhere."""

import re
from importlib import import_module
from inspect import ismodule
from pkgutil import iter_modules
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from built_site import PAGES, SOURCES, html_of, site  # noqa: F401 (a fixture)

import course_lib

LOADED = {
    "link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src",
    "embed": "src", "object": "data",
}
DEAD_WEIGHT = ("fontawesome.js", "fa-*", "thebe*", "mathjax*", "*.map", "*.ttf", "*.woff")


@pytest.mark.parametrize("name", [*PAGES, "search.html"])
def test_page_names_no_file_of_another_server(site, name):
    page = html_of(site / name)
    foreign = [
        str(tag)[:200] for tag in page.find_all(list(LOADED))
        if re.match(r"(https?:)?//", tag.get(LOADED[tag.name]) or "") and tag.get("rel") != ["canonical"]
    ]
    assert not foreign


def test_styles_name_no_file_of_another_server(site):
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    styles += [tag.get_text() for name in PAGES for tag in html_of(site / name).find_all("style")]
    assert styles
    foreign = [re.findall(r"(?:@import\s*|url\()\s*['\"]?(?:https?:)?//[^)'\"]*", css) for css in styles]
    assert not sum(foreign, [])


def test_site_carries_no_dead_weight(site):
    assert [path for pattern in DEAD_WEIGHT for path in site.rglob(pattern)] == []


@pytest.mark.parametrize("name", ["index.html", *PAGES])
def test_every_link_leads_somewhere(site, name):
    broken = []
    for link in html_of(site / name).find_all("a", href=True):
        url = urlsplit(link["href"])
        if url.scheme or url.netloc:
            if url.scheme not in ("https", "mailto"):
                broken.append(link["href"])
            continue
        target = (site / name).parent / unquote(url.path) if url.path else site / name
        if not target.is_file():
            broken.append(link["href"])
        elif url.fragment and not html_of(target.resolve()).find(id=unquote(url.fragment)):
            broken.append(link["href"])
    assert not broken


def test_root_sends_the_reader_to_the_front_page(site):
    refresh = html_of(site / "index.html").find("meta", attrs={"http-equiv": "Refresh"})
    assert refresh["content"].endswith(f"url={PAGES[0]}")


def test_page_of_claims_lists_every_claim(site):
    lines = []
    for path in SOURCES:
        if path.suffix != ".ipynb":
            continue
        for cell in nbformat.read(path, as_version=4).cells:
            for output in cell.get("outputs", []):
                lines += re.findall(r"^claim ✓ (.*)$", output.get("text", ""), flags=re.MULTILINE)
    article = html_of(site / "book" / "claims.html").article
    shown = [item.get_text() for item in article.find_all("li")]
    # The page has typographic quotation marks.
    assert [re.findall(r"\w+", line) for line in lines] == [re.findall(r"\w+", item) for item in shown]
    assert f"{len(lines)} claim" in article.get_text()


@pytest.mark.parametrize("module", [module.name for module in iter_modules(course_lib.__path__)])
def test_page_of_the_library_has_every_public_name(site, module):
    page = html_of(site / "book" / "api.html")
    package = import_module(f"course_lib.{module}")
    public = [name for name in getattr(package, "__all__", []) if not name.isupper()]
    ids = {name: f"{'module-' * ismodule(getattr(package, name))}course_lib.{module}.{name}" for name in public}
    missing = [name for name, label in ids.items() if not page.find(id=label)]
    assert not missing

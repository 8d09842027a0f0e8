"""What the site says of a chapter's time, of how it was run and of where to report an error is what is the case."""

import ast
import re
import sys
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import nbformat.v4 as v4
import pytest
from built_site import PAGES, ROOT, SOURCES, html_of, site  # noqa: F401 (a fixture)

from benchmarks import notebook_time
from tools import chapters, stamp
from tools.lint.reading import Chapter as Reading
from tools.lint.reading import formulas, prose
from tools.site import chapter_facts, executions

CHAPTERS = [path for path in SOURCES if path.suffix == ".ipynb"]
RUNS = chapter_facts.current_runs()
RUN = {"subject": "slopes", "machine": "A desk, 2 cores, Linux, Python 3.12.1", "date": "2027-03-05", "seconds": 95.6}
FACTS = "40 min to read · runs in 96 s · 2 exercises · 1 claim"
each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def sample(card="# Slopes: how steep?\n\nAbout 40 minutes to read."):
    """A chapter of four cells, with two exercises and one claim."""
    claimed = v4.new_code_cell("import keras\nfrom course_lib import (\n    claim)", outputs=[
        v4.new_output("stream", name="stdout", text="claim ✓ It is steep: 3\nmore\n")])
    first = v4.new_code_cell('check("slopes-1", None)\ncheck("slopes-1", 3)')
    second = v4.new_code_cell("check('slopes-2', scipy)\n# import torch, or not")
    return v4.new_notebook(cells=[v4.new_markdown_cell(card), claimed, first, second])


@pytest.fixture
def chapter(tmp_path):
    """The facts of the sample, run on RUN's machine."""
    path = tmp_path / "slopes.ipynb"
    chapters.write(path, sample())
    return chapter_facts.read_chapter(str(path), RUN)


# ---- the facts

def text_of(facts):
    """The facts as a line with plain spaces."""
    return facts.astext().replace(chapter_facts.NO_BREAK, " ")


def test_facts_of_a_chapter(chapter):
    assert (chapter.title, chapter.minutes, chapter.exercises, chapter.claims) == ("Slopes: how steep?", 40, 2, 1)
    assert text_of(chapter_facts.facts_of(chapter)) == FACTS


def test_lines_break_between_facts_only(chapter):
    facts = chapter_facts.facts_of(chapter).astext().split(" ")
    assert [fact.count(chapter_facts.NO_BREAK) for fact in facts] == [4, 4, 2, 1]


def test_what_is_not_known_is_left_out(tmp_path):
    path = tmp_path / "slopes.ipynb"
    chapters.write(path, v4.new_notebook(cells=[v4.new_markdown_cell("# Slopes"), *sample().cells[1:2]]))
    chapter = chapter_facts.read_chapter(str(path), None)
    assert text_of(chapter_facts.facts_of(chapter)) == "1 claim"


@pytest.mark.parametrize("source, modules, packages", [
    ("import numpy as np, scipy", [], ["numpy", "scipy"]),
    ("from sklearn.svm import SVC\n    import torch", [], ["torch", "sklearn"]),
    ("import keras", ["course_lib/plots.py"], ["keras", "tensorflow", "matplotlib"]),
    ("torch = 'keras'  # import scipy", [], []),
])
def test_packages_are_those_that_are_imported(source, modules, packages):
    assert chapter_facts.packages_of(source, modules) == packages


def test_a_run_of_an_older_version_is_no_run(monkeypatch):
    rows = [{"subject": name, "fingerprint": f"{name} now"} for name in ("adam", "fast", "gone")]
    monkeypatch.setattr(notebook_time, "subjects", lambda: {"adam": "adam now", "fast": "fast then", "new": "new now"})
    monkeypatch.setattr(chapter_facts, "result", lambda name: {"rows": rows})
    assert list(chapter_facts.current_runs()) == ["adam"]


@each_chapter
def test_every_imported_package_has_a_name(path):
    cells = [cell.source for cell in chapters.read(path).cells if cell.cell_type == "code"]
    tree = ast.parse(re.sub(r"^(\s*)[%!].*$", r"\1pass", "\n".join(cells), flags=re.M))
    modules = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    modules += [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    outside = {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - {"course_lib"}
    assert outside <= set(chapter_facts.read_chapter(str(path), None).packages)


# ---- reading time

def counted_minutes(path):
    """220 words a minute, half a minute for a displayed formula, a second for a line of code that is not folded."""
    chapter = Reading.at(path)
    words = sum(len(prose(cell.source).split()) for _, cell in chapter.markdown)
    displayed = sum(display for _, cell in chapter.markdown for _, display in formulas(cell.source))
    unfolded = [cell for _, cell in chapter.code if "hide-cell" not in cell.metadata.get("tags", [])]
    lines = sum(bool(line.strip()) for cell in unfolded for line in cell.source.splitlines())
    return words / 220 + displayed / 2 + lines / 60


@each_chapter
def test_card_states_a_reading_time_that_a_count_bears_out(path):
    stated = chapter_facts.read_chapter(str(path), None).minutes
    assert 0.6 <= counted_minutes(path) / stated <= 1.4


# ---- how the book was run

def test_versions_of_a_run(chapter, monkeypatch):
    monkeypatch.setattr(executions, "pins", lambda: {"keras": "3.1", "tensorflow": "2.9"})
    assert executions.versions_of(chapter) == ["Python 3.12.1", "Keras 3.1", "TensorFlow 2.9"]
    assert executions.machine_of(chapter) == ("A desk, 2 cores, Linux", "Python 3.12.1")
    assert executions.day(RUN) == "5 March 2027"


def test_every_package_is_pinned():
    assert {pin for pin, _ in chapter_facts.PACKAGES.values()} <= set(executions.pins())


def test_what_was_measured_is_what_is_pinned():
    pinned = executions.pins()
    for row in RUNS.values():
        measured = {package: version.partition("+")[0] for package, version in row["versions"].items()}
        assert measured == {package: pinned[package] for package in measured}, row["subject"]


def test_page_groups_by_machine_and_names_what_is_not_timed(chapter):
    faster = replace(chapter, title="Fast", path="/book/fast.ipynb", packages=["numpy"],
                     run={**RUN, "seconds": 30, "machine": "Another, Python 3.12.1"})
    new = replace(chapter, title="New: what for?", path="/book/new.ipynb", packages=["numpy"], run=None)
    again = replace(chapter, title="Again", path="/book/again.ipynb", packages=["numpy"])
    pinned = {"numpy": "2.5", "keras": "3.1", "tensorflow": "2.9"}
    book = [replace(chapter, path="/book/slopes.ipynb"), faster, new, again]
    lines = list(executions.markdown(book, pinned, "/book"))
    assert [line.replace(chapter_facts.NO_BREAK, " ") for line in lines if line.startswith("On ")] == [
        "On A desk, 2 cores, Linux with Python 3.12.1: 2 chapters in **3 min 11 s**.",
        "On Another with Python 3.12.1: 1 chapter in **0 min 30 s**."]
    assert [line for line in lines if "March" in line] == [
        f"| [{title}]({title.lower()}.ipynb) | 5 March 2027 | {seconds} |"
        for title, seconds in (("Slopes", 96), ("Again", 96), ("Fast", 30))]
    assert "Not timed since the last change: [New](new.ipynb)." in lines
    assert "| NumPy | 2.5 | [Fast](fast.ipynb), [New](new.ipynb), [Again](again.ipynb) |" in lines
    assert "| Keras | 3.1 | [Slopes](slopes.ipynb) |" in lines and not any("SciPy" in line for line in lines)


# ---- reporting an error

def issue(link):
    """The address without its query, the title and the body of a new issue."""
    url = urlsplit(link)
    query = parse_qs(url.query, strict_parsing=True)
    assert set(query) == {"title", "body"}
    return url._replace(query="").geturl(), query["title"][0], query["body"][0]


def test_a_report_is_prefilled():
    versions = ["NumPy 2.5", "Keras 3.1"]
    link = executions.report_link("https://github.com/a/b/", "Is β & η > 1?", "book/x y.md", versions)
    assert re.fullmatch(r"[\w.~:/?=&%-]+", link, re.ASCII)
    address, title, body = issue(link)
    assert (address, title) == ("https://github.com/a/b/issues/new", "Error in “Is β & η > 1?”")
    assert body.startswith("**Page:** Is β & η > 1? (`book/x y.md`)\n")
    assert body.endswith("**Versions:** NumPy 2.5, Keras 3.1\n")


def test_a_report_on_a_page_without_a_file():
    *_, body = issue(executions.report_link("https://github.com/a/b", "search", None, []))
    assert body.startswith("**Page:** search\n")


# ---- the built site

@pytest.mark.parametrize("name", [*PAGES, "search.html"])
def test_every_page_leads_to_a_new_issue(site, name):
    foot = html_of(site / name).find(class_="page-foot")
    address, title, body = issue(foot.find("a", string="Report an error on this page")["href"])
    assert address == f"https://github.com/{stamp.stamped()}/issues/new" and title.startswith("Error in “")
    files = dict(zip(PAGES, (path.relative_to(ROOT).as_posix() for path in SOURCES)))
    assert name not in files or f"(`{files[name]}`)" in body
    assert not foot.find(["script", "style"]) and not [tag for tag in foot.find_all(True) if "style" in tag.attrs]


@each_chapter
def test_page_of_a_chapter_says_its_facts_and_how_it_was_run(site, path):
    page = html_of(site / "book" / f"{path.stem}.html")
    run = RUNS.get(path.stem)
    expected = chapter_facts.facts_of(chapter_facts.read_chapter(str(path), run)).astext()
    assert page.article.find("h1").find_next_sibling().get_text() == expected
    foot = page.find(class_="page-foot")
    text = foot.get_text().replace(chapter_facts.NO_BREAK, " ")
    said = re.search(r"Last executed on (.*) in (\d+) s with Python ([\d.]+), NumPy ", text)
    if run is None:
        assert said is None
    else:
        assert said.groups() == (executions.day(run), f"{run['seconds']:.0f}", run["machine"].rpartition(" ")[2])
        assert foot.a["href"] == "executions.html"


def test_only_chapters_say_how_they_were_run(site):
    chaptered = {f"{path.relative_to(ROOT).with_suffix('')}.html" for path in CHAPTERS}
    for name in set(PAGES) - chaptered:
        page = html_of(site / name)
        assert "Last executed" not in page.find(class_="page-foot").get_text()
        assert not page.article.select("h1 + .chapter-facts")


def test_page_of_executions_has_every_chapter(site):
    article = html_of(site / "book" / "executions.html").article
    times, packages = article.find_all("table")[:-1], article.find_all("table")[-1]
    rows = [[cell.get_text() for cell in row.find_all("td")] for table in times for row in table.find_all("tr")[1:]]
    assert sorted(seconds for *_, seconds in rows) == sorted(f"{run['seconds']:.0f}" for run in RUNS.values())
    for path in CHAPTERS:
        assert article.find("a", href=f"{path.stem}.html"), path.stem
    pinned = executions.pins()
    names = {name: pinned[pin] for pin, name in chapter_facts.PACKAGES.values()}
    shown = [[cell.get_text() for cell in row.find_all("td")] for row in packages.find_all("tr")[1:]]
    assert len(shown) > 5 and all(names[name] == version for name, version, _ in shown)


def test_front_page_lists_the_chapters_in_order(site):
    items = html_of(site / "book" / "index.html").select("ul.chapter-list > li")
    assert [item.a["href"] for item in items] == [f"{path.stem}.html" for path in CHAPTERS]
    for item, path in zip(items, CHAPTERS):
        chapter = chapter_facts.read_chapter(str(path), RUNS.get(path.stem))
        heading, facts = item.find_all("p")
        assert re.findall(r"\w+", heading.get_text()) == re.findall(r"\w+", chapter.title)
        assert facts.get_text() == chapter_facts.facts_of(chapter).astext()

"""Where a chapter can be opened: the menus above it, what Binder installs for it, and the link to a JupyterHub."""

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml
from built_site import DOCUMENTS, ROOT, SOURCES, html_of, site  # noqa: F401 (a fixture)
from packaging.utils import canonicalize_name
from site_browser import address, browser, visit, visitor  # noqa: F401 (fixtures)
from test_house import applies, code_of, imports, needs, pinned

from tools import stamp
from tools.site.launch import link

CHAPTERS = [path for path in SOURCES if path.suffix == ".ipynb"]
POST_BUILD = ROOT / ".binder" / "postBuild"
GUIDE = "book/using_this_book.html"


def menu(page, name):
    """The entries of a menu above a page: {words: address}."""
    return {entry.get_text(strip=True): entry.get("href") for entry in page.select(f".dropdown-{name} li > *")}


# ---- the menus

@pytest.mark.parametrize("chapter", [path.stem for path in CHAPTERS])
def test_chapter_opens_everywhere(site, chapter):
    page, repository = html_of(site / "book" / f"{chapter}.html"), stamp.stamped()
    entries = menu(page, "launch-buttons")
    assert set(entries) == {"Binder", "Colab", "JupyterHub"}
    assert entries["Colab"] == stamp.COLAB.format(repository=repository, chapter=chapter)
    assert entries["Binder"] == f"https://mybinder.org/v2/gh/{repository}/main?urlpath=lab/tree/book/{chapter}.ipynb"
    hub = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["launch_buttons"]["jupyterhub_url"]
    to_form = f"using_this_book.html?chapter={chapter}#jupyterhub"
    wanted = link(f"https://github.com/{repository}", "main", hub, chapter) if hub else to_form
    assert unquote(entries["JupyterHub"]) == wanted


@pytest.mark.parametrize("document, source", list(zip(DOCUMENTS, SOURCES, strict=True)), ids=DOCUMENTS)
def test_page_can_be_taken_along(site, document, source):
    page = html_of(site / f"{document}.html")
    prints = page.select("button[data-print]")
    assert [re.sub(r"\s+", " ", button.get("aria-label") or button.get_text()) for button in prints] == ["Print, or save as PDF"]
    downloads = page.select(".article-header-buttons a[download]")
    if source.suffix != ".ipynb":
        assert not downloads and not page.select(".dropdown-launch-buttons")
    else:
        assert downloads[0]["download"] == source.name
        assert (site / "book" / downloads[0]["href"]).read_bytes() == source.read_bytes()


def test_button_prints(visit):
    page = visit(GUIDE)
    page.evaluate("window.print = () => { window.printed = true; }")
    page.locator("[data-print]").click()
    assert page.evaluate("window.printed")


# ---- Binder

def binder_packages():
    """The packages that Binder installs by name."""
    command = re.search(r"pip install .*--constraint(?:\\\n|.)*", POST_BUILD.read_text(encoding="utf-8")).group()
    return re.findall(r"[\w-]+", command.rpartition("\\\n")[2])


def closure(names):
    """The packages with all that they need."""
    found, todo = set(), [canonicalize_name(name) for name in names]
    pins = {canonicalize_name(pin.name): pin for pin in pinned("requirements.txt") if applies(pin)}
    while todo:
        name = todo.pop()
        if name in pins and name not in found:
            found.add(name)
            todo += [canonicalize_name(re.match(r"[\w.-]+", text).group()) for text in needs(name)
                     if "extra ==" not in text]
    return found


def test_binder_installs_pinned_packages():
    pins = {canonicalize_name(pin.name) for pin in pinned("requirements.txt")}
    assert {canonicalize_name(name) for name in binder_packages()} <= pins


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_binder_has_what_a_chapter_imports(path):
    ours, here = closure(binder_packages()), packages_distributions()
    modules = {name.partition(".")[0] for name in imports(code_of(path))} - set(sys.stdlib_module_names) - {"course_lib"}
    missing = [name for name in modules if not {canonicalize_name(dist) for dist in here[name]} & ours]
    assert not missing


def test_binder_leaves_out_what_no_chapter_imports():
    assert not closure(binder_packages()) & {"ray", "flwr", "jupyter-book", "sphinx", "playwright", "opacus", "triton"}


def test_binder_runs_its_script(tmp_path):
    """The script as Binder runs it, from the root of the repository, with a pip that writes down what it is told."""
    assert os.access(POST_BUILD, os.X_OK)
    assert re.fullmatch(r"python-3\.1[123]\n", (ROOT / ".binder" / "runtime.txt").read_text(encoding="utf-8"))
    for name in ("requirements.txt", "requirements-site.txt", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    pip = tmp_path / "pip"
    pip.write_text('#!/bin/sh\necho "from $PIP_EXTRA_INDEX_URL"\necho "$@"\nwhile [ "$1" ]; do [ "$1" = --constraint ] && cat "$2"; shift; done; true\n')
    pip.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run([POST_BUILD], cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    told = run.stdout.splitlines()
    assert {f"{pin.name}{pin.specifier}" for pin in pinned("requirements.txt")} <= {line.partition(";")[0] for line in told}
    assert re.search(r"^from https://\S+/whl/cpu$", run.stdout, re.M), "PyTorch without CUDA"
    assert not [line for line in told if line.startswith("-r")]   # pip would install what such a line names
    assert told[-1].endswith("--no-deps --editable .")


# ---- the form

def test_link_is_one_that_nbgitpuller_reads():
    url = urlsplit(link("https://github.com/some-one/a.book", "main", "https://hub.example.edu/jupyter", "adam"))
    assert url.path == "/jupyter/hub/user-redirect/git-pull"
    assert parse_qs(url.query) == {
        "repo": ["https://github.com/some-one/a.book"], "branch": ["main"], "urlpath": ["lab/tree/a.book/book/adam.ipynb"]}


@pytest.mark.parametrize("typed, hub", [
    ("hub.example.edu", "https://hub.example.edu"),
    (" https://hub.example.edu/ ", "https://hub.example.edu"),
    ("https://hub.example.edu/hub/home", "https://hub.example.edu"),
    ("https://example.edu/jupyter/user/ann/lab?reset", "https://example.edu/jupyter"),
    ("http://localhost:8000", "http://localhost:8000"),
])
def test_form_makes_the_link_and_keeps_the_address(visit, typed, hub):
    page = visit(f"{GUIDE}?chapter=adam#jupyterhub")
    page.get_by_label("Address of your hub").fill(typed)
    page.keyboard.press("Enter")
    made = page.locator(".hub-result a")
    wanted = link(f"https://github.com/{stamp.stamped()}", "main", hub, "adam")
    assert unquote(made.get_attribute("href")) == wanted
    page.get_by_label("Chapter", exact=True).select_option("momentum")
    assert "/momentum.ipynb" in made.get_attribute("href")
    page.reload()
    assert unquote(made.get_attribute("href")) == wanted


@pytest.mark.parametrize("typed", ["", "an address", "hub", "ftp://hub.example.edu", "javascript:alert(1)", "https://"])
def test_form_says_what_is_wrong(visit, typed):
    page = visit(GUIDE)
    field = page.get_by_label("Address of your hub")
    field.fill(typed)
    page.get_by_role("button", name="Make the link").click()
    assert "address" in page.get_by_role("alert").inner_text()
    assert field.get_attribute("aria-invalid") == "true" and page.locator(".hub-result a").count() == 0
    assert page.evaluate("document.activeElement.id") == "hub-address"


def test_link_can_be_written_without_scripts(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address + GUIDE)
    assert not page.locator(".hub-form").is_visible()
    assert page.locator(".hub-example").is_visible()
    assert "git-pull?repo=" in page.locator(".hub-example").text_content()
    context.close()

"""What a page loads: one style sheet, deferred scripts, pictures that come when they are near."""

import re

import pytest
from built_site import PAGES, html_of, site  # noqa: F401 (a fixture)

from tools.site.assets import PLAIN, in_order


@pytest.mark.parametrize("lists, merged", [
    ([["a", "b"], ["a", "b"]], ["a", "b"]),
    ([["a", "c"], ["a", "b", "c"]], ["a", "b", "c"]),
    ([["b"], ["a", "b", "c"]], ["a", "b", "c"]),
    ([], []),
])
def test_lists_are_merged_in_order(lists, merged):
    assert in_order(lists) == merged


def test_plain_words_of_code_need_no_span():
    code = '<span class="k">def</span> <span class="nf">f</span><span class="p">(</span><span class="n">x</span><span class="p">)</span>'
    assert PLAIN.sub(r"\1", code) == '<span class="k">def</span> <span class="nf">f</span>(x)'


@pytest.mark.parametrize("name", [*PAGES, "search.html"])
def test_page_loads_one_style_sheet_and_waits_for_no_script(site, name):
    page = html_of(site / name)
    assert len(page.find_all("link", rel="stylesheet")) == 1
    scripts = [script for script in page.find_all("script") if script.get("src")]
    assert scripts and all(script.has_attr("defer") for script in scripts)
    assert len(scripts) <= (5 if name == "search.html" else 2)


@pytest.mark.parametrize("name", PAGES)
def test_figures_come_late_and_keep_their_place(site, name):
    figures = html_of(site / name).select(".cell_output img")
    wrong = [str(figure) for figure in figures
             if figure.get("loading") != "lazy" or not figure["width"].isdigit() or not figure["height"].isdigit()]
    assert not wrong
    assert not [figure["src"] for figure in figures if not figure["src"].endswith(".webp")]


def test_no_figure_lies_there_twice(site):
    assert list((site / "_images").glob("*.webp")) and not list((site / "_images").glob("*.png"))


def test_the_style_sheet_is_whole(site):
    [sheet] = site.rglob("*.css")
    css = sheet.read_text(encoding="utf-8")
    assert re.fullmatch(r"site\.[0-9a-f]{10}\.css", sheet.name)
    assert "@import" not in css
    for kept in ('[data-theme="dark"]', ".bd-article", "math.tml-display", "mask:", "@media print", ".tooltip"):
        assert kept in css, kept
    assert ".form-floating" not in css, "rules that no page can use are taken out"

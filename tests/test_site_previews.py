"""What a link shows before it is followed: what the site keeps for it, and how the card behaves in a browser."""

import json
import re
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup
from built_site import DOCUMENTS, html_of, site  # noqa: F401 (a fixture)
from site_browser import address, browser, visit, visitor  # noqa: F401 (fixtures)

from tools.site.previews import LONGEST, Page, papers_of, previews_of, write_previews

ADAM = """<html><body><nav><a href="other.html">other</a></nav><article class="bd-article">
<section id="adam"><h1>Adam: <math id="m"><mi>η</mi></math><a class="headerlink" href="#adam">#</a></h1>
<p class="facts">40 min to read</p><p><a href="https://colab.example">Open in Colab</a></p>
<p><strong>What you will be able to do.</strong> Choose.</p><p>About 40 minutes to read. Runs at once.</p>
<section id="rule"><span id="old-name"></span><h2>The <em>rule</em><a class="headerlink" href="#rule">#</a></h2>
<div class="cell"><p>printed</p><pre>code <a href="api.html#lib.adam">adam</a></pre></div>
<p id="here">So <a href="#adam">it</a> <code class="docutils"><span class="pre">goes</span></code> on
<sup><a class="footnote-reference" href="#f">1</a></sup></p>
<div class="math" id="eq"><math style="x"><mn>2</mn></math></div><p>More.</p></section>
<section id="list"><h2>A list</h2><ul><li><p>One.</p></li></ul></section>
</section><a href="bibliography.html">b</a><a href="https://arxiv.org/abs/1">paper</a><a href="gone.html">gone</a></article></body></html>"""
API = """<article class="bd-article"><section><h1>The library</h1><dl><dt class="sig" id="lib.adam">adam(<em>lr=1</em>, tree: a &lt; b)
<a class="headerlink" href="#lib.adam">#</a></dt><dd><p>Averages.</p><p>More.</p></dd></dl>
<dl class="glossary"><dt id="term-a">batch</dt><dt id="term-b">mini-batch</dt><dd><p>The samples of <math><mi>B</mi></math>.</p></dd></dl>
</section></article>"""
BIBLIOGRAPHY = """<article class="bd-article"><section><h1>Bibliography</h1><ul>
<li><p>A. Author. Title. <em>Venue</em> 2020. <a href="https://arxiv.org/abs/1">arXiv:1</a></p></li>
<li><p>B. Author. No link.</p></li></ul></section></article>"""


@pytest.fixture
def pages(tmp_path):
    """Three small pages, as the site has them."""
    pages = {}
    for name, text in (("adam", ADAM), ("api", API), ("bibliography", BIBLIOGRAPHY)):
        (tmp_path / f"{name}.html").write_text(text, encoding="utf-8")
        pages[f"book/{name}"] = Page(tmp_path / f"{name}.html")
    return pages


def test_links_are_those_of_the_article_in_code_too(pages):
    assert pages["book/adam"].links == [
        "https://colab.example", "api.html#lib.adam", "#adam", "#f", "bibliography.html", "https://arxiv.org/abs/1", "gone.html"]


@pytest.mark.parametrize("fragment", ["", "adam"])
def test_preview_of_a_chapter(pages, fragment):
    assert pages["book/adam"].preview(fragment) == (
        '<p class="preview-title">Adam: <math><mi>η</mi></math></p><p class="preview-note">About 40 minutes to read</p>'
        "<p><strong>What you will be able to do.</strong> Choose.</p>")


@pytest.mark.parametrize("fragment", ["rule", "old-name"])
def test_preview_of_a_section_takes_the_formula_that_its_first_paragraph_ends_in(pages, fragment):
    title, text = pages["book/adam"].preview(fragment).split("</p>", 1)
    assert title == '<p class="preview-title">The <em>rule</em>'
    assert text.startswith('<p class="preview-note">Adam: <math><mi>η</mi></math></p><p>So it <code>goes</code> on')
    assert text.endswith('</p><div class="math"><math><mn>2</mn></math></div>')
    assert "printed" not in text and "1" not in text


def test_preview_of_a_paragraph_of_a_list_and_of_nothing(pages):
    assert "So it" in pages["book/adam"].preview("here")
    assert pages["book/adam"].preview("list").startswith('<p class="preview-title">A list</p>')
    assert pages["book/adam"].preview("nowhere") is None


def test_preview_of_a_definition(pages):
    signature = '<p class="preview-title"><code>adam(lr=1, tree: a &lt; b)</code></p><p>Averages.</p>'
    assert pages["book/api"].preview("lib.adam") == signature
    for name, word in (("term-a", "batch"), ("term-b", "mini-batch")):
        definition = f'<p class="preview-title">{word}</p><p>The samples of <math><mi>B</mi></math>.</p>'
        assert pages["book/api"].preview(name) == definition


def test_papers_are_found_by_their_address(pages):
    papers = papers_of(pages["book/bibliography"])
    assert papers == {"https://arxiv.org/abs/1": "<p>A. Author. Title. <em>Venue</em> 2020. arXiv:1</p>"}
    previews = previews_of("book/adam", pages, papers)
    assert previews["https://arxiv.org/abs/1"] == papers["https://arxiv.org/abs/1"]
    assert set(previews) == {"api.html#lib.adam", "#adam", "bibliography.html", "https://arxiv.org/abs/1"}
    assert previews_of("book/bibliography", pages, papers) == {}


def test_long_text_is_cut_between_words_and_around_formulas(tmp_path):
    formula = "<math><mi>abcdefghij</mi></math>"
    text = f"<p id='words'>{'word ' * 500}</p><p id='formulas'>{formula * 500}</p>"
    (tmp_path / "long.html").write_text(f"<article><h1>Long</h1>{text}</article>", encoding="utf-8")
    page = Page(tmp_path / "long.html")
    words = page.preview("words").removeprefix('<p class="preview-title">Long</p><p>')
    assert set(words.removesuffix(" …</p>").split()) == {"word"} and LONGEST - 10 < len(words) <= LONGEST + 10
    assert page.preview("formulas").count(formula) == LONGEST // 10


def test_nothing_is_written_for_a_build_that_failed_or_makes_no_pages(tmp_path):
    (tmp_path / "_static").mkdir()
    write_previews(SimpleNamespace(outdir=tmp_path, builder=SimpleNamespace(name="html")), ValueError())
    write_previews(SimpleNamespace(outdir=tmp_path, builder=SimpleNamespace(name="text")), None)
    assert not list((tmp_path / "_static").iterdir())


# ---- What the site keeps.

def previews_in(site, document):
    """{link: HTML} for the page of a document."""
    text = (site / "_static" / "previews" / f"{document}.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix("window.previews = ").removesuffix(";\n"))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_inside_the_book_and_to_a_paper_has_a_preview(site, document):
    previews = previews_in(site, document)
    hrefs = {link["href"] for link in html_of(site / f"{document}.html").select("article a[href]:not(.headerlink)")}
    assert set(previews) <= hrefs
    papers = {link["href"] for link in html_of(site / "book/bibliography.html").select("article li a.external")}
    inside = {href for href in hrefs if re.match(r"(#.|[\w/.-]+\.html)", href)}
    assert inside | (hrefs & papers if document != "book/bibliography" else set()) <= set(previews)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_previews_are_small_and_plain(site, document):
    previews = previews_in(site, document)
    assert (site / "_static" / "previews" / f"{document}.js").stat().st_size < 500_000
    for href, preview in previews.items():
        card = BeautifulSoup(preview, "html.parser")
        text = " ".join(tag.get_text() for tag in card.find_all("p", class_=False))
        assert len(text) < LONGEST + 50, href
        assert card.get_text().strip() and "\\(" not in text and "#" not in card.p.get_text(), href
        for tag in card.find_all(True):
            assert tag.name not in ("a", "img", "button", "script", "style"), href
            assert not [name for name in tag.attrs if name in ("id", "style", "href") or name.startswith("on")], href


# ---- The card in a browser.

CHAPTER = "book/adam.html"
PAPER, STOCHASTIC = 'article a[href="https://arxiv.org/abs/1412.6980"]', 'article a[href="stochastic.html"]'
SECTION = 'article a[href="momentum.html#three-ways-to-write-it"]'
SIZE = "[document.scrollingElement.scrollWidth, document.scrollingElement.scrollHeight]"
CLOSED = "document.getElementById('preview') === null"


def card_of(page, selector):
    """Rest the pointer on a link; return the card that appears."""
    page.locator(selector).first.hover()
    page.locator("#preview").wait_for()
    return page.locator("#preview")


def test_a_card_says_what_a_link_leads_to(visit):
    page = visit(CHAPTER)
    for selector, text in ((PAPER, "Adam: a method for stochastic optimization"), (STOCHASTIC, "minutes to read"),
                           (SECTION, "The second document did not write our rule")):
        page.mouse.move(1, 1)
        page.locator("#preview").wait_for(state="detached")
        assert text in card_of(page, selector).inner_text()
    assert card_of(page, SECTION).locator("math").count()


def test_a_card_stays_for_the_pointer_and_goes_with_it(visit):
    page = visit(CHAPTER)
    box = card_of(page, STOCHASTIC).bounding_box()
    link = page.locator(STOCHASTIC).first
    assert page.locator("#preview").get_attribute("role") == "tooltip"
    assert link.get_attribute("aria-describedby") == "preview"
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=5)
    page.wait_for_timeout(600)
    assert page.locator("#preview").is_visible()
    page.mouse.move(1, 1)
    page.locator("#preview").wait_for(state="detached")
    assert link.get_attribute("aria-describedby") is None


def test_passing_over_a_link_shows_nothing(visit):
    page = visit(CHAPTER)
    page.locator(STOCHASTIC).first.hover()
    page.mouse.move(1, 1)
    page.wait_for_timeout(600)
    assert page.evaluate(CLOSED)


def test_the_keyboard_shows_and_dismisses_a_card(visit):
    page = visit(CHAPTER)
    page.keyboard.press("Tab")
    link = page.locator(STOCHASTIC).first
    link.focus()
    page.locator("#preview").wait_for()
    page.keyboard.press("Escape")
    page.wait_for_timeout(600)
    assert page.evaluate(CLOSED) and link.evaluate("link => link === document.activeElement")
    page.keyboard.press("Tab")
    page.locator("#preview").wait_for()
    page.evaluate("document.activeElement.blur()")
    page.locator("#preview").wait_for(state="detached")


@pytest.mark.parametrize("width, height", [(1440, 900), (390, 700), (800, 320)])
def test_a_card_is_inside_the_window_and_beside_its_link(visit, width, height):
    page = visit(CHAPTER)
    page.set_viewport_size({"width": width, "height": height})
    for selector in (STOCHASTIC, SECTION, PAPER):
        page.mouse.move(1, 1)
        page.locator("#preview").wait_for(state="detached")
        box = card_of(page, selector).bounding_box()
        assert 0 <= box["x"] and box["x"] + box["width"] <= width
        assert 0 <= box["y"] and box["y"] + box["height"] <= height
        lines = page.locator(selector).first.evaluate("link => [...link.getClientRects()].map(({top, bottom}) => [top, bottom])")
        assert all(box["y"] >= bottom or box["y"] + box["height"] <= top for top, bottom in lines) or len(lines) > 1
        size = page.evaluate(SIZE)
        page.keyboard.press("Escape")
        assert page.evaluate(CLOSED) and page.evaluate(SIZE) == size


def test_no_card_in_print_or_where_there_is_nothing_to_show(visit):
    page = visit(CHAPTER)
    card_of(page, STOCHASTIC)
    page.emulate_media(media="print")
    assert not page.locator("#preview").is_visible()
    page.emulate_media(media="screen")
    page.locator('article a[href*="colab"]').first.hover()
    page.locator("#preview").wait_for(state="detached")


def test_no_card_for_a_finger(visitor):
    page = visitor(has_touch=True, viewport={"width": 390, "height": 800})(CHAPTER)
    link = page.locator(STOCHASTIC).first
    link.evaluate("link => link.addEventListener('click', event => event.preventDefault())")
    link.tap()
    page.wait_for_timeout(600)
    assert page.evaluate(CLOSED)


def test_previews_are_loaded_once_and_only_when_wanted(visit):
    page = visit(CHAPTER)
    loaded = "performance.getEntriesByType('resource').filter(({ name }) => name.includes('/previews/')).length"
    assert page.evaluate(loaded) == 0
    for selector in (STOCHASTIC, SECTION):
        card_of(page, selector)
    assert page.evaluate(loaded) == 1


def test_a_missing_file_does_no_harm(browser, address):
    with browser.new_context() as context:
        page = context.new_page()
        errors = []
        page.on("pageerror", lambda error: errors.append(error))
        page.route("**/_static/previews/**", lambda route: route.fulfill(status=404))
        page.goto(address + CHAPTER)
        page.locator(STOCHASTIC).first.hover()
        page.wait_for_timeout(600)
        assert page.evaluate(CLOSED) and not errors


def test_a_page_opened_from_a_folder_has_cards(browser, site):
    with browser.new_context() as context:
        page = context.new_page()
        page.goto((site / CHAPTER).as_uri())
        assert "minutes to read" in card_of(page, STOCHASTIC).inner_text()

"""The search of the site finds what a symbol or a name means, however it is typed."""

import json
import re
from urllib.parse import quote

import pytest
from bs4 import BeautifulSoup
from built_site import DOCUMENTS, SITE, html_of, site  # noqa: F401 (a fixture)
from site_browser import address, browser, visit, visitor  # noqa: F401 (fixtures)

from tools.site.search import in_unicode

NOTATION, API = "book/notation.html#", "book/api.html#course_lib."
BETA_1 = NOTATION + "a-step-length-for-each-weight-beta-1"
ETA, EPSILON = NOTATION + "throughout-the-book-eta", NOTATION + "a-step-length-for-each-weight-varepsilon"
KAPPA, LEAST = NOTATION + "throughout-the-book-kappa", NOTATION + "throughout-the-book-w-star"
FIRST = {   # what is typed: where its first result leads, or one of several places
    "β": NOTATION + "throughout-the-book-beta",
    "β₁": BETA_1, "beta1": BETA_1, "beta_1": BETA_1, "beta 1": BETA_1, r"\beta_1": BETA_1, "Beta1": BETA_1,
    "η": ETA, "eta": ETA, r"\eta": ETA, "lr": ETA, "learning rate": (ETA, "book/glossary.html#term-learning-rate"),
    "κ": KAPPA, "kappa": KAPPA, "condition number": (KAPPA, "book/glossary.html#term-condition-number"),
    "ε": EPSILON, "\N{GREEK LUNATE EPSILON SYMBOL}": EPSILON, r"\varepsilon": (EPSILON, "book/glossary.html#term-epsilon"),
    "σ²": NOTATION + "bayesian-tuning-sigma-2", "sigma^2": NOTATION + "bayesian-tuning-sigma-2",
    "φ": NOTATION + "transfer-varphi", "\N{GREEK PHI SYMBOL}": NOTATION + "transfer-varphi",
    "Γ": NOTATION + "schedules-Gamma", "γ": NOTATION + "curvature-gamma",
    "W": NOTATION + "schedules-W", "w": NOTATION + "throughout-the-book-w",
    "w⋆": LEAST, "w*": LEAST, "w_star": LEAST, "argmin": LEAST,
    "\N{MICRO SIGN}": NOTATION + "throughout-the-book-mu", "∇": NOTATION + "throughout-the-book-nabla-f",
    "pi": NOTATION + "throughout-the-book-pi", "p_i": NOTATION + "max-cut-p-i", "pᵢ": NOTATION + "max-cut-p-i",
    "m̂": NOTATION + "a-step-length-for-each-weight-hat-m", "m_hat": NOTATION + "a-step-length-for-each-weight-hat-m",
    "weight_decay": (NOTATION + "curvature-lambda", "book/glossary.html#term-weight-decay"),
    "clip_by_global_norm": API + "update_rules.clip_by_global_norm",
    "TorchOptimizer": API + "frameworks.TorchOptimizer", "torchoptimizer": API + "frameworks.TorchOptimizer",
    "adam": (API + "update_rules.adam", "book/glossary.html#term-Adam"), "course_lib.adam": API + "update_rules.adam",
    "rdp_epsilon": API + "federated.rdp_epsilon",
    "nesterov": ("book/momentum.html#nesterov-look-where-you-are-about-to-be", "book/glossary.html#term-Nesterov-s-momentum"),
    "bias correction": ("book/adam.html#what-the-correction-corrects", "book/glossary.html#term-bias-correction"),
    "many curvatures": "book/momentum.html#many-curvatures-steps-instead-of",
}


@pytest.mark.parametrize("tex, text", [
    (r"\beta_1", "β₁"), (r"\hat{m}", "m̂"), (r"\hat g", "ĝ"), (r"w_\star", "w⋆"), (r"\eta'", "η′"), (r"\sigma_i^2", "σᵢ²"),
    (r"\frac{\eta}{1-\beta}", "η/(1−β)"), (r"\tfrac12 \lVert w \rVert^2", "1/2 ‖ w ‖²"), (r"\sqrt{1 + \frac ab}", "√(1 + a/b)"),
    (r"\mathbb{E}", "E"), (r"c_\mu", "c_μ"), (r"w^\top x", "wᵀ x"), (r"2^{-k}", "2⁻ᵏ"), (r"\text{lr} \le 1", "lr ≤ 1"),
    (r"\begin{aligned} a &\leftarrow b \\ c &= d \end{aligned}", "a ← b c = d"), ("", ""), ("x_", "x"), (r"\frac1", "1/()"),
])
def test_formula_in_unicode(tex, text):
    assert in_unicode(tex) == text


@pytest.fixture(scope="module")
def index(site):
    text = (site / "_static" / "search_index.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix("searchIndex(").removesuffix(");\n"))


def test_every_entry_leads_somewhere(index):
    assert {entry["page"] for entry in index} == {f"{document}.html" for document in DOCUMENTS}
    links = [(entry["page"], entry["id"]) for entry in index]
    assert len(set(links)) == len(links)
    for page, name in links:
        assert not name or html_of(SITE / page).find(id=name), f"{page}#{name}"


def test_every_symbol_and_every_function_has_an_entry(index):
    page = html_of(SITE / "book" / "notation.html")
    rows = [row["id"] for row in page.select("article tbody tr")]
    assert rows == [entry["id"] for entry in index if entry["page"] == "book/notation.html" and "names" in entry]
    signatures = [tag["id"] for tag in html_of(SITE / "book" / "api.html").select("dt.sig[id]")]
    assert signatures == [entry["id"] for entry in index if entry["page"] == "book/api.html" and "names" in entry]


def test_no_entry_shows_tex(index):
    shown = [text for entry in index if entry["page"] != "book/api.html"
             for text in (entry["title"], entry["where"], entry["text"])]
    assert [text for text in shown if re.search(r"\\[a-z]{2}|\$[^$\d]+\$", text)] == []


def first(page, query, results="#search-results"):
    """Where the first result for the query leads, after it was typed."""
    page.locator("main form.bd-search input").fill(query)
    page.locator(f"{results} .search-summary", has_text=f"“{query}”").wait_for()
    return page.locator(f"{results} a").first.evaluate("a => decodeURIComponent(a.href)")


def test_first_result_is_the_definition(visit, address):
    page, wrong = visit("search.html"), {}
    for query, places in FIRST.items():
        found = first(page, query).removeprefix(address)
        if found not in ([places] if isinstance(places, str) else places):
            wrong[query] = found
    assert not wrong


def test_address_asks_and_the_answer_says_what_is_missing(visit):
    page = visit(f"search.html?q={quote('qwxyz')}")
    assert page.locator(".search-summary").inner_text() == "Nothing found: the book has no “qwxyz”."
    assert page.locator("#search-results a").count() == 0
    first(page, "why does my loss explode?")
    page.locator("main input[type=search]").fill("adam qwxyz")
    page.locator(".search-summary", has_text="The book has no “qwxyz”. Without:").wait_for()
    assert page.locator("#search-results a", has_text="Adam").count() > 3
    first(page, "κ")
    assert page.url.endswith(f"?q={quote('κ')}")


def test_results_show_words_and_fetch_no_page(visit):
    page = visit(f"search.html?q={quote('momentum')}")
    page.locator("#search-results mark", has_text="momentum").first.wait_for()
    loaded = page.evaluate("performance.getEntriesByType('resource').filter(e => e.initiatorType === 'fetch').length")
    assert loaded == 0
    more = page.locator("#search-results details").last
    assert more.locator("a").count() == 0
    more.locator("summary").click()
    more.locator("a").first.wait_for()


@pytest.mark.parametrize("width, theme", [(1440, "light"), (390, "dark")])
def test_dialog_answers_from_the_keyboard(visit, width, theme):
    page = visit("book/adam.html")
    assert page.locator("#search-index").count() == 0   # no page loads the index before it is asked
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=theme)
    page.keyboard.press("Control+k")
    page.keyboard.type("β₁")
    page.locator("#pst-search-dialog .search-summary").wait_for()
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.value") == "β₁"
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=*")
    page.locator("#search-results a").first.wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{BETA_1}")
    assert "the shares of the old" in page.locator("tr:target").inner_text()


def test_search_works_without_a_server(browser, site):
    page = browser.new_page()
    page.goto((site / "search.html").as_uri())
    assert first(page, "β₁").endswith(BETA_1)
    page.close()

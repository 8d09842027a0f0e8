"""The built site for everyone: axe-core finds nothing to mend, motion stops for who asks, and no page needs a script."""

import os

import pytest
from built_site import PAGES, ROOT, SITE, html_of, site  # noqa: F401 (a fixture)
from site_browser import address, browser, lay_out, resize, settle, turn, visible, visit, visitor  # noqa: F401 (fixtures)

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
CONTRAST = (ROOT / "tests" / "contrast.js").read_text(encoding="utf-8")
CHAPTER = "book/gradient_descent.html"
# Every rule there is, but for two. The book keeps to level AA, so text need not have level AAA's contrast of 7 to 1.
# And a box that scrolls need not be a landmark, as an experimental rule would have it: on a phone, where each wide
# formula is such a box, a page would have fifty.
LEFT_OUT = ["color-contrast-enhanced", "focus-order-semantics"]
# {rule: where it errs}. Of a formula axe-core sees no text, so the head of a column that is a formula looks empty to it;
# and in the list of chapters, a title above what the chapter is about is a link and no heading.
ERRORS = {"empty-table-header": "<math>", "p-as-heading": 'class="chapter-heading"'}
VIOLATIONS = """({part, leftOut, errors}) => axe.run(part ?? document, {
    rules: Object.fromEntries(axe.getRules().map(({ruleId}) => [ruleId, {enabled: !leftOut.includes(ruleId)}])),
    resultTypes: ["violations"], preload: false,
}).then(({violations}) => violations.map(({id, help, nodes}) => [id, help, nodes
    .map(({target, html}) => `${target} ${html.slice(0, 100)}`)
    .filter(place => !place.includes(errors[id]))]).filter(([_, __, places]) => places.length))"""


def violations(page, part=None, colours=True):
    """What axe-core finds in the page, or in a part of it, as it is shown now: (rule, what it asks for, where it is broken)."""
    if not page.evaluate("'axe' in window"):
        if not AXE.exists():
            missing = "no axe-core found: npm ci"
            pytest.fail(missing) if "CI" in os.environ else pytest.skip(missing)
        page.evaluate(AXE.read_text(encoding="utf-8"))
    left_out = LEFT_OUT if colours else [*LEFT_OUT, "color-contrast"]
    return page.evaluate(VIOLATIONS, {"part": part, "leftOut": left_out, "errors": ERRORS})


@pytest.mark.parametrize("name", [*PAGES, "search.html"])
def test_page(visit, name):
    page = visit(name)
    lay_out(page)
    page.evaluate("document.querySelectorAll('article details').forEach(details => details.open = true)")
    for theme, width in (("light", 1440), ("dark", 390)):
        turn(page, theme)
        resize(page, width)
        # The second time without axe's contrasts, which take most of its time: test_site.py looks at them all.
        assert violations(page, colours=theme == "light") == [], f"{theme}, {width} pixels wide"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_opens_over_a_page(visit, theme):
    page = visit(CHAPTER)
    turn(page, theme)
    for name in ("launch", "download"):
        page.locator(f".dropdown-{name}-buttons > button").click()
        assert page.locator(f".dropdown-{name}-buttons .dropdown-menu").is_visible()
        assert violations(page, ".bd-header-article") == []
        page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    assert page.locator("#pst-search-dialog").is_visible()
    assert violations(page, "#pst-search-dialog") == []
    page.keyboard.press("Escape")
    resize(page, 390)
    for name in ("primary", "secondary"):
        page.locator(f"button.{name}-toggle").click()
        settle(page)
        assert page.locator(f"#pst-{name}-sidebar-modal").is_visible()
        assert violations(page, f"#pst-{name}-sidebar-modal") == []
        assert page.evaluate(f"({CONTRAST})()") == []
        page.keyboard.press("Escape")


def test_results_of_a_search(visit):
    page = visit("search.html?q=momentum")
    page.locator("#search-results a").first.wait_for()
    for theme, width in (("light", 1440), ("dark", 390)):
        turn(page, theme)
        resize(page, width)
        assert violations(page) == []
        assert page.evaluate(f"({CONTRAST})()") == []
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width


def test_axe_finds_what_is_wrong(visit):
    page = visit("book/index.html")
    assert violations(page) == []
    page.evaluate("""document.querySelector("article").insertAdjacentHTML("beforeend", `
        <img src="../_static/logo.svg"><h5>Too deep</h5><p id="faint">too faint</p><button></button>`);
        faint.style.color = "#aaa";""")
    found = {rule for rule, *_ in violations(page)}
    assert found == {"image-alt", "heading-order", "color-contrast", "button-name"}


MOTION = """() => {
    const seconds = text => Math.max(...text.split(",").map(parseFloat));
    return [...document.querySelectorAll("*")].flatMap(element => ["", "::before", "::after"].map(part => {
        const style = getComputedStyle(element, part);
        const longest = Math.max(seconds(style.transitionDuration) + seconds(style.transitionDelay),
                                 style.animationName === "none" ? 0 : seconds(style.animationDuration));
        return [longest > 0.01 || style.scrollBehavior === "smooth", `${element.tagName}.${element.className}${part}`];
    })).filter(([moves]) => moves).map(([_, name]) => name);
}"""


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_motion(visitor, motion):
    page = visitor(reduced_motion=motion)(CHAPTER)
    assert bool(page.evaluate(MOTION)) == (motion == "no-preference")
    page.locator("button.primary-toggle").click()
    moving = page.evaluate("document.getAnimations().some(each => each.effect.getComputedTiming().endTime > 10)")
    assert moving == (motion == "no-preference")
    page.locator("#pst-primary-sidebar").wait_for(state="hidden")
    page.locator("button.primary-toggle").click()
    page.locator("#pst-primary-sidebar").wait_for(state="visible")


@pytest.mark.parametrize("width", [1440, 390])
def test_without_scripts(visitor, width):
    visit = visitor(java_script_enabled=False, viewport={"width": width, "height": 900})
    for name in (CHAPTER, "book/adagrad.html", "book/api.html", "book/index.html"):
        page, html = visit(name), html_of(SITE / name)
        assert page.locator("h1").locator("visible=true").count() == 1
        assert page.locator("article math").count() == len(html.select("article math"))
        links = page.locator("nav.bd-links a").locator("visible=true")
        assert links.count() == len(html.select("nav.bd-links a")) >= len(PAGES)
        assert visible(page, "#pst-page-toc-nav .toc-h2 > a") == len(html.select("#pst-page-toc-nav .toc-h2 > a"))
        assert visible(page, ".pst-js-only, .copybtn") == 0   # nothing that would do nothing
        for details in page.locator("article details").all():
            inside = details.locator("> :not(summary)").first
            assert not inside.is_visible()
            details.locator("> summary").press("Enter")
            assert inside.is_visible()
        page.evaluate("document.getAnimations().forEach(animation => animation.finish())")
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width
        assert page.evaluate(f"({CONTRAST})()") == []
    links.filter(has_text="Momentum").click()
    page.wait_for_url("**/momentum.html")

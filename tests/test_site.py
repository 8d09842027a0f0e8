"""The built site in a browser: every page can be read on any screen, by day and by night, without another server."""

import gzip
import re
from urllib.parse import urlsplit

import pytest
from built_site import PAGES, ROOT, SITE, html_of, site  # noqa: F401 (a fixture)
from site_browser import address, browser, lay_out, resize, turn, visible, visit, visitor  # noqa: F401 (fixtures)

WIDTHS = 320, 360, 390, 480, 768, 1024, 1440, 1920
CONTRAST = (ROOT / "tests" / "contrast.js").read_text(encoding="utf-8")
FIRST_VIEW = 600_000   # bytes


@pytest.mark.parametrize("name", [*PAGES, "search.html"])
def test_page(visit, address, name):
    page = visit(name)
    check_weight(page, address)   # first: to measure what is far below fetches what stands there
    check_mathematics(page, html_of(SITE / name))
    check_images(page)
    check_folds(page)   # leaves all unfolded
    for theme, widths in {"light": WIDTHS, "dark": (1440, 390)}.items():
        turn(page, theme)
        for width in widths:
            resize(page, width)
            assert page.evaluate(STICKING_OUT) == [], f"{theme}, {width} pixels wide"
            if width not in (1440, 390):
                continue
            if name != "search.html":
                assert visible(page, ".search-button__button, input[type=search]") == 1
            assert page.evaluate(f"({CONTRAST})()") == [], f"{theme}, {width} pixels wide"
            assert page.evaluate(STRETCHED) == [], f"{theme}, {width} pixels wide"


def check_mathematics(page, html):
    """Every formula of the page is drawn, roots with their sign, and none is left in dollars."""
    drawn = page.eval_on_selector_all("article math", "all => all.map(each => each.getBoundingClientRect().width)")
    assert len(drawn) == len(html.article.find_all("math") if html.article else []) and all(drawn)
    roots = page.eval_on_selector_all("article msqrt", """all => all.map(root => {
        const [box, first, last] = [root, root.firstElementChild, root.lastElementChild].map(each => each.getBoundingClientRect());
        return [first.left - box.left, box.right + parseFloat(getComputedStyle(root).marginRight) - last.right];
    })""")
    assert all(sign > 4 for sign, _ in roots), "a font without the sign of a root draws none"
    assert all(-1.5 < room < 4.5 for _, room in roots), "room behind a root: see mathematics.mjs"
    text = page.evaluate("""() => {
        const article = document.querySelector("article").cloneNode(true);
        article.querySelectorAll("code, pre, .sig, math, script").forEach(element => element.remove());
        return article.textContent;
    }""") if page.locator("article").count() else ""
    assert re.findall(r"\$[^$\n]+\$|\\[(\[].*|\\begin\{.*", text) == []


# What makes the page scroll sideways, or stands beside the screen, and not in a box that scrolls by itself.
STICKING_OUT = """() => {
    const width = innerWidth;
    const inside = ({left, right}) => left > -1 && right < width + 1;
    const scrolls = box => /auto|scroll/.test(getComputedStyle(box).overflowX) && inside(box.getBoundingClientRect());
    function reachable(element) {
        for (let box = element.parentElement; box && box !== document.body; box = box.parentElement)
            if (scrolls(box)) return true;
        return false;
    }
    const found = [...document.querySelectorAll("article :not(pre *, math *), main h1, footer *")].filter(element => {
        const box = element.getBoundingClientRect();
        return box.width && box.height && !inside(box) && !reachable(element);
    }).map(element => `${element.outerHTML.slice(0, 80)}: ${element.getBoundingClientRect().right}`);
    const page = document.scrollingElement.scrollWidth;
    return page > width ? [`the page is ${page} wide`, ...found] : found;
}"""
STRETCHED = """[...document.images].filter(img => img.width && Math.abs(
    img.naturalWidth * img.height / (img.naturalHeight * img.width) - 1) > 0.03).map(img => img.src)"""


def check_images(page):
    """Every image is there and says in words what it shows, unless words stand beside it on a button."""
    lay_out(page)
    images = page.eval_on_selector_all(
        "img", "all => all.map(img => [img.src, img.alt || img.closest('.btn')?.textContent || '', img.naturalWidth])")
    assert [src for src, _, width in images if width == 0] == []
    assert [src for src, alt, _ in images if not alt.strip() or re.search(r"\.(png|svg|jpe?g|gif)$|^[\w/.-]*/[\w/.-]*$", alt)] == []


def check_weight(page, address):
    """The first view travels in few bytes, compressed as every host compresses: pictures far below come later."""
    page.wait_for_load_state("networkidle")
    names = page.evaluate("[location.href, ...performance.getEntriesByType('resource').map(entry => entry.name)]")
    files = {urlsplit(name).path.lstrip("/") for name in names if name.startswith(address)}
    sizes = {name: travels(SITE / name) for name in files}
    assert 20_000 < sum(sizes.values()) <= FIRST_VIEW, sizes


def travels(path):
    """The bytes of a file on its way to the reader."""
    text = path.suffix in (".html", ".css", ".js", ".svg", ".json")
    return len(gzip.compress(path.read_bytes()) if text else path.read_bytes())


def check_folds(page):
    """Every hint and solution is folded when the page opens, unfolds at a click, and folds and unfolds by keys."""
    for details in page.locator("article details").all():
        summary, inside = details.locator("> summary"), details.locator("> :not(summary)").first
        assert not inside.is_visible()
        summary.click()
        assert inside.is_visible()
        summary.press("Space")
        assert not inside.is_visible()
        summary.press("Enter")
        assert inside.is_visible()
    loose = """all => all.filter(code => code.textContent.includes("#@title Solution") && !code.closest("details")).length"""
    assert page.eval_on_selector_all("article pre", loose) == 0


def test_checks_find_what_is_wrong(visit):
    """The checks of a page, on a page where nothing is right."""
    page = visit("book/index.html")
    assert page.evaluate(STICKING_OUT) == page.evaluate(f"({CONTRAST})()") == page.evaluate(STRETCHED) == []
    page.evaluate("""document.querySelector("article").insertAdjacentHTML("beforeend", `
        <p id="wide">too wide</p><p id="faint">too faint</p><img src="../_static/logo.svg" alt="_static/logo.svg" id="stretched">
        <div id="box"><p id="far">wide, in a box</p></div>`);
        Object.assign(wide.style, {width: "3000px"});
        Object.assign(far.style, {width: "3000px"});
        Object.assign(box.style, {overflowX: "auto"});
        Object.assign(faint.style, {color: "#aaa", background: "#ccc"});
        Object.assign(stretched.style, {width: "300px", height: "30px"});""")
    with pytest.raises(AssertionError):
        check_images(page)
    out = page.evaluate(STICKING_OUT)
    assert out[0].startswith("the page is 3") and 'id="wide"' in out[1] and len(out) == 2
    assert ["too faint" in line for line in page.evaluate(f"({CONTRAST})()")] == [True]
    assert len(page.evaluate(STRETCHED)) == 1


def test_switch_turns_the_theme_and_the_figures(visit):
    page = visit("book/gradient_descent.html")
    seen = set()
    for _ in range(3):
        page.locator(".theme-switch-button").click()
        theme = page.evaluate("document.documentElement.dataset.theme")
        seen.add(theme)
        filters = page.eval_on_selector_all(".cell_output img", "all => all.map(img => getComputedStyle(img).filter)")
        assert all(("invert" in value) == (theme == "dark") for value in filters)
    assert seen == {"light", "dark"}


def test_search_finds_a_chapter(visit):
    page = visit("search.html?q=gradient")
    page.locator("#search-results li a", has_text="Gradient descent").first.wait_for()


def test_sidebar_opens_on_a_phone(visit):
    page = visit(PAGES[0])
    resize(page, 390)
    sidebar = page.locator("#pst-primary-sidebar-modal[open] nav.bd-links")
    assert sidebar.count() == 0
    page.locator("button.primary-toggle").locator("visible=true").click()
    sidebar.locator("a", has_text="Gradient descent: how long").click()
    page.wait_for_url("**/gradient_descent.html")


@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_cheat_sheet_prints_on_two_pages(visit, paper):
    printed = visit("book/cheat_sheet.html").pdf(format=paper)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 2

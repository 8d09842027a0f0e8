"""The built site by keyboard alone: Tab reaches all that a mouse reaches, the focus is always seen, and nothing holds it."""

import pytest
from built_site import site  # noqa: F401 (a fixture)
from site_browser import address, browser, enliven, resize, settle, visit, visitor  # noqa: F401 (fixtures)

CHAPTER = "book/gradient_descent.html"
# Where the focus is: a number for the element, its words, whether a ring is drawn around it, and how it is hidden.
FOCUS = """async () => {
    const element = document.activeElement;
    if (element === document.body) return null;
    window.stops ??= new Map();
    if (!stops.has(element)) stops.set(element, stops.size);
    const style = getComputedStyle(element);
    function seen({left, right, top, bottom}) {
        [left, right] = [Math.max(left, 0), Math.min(right, innerWidth)];
        [top, bottom] = [Math.max(top, 0), Math.min(bottom, innerHeight)];
        return left < right && top < bottom && [0.1, 0.5, 0.9].some(x => [0.1, 0.5, 0.9].some(y =>
            element.contains(document.elementFromPoint(left + x * (right - left), top + y * (bottom - top)))));
    }
    let hidden = "";
    for (let frames = 0; frames < 12; frames++) {   // the page scrolls, and lays out what has come near
        await new Promise(requestAnimationFrame);
        document.getAnimations().forEach(animation => animation.finish());
        const shown = element.checkVisibility({opacityProperty: true, visibilityProperty: true});
        hidden = !shown ? "invisible" : [...element.getClientRects()].some(seen) ? "" : "covered or outside";
        if (!hidden && frames) break;
    }
    const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
    return [stops.get(element), element.outerHTML.slice(0, 120), ring, hidden];
}"""
FOCUSED_WORDS = "document.activeElement.textContent.trim()"
# What a mouse can press or scroll and the walk of `stops` never came to.
MISSED = """() => [...document.querySelectorAll("*")].filter(element => {
    if (stops.has(element) || element.matches(":disabled") || !element.checkVisibility({visibilityProperty: true})) return false;
    if (element.matches("a[href], button, input, summary, select, textarea, [tabindex='0']")) return true;
    const style = getComputedStyle(element);
    const scrolls = /auto|scroll/.test(style.overflowX) && element.scrollWidth > element.clientWidth;
    return scrolls && element !== document.documentElement && element !== document.body
        && !element.querySelector("a, button, input");
}).map(element => element.outerHTML.slice(0, 120))"""


def walk(page, limit=1500):
    """Press Tab from the top of the page until the focus leaves it; return the stops as (number, words, ring, hidden)."""
    stops = []
    for _ in range(limit):
        page.keyboard.press("Tab")
        stop = page.evaluate(FOCUS)
        if stop is None:
            return stops
        assert stop[0] == len(stops), f"Tab goes back to {stop[1]}"
        stops.append(stop)
    raise AssertionError("Tab does not come to the end of the page")


def focus_in(page, selector):
    """Whether the focus is on an element of the selector or in it."""
    return page.evaluate("selector => Boolean(document.activeElement.closest(selector))", selector)


def tab_to(page, selector, limit=100):
    """Press Tab until the focus is on an element of the selector or in it."""
    for _ in range(limit):
        page.keyboard.press("Tab")
        if focus_in(page, selector):
            return
    raise AssertionError(f"Tab does not come to {selector}")


@pytest.mark.parametrize("name, width", [
    (CHAPTER, 1440), (CHAPTER, 390), ("book/notation.html", 390), ("book/index.html", 1440), ("book/adagrad.html", 768)])
def test_tab_reaches_everything(visitor, name, width):
    page = visitor(viewport={"width": width, "height": 900})(name)
    enliven(page)
    page.evaluate("document.querySelectorAll('article details').forEach(details => details.open = true)")
    settle(page)
    stops = walk(page)
    assert [words for _, words, ring, _ in stops if not ring] == []
    assert [(words, hidden) for *_, words, _, hidden in stops if hidden] == []
    assert page.evaluate(MISSED) == []
    page.keyboard.press("Tab")
    assert focus_in(page, ".skip-link")   # and around again


def test_order_of_a_page(visit):
    """From the top: over the menus, the controls and the text to the next page and the page's own contents."""
    page = visit(CHAPTER)
    enliven(page)
    walk(page)
    order = [".skip-link a", ".navbar-brand", ".search-button-field", "nav.bd-links a", ".primary-toggle",
             ".dropdown-launch-buttons > button", ".dropdown-download-buttons > button", ".theme-switch-button",
             "article p a", ".copybtn", "details > summary", ".left-prev", ".right-next", "#pst-page-toc-nav a"]
    places = [page.evaluate("selector => stops.get(document.querySelector(selector))", selector) for selector in order]
    assert [selector for selector, place in zip(order, places, strict=True) if place is None] == []
    assert places == sorted(places)


def test_walk_finds_what_is_wrong(visit):
    page = visit("book/index.html")
    page.evaluate("""document.querySelector("article").insertAdjacentHTML("afterbegin", `
        <button id="ringless">a</button><button id="clear">b</button><button tabindex="-1">c</button>
        <div id="box" tabindex="-1"><p id="far">a long line</p></div>`);
        Object.assign(box.style, {width: "50px", overflowX: "auto"});
        far.style.width = "500px";
        ringless.style.setProperty("outline", "none", "important");
        clear.style.opacity = 0;""")
    stops = walk(page)
    assert ["ringless" in words for _, words, ring, _ in stops if not ring] == [True]
    assert [hidden for *_, hidden in stops if hidden] == ["invisible"]
    assert [words.split()[0] for words in page.evaluate(MISSED)] == ["<button", "<div"]
    page.evaluate("""document.querySelector("article").addEventListener("focusout", ({target}) => target.focus())""")
    page.evaluate("document.querySelector('article a').focus()")
    with pytest.raises(AssertionError, match="Tab goes back"):
        walk(page)


def test_skip_link(visit):
    page = visit(CHAPTER)
    link = page.locator(".skip-link a")
    assert link.bounding_box()["y"] < 0
    page.keyboard.press("Tab")
    settle(page)
    assert focus_in(page, ".skip-link") and link.bounding_box()["y"] >= 0
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert focus_in(page, "main")


@pytest.mark.parametrize("words, found", [
    ("momentum", "book/momentum.html"),
    ("clip_by_global_norm", "book/api.html#course_lib.update_rules.clip_by_global_norm"),
    ("TorchOptimizer", "book/api.html#course_lib.frameworks.TorchOptimizer"),
])
def test_search(visit, address, words, found):
    page = visit(CHAPTER)
    page.keyboard.press("Control+k")
    assert focus_in(page, "#pst-search-dialog input")
    page.keyboard.type(words)
    page.locator("#pst-search-dialog .search-summary", has_text=f"“{words}”").wait_for()
    tab_to(page, "#pst-search-dialog a", limit=3)   # at once; or, with Enter, on a page of their own
    assert page.evaluate(FOCUS)[2:] == [True, ""]
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=*")
    page.locator("#search-results .search-summary", has_text=f"“{words}”").wait_for()
    tab_to(page, f"#search-results a[href$='{found}']")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{found}")


def test_search_closes(visit):
    page = visit(CHAPTER)
    button = ".search-button-field"
    page.locator(button).focus()
    page.keyboard.press("Enter")
    assert focus_in(page, "#pst-search-dialog input")
    page.keyboard.press("Escape")
    page.locator("#pst-search-dialog").wait_for(state="hidden")
    assert focus_in(page, button)


@pytest.mark.parametrize("name", ["launch", "download"])
def test_menus(visit, name):
    page = visit(CHAPTER)
    button = f".dropdown-{name}-buttons > button"
    menu = page.locator(f".dropdown-{name}-buttons .dropdown-menu")
    entries = [words.strip() for words in menu.locator("a, button").all_text_contents()]
    assert len(entries) >= 2
    tab_to(page, button)
    assert not menu.is_visible()
    page.keyboard.press("Enter")
    assert menu.is_visible()
    for entry in entries:
        page.keyboard.press("Tab")
        assert page.evaluate(FOCUSED_WORDS) == entry
        assert page.evaluate(FOCUS)[2:] == [True, ""]
    page.keyboard.press("Escape")
    menu.wait_for(state="hidden")
    assert focus_in(page, button)
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(FOCUSED_WORDS) == entries[0]


def test_switch_of_the_theme(visit):
    page = visit(CHAPTER)
    tab_to(page, ".theme-switch-button")
    seen = set()
    for _ in range(3):
        page.keyboard.press("Enter")
        seen.add(page.evaluate("document.documentElement.dataset.theme"))
        assert focus_in(page, ".theme-switch-button")
    assert seen == {"light", "dark"}


def test_copy(visitor):
    page = visitor(permissions=["clipboard-read", "clipboard-write"])(CHAPTER)
    tab_to(page, ".copybtn", limit=200)
    settle(page)
    button = page.locator(".copybtn:focus")
    assert button.evaluate("button => getComputedStyle(button).opacity") == "1"
    page.keyboard.press("Enter")
    page.locator(".copybtn.success").wait_for()
    code = button.evaluate("button => document.querySelector(button.dataset.clipboardTarget).innerText")
    assert code and page.evaluate("navigator.clipboard.readText()").strip() == code.strip()
    assert focus_in(page, ".copybtn")


def test_folds(visit):
    page = visit("book/adagrad.html")
    folds = page.locator("article details")
    for i in range(folds.count()):
        page.locator("article details > summary").nth(i).focus()
        for key, opened in (("Enter", True), ("Space", False), ("Space", True), ("Enter", False)):
            page.keyboard.press(key)
            assert folds.nth(i).evaluate("details => details.open") == opened


def test_what_unfolds_scrolls_by_keys(visit):
    """A solution's code that is wider than a phone, unfolded, is reached by Tab and moved by the arrow keys."""
    page = visit(CHAPTER)
    resize(page, 390)
    wide = 0
    for details in page.locator("article details").all():
        details.locator("> summary").press("Enter")
        settle(page)
        code = details.locator("pre").first
        if code.evaluate("pre => pre.scrollWidth > pre.clientWidth"):
            wide += 1
            page.keyboard.press("Tab")
            assert code.evaluate("pre => pre === document.activeElement")
            page.keyboard.press("ArrowRight")
            page.wait_for_function("() => document.activeElement.scrollLeft > 0")
    assert wide


def test_sidebar_on_a_desk(visit):
    page = visit(CHAPTER)
    toggle, sidebar = ".primary-toggle", page.locator("#pst-primary-sidebar")
    tab_to(page, toggle)
    page.keyboard.press("Enter")
    sidebar.wait_for(state="hidden")
    assert focus_in(page, toggle)
    page.keyboard.press("Shift+Tab")
    assert not focus_in(page, "#pst-primary-sidebar")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    sidebar.wait_for(state="visible")


@pytest.mark.parametrize("side, link", [("primary", "nav.bd-links a"), ("secondary", "#pst-page-toc-nav a")])
def test_sidebars_on_a_phone(visit, side, link):
    page = visit(CHAPTER)
    resize(page, 390)
    toggle, sidebar = f".{side}-toggle", page.locator(f"#pst-{side}-sidebar-modal")
    tab_to(page, toggle)
    page.keyboard.press("Enter")
    sidebar.wait_for(state="visible")
    settle(page)
    tab_to(page, link, limit=10)
    assert page.evaluate(FOCUS)[2:] == [True, ""]
    page.keyboard.press("Escape")
    sidebar.wait_for(state="hidden")
    assert focus_in(page, toggle)
    page.keyboard.press("Enter")
    tab_to(page, link, limit=10)
    tab_to(page, link)
    target = page.evaluate("document.activeElement.href")
    page.keyboard.press("Enter")
    page.wait_for_url(target)
    sidebar.wait_for(state="hidden")

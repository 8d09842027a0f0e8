"""The built site in a browser: every page can be read on any screen, by day and by night, without another server."""

import functools
import http.server
import os
import re
import shutil
import threading
from pathlib import Path

import pytest
from built_site import PAGES, ROOT, SITE, html_of, site  # noqa: F401 (a fixture)
from playwright.sync_api import sync_playwright

CONTRAST = (ROOT / "tests" / "contrast.js").read_text(encoding="utf-8")
HEAVIEST_PAGE, HEAVIEST_FIGURES = 2_000_000, 3_000_000


def browser_path(playwright):
    """A Chromium on this machine, or None."""
    if "BROWSER_PATH" in os.environ:
        return os.environ["BROWSER_PATH"]
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if found := shutil.which(name):
            return found
    bundled = playwright.chromium.executable_path
    return bundled if Path(bundled).exists() else None


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        path = browser_path(playwright)
        if path is None:
            missing = "no Chromium found: install chromium or set BROWSER_PATH"
            pytest.fail(missing) if "CI" in os.environ else pytest.skip(missing)
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-quic"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def address(site):
    """Where the site is served, on this machine alone."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    class Patient(http.server.ThreadingHTTPServer):
        request_queue_size = 128   # a page asks for dozens of files at once; a full queue drops them

    server = Patient(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def visit(browser, address):
    """visit(name) opens a page and waits for its mathematics; in the end nothing may have gone wrong."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    context.set_default_timeout(120_000)   # a shared machine is sometimes slow, which is no error
    page = context.new_page()
    wrong = []

    def stay_here(route):
        if route.request.url.startswith((address, "data:", "blob:")):
            return route.continue_()
        wrong.append(f"asked another server: {route.request.url}")
        route.abort()

    def visit(name):
        page.goto(address + name)
        page.wait_for_function("!window.MathJax || MathJax.startup?.promise?.then(() => true)")
        page.evaluate("document.fonts.ready")
        return page

    context.route("**/*", stay_here)
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("response", lambda response: wrong.append(f"{response.status} {response.url}") if response.status >= 400 else None)
    yield visit
    context.close()
    assert not wrong


def visible(page, selector):
    """How many elements of the selector can be seen."""
    return page.locator(selector).locator("visible=true").count()


@pytest.mark.parametrize("name", [*PAGES, "search.html"])
def test_page(visit, name):
    page = visit(name)
    check_mathematics(page, html_of(SITE / name))
    check_images(page)
    check_weight(page)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.wait_for_function("theme => document.documentElement.dataset.theme === theme", arg=theme)
        for width in (1440, 390):
            page.set_viewport_size({"width": width, "height": 900})
            # Colours fade from one theme to the other, and the sidebar slides.
            page.evaluate("document.getAnimations().forEach(animation => animation.finish())")
            assert page.evaluate("document.scrollingElement.scrollWidth") <= width, f"{theme}, {width} pixels wide"
            if name != "search.html":
                assert visible(page, ".search-button__button, input[type=search]") == 1
            assert page.evaluate(f"({CONTRAST})()") == [], f"{theme}, {width} pixels wide"
            assert page.evaluate(STRETCHED) == [], f"{theme}, {width} pixels wide"


def check_mathematics(page, html):
    """Every formula of the page is typeset, without an error, and none is left in dollars."""
    assert page.locator("mjx-merror, [data-mjx-error]").all_inner_texts() == []
    assert page.locator("mjx-container").count() == len(html.find_all(class_="math"))
    text = page.evaluate("""() => {
        const article = document.querySelector("article").cloneNode(true);
        article.querySelectorAll("code, pre, .sig, mjx-container, script").forEach(element => element.remove());
        return article.textContent;
    }""") if page.locator("article").count() else ""
    assert re.findall(r"\$[^$\n]+\$|\\[(\[].*|\\begin\{.*", text) == []


STRETCHED = """[...document.images].filter(img => img.width && Math.abs(
    img.naturalWidth * img.height / (img.naturalHeight * img.width) - 1) > 0.03).map(img => img.src)"""


def check_images(page):
    """Every image is there and says in words what it shows."""
    images = page.eval_on_selector_all("img", "all => all.map(img => [img.src, img.alt, img.naturalWidth])")
    assert [src for src, _, width in images if width == 0] == []
    assert [src for src, alt, _ in images if not alt.strip() or re.search(r"\.(png|svg|jpe?g|gif)$|^[\w/.-]*/[\w/.-]*$", alt)] == []


def check_weight(page):
    """The page with all it loads, in bytes before compression, stays within bounds."""
    loaded = page.evaluate("performance.getEntries().map(entry => [entry.initiatorType, entry.decodedBodySize || 0])")
    figures = sum(size for initiator, size in loaded if initiator == "img")
    assert figures < HEAVIEST_FIGURES
    assert 10_000 < sum(size for _, size in loaded) - figures < HEAVIEST_PAGE


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
    page.set_viewport_size({"width": 390, "height": 800})
    sidebar = page.locator("#pst-primary-sidebar-modal[open] nav.bd-links")
    assert sidebar.count() == 0
    page.locator("button.primary-toggle").locator("visible=true").click()
    sidebar.locator("a", has_text="Gradient descent: how long").click()
    page.wait_for_url("**/gradient_descent.html")

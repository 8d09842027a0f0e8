"""What the tests of the site in a browser share: a browser, the site's address on this machine, and a visit to a page."""

import functools
import http.server
import os
import threading

import pytest
from built_site import site  # noqa: F401 (a fixture)
from playwright.sync_api import sync_playwright

from tools.browser import browser_path


@pytest.fixture(scope="module")   # each module has its own, and Playwright does not run twice at a time
def browser():
    path = browser_path()
    if path is None:
        missing = "no Chromium found: install chromium or set BROWSER_PATH"
        pytest.fail(missing) if "CI" in os.environ else pytest.skip(missing)
    with sync_playwright() as playwright:
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
def visitor(browser, address):
    """visitor(**context) is a function that opens pages; in the end nothing may have gone wrong in any."""
    contexts, wrong = [], []

    def stay_here(route):
        if route.request.url.startswith((address, "data:", "blob:")):
            return route.continue_()
        wrong.append(f"asked another server: {route.request.url}")
        route.abort()

    def visitor(**settings):
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"} | settings)
        contexts.append(context)
        context.set_default_timeout(120_000)   # a shared machine is sometimes slow, which is no error
        context.route("**/*", stay_here)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("response", lambda response: wrong.append(f"{response.status} {response.url}") if response.status >= 400 else None)

        def visit(name):
            page.goto(address + name)
            page.evaluate("document.fonts.ready")
            return page

        return visit

    yield visitor
    for context in contexts:
        context.close()
    assert not wrong, wrong


@pytest.fixture
def visit(visitor):
    """visit(name) opens a page on a desk, by day, and waits for its fonts."""
    return visitor()


def lay_out(page):
    """Lay out the whole page, also what the browser would leave until it comes near; images as well."""
    page.evaluate("""async () => {
        const sheet = new CSSStyleSheet();
        sheet.replaceSync("* { content-visibility: visible !important; }");
        document.adoptedStyleSheets.push(sheet);
        await Promise.allSettled([...document.images].map(img => {
            img.loading = "eager";
            return img.decode();
        }));
    }""")


def enliven(page):
    """Wait until the page's playground lives, as it does when it comes near, and go back to the top."""
    figure = page.locator("figure.playground:not(.pg-still)")
    if figure.count():
        figure.scroll_into_view_if_needed()
        page.wait_for_function("() => document.querySelector('figure.playground[data-ready]')")
        page.evaluate("scrollTo(0, 0)")
        settle(page)


def resize(page, width, height=900):
    """Give the page another width, and let what moves arrive: the sidebar slides, colours fade."""
    page.set_viewport_size({"width": width, "height": height})
    settle(page)


def settle(page):
    """Let what moves arrive, and the page be drawn twice: what watches its size has seen it then."""
    page.evaluate("""async () => {
        document.getAnimations().forEach(animation => animation.finish());
        for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
    }""")


def turn(page, theme):
    """Turn the page to the light or the dark theme, as the reader's system would."""
    page.emulate_media(color_scheme=theme)
    page.wait_for_function("theme => document.documentElement.dataset.theme === theme", arg=theme)
    settle(page)


def visible(page, selector):
    """How many elements of the selector can be seen."""
    return page.locator(selector).locator("visible=true").count()

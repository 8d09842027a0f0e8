"""What the tests of the playground in a browser share: a living figure, what a reader sees of it, and what it holds."""

import re
from types import SimpleNamespace

import pytest
from site_browser import settle

FIGURE, RING, LANDSCAPE = "figure.playground", ".pg-handle", ".pg-landscape"
PAGE = "book/playground.html"
VALLEY = "surface=quadratic(kappa=20)&start=6,3&steps=40&rule=momentum(lr=0.01,beta=0.8)&rule=adam(lr=0.3)"
ALONE = "surface=quadratic(kappa=20)&start=6,3&steps=40&rule=gradient_descent(lr=0.05)"
HELD = """() => {
    const { state, traces, problems } = document.querySelector("figure.playground").playground;
    return { state, problems, traces: traces.map(({ diverged, ...run }) => ({
        diverged, ...Object.fromEntries(["x", "y", "loss", "lr"].map((name) => [name, Array.from(run[name])])) })) };
}"""
# Where the lines of a picture's axis are on the screen, and what is written at them.
TICKS = """([picture, name]) => {
    const axis = document.querySelector(`${picture} [data-pg=${name}]`), texts = axis.querySelectorAll("text:not(.pg-axis-title)");
    return Array.from(axis.querySelectorAll(".pg-grid"), (line, i) => {
        const { x, y, width, height } = line.getBoundingClientRect();
        return [name === "x" ? x + width / 2 : y + height / 2, texts[i].textContent];
    });
}"""


@pytest.fixture
def playground(visitor):
    """playground(query) opens a page with a figure that lives, on the situation of the query, and waits until it does."""
    def open(query=VALLEY, name=PAGE, **settings):
        return come_alive(visitor(**settings)(f"{name}?{query}" if query else name))

    return open


def come_alive(page):
    """Bring the page's figure into sight and wait until it can be used."""
    page.wait_for_function("""() => {
        const figure = document.querySelector("figure.playground"), ready = figure.matches("[data-ready]");
        if (!ready) figure.scrollIntoView({ block: "nearest", behavior: "instant" });   // the page may be on its way elsewhere
        return ready;
    }""")
    page.locator(FIGURE).first.scroll_into_view_if_needed()
    page.wait_for_function("() => document.fonts.status === 'loaded'")
    settle(page)
    return page


def held(page):
    """What the figure holds, as it is drawn: .state, .traces, .problems."""
    settle(page)
    return SimpleNamespace(**page.evaluate(HELD))


def state(page):
    """The figure's state, as it is drawn."""
    return held(page).state


def number_of(text):
    """The number that a text means to a reader: "−2.1×10⁻⁹"."""
    plain = text.replace("−", "-").translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    return float(re.sub(r"×10(-?\d+)", r"e\1", plain))


def losses(page):
    """The losses that the cards show."""
    texts = page.locator(".pg-result strong").all_text_contents()
    return [number_of(text.removeprefix("loss ")) for text in texts]


def ticks(page, picture, name):
    """The lines of an axis: [(pixels, number)]."""
    return [(at, number_of(text)) for at, text in page.evaluate(TICKS, [picture, name])]


def scale(page, picture=LANDSCAPE):
    """A picture's axes as a reader reads them: .pixels(w1, w2) and .values(x, y), and of what size a pixel is."""
    def line(name):
        (a, v), *_, (b, w) = ticks(page, picture, name)
        return a, v, (w - v) / (b - a)

    (x0, v0, per_x), (y0, v1, per_y) = line("x"), line("y")
    return SimpleNamespace(
        pixels=lambda v, w: (x0 + (v - v0) / per_x, y0 + (w - v1) / per_y),
        values=lambda x, y: (v0 + (x - x0) * per_x, v1 + (y - y0) * per_y),
        pixel=(abs(per_x), abs(per_y)))


def middle(locator):
    """The middle of an element, on the screen."""
    x, y, width, height = locator.evaluate("e => { const r = e.getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; }")
    return x + width / 2, y + height / 2


def near(point, other, pixels=1.5):
    """Whether two points of the screen are the same to the eye."""
    return all(abs(a - b) <= pixels for a, b in zip(point, other, strict=True))


def drag(page, start, end):
    """Press the mouse at a point of the screen, and let it go at another."""
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=6)
    page.mouse.up()
    settle(page)


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def slider(page, name, card=None):
    """A slider, in sight below the pictures that stay in sight."""
    found = (card or page).get_by_role("slider", name=name, exact=True)
    found.evaluate("range => range.scrollIntoView({block: 'end'})")
    settle(page)
    return found


def thumb(range):
    """Where the thumb of a slider is."""
    x, y, width, height, share = range.evaluate("""range => {
        const { x, y, width, height } = range.getBoundingClientRect();
        return [x, y, width, height, (range.value - range.min) / (range.max - range.min)];
    }""")
    return x + 8 + share * (width - 16), y + height / 2


def write(page, name, text, card=None):
    """Write a text into a field, in place of what is there, key by key."""
    found = (card or page).get_by_role("textbox", name=name, exact=True)
    found.focus()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.keyboard.type(text)
    settle(page)
    return found


def card(page, index):
    """The card of an optimizer."""
    return page.locator(".pg-card").nth(index)


def open_folds(page):
    """Unfold all that the figure folds away."""
    page.evaluate("document.querySelectorAll('figure.playground details').forEach(details => details.open = true)")
    settle(page)


def stop_clock(page):
    """From now on time stands still, but for page.clock.run_for."""
    page.clock.install(time=0)
    page.clock.pause_at(1000)

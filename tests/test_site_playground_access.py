"""The playground for everyone: by keyboard, by ear, on paper, without a script, on every width."""

import pytest
from built_site import site  # noqa: F401 (a fixture)
from playground_browser import (
    ALONE,
    FIGURE,
    LANDSCAPE,
    PAGE,
    RING,
    VALLEY,
    card,
    come_alive,
    held,
    losses,
    middle,
    number_of,
    open_folds,
    playground,  # noqa: F401 (a fixture)
    state,
    stop_clock,
    write,
)
from site_browser import address, browser, resize, settle, turn, visible, visit, visitor  # noqa: F401 (fixtures)
from test_site_accessibility import violations

FOUR = f"{VALLEY}&rule=adamw(lr=one_cycle(peak=0.1,steps=30))&rule=rmsprop(lr=cyclic(high=0.1,low=0.01))"
TWO = f"{ALONE}&rule=adamw(lr=one_cycle(peak=0.1,steps=30))"
CONTROLS = "button, input, select, summary, a, [tabindex='0']"
ORDER = [
    "Start, w₁ = 6, w₂ = 3", "Zoom in", "Zoom out", "The whole landscape", "Play", "step shown", "steps in all", "number of steps, typed",
    "Surface", "start, w₁", "start, w₂", "κ condition number", "condition number, typed", "turned by (°)", "turned by, typed",
    "Rule of optimizer 1", "Duplicate", "η learning rate", "learning rate, typed", "Schedule and more",
    "Schedule of optimizer 1", "warm-up steps", "warm-up steps, typed",
    "Add an optimizer", "Reset", "Copy the link", "The same in Python", "Copy the code", "This one"]
# The name of what has the focus; whether its middle is what a mouse would meet there; "" where the focus has left the figure.
FOCUSED = """async () => {
    const element = document.activeElement;
    if (!element.closest("figure.playground")) return ["", true];
    const name = element.getAttribute("aria-label") ?? (element.labels?.[0] ?? element).textContent;
    for (let frames = 0; frames < 12; frames++) {   // the page scrolls
        await new Promise(requestAnimationFrame);
        const { x, y, width, height } = element.getBoundingClientRect();
        if (element.contains(document.elementFromPoint(x + width / 2, y + height / 2)) && frames) return [name, true];
    }
    return [name, false];
}"""
# What a screen reader would say of itself, whenever it changes.
LISTEN = """() => {
    window.said = [];
    const speaking = `output:not([aria-live=off]), [role=status], [role=alert], [aria-live]:not([aria-live=off])`;
    for (const place of document.querySelectorAll("figure.playground :is(" + speaking + ")")) {
        new MutationObserver(() => said.push(place.textContent)).observe(place, { childList: true, characterData: true, subtree: true });
    }
}"""


def enter(page):
    """Put the focus in front of the figure."""
    page.locator(FIGURE).evaluate("figure => { figure.tabIndex = -1; figure.focus(); figure.removeAttribute('tabindex'); }")


def walk(page, key="Tab"):
    """Press Tab until the focus leaves the figure: [(name, whether it is seen)]."""
    stops = []
    while len(stops) < 150:
        page.keyboard.press(key)
        name, seen = page.evaluate(FOCUSED)
        if not name:
            break
        stops.append((name, seen))
    return stops


# ---- By keyboard

def test_tab_reaches_every_control_in_the_order_they_stand(playground):
    page = playground(ALONE)
    open_folds(page)
    enter(page)
    assert [name for name, _ in walk(page)] == ORDER
    assert page.locator(f"{FIGURE} :is({CONTROLS}):not(:disabled)").locator("visible=true").count() == len(ORDER)


@pytest.mark.parametrize("width, height", [(1440, 900), (1280, 680), (390, 844)])
def test_the_focus_is_never_covered(playground, width, height):
    page = playground(TWO, viewport={"width": width, "height": height})
    open_folds(page)
    enter(page)
    there = walk(page)
    page.locator(f"{FIGURE} figcaption a").focus()
    back = walk(page, "Shift+Tab")
    assert len(there) == len(back) + 1 > 45
    assert [name for name, seen in there + back if not seen] == []


def test_arrows_move_the_ring_by_small_steps_and_not_the_page(playground):
    page = playground(ALONE)
    page.locator(RING).focus()
    scrolled = page.evaluate("scrollY")
    for key, start in (("ArrowRight", (6.22, 3)), ("ArrowUp", (6.22, 3.14)), ("Shift+ArrowLeft", (4.02, 3.14)), ("ArrowDown", (4.02, 3))):
        page.keyboard.press(key)
        assert state(page)["start"] == pytest.approx(start)
    assert page.get_by_role("button", name="Start, w₁ = 4.02, w₂ = 3", exact=True).evaluate("ring => ring === document.activeElement")
    assert page.evaluate("scrollY") == scrolled


def test_arrows_move_every_slider_by_small_steps_and_back(playground):
    page = playground()
    for name, read, least, most in (
            ("η learning rate", lambda now: now["runs"][0]["settings"]["lr"] / 0.01, 1.01, 1.2),
            ("β momentum", lambda now: now["runs"][0]["settings"]["beta"] - 0.8, 0.001, 0.03),
            ("κ condition number", lambda now: now["settings"]["kappa"] / 20, 1.01, 1.2),
            ("turned by (°)", lambda now: now["settings"]["turn"], 1, 1),
            ("steps in all", lambda now: now["steps"] - 40, 1, 10)):
        page.get_by_role("slider", name=name, exact=True).first.focus()
        page.keyboard.press("ArrowRight")
        once = state(page)
        assert least <= read(once) <= most, name
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowLeft")
        assert state(page) == once


def test_a_number_that_is_typed_counts_to_the_last_digit(playground):
    page = playground(ALONE)
    for text in ("0.0123456789", "1e-3", ".5", "1.0e-2"):
        field = write(page, "learning rate, typed", text)
        assert state(page)["runs"][0]["settings"]["lr"] == float(text)
        page.keyboard.press("Tab")
        assert field.input_value() == text and page.locator("[aria-invalid]").count() == 0


def test_a_wrong_text_is_named_and_the_last_good_run_stays(playground):
    page = playground(ALONE.replace("gradient_descent(lr=0.05)", "momentum(lr=0.05,beta=0.75)"))
    before = held(page)
    for name, text, message in (
            ("learning rate, typed", "abc", "η, learning rate must be between 0 and 1000000, got abc."),
            ("learning rate, typed", "", "η, learning rate must be between 0 and 1000000, got nothing."),
            ("learning rate, typed", "-1", "η, learning rate must be between 0 and 1000000, got -1."),
            ("momentum, typed", "2", "β, momentum must be between 0 and 0.999999999, got 2."),
            ("condition number, typed", "0.5", "κ, condition number must be between 1 and 1000000, got 0.5."),
            ("turned by, typed", "-x", "turned by must be between -90 and 90, got -x."),
            ("number of steps, typed", ".5", "steps in all must be a whole number between 1 and 1000, got .5."),
            ("start, w₁", "x", "w₁ of the start must be a number, got x.")):
        good = page.get_by_role("textbox", name=name, exact=True).input_value()
        field = write(page, name, text)
        page.locator("[aria-invalid=true]").wait_for()
        assert field.get_attribute("aria-invalid") == "true" and field.input_value() == text
        told = page.locator(f"#{field.get_attribute('aria-describedby')}")
        assert told.is_visible() and told.text_content() == message
        assert held(page) == before
        page.keyboard.press("Escape")
        assert (field.input_value(), page.locator("[aria-invalid]").count(), told.is_visible()) == (good, 0, False)
        assert held(page) == before


# ---- By ear

def test_every_control_has_its_role_and_name(playground):
    page = playground(ALONE)
    open_folds(page)
    figure = page.locator(FIGURE)
    named = {
        "button": ["Start, w₁ = 6, w₂ = 3", "Zoom in", "Zoom out", "The whole landscape", "Play", "Duplicate", "Remove",
                   "Add an optimizer", "Reset", "Copy the link", "Copy the code"],
        "slider": ["step shown", "steps in all", "κ condition number", "turned by (°)", "η learning rate", "warm-up steps"],
        "textbox": ["number of steps, typed", "start, w₁", "start, w₂", "condition number, typed", "turned by, typed",
                    "learning rate, typed", "warm-up steps, typed"],
        "combobox": ["Surface", "Rule of optimizer 1", "Schedule of optimizer 1"],
        "group": ["view", "start", "Optimizer 1: Gradient descent"], "region": ["Python code"],
    }
    for role, names in named.items():
        assert [name for name in names if figure.get_by_role(role, name=name, exact=True).count() != 1] == []
        if role not in ("group", "region"):
            assert figure.get_by_role(role).count() == len(names)


def test_sliders_say_the_value_and_not_where_they_stand(playground):
    page = playground()
    for name, read in (("κ condition number", lambda now: now["settings"]["kappa"]), ("step shown", lambda now: f"{now['step']} of 40"),
                       ("η learning rate", lambda now: now["runs"][0]["settings"]["lr"]),
                       ("β momentum", lambda now: now["runs"][0]["settings"]["beta"])):
        found = page.get_by_role("slider", name=name, exact=True).first
        for _ in range(3):
            found.press("ArrowLeft")
            assert str(read(state(page))) == found.get_attribute("aria-valuetext")


@pytest.mark.parametrize("what", ["the ring", "the step"])
def test_what_came_of_it_is_said_once_when_the_reader_rests(playground, what):
    page = playground()
    stop_clock(page)
    page.evaluate(LISTEN)
    if what == "the ring":
        x, y = middle(page.locator(RING))
        page.mouse.move(x, y)
        page.mouse.down()
        for i in range(1, 9):
            page.mouse.move(x - 20 * i, y + 5 * i)
            page.clock.run_for(100)
        page.mouse.up()
    else:
        page.get_by_role("slider", name="step shown", exact=True).focus()
        for _ in range(8):
            page.keyboard.press("ArrowLeft")
            page.clock.run_for(100)
    assert page.evaluate("said") == []
    page.clock.run_for(2000)
    [words] = page.evaluate("said")
    now = page.evaluate("() => document.querySelector('figure.playground').playground.state.step")
    assert words.startswith("Momentum goes from (") and f" in {now} steps: loss " in words and " Adam goes from (" in words


def test_the_words_of_the_pictures_follow(playground):
    page = playground()
    def words():
        return [svg.text_content() for svg in page.locator(f"{FIGURE} svg[role=img] desc").all()]

    land, loss, rate = words()
    assert land.startswith("Level lines of Valley (quadratic) for w₁ from −11 to 11 and w₂ from −7 to 7. It is least at (0, 0). Momentum goes")
    assert loss.startswith("Loss against step, over 40 steps: Momentum from 108 to") and rate.startswith("Learning rate against step")
    for name in (land, loss, rate):
        assert page.get_by_role("img", name=name.strip(), exact=True).count() == 1
    write(page, "start, w₁", "-2")
    write(page, "learning rate, typed", "0.02", card(page, 0))
    page.locator(f"{LANDSCAPE} desc", has_text="Momentum goes from (−2, 3)").wait_for(state="attached")
    assert [number_of(text.split(" to ")[-1].rstrip(".")) for text in words()[1][:-1].split(",")[1:]] == losses(page)
    assert "Momentum from 0.02 to 0.02" in words()[2]


# ---- On paper, and without a script

@pytest.mark.parametrize("name", [PAGE, "book/adam.html", "book/index.html"])
def test_without_a_script_there_are_pictures_and_words_and_nothing_to_press(visitor, name):
    page = visitor(java_script_enabled=False)(name)
    assert visible(page, f"{FIGURE} .pg-picture") == visible(page, f"{FIGURE} svg[role=img]") == 3
    assert all(svg.text_content().strip() for svg in page.locator(f"{FIGURE} desc").all())
    assert page.locator(f"{FIGURE} .pg-done").first.get_attribute("d").startswith("M")
    assert page.locator(f"{FIGURE} :is(button, input, select, summary)").count() == 0
    page.locator(f"{FIGURE} figcaption a").click()
    page.wait_for_url(f"**/{PAGE}*")


def test_on_paper_there_are_pictures_and_nothing_to_press(playground):
    page = playground()
    page.emulate_media(media="print")
    assert visible(page, f"{FIGURE} svg[role=img]") == 3
    assert visible(page, f"{FIGURE} :is(button, input, select, summary)") == 0
    assert page.locator(".pg-start").evaluate("ring => getComputedStyle(ring).strokeOpacity") == "1"


# ---- Whatever the page is like

@pytest.mark.parametrize("case", ["folds open", "wrong field", "wrong address"])
def test_axe_finds_nothing_to_mend(playground, case):
    page = playground(f"{FOUR}&step=99" if case == "wrong address" else FOUR)
    if case == "folds open":
        open_folds(page)
    if case == "wrong field":
        write(page, "start, w₁", "x")
        page.locator("[aria-invalid=true]").wait_for()
    assert (page.locator(".pg-problems p").count() == 1) == (case == "wrong address")
    for theme in ("light", "dark"):
        turn(page, theme)
        for width in (1440, 390):
            resize(page, width)
            assert violations(page, FIGURE) == [], f"{theme}, {width} pixels wide"


def test_nothing_is_wider_than_the_page(playground):
    page = playground(FOUR)
    open_folds(page)
    write(page, "start, w₁", "x" + "1234567890" * 4)
    page.locator("[aria-invalid=true]").wait_for()
    for width in (320, 390, 768, 1440):
        resize(page, width)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width
        out = page.evaluate("""() => {
            const { left, right } = document.querySelector("figure.playground").getBoundingClientRect();
            return [...document.querySelectorAll("figure.playground :is(button, input, select, p, label, summary, pre, svg)")].filter((e) => {
                const box = e.getBoundingClientRect();
                return box.width && !e.matches(".pg-hidden, .pg-handle, pre *") && (box.left < left - 1 || box.right > right + 1);
            }).map((e) => e.outerHTML.slice(0, 100));
        }""")
        assert out == [], f"{width} pixels wide"


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("name", [PAGE, "book/gradient_descent.html"])
def test_what_follows_stays_where_it_is_when_the_figure_comes_alive(visitor, name, width):
    visit = visitor(viewport={"width": width, "height": 900})
    page = visit("book/glossary.html")
    page.add_init_script("""window.shifts = []; addEventListener("load", () => new PerformanceObserver((list) => {
        for (const { value, sources } of list.getEntries()) shifts.push([value, sources.map(({ node }) => node?.className ?? "")]);
    }).observe({ type: "layout-shift" }));""")
    page = come_alive(visit(name))
    page.evaluate("() => new Promise((done) => setTimeout(done, 300))")
    shifts = page.evaluate("shifts")
    assert sum(value for value, _ in shifts) < 0.05, shifts

"""The playground by mouse and by finger: what a reader does changes what is seen, and what is held follows."""

import re

import pytest
from built_site import site  # noqa: F401 (a fixture)
from playground_browser import (
    ALONE,
    LANDSCAPE,
    RING,
    VALLEY,
    button,
    card,
    drag,
    held,
    losses,
    middle,
    near,
    number_of,
    playground,  # noqa: F401 (a fixture)
    scale,
    slider,
    state,
    thumb,
    ticks,
    write,
)
from site_browser import address, browser, settle, visit, visitor  # noqa: F401 (fixtures)

from tools.site.playground.catalogue import SURFACES

PHONE = {"has_touch": True, "is_mobile": True, "viewport": {"width": 390, "height": 844}}
SHARED = "surface=himmelblau&start=1,1&steps=30&rule=adam(lr=cosine_decay(lr=0.2,steps=25),beta1=0.8)"
# From now on, what stands beside the step slider is kept in `seen`.
WATCH = """() => {
    window.seen = [];
    const shown = document.querySelector(".pg-at");
    new MutationObserver(() => seen.push(Number(shown.textContent))).observe(shown, { childList: true });
}"""
LEVELS = f"{LANDSCAPE} [data-pg=levels]"


def drawn(page, name, run=0, picture=LANDSCAPE):
    """The line that is drawn of a run."""
    return page.locator(f"{picture} [data-pg={name}][data-run='{run}']").get_attribute("d")


def marker(page, picture=LANDSCAPE, run=0):
    """Where the marker of a run is, on the screen."""
    return page.locator(f"{picture} [data-pg=marker][data-run='{run}']").evaluate("""mark => {
        const { e, f } = mark.getScreenCTM();
        return [e, f];
    }""")


# ---- The start

def test_a_click_in_the_landscape_sets_the_start_there(playground):
    page = playground()
    seen = scale(page)
    at = tuple(map(round, seen.pixels(-4.2, -2.6)))
    page.mouse.click(*at)
    now = held(page)
    assert now.state["start"] == [pytest.approx(w, abs=pixel) for w, pixel in zip(seen.values(*at), seen.pixel)]
    assert [(run["x"][0], run["y"][0]) for run in now.traces] == [tuple(now.state["start"])] * 2
    assert near(middle(page.locator(RING)), at)


def test_the_start_follows_a_mouse_that_stays_pressed(playground):
    page = playground()
    seen = scale(page)
    end = seen.pixels(-2, 4)
    drag(page, seen.pixels(3, -2), end)
    assert near(seen.pixels(*state(page)["start"]), end)
    page.mouse.move(*seen.pixels(5, 5))
    assert near(seen.pixels(*state(page)["start"]), end)


def test_the_ring_is_dragged_by_where_it_is_held(playground):
    page = playground()
    seen, before = scale(page), drawn(page, "done")
    x, y = middle(page.locator(RING))
    drag(page, (x + 6, y - 5), (x + 6 - 130, y - 5 + 70))
    assert near(middle(page.locator(RING)), (x - 130, y + 70))
    assert near(seen.pixels(*state(page)["start"]), (x - 130, y + 70))
    assert drawn(page, "done") != before


def test_the_ring_stays_in_the_picture(playground):
    page = playground()
    x, y = middle(page.locator(RING))
    drag(page, (x, y), (x + 700, y))
    now = state(page)
    assert now["start"] == pytest.approx([now["view"][1], 3], abs=0.05)
    assert near(middle(page.locator(RING)), (scale(page).pixels(now["view"][1], 3)))


def test_a_start_that_is_far_away_waits_at_the_edge(playground):
    page = playground(ALONE.replace("start=6,3", "start=60,3"))
    assert near(middle(page.locator(RING)), scale(page).pixels(11, 3))
    drag(page, middle(page.locator(RING)), scale(page).pixels(5, 3))
    assert -11 <= state(page)["start"][0] <= 11


# ---- The surface

def test_a_slider_changes_path_and_loss_while_it_is_dragged(playground):
    page = playground()
    rate = slider(page, "η learning rate", card(page, 0))
    before = held(page), drawn(page, "done"), losses(page), drawn(page, "done", picture=".pg-loss")
    x, y = thumb(rate)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 12, y, steps=4)
    now = held(page)   # the mouse is still pressed
    assert now.state["runs"][0]["settings"]["lr"] > before[0].state["runs"][0]["settings"]["lr"]
    assert drawn(page, "done") != before[1] and drawn(page, "done", picture=".pg-loss") != before[3]
    assert losses(page)[0] != before[2][0] and losses(page)[1] == before[2][1]
    assert losses(page)[0] == pytest.approx(now.traces[0]["loss"][-1], rel=0.005)
    page.mouse.up()


def test_every_surface_has_its_picture_its_start_and_its_view(playground):
    page = playground()
    pictures = set()
    for name, surface in SURFACES.items():
        page.get_by_role("combobox", name="Surface", exact=True).select_option(label=surface.title)
        now = state(page)
        assert (now["surface"], now["start"], now["view"]) == (name, list(surface.start), list(surface.view))
        assert now["settings"] == {setting: range.initial for setting, range in surface.settings.items()}
        assert near(middle(page.locator(RING)), scale(page).pixels(*surface.start))
        pictures.add(page.locator(LEVELS).inner_html())
    assert len(pictures) == len(SURFACES)


def test_a_turned_valley_takes_the_start_with_it_and_back(playground):
    page = playground()
    before = page.locator(LEVELS).inner_html()
    write(page, "turned by, typed", "90")
    assert state(page)["start"] == [-3, 6] and page.locator(LEVELS).inner_html() != before
    write(page, "turned by, typed", "0")
    assert state(page)["start"] == [6, 3]
    page.wait_for_function("([lines, before]) => document.querySelector(lines).innerHTML === before", arg=[LEVELS, before])


# ---- Optimizers

def test_optimizers_are_added_up_to_four(playground):
    page = playground(ALONE)
    titles = ["Gradient descent", "Momentum", "Adam", "RMSProp"]
    for count in range(1, 5):
        groups = page.get_by_role("group", name="Optimizer")
        assert [group.locator("legend").text_content() for group in groups.all()] == [
            f"Optimizer {i + 1}: {title}" for i, title in enumerate(titles[:count])]
        assert page.locator(f"{LANDSCAPE} [data-pg=done]").count() == len(held(page).traces) == count
        assert button(page, "Add an optimizer").is_enabled() == button(page, "Duplicate").first.is_enabled() == (count < 4)
        if count < 4:
            button(page, "Add an optimizer").click()
            settle(page)
            assert page.get_by_role("combobox", name=f"Rule of optimizer {count + 1}").evaluate("e => e === document.activeElement")


def test_a_duplicate_has_all_of_its_model(playground):
    page = playground(SHARED)
    button(page, "Duplicate").click()
    now = held(page)
    assert now.state["runs"][0] == now.state["runs"][1] and losses(page)[0] == losses(page)[1]
    write(page, "learning rate, typed", "0.05", card(page, 1))
    assert [run["settings"]["lr"] for run in state(page)["runs"]] == [0.2, 0.05]


def test_the_optimizer_that_is_removed_is_gone_and_the_others_stay(playground):
    page = playground(f"{VALLEY}&rule=lion(lr=0.1)")
    before = held(page)
    button(page, "Remove").nth(1).click()
    now = held(page)
    assert now.state["runs"] == before.state["runs"][::2] and now.traces == before.traces[::2]
    assert page.locator(".pg-card legend").all_text_contents() == ["Optimizer 1: Momentum", "Optimizer 2: Lion"]
    assert page.locator(f"{LANDSCAPE} [data-pg=done]").count() == 2
    assert page.get_by_role("combobox", name="Rule of optimizer 2").evaluate("select => select === document.activeElement")


def test_the_last_optimizer_cannot_be_removed(playground):
    page = playground()
    button(page, "Remove").first.click()
    assert len(state(page)["runs"]) == 1 and button(page, "Remove").is_disabled()


def test_another_rule_keeps_what_both_have_but_not_the_rate(playground):
    page = playground(SHARED)
    page.get_by_role("combobox", name="Rule of optimizer 1").select_option(label="AdamW")
    [run] = state(page)["runs"]
    assert (run["settings"]["beta1"], run["settings"]["lr"], run["schedule"]["name"]) == (0.8, 0.1, "cosine_decay")
    assert card(page, 0).get_by_role("slider", name="λ weight decay").is_visible()


def test_a_schedule_in_the_fold_changes_the_chart_of_rates(playground):
    page = playground()
    one, flat = card(page, 0), drawn(page, "done", picture=".pg-rate")
    before = held(page).traces
    schedule = one.get_by_role("combobox", name="Schedule of optimizer 1")
    assert not schedule.is_visible()
    one.locator("summary").click()
    schedule.select_option("cosine_decay")
    now = held(page).traces
    assert len(set(before[0]["lr"])) == 1 and sorted(now[0]["lr"], reverse=True) == now[0]["lr"] != before[0]["lr"]
    assert now[1]["lr"] == before[1]["lr"] and drawn(page, "done", picture=".pg-rate") != flat
    assert one.get_by_role("slider", name="over steps").get_attribute("aria-valuetext") == "40"
    write(page, "warm-up steps, typed", "8", one)
    rates = held(page).traces[0]["lr"][:8]
    assert sorted(rates) == rates and rates[0] < rates[-1]


# ---- Steps

def test_the_number_of_steps_is_how_far_the_runs_go(playground):
    page = playground()
    write(page, "number of steps, typed", "90")
    now = held(page)
    assert [len(run["loss"]) for run in now.traces] == [91, 91] and now.state["step"] == 90
    assert "after 90 steps" in page.locator(".pg-result").first.text_content()
    assert 40 < ticks(page, ".pg-loss", "x")[-1][1] <= 90


def test_the_step_slider_takes_the_markers_and_the_numbers_along(playground):
    page = playground()
    step = slider(page, "step shown")
    x, y = thumb(step)
    drag(page, (x, y), (x - step.bounding_box()["width"] / 2, y))
    now = held(page)
    t = now.state["step"]
    assert 10 < t < 30 and page.locator(".pg-at").text_content() == str(t)
    for i, run in enumerate(now.traces):
        assert near(marker(page, run=i), scale(page).pixels(run["x"][t], run["y"][t]))
        (a, v), *_, (b, w) = ticks(page, ".pg-loss", "x")
        assert marker(page, ".pg-loss", i)[0] == pytest.approx(a + (t - v) * (b - a) / (w - v), abs=1.5)
        loss, rate = re.fullmatch(f"step {t}: loss ([^,]+), .*rate ([^,]+)", card(page, i).locator(".pg-now").text_content()).groups()
        assert (number_of(loss), number_of(rate)) == (pytest.approx(run["loss"][t], rel=0.005), run["lr"][t - 1])
    assert len(drawn(page, "done")) < len(drawn(page, "path"))


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_play_goes_from_the_first_step_to_the_last_and_stops(playground, motion):
    page = playground(ALONE.replace("steps=40", "steps=3"), reduced_motion=motion)
    page.evaluate(WATCH)
    button(page, "Play").click()
    page.wait_for_function("() => seen.at(-1) === 3 && document.querySelector('.pg-play').textContent === 'Play'")
    seen = page.evaluate("seen")
    assert seen[0] == 0 and seen == sorted(seen) and state(page)["step"] == 3


def test_play_never_goes_before_where_it_begins(playground):
    page = playground(ALONE.replace("steps=40", "steps=3"))
    page.evaluate(WATCH)
    # A frame may be of a moment before the click that is answered in it.
    page.evaluate("() => { const now = performance.now.bind(performance); performance.now = () => now() + 50; }")
    button(page, "Play").click()
    page.wait_for_function("() => seen.at(-1) > 0")
    assert page.evaluate("Math.min(...seen)") == 0


@pytest.mark.parametrize("motion, strides", [("no-preference", False), ("reduce", True)])
def test_play_moves_seldom_where_little_movement_is_wanted(playground, motion, strides):
    page = playground(ALONE.replace("steps=40", "steps=400"), reduced_motion=motion)
    page.clock.install(time=0)
    page.clock.pause_at(1000)
    button(page, "Play").evaluate("play => play.click()")
    seen = []
    for _ in range(4):
        page.clock.run_for(250)
        seen.append(page.evaluate("document.querySelector('figure.playground').playground.state.step"))
    assert (seen == [0, 0, 20, 20]) if strides else (seen == sorted(set(seen)) and seen[0] > 0)


def test_play_can_be_halted_and_goes_on_from_there(playground):
    page = playground(f"{ALONE.replace('steps=40', 'steps=400')}&step=100")
    step = "document.querySelector('figure.playground').playground.state.step"
    button(page, "Play").click()
    page.wait_for_function(f"() => {step} > 100")
    button(page, "Pause").click()
    halted = page.evaluate(step)
    assert 100 < halted < 400 and button(page, "Play").is_visible()
    settle(page)
    assert page.evaluate(step) == halted


# ---- The whole

def test_zoom_keeps_the_marker_where_it_is(playground):
    page = playground(f"{VALLEY}&step=4")
    before, at = state(page)["view"], marker(page)
    for name, width in (("Zoom in", 22 / 1.5), ("Zoom in", 22 / 2.25), ("Zoom out", 22 / 1.5)):
        button(page, name).click()
        view = state(page)["view"]
        assert view[1] - view[0] == pytest.approx(width, rel=1e-4) and near(marker(page), at)
        assert view[0] <= ticks(page, LANDSCAPE, "x")[0][1] and ticks(page, LANDSCAPE, "x")[-1][1] <= view[1]
    button(page, "The whole landscape").click()
    assert state(page)["view"] == before


# ---- By finger

class Finger:
    """A finger on the page's screen."""

    def __init__(self, page):
        self.session = page.context.new_cdp_session(page)

    def _touch(self, kind, *points):
        places = [{"x": x, "y": y} for x, y in points]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    def swipe(self, start, end, moves=8):
        self._touch("touchStart", start)
        for i in range(1, moves + 1):
            self._touch("touchMove", [a + (b - a) * i / moves for a, b in zip(start, end)])
        self._touch("touchEnd")


def test_a_tap_sets_the_start(playground):
    page = playground(**PHONE)
    seen = scale(page)
    at = tuple(map(round, seen.pixels(-3, 2)))
    page.touchscreen.tap(*at)
    assert near(seen.pixels(*state(page)["start"]), at)


def test_a_finger_on_the_ring_moves_it_and_not_the_page(playground):
    page = playground(**PHONE)
    seen, scrolled = scale(page), page.evaluate("scrollY")
    x, y = middle(page.locator(RING))
    Finger(page).swipe((x, y), (x - 90, y + 80))
    assert near(seen.pixels(*state(page)["start"]), (x - 90, y + 80), pixels=2.5)
    assert page.evaluate("scrollY") == scrolled


def test_a_finger_across_the_landscape_scrolls_the_page_and_sets_no_start(playground):
    page = playground(**PHONE)
    scrolled = page.evaluate("scrollY")
    x, y = scale(page).pixels(-4, -5)
    Finger(page).swipe((x, y), (x + 5, y - 120))
    page.wait_for_function("scrolled => scrollY > scrolled + 50", arg=scrolled)
    assert state(page)["start"] == [6, 3]


def test_a_finger_moves_a_slider(playground):
    page = playground(**PHONE)
    memory = slider(page, "β momentum", card(page, 0))
    x, y = thumb(memory)
    Finger(page).swipe((x, y), (x + 50, y))
    assert state(page)["runs"][0]["settings"]["beta"] > 0.85
    assert page.get_by_role("textbox", name="momentum, typed").input_value() == str(state(page)["runs"][0]["settings"]["beta"])

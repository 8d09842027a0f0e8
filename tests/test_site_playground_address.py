"""The playground as a whole: its state stands in the address, in a link and in Python; its files are small."""

import gzip
from urllib.parse import quote, unquote, urlsplit

import pytest
from built_site import PAGES, site  # noqa: F401 (a fixture)
from playground_browser import (
    ALONE,
    FIGURE,
    PAGE,
    RING,
    VALLEY,
    button,
    card,
    come_alive,
    drag,
    held,
    losses,
    middle,
    open_folds,
    playground,  # noqa: F401 (a fixture)
    slider,
    state,
    write,
)
from site_browser import address, browser, settle, visit, visitor  # noqa: F401 (fixtures)

from tools.site.playground.catalogue import RULES, SURFACES

SHARED = "surface=himmelblau&start=1,1&steps=30&rule=adam(lr=cosine_decay(lr=0.2,steps=25),beta1=0.8)"
# Every bit of what the figure holds.
BITS = """() => {
    const { state, traces } = document.querySelector("figure.playground").playground;
    const order = (_, value) => (value && value.constructor === Object ? Object.fromEntries(Object.entries(value).sort()) : value);
    return JSON.stringify([state, traces.map(({ x, y, loss, lr, diverged }) =>
        [...[x, y, loss, lr].map((values) => Array.from(values)), diverged])], order);
}"""
# Goes back or forward among what the page has been, and waits until the page has heard of it.
GO = "(by) => new Promise((done) => { addEventListener('popstate', () => setTimeout(done), { once: true }); history.go(by); })"
FORBIDDEN = "() => { navigator.clipboard.writeText = () => Promise.reject(new Error('not allowed')); }"


def after_a_while(page):
    """The page's address, half a second after what has been done: what was to happen before it has happened before."""
    page.evaluate("() => new Promise((done) => setTimeout(done, 500))")
    return page.url


def test_reset_brings_back_how_the_page_began(playground):
    page = playground("")
    before, shown, url = held(page), losses(page), page.url
    page.get_by_role("combobox", name="Surface", exact=True).select_option("beale")
    button(page, "Zoom in").click()
    button(page, "Remove").first.click()
    write(page, "number of steps, typed", "30")
    page.wait_for_function("url => location.href !== url", arg=url)
    button(page, "Reset").click()
    now = held(page)
    assert (now.state, now.traces, losses(page), page.url) == (before.state, before.traces, shown, url)


def test_reset_goes_back_to_what_was_opened_and_then_to_what_the_page_shows(playground):
    page = playground(SHARED, name="book/momentum.html")
    opened = page.evaluate(BITS)
    button(page, "Zoom out").click()
    button(page, "Reset").click()
    settle(page)
    assert page.evaluate(BITS) == opened
    button(page, "Reset").click()
    assert [run["rule"] for run in state(page)["runs"]] == ["momentum", "gradient_descent"]


def test_reset_brings_back_fields_that_hold_something_wrong(playground):
    page = playground("")
    for name in ("start, w₁", "number of steps, typed"):
        write(page, name, "abc")
    button(page, "Reset").click()
    settle(page)
    assert page.locator("[aria-invalid]").count() == page.locator(".pg-wrong:visible").count() == 0
    assert page.get_by_role("textbox", name="start, w₁", exact=True).input_value() == "-1.5"


@pytest.mark.parametrize("query", [
    ALONE, "surface=quadratic(kappa=30,turn=35)&start=3,-2&steps=70&rule=momentum(lr=0.01,nesterov=True)&rule=sign_descent(lr=0.05)",
    f"{SHARED}&rule=lion(lr=warmup(one_cycle(peak=0.1,steps=30),steps=6),weight_decay=0.1)&rule=adadelta(lr=2)",
    "surface=saddle&start=2,1e-5&steps=3&rule=rmsprop(lr=cyclic(high=0.1,low=0.01),centered=True)"])
def test_the_same_in_python_gives_the_losses_shown(playground, query):
    page = playground(query)
    page.locator("summary", has_text="The same in Python").click()
    page.wait_for_function("() => document.querySelector('.pg-python code').textContent")
    printed = []
    exec(page.locator(".pg-python code").text_content(), {"print": lambda *values: printed.append(values)})
    now = held(page)
    assert [values[-1] for values in printed] == pytest.approx([run["loss"][-1] for run in now.traces], rel=1e-9)
    assert [values[-1] for values in printed] == pytest.approx(losses(page), rel=0.005)
    assert [list(values[-2]) for values in printed] == [pytest.approx([run["x"][-1], run["y"][-1]]) for run in now.traces]


def test_the_same_in_python_names_the_step_at_which_a_run_diverges(playground):
    page = playground(f"{ALONE}&rule=momentum(lr=0.5)".replace("steps=40", "steps=1000"))
    page.locator("summary", has_text="The same in Python").click()
    page.wait_for_function("() => document.querySelector('.pg-python code').textContent")
    printed = []
    exec(page.locator(".pg-python code").text_content(), {"print": lambda *values: printed.append(values)})
    now = held(page)
    assert printed[0][-1] == pytest.approx(now.traces[0]["loss"][-1], rel=1e-9)
    assert f"step {now.traces[1]['diverged']}" in str(printed[1][-1])
    assert page.locator(".pg-result").nth(1).text_content() == f"diverges at step {now.traces[1]['diverged']}"


def test_the_code_follows_and_can_be_copied(playground):
    page = playground(ALONE, permissions=["clipboard-read", "clipboard-write"])
    page.locator("summary", has_text="The same in Python").click()
    write(page, "learning rate, typed", "0.0625", card(page, 0))
    button(page, "Copy the code").click()
    button(page, "Copied").wait_for()
    assert "gradient_descent(lr=0.0625)" in page.evaluate("navigator.clipboard.readText()")


# ---- What the chapters ask

@pytest.mark.parametrize("chapter, name, text, shown", [
    ("gradient_descent", "learning rate, typed", "0.105", [453]),
    ("momentum", "momentum, typed", "0.99", [0.11, 0.12]),
    ("adam", "turned by, typed", "45", [0.119, 1.69])])
def test_the_figure_of_a_chapter_does_what_the_text_asks(playground, chapter, name, text, shown):
    page = playground("", name=f"book/{chapter}.html")
    write(page, name, text, card(page, 0) if "turned" not in name else None)
    assert losses(page) == pytest.approx(shown, rel=0.05)


def test_a_question_opens_in_the_figure_and_the_way_back_is_open(playground):
    page = playground("")
    before, question = page.evaluate(BITS), page.get_by_role("link", name="Turn it by 45°: whose path changes?")
    question.click()
    page.get_by_role("link", name="Back to the question").wait_for()
    assert f"{PAGE}?surface=quadratic" in page.url and page.evaluate("document.activeElement.matches('figure.playground')")
    turned = slider(page, "turned by (°)")
    turned.focus()
    for _ in range(45):
        page.keyboard.press("ArrowRight")
    assert state(page)["settings"] == {"kappa": 100, "turn": 45} and losses(page) == pytest.approx([0.119, 1.69], abs=0.006)
    page.get_by_role("link", name="Back to the question").click()
    assert question.evaluate("link => { const { y } = link.getBoundingClientRect(); return y > 0 && y < innerHeight; }")
    page.go_back()
    page.go_back()
    page.wait_for_function("() => document.querySelector('figure.playground').playground.state.surface === 'rosenbrock'")
    settle(page)
    assert page.evaluate(BITS) == before


# ---- The address

def test_the_address_follows_and_is_no_place_to_go_back_to(playground):
    page = playground("")
    before = page.evaluate("history.length")
    page.get_by_role("combobox", name="Surface", exact=True).select_option("saddle")
    assert "?surface=saddle&steps=500&rule=gradient_descent(" in after_a_while(page)
    write(page, "number of steps, typed", "70")
    assert "?surface=saddle&steps=70&rule=gradient_descent(" in after_a_while(page)
    assert page.evaluate("history.length") == before


def test_what_else_stands_in_the_address_is_kept(playground):
    page = playground("from=a&surface=beale&to=b#for-teachers")
    button(page, "Zoom in").click()
    parts = urlsplit(after_a_while(page))
    assert parts.query.startswith("from=a&to=b&surface=beale&view=") and parts.fragment == "for-teachers"
    button(page, "Reset").click()
    button(page, "Reset").click()
    assert urlsplit(after_a_while(page))[3:] == ("from=a&to=b", "for-teachers")


@pytest.mark.parametrize("name", [PAGE, f"{PAGE}?from=a#for-teachers", f"{PAGE}?{VALLEY}", "book/adam.html"])
def test_who_changes_nothing_keeps_the_address(playground, address, name):
    page = playground("", name=name)
    page.locator(RING).hover()
    page.keyboard.press("Tab")
    page.locator(".pg-panel").evaluate("panel => panel.scrollIntoView({block: 'end'})")
    assert unquote(after_a_while(page)) == address + name


def test_an_address_gives_the_same_to_the_last_bit_on_every_surface(playground):
    page = playground("")
    for name in SURFACES:
        page.get_by_role("combobox", name="Surface", exact=True).select_option(name)
        x, y = middle(page.locator(RING))
        drag(page, (x, y), (x - 31, y + 17))
        settle(page)
        before, url = page.evaluate(BITS), after_a_while(page)
        page.reload()
        assert come_alive(page).evaluate(BITS) == before and held(page).problems == [] and f"surface={name}" in url


def test_an_address_gives_the_same_where_everything_is_changed(playground):
    page = playground("")
    page.get_by_role("combobox", name="Surface", exact=True).select_option("quadratic")
    button(page, "Remove").first.click()
    for name, text in (("condition number", "37.25"), ("turned by", "-20.5"), ("number of steps", "77")):
        write(page, f"{name}, typed", text)
    write(page, "start, w₁", "-0.1234567890123456")
    write(page, "start, w₂", "1e-7")
    button(page, "Zoom in").click()
    for i, rule, schedule in ((0, "nadam", "one_cycle"), (1, "momentum", "cyclic")):
        one = card(page, i)
        page.get_by_role("combobox", name=f"Rule of optimizer {i + 1}").select_option(rule)
        open_folds(page)
        page.get_by_role("combobox", name=f"Schedule of optimizer {i + 1}").select_option(schedule)
        for field in one.locator("input.pg-number:visible").all():
            value = float(field.input_value())
            field.fill(str(round(value) + 3 if value >= 10 else value * 0.75 + 0.0625))
        write(page, "warm-up steps, typed", "7", one)
        for box in one.get_by_role("checkbox").all():
            box.click()
    slider(page, "step shown").press("ArrowLeft")
    before, now = page.evaluate(BITS), state(page)
    assert page.locator("[aria-invalid]").count() == 0
    assert now["step"] == 76 and [run["warmup"] == 0 for run in now["runs"]] == [False, False]
    for run in now["runs"]:
        assert [name for name, range in RULES[run["rule"]].settings.items() if run["settings"][name] == range.initial] == []
    after_a_while(page)
    page.reload()
    assert come_alive(page).evaluate(BITS) == before and held(page).problems == []


def test_an_address_works_on_the_page_of_a_chapter(playground):
    page = playground(SHARED, name="book/momentum.html")
    assert held(page).problems == [] and page.locator(".pg-card legend").all_text_contents() == ["Optimizer 1: Adam"]
    button(page, "Reset").click()
    assert after_a_while(page).endswith("book/momentum.html") and len(state(page)["runs"]) == 2


# The first ones are opened, all are gone back to.
HOSTILE = [
    ("surface=__proto__", "surface must be one of quadratic, "), ("rule=constructor(lr=1)", "rule must be one of"),
    ("surface=beale%E0%A4", "surface must be one of"), ("surface=<script>alert(1)</script>", "surface must be one of"),
    ("rule=adam(lr=<img src=x onerror=alert(1)>)", "lr of adam must be between 0 and 1000000, got <img"),
    ("&".join(["rule=lion"] * 4), "there must be at most 4 rules, got 5"), ("rule=adam(lr=0.1", "parentheses and commas of adam(lr=0.1 do not"),
    ("surface=cliff()", "surface must be one of"), ("surface=quadratic(kappa=0.5)", "kappa of quadratic must be between 1 and"),
    ("rule=hasOwnProperty(lr=1)", "rule must be one of"), ("rule=__proto__", "rule must be one of"), ("rule=", "got nothing"),
    ("rule=adam(lr=-1)", "lr of adam must be between 0 and 1000000, got -1"), ("rule=momentum(beta=2)", "beta of momentum must be between 0 and"),
    ("rule=adam(lr=Infinity)", "lr of adam must be"), ("rule=momentum(nesterov=maybe)", "nesterov of momentum must be True or False, got maybe"),
    ("rule=adam(__proto__=1)", "adam has the settings lr, "), ("rule=adam(0.1)", "arguments of adam must be written as name=value"),
    ("rule=adam)(", "parentheses and commas"),
    ("rule=adam(lr=constructor(1))", "schedule must be one of"), ("rule=adam(lr=cosine_decay(steps=0))", "steps of cosine_decay must be"),
    ("rule=adam(lr=warmup(warmup(constant),steps=5))", "schedule of warmup must be one of"),
    ("start=NaN,1", "start must be 2 numbers"), ("start=1e999,1", "start must be 2 numbers"), ("view=1,-1,0,1", "view must be"),
    ("steps=1e9", "steps must be a whole number between 1 and 1000, got 1e9"), ("step=34", "step must be a whole number between 0 and 33"),
    ("steps=33&steps=5", "steps must stand once"),
]


REST = {"surface": "himmelblau", "start": "2,1", "steps": "33", "rule": "lion(lr=0.25)"}


def query_with(hostile):
    """The query of a situation with a wrong part: it, and the names that it holds."""
    names = {part.partition("=")[0] for part in hostile.split("&")} - {"rule"}
    query = "&".join([*(f"{name}={value}" for name, value in REST.items() if name not in names), hostile])
    return quote(query, safe="%&=(),_"), names


def check_the_rest(page, names, words):
    """What is wrong is named in the page, and all that is not wrong is as it was written."""
    now = held(page)
    shown = page.get_by_role("alert").locator("p").all_text_contents()
    assert words in " ".join(shown) and [f"In the address, {problem}." for problem in now.problems] == shown
    assert page.get_by_role("alert").locator("p *").count() == 0
    first = now.state["runs"][0]
    kept = {"surface": now.state["surface"], "start": "{},{}".format(*now.state["start"]), "steps": str(now.state["steps"])}
    assert (first["rule"], first["settings"]["lr"]) == ("lion", 0.25)
    assert {name: kept[name] for name in kept.keys() - names} == {name: REST[name] for name in kept.keys() - names}


@pytest.mark.parametrize("hostile, words", HOSTILE[:7], ids=[hostile for hostile, _ in HOSTILE[:7]])
def test_a_wrong_part_of_an_address_is_named_and_the_rest_counts(playground, hostile, words):
    query, names = query_with(hostile)
    check_the_rest(playground(query), names, words)


def test_every_wrong_part_of_an_address_is_named_where_the_reader_goes_back_to_it(playground):
    page = playground("")
    for hostile, words in HOSTILE:
        query, names = query_with(hostile)
        page.evaluate("query => { history.pushState(null, '', `?${query}`); history.pushState(null, '', '?'); }", query)
        page.evaluate(GO, -1)
        check_the_rest(page, names, words)
        page.evaluate(GO, 1)


def test_an_address_without_end_is_refused(visitor):
    visit = visitor()
    page = visit("book/glossary.html")
    page.add_init_script("history.replaceState(null, '', '?surface=beale&rule=' + 'adam.'.repeat(20000))")
    page = come_alive(visit(PAGE))
    assert held(page).problems == ["the address must be at most 4000 characters long, got 100020"]
    assert state(page)["surface"] == "rosenbrock"


def test_the_message_goes_with_the_first_change(playground):
    page = playground(f"{VALLEY}&step=99")
    assert page.get_by_role("alert").locator("p").is_visible()
    button(page, "Zoom in").click()
    after_a_while(page)
    assert page.get_by_role("alert").locator("p").count() == 0 and held(page).problems == []


def test_the_link_that_is_copied_is_the_address(playground):
    page = playground("from=a", permissions=["clipboard-read", "clipboard-write"])
    write(page, "number of steps, typed", "70")
    button(page, "Copy the link").click()
    button(page, "Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == after_a_while(page) and "?from=a&surface=rosenbrock&" in copied


def test_a_link_that_may_not_be_copied_is_shown_and_selected(playground):
    page = playground()
    page.evaluate(FORBIDDEN)
    write(page, "number of steps, typed", "70")
    page.keyboard.press("Tab")
    settle(page)
    button(page, "Copy the link").click()
    link = page.get_by_role("textbox", name="Link to this state")
    link.wait_for()
    assert link.input_value() == after_a_while(page)
    assert link.evaluate("link => document.activeElement === link && link.selectionEnd - link.selectionStart === link.value.length")


# ---- Files

def test_the_page_lives_as_a_file(browser, site):
    context, wrong = browser.new_context(viewport={"width": 1440, "height": 900}), []
    page = context.new_page()
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(f"{(site / PAGE).as_uri()}?{VALLEY}")
    come_alive(page)
    before = losses(page)
    x, y = middle(page.locator(RING))
    drag(page, (x, y), (x - 100, y + 40))
    assert losses(page) != before and "?surface=quadratic&start=" in after_a_while(page)
    page.evaluate(FORBIDDEN)
    button(page, "Copy the link").click()
    page.get_by_role("textbox", name="Link to this state").wait_for()
    assert page.get_by_role("textbox", name="Link to this state").input_value() == page.url
    context.close()
    assert wrong == []


def test_the_script_is_small(site):
    assert len(gzip.compress((site / "_static" / "playground.js").read_bytes())) <= 150_000


def test_only_pages_with_a_living_figure_load_the_script(site):
    texts = {name: (site / name).read_text(encoding="utf-8") for name in PAGES}
    living = {name for name, text in texts.items() if '<figure class="playground"' in text}
    loading = {name for name, text in texts.items() if "playground.js" in text}
    assert loading == living == {PAGE, "book/gradient_descent.html", "book/momentum.html", "book/adam.html"}


def test_the_still_picture_of_the_front_page_stays_still(visit, address):
    page = visit("book/index.html")
    page.locator(FIGURE).scroll_into_view_if_needed()
    asked = page.evaluate("performance.getEntriesByType('resource').map(({ name }) => name)")
    assert asked and not [url for url in asked if "playground.js" in url]
    assert page.locator(f"{FIGURE} .pg-picture").locator("visible=true").count() == 3
    assert page.locator(f"{FIGURE} :is(button, input, select)").count() == 0

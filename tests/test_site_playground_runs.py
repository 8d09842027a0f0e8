"""The same runs in a browser and in Python: every situation that the book links to, every rule on every surface, every schedule.

Rounding apart they are the same to 1e-9, relative to each number: over the whole run where it is one that the book
links to, or one that comes to rest in the valley, so that errors fade; over fifty steps where they may grow.
"""

import re
from itertools import product
from urllib.parse import parse_qsl

import numpy as np
import pytest
from built_site import ROOT, site  # noqa: F401 (a fixture)
from site_browser import address, browser, visit, visitor  # noqa: F401 (fixtures)

from course_lib import minimize, schedules, update_rules
from course_lib.training.minimization import Divergence
from tools import chapters
from tools.site.playground.catalogue import RULES, SCHEDULES, SURFACES

CLOSE, FIRST = 1e-9, 50
LEAST = 1e-13   # of a parameter: what is closer than that to 0 is rounding
CALL = re.compile(r"\(playground\.md\?(\S+)\)(?=[\s.,)]|$)", re.M)
# An address is a call of the library: these are the names in it.
NAMES = {name: getattr(source, name) for source in (update_rules, schedules) for name in source.__all__}


def fours(items):
    """The items in groups of four: as many as a playground runs at once."""
    items = list(items)
    return [items[i:i + 4] for i in range(0, len(items), 4)]


def surfaces():
    """Functions that make the surfaces of the catalogue from the settings that differ from the initial ones."""
    def made(surface):
        return lambda **changes: surface.make(**{name: range.initial for name, range in surface.settings.items()} | changes)

    return {name: made(surface) for name, surface in SURFACES.items()}


def in_python(query):
    """The traces of a situation's runs, by the library: [(trace, None or the step of divergence)]."""
    parts = parse_qsl(query)
    known = dict(parts)
    f = eval(known["surface"], surfaces())
    start = [float(number) for number in known["start"].split(",")]
    for rule in (value for name, value in parts if name == "rule"):
        try:
            yield minimize(f, eval(rule, dict(NAMES)), start, int(known["steps"])), None
        except Divergence as divergence:
            yield divergence.trace, divergence.step


def in_browser(page):
    """What the figure of the page has run: [(x, y, loss, rate, step of divergence)]."""
    page.locator("figure.playground").first.scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelector('figure.playground[data-ready]')")
    assert page.evaluate("document.querySelector('figure.playground').playground.problems") == []
    return page.evaluate("""() => document.querySelector("figure.playground").playground.traces.map(
        ({ x, y, loss, lr, diverged }) => [...[x, y, loss, lr].map((values) => Array.from(values)), diverged ?? null])""")


def compare(query, page, whole):
    """Every run of the situation is the same in the page as in Python, as far as it must be."""
    runs = in_browser(page)
    expected = list(in_python(query))
    assert len(runs) == len(expected)
    for (x, y, loss, rate, diverged), (trace, step) in zip(runs, expected):
        assert whole or diverged == step or min(diverged or FIRST + 1, step or FIRST + 1) > FIRST, query
        last = len(trace.loss) if whole else min(len(trace.loss), FIRST + 1)
        assert len(x) >= last and (not whole or len(x) == len(y) == len(loss) == last and diverged == step)
        for name, ours, theirs, least in (
                ("w1", x[:last], trace.w[:last, 0], LEAST), ("w2", y[:last], trace.w[:last, 1], LEAST),
                ("loss", loss[:last], trace.loss[:last], LEAST**2), ("rate", rate[:last - 1], trace.lr[:last - 1], 0)):
            np.testing.assert_allclose(ours, theirs, rtol=CLOSE, atol=least, err_msg=f"{name} of {query}")


def linked():
    """Every situation that a page of the book links to: {query: the pages}."""
    texts = {path.stem: "\n".join(cell.source for cell in chapters.read(path).cells) for path in chapters.paths()}
    texts |= {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "book").glob("*.md")}
    found = {}
    for page, text in texts.items():
        for query in CALL.findall(text):
            found.setdefault(query, set()).add(page)
    return found


LINKED = linked()


def test_the_book_links_to_situations():
    assert {"gradient_descent", "momentum", "adam", "playground"} <= set.union(*LINKED.values()) and len(LINKED) >= 8


@pytest.mark.parametrize("query", LINKED)
def test_linked_situation_runs_as_in_python(visit, query):
    compare(query, visit(f"book/playground.html?{query}"), whole=True)


@pytest.mark.parametrize("chapter", ["gradient_descent", "momentum", "adam"])
def test_chapter_opens_on_its_situation(visit, chapter):
    [query] = [query for query, pages in LINKED.items() if chapter in pages]
    compare(query, visit(f"book/{chapter}.html"), whole=True)


@pytest.mark.parametrize("surface", SURFACES)
def test_every_rule_on_every_surface(visit, surface):
    x, y = SURFACES[surface].start
    for some in fours(RULES):
        calls = [f"rule={name}(lr={RULES[name].settings['lr'].initial!r})" for name in some]
        query = "&".join([f"surface={surface}()&start={x},{y}&steps={FIRST}", *calls])
        compare(query, visit(f"book/playground.html?{query}"), whole=False)


VARIANTS = [
    "momentum(lr=0.02,beta=0.9,nesterov=True)", "momentum(lr=0.1,beta=0.95,dampening=0.95)",
    "rmsprop(lr=0.02,momentum=0.5,centered=True)", "adam(lr=0.1,amsgrad=True)", "adamw(lr=0.1,weight_decay=0.3,amsgrad=True)",
    "nadam(lr=0.1,momentum_decay=0.1)", "lion(lr=0.03,weight_decay=0.2)", "adadelta(lr=3,rho=0.8,eps=0.001)",
]


@pytest.mark.parametrize("surface", ["quadratic(kappa=7,turn=30)", "beale()"])
def test_every_switch_and_setting(visit, surface):
    for some in fours(VARIANTS):
        query = "&".join([f"surface={surface}&start=1.5,1&steps={FIRST}", *(f"rule={call}" for call in some)])
        compare(query, visit(f"book/playground.html?{query}"), whole=False)


SCHEDULED = {
    "constant": "", "step_decay": "factor=0.7,every=40", "exponential_decay": "factor=0.99", "inverse_time_decay": "rate=0.05",
    "polynomial_decay": "steps=250,power=2,end=0.001", "cosine_decay": "steps=200,end=0.001", "cosine_restarts": "steps=60,end=0.001",
    "cyclic": "low=0.01,half_period=25", "one_cycle": "steps=250,pct_start=0.4",
}


def test_every_schedule_and_a_warmup_over_a_whole_run(visit):
    assert SCHEDULED.keys() == SCHEDULES.keys()
    calls = [f"{name}({','.join([f'{SCHEDULES[name].rate}=0.08', *filter(None, [settings])])})" for name, settings in SCHEDULED.items()]
    calls += [f"warmup({calls[5]},steps=30)"]
    rules = [f"rule={rule}(lr={call})" for rule, call in product(("gradient_descent", "momentum"), calls)]
    for some in fours(rules):
        query = "&".join(["surface=quadratic(kappa=20,turn=-20)&start=8,3&steps=300", *some])
        compare(query, visit(f"book/playground.html?{query}"), whole=True)


def test_a_run_that_leaves_ends_at_the_same_step(visit):
    query = "surface=beale()&start=1,1.5&steps=300&rule=momentum(lr=0.01,beta=0.9)&rule=gradient_descent(lr=1)"
    page = visit(f"book/playground.html?{query}")
    runs, expected = in_browser(page), list(in_python(query))
    assert [run[-1] for run in runs] == [step for _, step in expected] and all(step for _, step in expected)
    assert [len(run[0]) for run in runs] == [len(trace.loss) for trace, _ in expected]

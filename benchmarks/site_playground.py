"""The playground under the hand: how long its script works in a frame while something is dragged.

Four optimizers, 500 steps, in headless Chromium at 1440 pixels. The mouse goes to 200 places while it holds the start,
or a slider, three times; the browser's own trace says, for each frame, how long scripts ran, the handling of events and
the browser's work that a script waited for included. κ draws the level lines anew in every frame. "Load" are the bytes
of the script as it travels (gzip), and how long it works, and at most at a stretch, until the playground answers.

Times are in milliseconds. A frame has 16.7; the playground is to leave half of it to the browser.
"""

import gzip

import numpy as np

from benchmarks.run import ROOT, fingerprint
from benchmarks.site_pages import SITE, served

VERSIONS = ("playwright",)
PLACES, DRAGS = 200, 3
FRAME = 16_667   # microseconds
SCRIPT = {"FunctionCall", "EvaluateScript", "FireAnimationFrame", "EventDispatch", "TimerFire", "FireIdleCallback", "RunMicrotasks"}
FOUR = "&steps=500&rule=momentum(lr=0.001,beta=0.9)&rule=adam(lr=cosine_decay(lr=0.1,steps=500))" \
       "&rule=nadam(lr=0.05)&rule=rmsprop(lr=warmup(one_cycle(peak=0.05,steps=450),steps=50))"
# What is dragged: on which surface, and the label of the slider, None for the start.
DRAGGED = {
    "start, Rosenbrock": ("rosenbrock()&start=-1.5,2", None),
    "start, Beale": ("beale()&start=-1,1.5", None),
    "start, Rastrigin": ("rastrigin()&start=3.2,2.4", None),
    "start, turned valley": ("quadratic(kappa=100,turn=30)&start=8,3", None),
    "slider, rate of a rule": ("himmelblau()&start=-0.5,-1", "η learning rate"),
    "slider, κ of a turned valley": ("quadratic(kappa=100,turn=30)&start=8,3", "κ condition number"),
}


def subjects():
    """What can be dragged, and loading; each with a hash of all that the playground is made of."""
    folders = "tools/site/playground", "course_lib/objectives", "course_lib/schedules", "course_lib/update_rules"
    parts = [path for folder in folders for path in (ROOT / folder).glob("*.*")]
    files = ["package-lock.json", "book/_static/playground.css", *(path.relative_to(ROOT).as_posix() for path in parts)]
    return {name: fingerprint(__file__, files) for name in (*DRAGGED, "load")}


def available():
    """Say whether a browser and the site are here."""
    from tools.browser import browser_path

    return browser_path() is not None and (SITE / "book/playground.html").exists()


def spans(events):
    """When scripts ran on the page's main thread, [(begin, end)] in microseconds, what lies within another left out."""
    main = next(e["tid"] for e in events if e["name"] == "thread_name" and e["args"].get("name") == "CrRendererMain"
                and any(other["pid"] == e["pid"] and other["name"] == "FireAnimationFrame" for other in events))
    own = sorted((e["ts"], e["ts"] + e.get("dur", 0)) for e in events if e["tid"] == main and e["name"] in SCRIPT)
    outer = []
    for begin, end in own:
        if not outer or begin >= outer[-1][1]:
            outer.append((begin, end))
    return main, outer


def frames(events):
    """Milliseconds of script in each frame: what came behind the last drawing, up to the end of its own.

    What runs while nothing is drawn, such as the address that follows when the hand rests, is a frame of its own; one
    without drawing and of less than a millisecond does not count.
    """
    main, outer = spans(events)
    ends = {e["ts"] + e.get("dur", 0) for e in events if e["tid"] == main and e["name"] == "FireAnimationFrame"}
    works, work, last = [], 0, outer[0][0]
    for begin, end in outer:
        if begin - last > FRAME / 2:
            works += [work] if work > 1 else []
            work = 0
        work, last = work + (end - begin) / 1000, end
        if end in ends:
            works.append(work)
            work = 0
    return np.array(works)


def traced(browser, page, action):
    """The browser's trace of what `action()` does."""
    session = page.context.new_cdp_session(page)
    events = []
    session.on("Tracing.dataCollected", lambda part: events.extend(part["value"]))
    done = []
    session.on("Tracing.tracingComplete", lambda _: done.append(True))
    session.send("Tracing.start", {"traceConfig": {"includedCategories": ["devtools.timeline", "__metadata"]}})
    action()
    session.send("Tracing.end")
    while not done:
        page.wait_for_timeout(50)
    session.detach()
    return events


def drag(page, label):
    """Hold the start, or the slider with this label, and move to the places."""
    figure = page.locator("figure.playground").first
    target = figure.get_by_label(label, exact=True).first if label else figure.locator(".pg-handle")
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for i in range(PLACES):
        turn = 2 * np.pi * i / 100
        page.mouse.move(x + 60 * np.sin(turn), y + (0 if label else 40 * np.sin(2 * turn)))
        page.wait_for_timeout(12)
    page.mouse.up()


def measure(subject):
    """One drag, or one load."""
    from playwright.sync_api import sync_playwright

    from tools.browser import browser_path

    with served(SITE) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox", "--disable-gpu", "--disable-quic"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        row = load(browser, page, address) if subject == "load" else dragged(browser, page, address, *DRAGGED[subject])
        row["browser"] = browser.version
        browser.close()
    return row


def opened(page, address, query):
    """Go to a situation, and wait until it lives."""
    page.goto(f"{address}book/playground.html?{query}")
    page.wait_for_function("() => document.querySelector('figure.playground[data-ready]')")
    page.wait_for_timeout(1500)


def dragged(browser, page, address, surface, label):
    """Milliseconds a frame."""
    opened(page, address, f"surface={surface}{FOUR}")
    drag(page, label)   # once to warm up: a reader's second drag is like the hundredth
    page.wait_for_timeout(500)
    works = np.concatenate([frames(traced(browser, page, lambda: drag(page, label))) for _ in range(DRAGS)])
    assert len(works) >= DRAGS * PLACES / 2, "the browser dropped frames, or nothing moved"
    return {"frames": len(works), "median_ms": round(float(np.median(works)), 2),
            "p95_ms": round(float(np.quantile(works, 0.95)), 2), "longest_ms": round(float(works.max()), 2)}


def load(browser, page, address):
    """Bytes of the script, and the milliseconds that scripts work until the playground answers."""
    script = (SITE / "_static/playground.js").read_bytes()
    events = traced(browser, page, lambda: opened(page, address, f"surface=rosenbrock(){FOUR}"))
    _, outer = spans(events)
    lengths = [(end - begin) / 1000 for begin, end in outer]
    return {"script_kb": round(len(gzip.compress(script)) / 1000, 1), "work_ms": round(sum(lengths)), "longest_ms": round(max(lengths), 1)}

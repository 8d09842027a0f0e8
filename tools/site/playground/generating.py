"""The playground's rules, schedules and surfaces as a JavaScript module, traced from `course_lib`."""

import inspect
import json
from dataclasses import asdict
from textwrap import indent

import numpy as np

from tools.site.playground.catalogue import RULES, SCHEDULES, SURFACES, WARMUP
from tools.site.playground.tracing import call, symbol, trace
from tools.site.playground.writing import function_text

HEAD = "// Generated from course_lib by tools/site/playground: the formulas are the library's own, traced.\n"


def module():
    """The text of the module."""
    tables = {
        "surfaces": {name: surface_of(surface) for name, surface in SURFACES.items()},
        "rules": {name: rule_of(part) for name, part in RULES.items()},
        "schedules": {name: schedule_of(name, part) for name, part in SCHEDULES.items()},
    }
    parts = [f"export const {name} = {{\n{indented(table)}\n}};\n" for name, table in tables.items()]
    return HEAD + "\n".join([*parts, f"export const warmup = {warmup_of()};\n"])


def indented(table):
    return indent("\n".join(f"{name}: {entry}," for name, entry in table.items()), "  ")


def entry(facts, methods):
    """An object with facts, as JSON, and methods."""
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}," for name, value in facts.items()]
    lines += [f"{name}{text}," for name, text in methods.items()]
    return "{\n" + indent("\n".join(lines), "  ") + "\n}"


def settings_of(settings, defaults):
    """The settings with their ranges, as a list for JSON, what says nothing left out."""
    facts = []
    for name, range in settings.items():
        known = {key: value for key, value in asdict(range).items() if value not in ("", None, False) or key == "least"}
        initial = range.initial if range.initial is not None else defaults.get(name)
        facts.append({"name": name, **known, "initial": initial})
    return facts


def title_of(make):
    """What a rule is called: 'Adam', where its docstring begins with 'Adam: …'."""
    return inspect.getdoc(make).partition(":")[0]


def surface_of(surface):
    """A surface: facts, value and gradient at (x, y)."""
    settings = {name: symbol(name) for name in surface.settings}
    w = np.array([symbol("x"), symbol("y")], dtype=object)
    known = surface.make(**{name: range.initial for name, range in surface.settings.items()})
    facts = {
        "title": surface.title,
        "about": surface.about,
        "settings": settings_of(surface.settings, {}),
        "view": surface.view,
        "start": surface.start,
        "minimum": known.minimum,
        "minimizers": [] if known.minimizers is None else known.minimizers.tolist(),
    }

    def gradient():
        return {f"out[{i}]": g for i, g in enumerate(surface.make(**settings).gradient(w))}

    value = trace(lambda: {"result": surface.make(**settings).value(w)})
    return entry(facts, {
        "value": function_text("x, y, p", value, names=settings),
        "gradient": function_text("x, y, p, out", trace(gradient), names=settings),
        "python": "(p) {\n  return " + python_of(surface) + ";\n}",
    })


def python_of(surface):
    """JavaScript for the Python that makes the surface: a template, with the settings in their places."""
    plain, turned = ("`" + code.replace("{", "${p.").replace("\n", "\\n") + "`" for code in (surface.python, surface.python_turned))
    return f"p.turn ? {turned} : {plain}" if surface.python_turned else plain


def rule_of(part):
    """A rule: facts, its state at first, and its step for one coordinate, since every rule here treats each alone."""
    start, _ = traced(part)
    zeros = ", ".join(f"{key}: {value!r}" for key, value in start.items())
    facts = {"title": title_of(part.make), "about": part.about, "settings": settings_of(part.settings, part.defaults())}
    return entry(facts, {
        "init": f"() {{\n  return {{ {zeros} }};\n}}" if zeros else "() {\n  return {};\n}",
        "update": update_of(part),
    })


def traced(part):
    """A rule's state before the first step, numbers by name; and its step with what changes in the state, expressions."""
    settings = {setting: symbol(setting) for setting in part.settings}
    g, w = symbol("g"), symbol("w")
    start = trace(lambda: part.make(**settings)._init(w))
    state = {key: symbol(f"state.{key}") for key in start}

    def update():
        delta, new = part.make(**settings)._formula(g, state, w, settings["lr"])
        return {**new, "result": delta}

    return start, {key: value for key, value in trace(update).items() if value is not state.get(key)}


def update_of(part):
    """A rule's step as a method without its name."""
    names = [setting for setting in part.settings if setting != "lr"]
    return function_text("g, w, lr, p, state", traced(part)[1], store="state.{0} = {1};", names=names)


def step_of(part):
    """A rule's step as a function."""
    return f"function update{update_of(part)}"


def schedule_of(name, part):
    """A schedule: facts, and the rate after `step` steps."""
    settings = {setting: symbol(setting) for setting in part.settings}
    rate = trace(lambda: {"result": part.make(**{part.rate: symbol("lr")}, **settings)._function(symbol("step"))})
    facts = {
        "title": name.replace("_", " "),
        "about": part.about,
        "rateName": part.rate,
        "settings": settings_of(part.settings, part.defaults()),
    }
    return entry(facts, {"rate": function_text("step, lr, p", rate, names=settings)})


def warmup_of():
    """The way up in front of any schedule, which is a function of the step."""
    rate = trace(lambda: {"result": WARMUP.make(call("schedule"), symbol("steps"))._function(symbol("step"))})
    facts = {"title": "warm-up", "about": WARMUP.about, "settings": settings_of(WARMUP.settings, WARMUP.defaults())}
    return entry(facts, {"rate": function_text("step, steps, schedule", rate)})


if __name__ == "__main__":
    print(module())

"""JavaScript traced from the library: the text, and its numbers beside Python's."""

import inspect
import json
import subprocess

import numpy as np
import pytest

from course_lib import objectives, schedules, update_rules
from course_lib.update_rules import arrays, chain, clip_by_global_norm, gradient_descent
from tools.site.mathematics import NODE
from tools.site.playground import generating
from tools.site.playground.catalogue import RULES, SCHEDULES, SURFACES, valley
from tools.site.playground.tracing import Expression, call, symbol, symbols_allowed, trace
from tools.site.playground.writing import function_text

# Reads [[table, name, method, arguments], …], where "state" stands for the last state that was made; writes for each call
# what it returned and what became of its last argument.
EVALUATE = """
import { readFileSync } from "node:fs";
const made = await import(process.argv[1]);
let state;
const answers = JSON.parse(readFileSync(0, "utf8")).map(([table, name, method, args]) => {
  args = args.map((arg) => arg === "state" ? state : arg?.schedule ? (step) => made.schedules[arg.schedule].rate(step, arg.lr, arg.p) : arg);
  const result = (name ? made[table][name] : made[table])[method](...args);
  if (method === "init") state = result;
  return structuredClone([result ?? null, method === "rate" ? null : args.at(-1) ?? null]);
});
console.log(JSON.stringify(answers));
"""


@pytest.fixture(scope="module")
def evaluate(tmp_path_factory):
    """evaluate(calls) runs calls of the generated module's methods in Node.js."""
    module = tmp_path_factory.mktemp("playground") / "generated.mjs"
    module.write_text(generating.module(), encoding="utf-8")

    def evaluate(calls):
        done = subprocess.run(
            [NODE, "--input-type=module", "--eval", EVALUATE, "--", str(module)],
            input=json.dumps(calls), capture_output=True, encoding="utf-8")
        assert not done.returncode, done.stderr
        return json.loads(done.stdout)

    return evaluate


def settings_near(part, rng):
    """Settings of a rule, drawn within their sliders, now and then at an end; switches either way."""
    drawn = {}
    for name, range in part.settings.items():
        if range.kind != "switch" and rng.random() < 0.2:
            drawn[name] = [range.least, range.most][rng.integers(2)]
        elif range.kind == "switch":
            drawn[name] = bool(rng.random() < 0.5)
        elif range.scale == "log":
            drawn[name] = float(np.exp(rng.uniform(np.log(range.least), np.log(range.most))))
        elif range.kind == "count":
            drawn[name] = int(rng.integers(range.least, min(range.most, 60) + 1))
        else:
            drawn[name] = float(rng.uniform(range.least, range.most))
    return drawn


@pytest.mark.parametrize("name", RULES)
def test_steps_of_a_rule_are_pythons(evaluate, name):
    part, rng = RULES[name], np.random.default_rng(0)
    calls, expected = [], []
    for _ in range(24):
        settings = settings_near(part, rng)
        p = {key: value for key, value in settings.items() if key != "lr"}
        rule, w = part.make(**settings), np.array(rng.normal())
        own = rule.init(w)
        calls.append(["rules", name, "init", []])
        expected.append(None)
        for _ in range(6):
            g = np.array(rng.choice([0.0, -0.0, 1.0]) if rng.random() < 0.3 else rng.normal(scale=10.0 ** rng.integers(-3, 3)))
            delta, own = rule.update(g, own, w)
            calls.append(["rules", name, "update", [float(g), float(w), settings["lr"], p, "state"]])
            expected.append((float(delta), {key: float(value) for key, value in own.items()}))
            w = w + delta
    for call, answer, python in zip(calls, evaluate(calls), expected):
        if python:
            assert answer[0] == pytest.approx(python[0], rel=1e-12, abs=1e-300), call
            for key in answer[1].keys() & python[1].keys():   # Python keeps what its variant needs
                assert answer[1][key] == pytest.approx(python[1][key], rel=1e-12, abs=1e-300), (key, call)


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_of_a_schedule_are_pythons(evaluate, name):
    part, rng = SCHEDULES[name], np.random.default_rng(0)
    for trial in range(8):
        settings = settings_near(part, rng)
        if trial == 0:   # the shortest there is
            settings |= {key: 1 for key, range in part.settings.items() if range.kind == "count"}
        lr = float(rng.uniform(1, 2))   # not below the end or the lowest
        rate, steps = part.make(**{part.rate: lr}, **settings), [*range(0, 70), 999]
        answers = evaluate([["schedules", name, "rate", [step, lr, settings]] for step in steps])
        assert [answer for answer, _ in answers] == pytest.approx([rate(step) for step in steps], rel=1e-12, abs=1e-15), settings


@pytest.mark.parametrize("warm", [1, 7])
def test_warmup_is_pythons(evaluate, warm):
    rate = schedules.warmup(schedules.cosine_decay(0.4, steps=20), warm)
    inner = {"schedule": "cosine_decay", "lr": 0.4, "p": {"steps": 20, "end": 0}}
    answers = evaluate([["warmup", None, "rate", [step, warm, inner]] for step in range(40)])
    assert [answer for answer, _ in answers] == pytest.approx([rate(step) for step in range(40)], rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", SURFACES)
def test_heights_and_slopes_of_a_surface_are_pythons(evaluate, name):
    surface, rng = SURFACES[name], np.random.default_rng(0)
    calls, heights, slopes = [], [], []
    for _ in range(40):
        settings = settings_near(surface, rng)
        x0, x1, y0, y1 = surface.view
        w = rng.uniform([x0, y0], [x1, y1])
        f = surface.make(**settings)
        heights.append(f(w))
        slopes.append(f.grad(w))
        calls += [["surfaces", name, method, [*w, settings, [0, 0]]] for method in ("value", "gradient")]
    answers = evaluate(calls)
    assert [value for value, _ in answers[::2]] == pytest.approx(heights, rel=1e-13, abs=1e-13)
    assert np.allclose([out for _, out in answers[1::2]], slopes, rtol=1e-13, atol=1e-12)


def test_turned_valley_is_the_bowl_seen_from_elsewhere():
    turned, bowl = valley(30.0, 90.0), objectives.quadratic([30.0, 1.0])
    w = np.array([0.3, -0.7])
    assert turned(w) == pytest.approx(bowl(w), rel=1e-12)
    assert turned.grad(w) == pytest.approx(bowl.grad(w), rel=1e-12)


def test_equal_expressions_are_the_same_and_empty_operations_vanish():
    x = symbol("x")
    assert x + 1 is x + 1 and x + 1 is not x + 2
    assert x + 0 is x and 0 + x is x and x * 1 is x and 1.0 * x is x and x / 1 is x and x - 0 is x
    assert 0 * x == 0 and not isinstance(0 * x, Expression)
    assert x**2 is x * x and x**1 is x and x**0 == 1


def test_order_of_operations_is_kept():
    a, b, c = map(symbol, "abc")
    for expression, js in [
        (a - (b - c), "a - (b - c)"), (a - b - c, "a - b - c"), (a / (b * c), "a / (b * c)"), (-(a + b) * c, "-(a + b) * c"),
        (a * -b, "a * -b"), (-(-a), "-(-a)"), (2**a, "Math.pow(2, a)"), (a // b, "Math.floor(a / b)"),
    ]:
        assert function_text("a, b, c", {"result": expression}) == f"(a, b, c) {{\n  return {js};\n}}"


def test_what_is_used_twice_gets_a_name_that_is_free():
    x = symbol("x")
    text = function_text("c1, x", {"result": (x + 2) * (x + 2)})
    assert text == "(c1, x) {\n  const c2 = x + 2;\n  return c2 * c2;\n}"


def test_a_state_is_written_when_all_that_reads_it_is_computed():
    """Lion's step reads the average that it then replaces."""
    body = generating.step_of(RULES["lion"]).splitlines()
    last_read = max(i for i, line in enumerate(body) if "state.m" in line and not line.strip().startswith("state.m ="))
    assert body.index("  state.m = m;") > last_read


def test_a_part_of_the_state_may_move_and_be_returned(evaluate):
    """Each is read before any is written."""
    a, b = symbol("state.a"), symbol("state.b")
    body = function_text("state", {"a": b, "b": a, "result": a}, store="state.{0} = {1};")
    script = f"const f = function {body}; const state = {{ a: 1, b: 2 }}; console.log(f(state), state.a, state.b)"
    done = subprocess.run([NODE, "--eval", script], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.split() == ["1", "2", "1"]


@pytest.mark.parametrize("name", ["w", "p", "state", "delta", "new", "c1"])
def test_any_name_of_a_state_will_do(name):
    v, g = symbol(f"state.{name}"), symbol("g")
    body = function_text("g, w, lr, p, state", {name: v * 2 + g, "result": v + (v * 2 + g)}, store="state.{0} = {1};")
    script = f"const f = function {body}; const state = {{ {name}: 3 }}; console.log(f(1, 0, 0, {{}}, state), state.{name})"
    done = subprocess.run([NODE, "--eval", script], capture_output=True, encoding="utf-8")
    assert done.stdout.split() == ["10", "7"], body


def test_what_cannot_be_traced_is_an_error():
    x = symbol("x")
    with pytest.raises(TypeError, match="== on a symbol"):
        trace(lambda: {"result": 1 if x == 0 else 2})
    with pytest.raises(ValueError, match="inf"):
        function_text("x", {"result": x + float("inf")})


def test_no_handler_hides_a_branch():
    def careful():
        try:
            return {"result": 1 if symbol("x") > 0 else 2}
        except Exception:
            return {"result": 3}

    assert "3" not in function_text("x", trace(careful))


def test_remainders_are_pythons():
    script = f"const f = function {function_text('x', {'result': symbol('x') % 3})}; console.log([-7, -3, 0, 5].map(f).join())"
    assert subprocess.run([NODE, "--eval", script], capture_output=True, encoding="utf-8").stdout.strip() == "2,0,0,2"


def test_branches_become_choices():
    x = symbol("x")

    def steps():
        return {"result": 1 if x > 0 else 2, "kept": 3} if x < 5 else {"result": 4}

    text = function_text("x, out", trace(steps), store="out.{0} = {1};")
    assert "const kept = c1 ? 3 : 0;" in text and "const delta = c1 ? (x > 0 ? 1 : 2) : 4;" in text


def test_a_branch_whose_sides_agree_leaves_no_trace():
    x = symbol("x")
    assert trace(lambda: {"result": x if x > 0 else x})["result"] is x


def test_a_call_stays_a_call():
    assert function_text("f, x", {"result": 2 * call("f")(symbol("x"))}).endswith("return 2 * f(x);\n}")


def test_outside_of_tracing_the_library_refuses_symbols():
    with symbols_allowed():
        gradient_descent(symbol("lr"))
    with pytest.raises(TypeError, match="lr must be a number"):
        gradient_descent(symbol("lr"))
    assert arrays.framework(1.0) is np


def test_checks_of_numbers_hold_while_tracing():
    with symbols_allowed(), pytest.raises(ValueError, match="lr must be"):
        gradient_descent(-1.0)


def test_what_is_about_all_weights_is_not_traced_one_by_one():
    """Rules here see one coordinate; a norm of all would be wrong, and is an error."""
    rule = chain(clip_by_global_norm(1.0), gradient_descent(0.1))
    assert rule._formula is None, "a chain has no formula of one coordinate"
    with pytest.raises(AttributeError):
        trace(lambda: {"result": clip_by_global_norm(1.0)._formula(symbol("g"), {}, symbol("w"))[0]})


def test_every_rule_and_schedule_of_the_library_is_there():
    """What is left out has no rate, is made of parts, or has a memory of losses."""
    apart = {"Rule", "Transform", "chain", "clip_by_global_norm", "add_decayed_weights", "matrices_only", "accumulate_gradients",
             "weight_ema", "register", "rebuild", "describe"}
    assert set(update_rules.__all__) - apart == set(RULES)
    assert set(schedules.__all__) - {"Schedule", "warmup", "join", "Plateau"} == set(SCHEDULES)


@pytest.mark.parametrize("name", RULES)
def test_every_setting_of_a_rule_can_be_turned(name):
    signature = inspect.signature(RULES[name].make).parameters
    assert set(RULES[name].settings) == set(signature) - {"mask"}


@pytest.mark.parametrize("part", [*RULES.values(), *SCHEDULES.values(), *SURFACES.values()], ids=[*RULES, *SCHEDULES, *SURFACES])
def test_ends_of_sliders_are_allowed(part):
    """The library takes what a slider, a field or the initial value can give."""
    rate = {part.rate: 0.1} if hasattr(part, "rate") and "lr" not in part.settings else {}
    defaults = part.defaults() if hasattr(part, "defaults") else {}
    usual = {key: range.initial if range.initial is not None else defaults.get(key, 10) for key, range in part.settings.items()}
    part.make(**usual, **rate)
    for key, range in part.settings.items():
        ends = [False, True] if range.kind == "switch" else [range.least, range.most, *(range.limits or ())]
        for end in ends:
            part.make(**(usual | {key: int(end) if range.kind == "count" else end}), **(rate | ({"high": 1e6} if "high" in rate else {})))
        assert range.kind == "switch" or ends[0] <= usual[key] <= ends[1]

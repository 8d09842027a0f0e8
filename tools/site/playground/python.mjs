// The runs of a state as a program for course_lib. No DOM.
import { rules, schedules, surfaces } from "playground:generated";
import { filled } from "./state.mjs";

const literal = (value) => (value === true ? "True" : value === false ? "False" : String(value).replace("e+", "e"));
const call = (name, values) => `${name}(${Object.entries(values).map(([key, value]) => `${key}=${value}`).join(", ")})`;

/* The settings as Python writes them. */
function written(values, definitions) {
  return Object.fromEntries(definitions.map(({ name }) => [name, literal(values[name])]));
}

function rateCode({ settings, schedule, warmup }, steps) {
  const { rateName = "lr", settings: definitions } = schedules[schedule.name];
  const rate = literal(settings.lr);
  if (schedule.name === "constant" && !warmup) return rate;
  const timed = call(schedule.name, { [rateName]: rate, ...written(filled(schedule.settings, steps), definitions) });
  return warmup ? `warmup(${timed}, steps=${warmup})` : timed;
}

/* The program for a state; one with a run that diverges says so, and goes on. */
export function program(state, traces) {
  const { surface, settings, start, steps, runs } = state;
  const used = new Set();
  for (const { schedule, warmup } of runs) {
    if (schedule.name !== "constant" || warmup) used.add(schedule.name);
    if (warmup) used.add("warmup");
  }
  const calls = runs.map((run) => call(run.rule, {
    ...written(run.settings, rules[run.rule].settings), lr: rateCode(run, steps),
  }));
  const objective = surfaces[surface].python(settings);
  return [
    ...(objective.includes("np.") ? ["import numpy as np"] : []),
    `from course_lib import ${[...new Set(["minimize", "objectives", ...runs.map(({ rule }) => rule)])].sort().join(", ")}`,
    ...(used.size ? [`from course_lib.schedules import ${[...used].sort().join(", ")}`] : []),
    "",
    objective,
    `start = [${start.map(literal).join(", ")}]`,
    "for rule in [", ...calls.map((code) => `    ${code},`), "]:",
    ...(traces.some(({ diverged }) => diverged !== null) ? [
      "    try:", `        trace = minimize(f, rule, start, steps=${steps})`, "        print(rule.name, trace.w[-1], trace.loss[-1])",
      "    except FloatingPointError as error:", "        print(rule.name, error)",
    ] : [`    trace = minimize(f, rule, start, steps=${steps})`, "    print(rule.name, trace.w[-1], trace.loss[-1])"]),
    "",
  ].join("\n");
}

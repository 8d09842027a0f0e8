// One optimizer of the playground: its rule, its settings, what came of it.
import { rules, schedules, surfaces, warmup as warmingUp } from "playground:generated";
import { readValue } from "./address.mjs";
import { checkbox, choice, element, iconButton, plain, put, slider } from "./controls.mjs";
import { swatch } from "./markup.mjs";
import { COLOURS } from "./pictures.mjs";
import { rounded } from "./scales.mjs";
import { initialRun, initialSchedule } from "./state.mjs";
import { ending, number } from "./words.mjs";

const [WARMUP] = warmingUp.settings;

/* The value that a text means for the setting; an Error says what is wrong. */
export function checked(setting) {
  const named = { ...setting, name: [setting.symbol, setting.label].filter(Boolean).join(", ") };
  return (text) => {
    const problems = [];
    const value = readValue(named, "", { name: plain(text), parts: null }, problems);
    if (problems.length) throw new Error(`${problems[0]}.`);
    return value;
  };
}

/* Another rule, with what the reader has set of the settings that both have; its learning rate is its own. */
function withRule(run, rule) {
  const made = initialRun(rule);
  for (const { name, initial } of rules[run.rule].settings) {
    const setting = rules[rule].settings.find((other) => other.name === name), value = run.settings[name];
    if (name === "lr" || value === initial || !setting) continue;
    const [from, to] = setting.limits ?? [setting.least, setting.most];
    if (value >= from && value <= to) made.settings[name] = value;
  }
  return { ...made, schedule: run.schedule, warmup: run.warmup };
}

/* Whether anything that is folded away at first differs from what it is at first. */
function hasMore({ rule, settings, schedule, warmup }) {
  return schedule.name !== "constant" || warmup !== WARMUP.initial
    || rules[rule].settings.some(({ name, advanced, initial }) => advanced && settings[name] !== initial);
}

/* The card of run `index`. `edit(change)` applies a change to the run; {node, select, update(state, trace)}. */
export function makeCard(index, { edit, duplicate, remove }) {
  const legend = element("legend", { className: "pg-hidden" });
  const rule = choice(rules, {
    label: `Rule of optimizer ${index + 1}`,
    onValue: (name) => edit((run) => withRule(run, name)),
  });
  const copy = iconButton("copy", "Duplicate", duplicate);
  const drop = iconButton("remove", "Remove", remove);
  const about = element("p", { className: "pg-about" });
  const shown = element("div", { className: "pg-settings" });
  const folded = element("div", { className: "pg-settings" });
  const more = element("details", {}, element("summary", { textContent: "Schedule and more" }), folded);
  const result = element("strong");
  const after = element("span");
  const now = element("p", { className: "pg-now" });
  const node = element("fieldset", { className: `pg-card ${COLOURS[index]}` }, legend,
    element("div", { className: "pg-head" }, element("span", { className: "pg-mark", innerHTML: swatch(index) }), rule.select, copy, drop),
    element("p", { className: "pg-result" }, result, " ", after), now, about, shown, more);

  let controls = [];
  let kind;
  const scheduled = choice(schedules, {
    label: `Schedule of optimizer ${index + 1}`,
    onValue: (name) => edit((run) => ({ ...run, schedule: initialSchedule(name) })),
  });

  /* The control of a setting, which `read`s its value from a run and `write`s it. */
  function control(setting, parent, read, write) {
    const onValue = (value) => edit((run) => write(run, value));
    const made = setting.kind === "switch" ? checkbox(setting, { onValue })
      : slider(setting, { check: checked(setting), onValue, label: setting.label });
    parent.append(...made.nodes);
    controls.push({ read, set: made.set });
  }

  /* The controls for a rule and a schedule. */
  function build(run) {
    controls = [];
    shown.replaceChildren();
    folded.replaceChildren();
    for (const setting of rules[run.rule].settings) {
      control(setting, setting.advanced ? folded : shown, ({ settings }) => settings[setting.name],
        (old, value) => ({ ...old, settings: { ...old.settings, [setting.name]: value } }));
    }
    folded.append(element("span", { className: "pg-label", textContent: "schedule" }), scheduled.select,
      element("p", { className: "pg-about", textContent: schedules[run.schedule.name].about }));
    for (const setting of schedules[run.schedule.name].settings) {
      control(setting, folded, ({ schedule }, steps) => schedule.settings[setting.name] ?? steps,
        (old, value) => ({ ...old, schedule: { ...old.schedule, settings: { ...old.schedule.settings, [setting.name]: value } } }));
    }
    control(WARMUP, folded, ({ warmup }) => warmup, (old, warmup) => ({ ...old, warmup }));
    legend.textContent = `Optimizer ${index + 1}: ${rules[run.rule].title}`;
    about.textContent = rules[run.rule].about;
    if (kind === undefined && hasMore(run)) more.open = true;
  }

  return {
    node,
    select: rule.select,
    update(state, trace) {
      const run = state.runs[index];
      const wanted = `${run.rule} ${run.schedule.name}`;
      const focused = document.activeElement;
      if (wanted !== kind) {
        build(run);
        kind = wanted;
        if (focused === scheduled.select) focused.focus({ preventScroll: true });
      }
      rule.set(run.rule);
      scheduled.set(run.schedule.name);
      for (const { read, set } of controls) set(read(run, state.steps));
      copy.disabled = state.runs.length > 3;
      drop.disabled = state.runs.length < 2;
      const [first, second] = outcome(trace, surfaces[state.surface].minimum, state.view);
      put(result, "textContent", first);
      put(after, "textContent", second);
      put(now, "textContent", standing(state, trace));
    },
  };
}

/* What came of a run, in two parts: "loss 3.1e−4", "after 200 steps". */
export function outcome({ x, y, loss, diverged }, minimum, view) {
  if (diverged !== null) return [`diverges`, `at step ${diverged}`];
  const steps = loss.length - 1;
  return [`loss ${number(loss[steps])}`, `after ${steps} ${steps === 1 ? "step" : "steps"}, at ${place(x[steps], y[steps], view)}${ending(loss, steps, minimum)}`];
}

/* A point, as exactly as the view shows it. */
function place(x, y, [x0, x1, y0, y1]) {
  return `(${number(rounded(x, x1 - x0), 6)}, ${number(rounded(y, y1 - y0), 6)})`;
}

/* Where a run is at the step shown; at its end the loss stands above already. */
function standing({ step, view }, { x, y, loss, lr }) {
  const last = loss.length - 1;
  const at = Math.min(step, last);
  const rate = at ? `rate ${number(lr[at - 1])}` : "no step made";
  return at < last ? `step ${at}: loss ${number(loss[at])}, at ${place(x[at], y[at], view)}, ${rate}` : rate;
}

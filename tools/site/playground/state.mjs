/* What a playground shows, as one plain object (its shape: see `initialState`), and its values at first. */

import { rules, schedules, surfaces } from "playground:generated";

export const MOST_RUNS = 4;
export const STEPS = { name: "steps", label: "steps in all", kind: "count", initial: 60, least: 1, most: 1000, scale: "linear" };

/* {name: initial} of a list of settings. */
export function initialSettings(settings) {
  return Object.fromEntries(settings.map(({ name, initial }) => [name, initial]));
}

/* The part of a state that belongs to its surface: {surface, settings, view, start}. */
export function initialSurface(surface) {
  const { settings, view, start } = surfaces[surface];
  return { surface, settings: initialSettings(settings), view: [...view], start: [...start] };
}

export function initialSchedule(name) {
  return { name, settings: initialSettings(schedules[name].settings) };
}

export function initialRun(rule) {
  return { rule, settings: initialSettings(rules[rule].settings), schedule: initialSchedule("constant"), warmup: 0 };
}

export function initialState() {
  const [surface] = Object.keys(surfaces), [rule] = Object.keys(rules);
  return { ...initialSurface(surface), steps: STEPS.initial, runs: [initialRun(rule)], step: STEPS.initial };
}

/* The settings with a number for each: one that is null is the number of steps of the run. */
export function filled(settings, steps) {
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, value ?? steps]));
}

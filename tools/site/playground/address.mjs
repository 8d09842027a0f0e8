/* A state as the query of an address, which people read and write by hand: the calls of the library.

   ?surface=quadratic(kappa=100)&start=10,0.3&steps=60&rule=adam(lr=warmup(cosine_decay(lr=0.1,steps=60),steps=5)) */

import { rules, schedules, surfaces, warmup as warmingUp } from "playground:generated";
import { MOST_RUNS, STEPS, initialRun, initialSchedule, initialSurface } from "./state.mjs";

const NAMES = ["surface", "start", "view", "steps", "step", "rule"];
const LONGEST = 4000;   // characters of a query
const DEEPEST = 5;      // calls within calls
const NARROWEST = 1e-100;   // view
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const [WARMUP] = warmingUp.settings;

/* ---- Writing */

/* The query of a state without "?", "" if the state equals `initial`; else it says all that is not at the value that the
   surface, rule or schedule has at first, so that it means the same on every page. Settings that are null (= as many as
   the run has steps) are left out. */
export function format(state, initial = null) {
  const query = written(state);
  return initial && query === written(initial) ? "" : query;
}

function written({ surface, settings, start, view, steps, step, runs }) {
  const first = initialSurface(surface);
  const parts = [`surface=${call(surface, changed(settings, surfaces[surface].settings))}`];
  if (!same(start, first.start)) parts.push(`start=${start.map(digits)}`);
  if (!same(view, first.view)) parts.push(`view=${view.map(digits)}`);
  parts.push(`steps=${steps}`);
  if (step !== steps) parts.push(`step=${step}`);
  return [...parts, ...runs.map((run) => `rule=${ruleCall(run)}`)].join("&");
}

function ruleCall({ rule, settings, schedule, warmup }) {
  const others = rules[rule].settings.filter(({ name }) => name !== "lr");
  const plain = schedule.name === "constant" && !warmup;
  const { rateName, settings: definitions } = schedules[schedule.name];
  const timed = call(schedule.name, [`${rateName}=${digits(settings.lr)}`, ...changed(schedule.settings, definitions)]);
  const lr = plain ? digits(settings.lr) : warmup ? call("warmup", [timed, `steps=${warmup}`]) : timed;
  return call(rule, [`lr=${lr}`, ...changed(settings, others)]);
}

const call = (name, parts) => (parts.length ? `${name}(${parts})` : name);
const same = (a, b) => a.every((value, i) => Object.is(value, b[i]));

/* As short as the number allows; a plus sign would mean a space. */
function digits(value) {
  if (typeof value !== "number") return value === true ? "True" : value === false ? "False" : String(value);
  return Object.is(value, -0) ? "-0" : String(value).replace("e+", "e");
}

function changed(values, definitions) {
  return definitions.filter(({ name, initial }) => !Object.is(values[name], initial) && values[name] !== null)
    .map(({ name }) => `${name}=${digits(values[name])}`);
}

/* ---- Reading */

/* {state, problems}: the state that a query (with or without "?") means, and sentences about what it gets wrong. What it
   does not name is as in the fallback; parameters of other names are left alone. Never throws. */
export function parse(query, fallback) {
  const state = structuredClone(fallback), problems = [];
  if (query.length > LONGEST) {
    return { state, problems: [`the address must be at most ${LONGEST} characters long, got ${query.length}`] };
  }
  const given = parameters(query, problems);
  if (!given.size) return { state, problems };
  if (given.has("surface")) readSurface(state, given.get("surface")[0], problems);
  const start = given.has("start") && readNumbers("start", given.get("start")[0], 2, problems);
  if (start) state.start = start;
  const view = given.has("view") && readView(given.get("view")[0], problems);
  if (view) state.view = view;
  if (given.has("steps")) state.steps = readValue(STEPS, "", tree(given.get("steps")[0], problems), problems) ?? state.steps;
  const step = { name: "step", kind: "count", least: 0, most: state.steps };
  state.step = (given.has("step") ? readValue(step, "", tree(given.get("step")[0], problems), problems) : null) ?? state.steps;
  const calls = given.get("rule") ?? [];
  if (calls.length > MOST_RUNS) {
    problems.push(`there must be at most ${MOST_RUNS} rules, got ${calls.length}: the first ${MOST_RUNS} count`);
  }
  const runs = calls.slice(0, MOST_RUNS).map((text) => readRun(text, problems)).filter(Boolean);
  if (runs.length) state.runs = runs;
  return { state, problems };
}

/* Name -> its texts, of our parameters. */
function parameters(query, problems) {
  const given = new Map();
  for (const part of query.replace(/^\?/, "").split("&")) {
    const [name, text] = split(part);
    if (!NAMES.includes(name)) continue;
    if (name !== "rule" && given.has(name)) problems.push(`${name} must stand once, got it again: the first counts`);
    else given.set(name, [...(given.get(name) ?? []), text]);
  }
  return given;
}

function split(part) {
  const [name, ...rest] = part.split("=");
  return [decoded(name).trim(), decoded(rest.join("=")).trim()];
}

/* A plus sign is a space, but not in 1e+5. */
function decoded(text) {
  const spaced = text.replace(/(?<![\d.]e)\+/gi, " ");
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
}

/* A text as {name, parts: [{key, node}, …] or null if it is no call}; forgives white space and missing parentheses. */
function tree(text, problems) {
  const tokens = text.match(/[(),=]|[^(),=]+/g)?.map((token) => token.trim()).filter(Boolean) ?? [];
  let at = 0;
  const word = () => (at < tokens.length && !"(),=".includes(tokens[at]) ? tokens[at++] : "");
  function node(name, depth) {
    if (tokens[at] !== "(" || depth > DEEPEST) return { name, parts: null };
    const parts = [];
    at++;
    while (at < tokens.length && tokens[at] !== ")") {
      const first = word(), named = tokens[at] === "=";
      if (named) at++;
      const part = { key: named ? first : null, node: node(named ? word() : first, depth + 1) };
      if (part.key !== null || part.node.name || part.node.parts) parts.push(part);
      if (tokens[at] === ",") at++;
      else if (at < tokens.length && tokens[at] !== ")") break;
    }
    if (tokens[at] === ")") at++;
    else at = Infinity;
    return { name, parts };
  }
  const made = node(word(), 0);
  if (at !== tokens.length) problems.push(`parentheses and commas of ${shown(text)} do not match`);
  return made;
}

const shown = (text) => (text === "" ? "nothing" : text.length > 40 ? `${text.slice(0, 40)}…` : text);
const oneOf = (kind, all, name) => `${kind} must be one of ${Object.keys(all).join(", ")}, got ${shown(name)}`;

/* What a text means for a setting; null if it is no value of it. */
function meaning({ kind, least, most, limits }, text) {
  if (kind === "switch") return { true: true, false: false, __proto__: null }[text.toLowerCase()] ?? null;
  const value = NUMBER.test(text) ? Number(text) : NaN, [from, to] = limits ?? [least, most];
  return value >= from && value <= to && (kind !== "count" || Number.isInteger(value)) ? value : null;
}

/* The value of a node for a setting, or null and a problem. `of` names what the setting belongs to. */
export function readValue(setting, of, { name: text, parts }, problems) {
  const value = parts ? null : meaning(setting, text);
  if (value !== null) return value;
  const { name, kind, least, most, limits } = setting, [from, to] = limits ?? [least, most];
  const range = `${kind === "count" ? "a whole number " : ""}between ${from} and ${to}`;
  const got = shown(text) + (parts ? "(…)" : "");
  problems.push(`${name}${of && ` of ${of}`} must be ${kind === "switch" ? "True or False" : range}, got ${got}`);
  return null;
}

/* Puts the arguments of a call into `values`. */
function readSettings(values, definitions, of, parts, problems) {
  const seen = new Set();
  for (const { key, node } of parts ?? []) {
    const setting = definitions.find(({ name }) => name === key);
    if (key === null) problems.push(`arguments of ${of} must be written as name=value, got ${shown(node.name)}`);
    else if (!setting) problems.push(`${of} has ${listed(definitions)}, got ${shown(key)}`);
    else if (seen.has(key)) problems.push(`${key} of ${of} must stand once, got it again: the first counts`);
    else values[key] = readValue(setting, of, node, problems) ?? values[key];
    seen.add(key);
  }
}

function listed(definitions) {
  return definitions.length ? `the settings ${definitions.map(({ name }) => name).join(", ")}` : "no settings";
}

function readSurface(state, text, problems) {
  const { name, parts } = tree(text, problems);
  if (!Object.hasOwn(surfaces, name)) return problems.push(oneOf("surface", surfaces, name));
  Object.assign(state, initialSurface(name));
  readSettings(state.settings, surfaces[name].settings, name, parts, problems);
}

function readRun(text, problems) {
  const { name, parts } = tree(text, problems);
  if (!Object.hasOwn(rules, name)) return void problems.push(oneOf("rule", rules, name));
  const made = initialRun(name), definitions = rules[name].settings;
  const timed = parts?.find(({ key, node }) => key === "lr" && isSchedule(node));
  readSettings(made.settings, definitions, name, parts?.filter((part) => part !== timed), problems);
  if (timed) readSchedule(made, definitions[0], timed.node, problems);
  return made;
}

const isSchedule = ({ name, parts }) => parts || name === "warmup" || Object.hasOwn(schedules, name);

/* Puts the schedule that stands for lr into a run; `lr` is the setting of the rate. */
function readSchedule(made, lr, { name, parts }, problems, warm = false) {
  parts ??= [];
  if (name === "warmup" && !warm) {
    const inner = parts.find(({ key }) => key === null || key === "schedule");
    const values = { [WARMUP.name]: made.warmup };
    readSettings(values, warmingUp.settings, name, parts.filter((part) => part !== inner), problems);
    made.warmup = values[WARMUP.name];
    if (!inner) problems.push("warmup must have a schedule as its first argument, got none");
    else if (isSchedule(inner.node)) readSchedule(made, lr, inner.node, problems, true);
    else made.settings.lr = readValue(lr, name, inner.node, problems) ?? made.settings.lr;
  } else if (!Object.hasOwn(schedules, name)) {
    problems.push(oneOf(warm ? "schedule of warmup" : "schedule", warm ? schedules : { ...schedules, warmup: null }, name));
  } else {
    made.schedule = initialSchedule(name);
    const { rateName, settings } = schedules[name];
    const values = { ...made.schedule.settings, [rateName]: made.settings.lr };
    const named = parts.map((part) => (part.key === "lr" ? { ...part, key: rateName } : part));
    readSettings(values, [{ ...lr, name: rateName }, ...settings], name, named, problems);
    ({ [rateName]: made.settings.lr, ...made.schedule.settings } = values);
  }
}

/* `count` finite numbers, or null and a problem. */
function readNumbers(name, text, count, problems) {
  const texts = text.split(",").map((number) => number.trim()), numbers = texts.map(Number);
  if (texts.length === count && texts.every((number, i) => NUMBER.test(number) && Number.isFinite(numbers[i]))) return numbers;
  problems.push(`${name} must be ${count} numbers with commas between them, got ${shown(text)}`);
  return null;
}

function readView(text, problems) {
  const view = readNumbers("view", text, 4, problems);
  if (!view) return null;
  const [x0, x1, y0, y1] = view;
  const least = (a, b) => Math.max(NARROWEST, 1e-9 * Math.max(Math.abs(a), Math.abs(b)));   // or no pixel differs from the next
  const wide = (a, b) => b - a > least(a, b) && b - a < Infinity;
  if (wide(x0, x1) && wide(y0, y1)) return view;
  problems.push(`view must be left, right, bottom, top with left below right and bottom below top, got ${shown(text)}`);
  return null;
}

/* The search part of an address ("" or "?…") with our parameters replaced by those of `query`, and all others kept. */
export function merged(search, query) {
  const others = search.replace(/^\?/, "").split("&").filter((part) => part && !NAMES.includes(split(part)[0]));
  const parts = [...others, query].filter(Boolean);
  return parts.length ? `?${parts.join("&")}` : "";
}

/* What the pictures show, in words. */

import { rules, surfaces } from "playground:generated";

const RAISED = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
const ARRIVED = 1e-9;   // of the loss at the start: what is left, at most, when a run has arrived
const FALLING = 0.01;   // of the loss a tenth of the run before: what a run that still falls has lost since

/* 10 to the power of a whole number. */
export const power = (exponent) => `10${[...String(exponent)].map((letter) => RAISED[letter]).join("")}`;

/* A number for readers: few digits, real minus, 2.1×10⁻⁹. */
export function number(value, digits = 3) {
  if (!Number.isFinite(value)) return String(value).replace("-", "−").replace("Infinity", "∞");
  const rounded = Number(value.toPrecision(digits)), size = Math.abs(rounded);
  if (size === 0 || (size >= 1e-3 && size < 1e5)) return String(rounded === 0 ? 0 : rounded).replace("-", "−");
  const [mantissa, exponent] = rounded.toExponential().split("e");
  return `${mantissa.replace("-", "−")}×${power(Number(exponent))}`;
}

const point = (x, y) => `(${number(x)}, ${number(y)})`;
const count = (n, thing) => `${n} ${thing}${n === 1 ? "" : "s"}`;

/* {landscape, loss, rate: a sentence or two for each picture; runs: a sentence for each run} at the step shown. */
export function describe(state, traces) {
  const { title, minimizers, minimum } = surfaces[state.surface];
  const titles = state.runs.map(({ rule }) => rules[rule].title);
  const names = titles.map((name, i) => (titles.indexOf(name) === titles.lastIndexOf(name) ? name : `${name} ${i + 1}`));
  const [x0, x1, y0, y1] = state.view.map((value) => number(value));
  const least = minimizers.length ? ` It is least at ${minimizers.map(([x, y]) => point(x, y)).join(", ")}.` : "";
  const runs = traces.map((trace, i) => `${names[i]} ${sentence(trace, state.step, minimum)}`);
  const between = ({ loss }) => `from ${number(loss[0])} to ${number(loss.at(-1))}`;
  const rates = ({ lr }) => (lr.length ? `from ${number(lr[0])} to ${number(lr.at(-1))}` : "has none");
  const listed = (each) => traces.map((trace, i) => `${names[i]} ${each(trace)}`).join(", ");
  return {
    landscape: `Level lines of ${title} for w₁ from ${x0} to ${x1} and w₂ from ${y0} to ${y1}.${least} ${runs.join(" ")}`,
    loss: `Loss against step, over ${count(state.steps, "step")}: ${listed(between)}.`,
    rate: `Learning rate against step, over ${count(state.steps, "step")}: ${listed(rates)}.`,
    runs,
  };
}

/* What a run has done up to a step. */
function sentence({ x, y, loss, diverged }, step, minimum) {
  const last = loss.length - 1, t = Math.min(step, last), from = point(x[0], y[0]);
  if (diverged !== null && step >= diverged) return `starts at ${from} and diverges at step ${diverged}.`;
  if (t === 0) return `starts at ${from}: loss ${number(loss[0])}.`;
  return `goes from ${from} to ${point(x[t], y[t])} in ${count(t, "step")}: loss ${number(loss[t])}${ending(loss, t, minimum)}.`;
}

/* How a run stands at step t. */
export function ending(loss, t, minimum) {
  const before = loss[t - Math.max(1, Math.round(t / 10))];
  if (minimum !== null && loss[t] - minimum <= ARRIVED * (loss[0] - minimum)) return ", practically at the minimum";
  if (loss[t] > Math.max(loss[0], before)) return ", above the start and rising";
  return loss[t] < before - FALLING * Math.abs(before) ? ", still falling" : "";
}

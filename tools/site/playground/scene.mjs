/* The geometry of the three pictures: pixels and path strings.

   All sizes are {width, height} in CSS pixels; all positions are pixels of the picture.
   An axis:   {ticks: [{at, text}], title}        at: pixels along the axis
   A plot:    {left, top, right, bottom}          the rectangle between the axes
   A line:    {d, ends, first}                    ends[t]: length of the part of d up to step first + t (see `upTo`) */

import { surfaces } from "playground:generated";
import { scaleLinear } from "d3-scale";
import { lossScale, rateScale } from "./axes.mjs";
import { levelPaths } from "./levels.mjs";
import { filled } from "./state.mjs";
import { number } from "./words.mjs";

export const AWAY = [-99, -99];   // out of every picture
const FAR = 5000;           // pixels: what lies further out is drawn there
const FEW_STEPS = 60;       // so many steps have a mark each
const UNEQUAL = 1.2;        // times: scales that differ more are named
const MARK = 2.6;           // its radius
const MARGINS = { left: 54, top: 10, right: 12, bottom: 30 };
const CHART_MARGINS = { left: 58, top: 28, right: 14, bottom: 28 };

/* The path of the mark of a run, around the current point, about as wide as a circle of radius r. */
export function mark(run, r) {
  const [a, b] = [tenth(0.9 * r), tenth(1.3 * r)], [c, d] = [tenth(1.2 * r), tenth(2.1 * r)];
  return [
    `m${-r},0a${r},${r} 0 1 0 ${2 * r},0a${r},${r} 0 1 0 ${-2 * r},0z`,
    `m${-a},${-a}h${2 * a}v${2 * a}h${-2 * a}z`,
    `m0,${-b}l${c},${d}h${-2 * c}z`,
    `m0,${-b}l${b},${b}l${-b},${b}l${-b},${-b}z`,
  ][run];
}

/* ---- The landscape */

let kept = { key: null };   // the last landscape

/* What stands still in the picture of the landscape; the same object as before unless the surface, its settings, the view
   or the size have changed, or it was drawn in a hurry (`quick`) and need not be now.
   -> {size, plot, note, x: axis, y: axis, levels: [d, …] (as many as ever, widest first, "" if unused), minimizers: [[x, y], …],
       toPixels(w1, w2) -> [x, y], toParameters(x, y) -> [w1, w2]} */
export function landscape({ surface, settings, view, steps }, size, quick = false) {
  const values = filled(settings, steps);
  const key = JSON.stringify([surface, values, view, size]);
  if (kept.key === key && (quick || !kept.quick)) return kept;
  const [x0, x1, y0, y1] = view, plot = inside(size, MARGINS), { left, top, right, bottom } = plot;
  const perX = (right - left) / (x1 - x0), perY = (bottom - top) / (y1 - y0);
  const toPixels = (w1, w2) => [tenth(safe(left + (w1 - x0) * perX)), tenth(safe(bottom - (w2 - y0) * perY))];
  kept = {
    key, quick, size, plot, note: stretched(perX, perY),
    x: axis(x0, x1, (w) => left + (w - x0) * perX, "w₁", (right - left) / 90, (at) => at < right - 30),
    y: axis(y0, y1, (w) => bottom - (w - y0) * perY, "w₂", (bottom - top) / 60, (at) => at > top + 26 && at < bottom - 6),
    levels: levelPaths(surfaces[surface], values, view, plot, quick),
    minimizers: surfaces[surface].minimizers.map(([w1, w2]) => toPixels(w1, w2)),
    toPixels,
    toParameters: (x, y) => [x0 + (x - left) / perX, y0 + (bottom - y) / perY],
  };
  return kept;
}

/* What is to be said of scales that differ. */
function stretched(perX, perY) {
  const times = Math.max(perX / perY, perY / perX);
  return times < UNEQUAL ? "" : `${perX > perY ? "w₁" : "w₂"} is drawn ${number(times, 2)} times as large`;
}

function inside({ width, height }, { left, top, right, bottom }) {
  return { left, top, right: Math.max(width - right, left + 1), bottom: Math.max(height - bottom, top + 1) };
}

/* `free(at, value)`: whether a tick may stand there. */
function axis(low, high, place, title, count, free) {
  const values = scaleLinear([low, high], [0, 1]).ticks(Math.max(2, Math.round(count))).filter((value) => free(place(value), value));
  return { title, ticks: values.map((value) => ({ at: tenth(place(value)), text: number(value, 6) })) };
}

/* ---- Paths and charts */

const safe = (pixels) => (pixels > -FAR ? Math.min(pixels, FAR) : -FAR);   // also of what is not a number
const tenth = (pixels) => Math.round(pixels * 10) / 10;

/* A line through `count` points, where those that round to the one before are left out; or a mark at each. */
function line(count, toX, toY, mark = "") {
  const ends = new Uint32Array(count);
  let d = "", letter = "l", lastX = 0, lastY = 0;   // in tenths of pixels
  for (let t = 0; t < count; t++) {
    const x = Math.round(10 * safe(toX(t))), y = Math.round(10 * safe(toY(t)));
    if (t === 0 || mark) d += `M${x / 10},${y / 10}${mark}`;
    else if (x !== lastX || y !== lastY) {
      d += `${letter}${(x - lastX) / 10},${(y - lastY) / 10}`;
      letter = " ";
    }
    ends[t] = d.length;
    [lastX, lastY] = [x, y];
  }
  return { d, ends };
}

/* The part of a line up to a step. */
export function upTo({ d, ends, first = 0 }, step) {
  const t = step - first;
  return t < 0 ? "" : t + 1 < ends.length ? d.slice(0, ends[t]) : d;
}

/* The paths of the runs in that picture -> [{line, marks}, …]; marks is a line of one mark a step, empty if there are
   many steps. */
export function paths(state, traces, { plot: { left, bottom, right, top } }) {
  const [x0, x1, y0, y1] = state.view, perX = (right - left) / (x1 - x0), perY = (bottom - top) / (y1 - y0);
  return traces.map(({ x, y }, run) => {
    const toX = (t) => left + (x[t] - x0) * perX, toY = (t) => bottom - (y[t] - y0) * perY;
    const few = state.steps <= FEW_STEPS;
    return { line: line(x.length, toX, toY), marks: line(few ? x.length : 0, toX, toY, mark(run, MARK)) };
  });
}

/* Loss against step, and learning rate against step
   -> {size, plot, x: axis, y: axis, lines: [line, …], toX(step) -> pixels, toStep(pixels) -> step, toY(value) -> pixels} */
export function lossChart(state, traces, size) {
  return chart(state, traces.map(({ loss }) => loss), size, "loss", lossScale(state, traces), 0);
}

export function rateChart(state, traces, size) {
  return chart(state, traces.map(({ lr }) => lr), size, "learning rate", rateScale(traces), 1);
}

/* `scale`: {place: value -> share of the height, ticks: [{value, text}]}; `first`: the step of a row's first value. */
function chart({ steps }, rows, size, title, { place, ticks }, first) {
  const plot = inside(size, CHART_MARGINS), { left, top, right, bottom } = plot;
  const perStep = (right - left) / steps, toX = (step) => left + step * perStep;
  const toY = (value) => bottom - place(value) * (bottom - top);
  const free = (at, value) => at < right - 46 && Number.isInteger(value);
  const x = axis(0, steps, toX, "step", (right - left) / 70, free);
  const y = { title, ticks: ticks.map(({ value, text }) => ({ at: tenth(toY(value)), text })) };
  return {
    size, plot, x, y, toX, toY,
    toStep: (pixels) => Math.min(Math.max(Math.round((pixels - left) / perStep), 0), steps),
    lines: rows.map((row) => ({ ...line(row.length, (t) => toX(t + first), (t) => toY(row[t])), first })),
  };
}

/* Where the markers of the step shown stand: all that a change of `state.step` alone needs.
   A run that has diverged before that step has its markers at its last step, one that leaves the picture at its edge.
   -> {runs: [{land: [x, y], loss: [x, y], rate: [x, y], beyond: {land: is it outside, …}}, …], x: {loss: pixels, rate: pixels} (of the vertical lines)} */
export function markers(state, traces, land, loss, rate) {
  const within = ({ left, top, right, bottom }, [x, y]) =>
    [tenth(Math.min(Math.max(safe(x), left), right)), tenth(Math.min(Math.max(safe(y), top), bottom))];
  const beyond = ({ left, top, right, bottom }, [x, y]) => !(x >= left - 1 && x <= right + 1 && y >= top - 1 && y <= bottom + 1);
  const runs = traces.map((trace) => {
    const t = Math.min(state.step, trace.loss.length - 1);
    const at = land.toPixels(trace.x[t], trace.y[t]), height = [loss.toX(t), loss.toY(trace.loss[t])];
    return {
      land: within(land.plot, at),
      loss: within(loss.plot, height),
      beyond: { land: beyond(land.plot, at), loss: beyond(loss.plot, height), rate: false },
      rate: t === 0 ? AWAY : within(rate.plot, [rate.toX(t), rate.toY(trace.lr[t - 1])]),   // of the step that led there
    };
  });
  return { runs, x: { loss: tenth(loss.toX(state.step)), rate: tenth(rate.toX(state.step)) } };
}

/* The SVG markup of the three pictures.

   What changes has the attribute data-pg, and data-run="0" … "3" where each run has its own:
     everywhere: title; x, y (the axes); marker (of the step shown, moved by transform)
     landscape:  levels (a path each), minimizers, start, path (all of it, pale), done (up to the step shown), marks
     charts:     line (all of it, pale), done, now (the upright line at the step shown, moved by transform) */

import { rules } from "playground:generated";
import { run } from "./run.mjs";
import { AWAY, landscape, lossChart, mark, markers, paths, rateChart, upTo } from "./scene.mjs";
import { describe } from "./words.mjs";

const STILL = { width: 520, height: 340 }, STILL_CHART = { width: 300, height: 168 };   // as wide as on a wide page
const MARKER = 5;   // radius of the marker of the step shown

const escaped = (text) => text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
const moved = ([x, y]) => `transform="translate(${x} ${y})"`;

/* The inside of the axes' groups: of <g data-pg="x"> and of <g data-pg="y">. */
export function xAxis({ plot: { left, top, right, bottom }, x: { ticks, title } }) {
  const marks = ticks.map(({ at, text }) =>
    `<path class="pg-grid" d="M${at},${top}V${bottom}"/>`
    + `<text x="${at}" y="${bottom + 18}" text-anchor="middle">${escaped(text)}</text>`);
  return `${marks.join("")}<path class="pg-axis" d="M${left},${bottom}H${right}"/>`
    + `<text class="pg-axis-title" x="${right}" y="${bottom + 18}" text-anchor="end">${escaped(title)}</text>`;
}

export function yAxis({ plot: { left, top, right }, y: { ticks, title } }) {
  const marks = ticks.map(({ at, text }) =>
    `<path class="pg-grid" d="M${left},${at}H${right}"/>`
    + `<text x="${left - 7}" y="${at}" dy=".35em" text-anchor="end">${escaped(text)}</text>`);
  const place = top > 20 ? `x="8" y="${top - 13}"` : `x="${left - 7}" y="${top}" dy=".8em" text-anchor="end"`;
  return `${marks.join("")}<text class="pg-axis-title" ${place}>${escaped(title)}</text>`;
}

/* The words stand in a <desc>: the browser would show a <title> to the pointer. */
function picture(id, kind, scene, words, inside) {
  const { size: { width, height }, plot: { left, top, right, bottom } } = scene;
  const room = kind === "landscape" ? 0 : 2;   // for half a line along the edge
  const name = `${id}-${kind}`, kept = `width="${right - left}" height="${bottom - top + 2 * room}"`;
  return `<svg class="pg-picture pg-picture-${kind}" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="${name}-title">`
    + `<desc id="${name}-title" data-pg="title">${escaped(words)}</desc>`
    + `<clipPath id="${name}-clip"><rect x="${left}" y="${top - room}" ${kept}/></clipPath>`
    + `${inside(`clip-path="url(#${name}-clip)"`)}</svg>`;
}

const axes = (scene) => `<g class="pg-x" data-pg="x">${xAxis(scene)}</g><g class="pg-y" data-pg="y">${yAxis(scene)}</g>`;

/* One <path> a run, in its colours: data-pg is `name`, d what `path` makes of the run. */
function each(runs, name, path, attributes = () => "") {
  return runs.map((one, i) =>
    `<path class="pg-${name} pg-run-${i}" data-pg="${name}" data-run="${i}" d="${path(one, i)}"${attributes(one)}/>`).join("");
}

const markerOf = (runs) => each(runs, "marker", (_, i) => `M0,0${mark(i, MARKER)}`,
  ({ at = AWAY, beyond = false }) => ` ${moved(at)} data-beyond="${beyond}"`);

/* The picture of a landscape: `scene` is that of scene.mjs, with start: [x, y] and runs: [{d, done, marks, at: [x, y], beyond}, …]; of
   a run, all may be missing. `id` is the page's own for this playground; `words` are for those who do not see the picture. */
export function landscapePicture(id, scene, words) {
  const { plot: { left, top, right, bottom }, runs, start = AWAY } = scene;
  const levels = scene.levels.map((d) => `<path d="${d}"/>`).join("");
  const minimizers = scene.minimizers.map((at) => `<path d="M-5,0H5M0-5V5" ${moved(at)}/>`).join("");
  return picture(id, "landscape", scene, words, (clip) =>
    `<g ${clip}><rect class="pg-ground" x="${left}" y="${top}" width="${right - left}" height="${bottom - top}"/>`
    + `<g class="pg-levels" data-pg="levels">${levels}</g></g>${axes(scene)}<g ${clip}>`
    + each(runs, "path", ({ d = "" }) => d) + each(runs, "done", ({ done = "" }) => done)
    + each(runs, "marks", ({ marks = "" }) => marks)
    + `<g class="pg-minimizers" data-pg="minimizers">${minimizers}</g></g>`
    + `<text class="pg-note" x="${left + 8}" y="${bottom - 8}">${scene.note}</text>`
    + `<circle class="pg-start" data-pg="start" r="8" ${moved(start)}/>${markerOf(runs)}`);
}

/* The picture of a chart, "loss" or "rate": `scene` with runs: [{d, done, at, beyond}, …] and now: x, the place of the step shown. */
export function chartPicture(id, kind, scene, words) {
  const { plot: { top, bottom }, runs, now = AWAY[0] } = scene;
  return picture(id, kind, scene, words, (clip) =>
    `${axes(scene)}<path class="pg-now" data-pg="now" d="M0,${top}V${bottom}" ${moved([now, 0])}/><g ${clip}>`
    + `${each(runs, "line", ({ d = "" }) => d)}${each(runs, "done", ({ done = "" }) => done)}</g>${markerOf(runs)}`);
}

/* The marker of a run, for its card and the legend. */
export const swatch = (run) =>
  `<svg class="pg-swatch" viewBox="-8 -8 16 16" aria-hidden="true"><path class="pg-marker pg-run-${run}" d="M0,0${mark(run, 5.5)}"/></svg>`;

/* The names of the runs, for readers who see no cards. */
export const legend = ({ runs }) =>
  runs.map(({ rule }, i) => `<span class="pg-entry">${swatch(i)} ${escaped(rules[rule].title)}</span>`).join("");

const boxed = (kind, picture) => `<div class="pg-box pg-scaled pg-${kind}">${picture}</div>`;

/* The three pictures of a state, as the page shows them before any script runs. */
export function still(id, state) {
  const traces = run(state), words = describe(state, traces), { step } = state;
  const land = landscape(state, STILL), drawn = paths(state, traces, land);
  const loss = lossChart(state, traces, STILL_CHART), rate = rateChart(state, traces, STILL_CHART);
  const at = markers(state, traces, land, loss, rate);
  const parts = (line) => ({ d: step < state.steps ? line.d : "", done: upTo(line, step) });   // d lies under done
  const runs = drawn.map(({ line, marks }, i) => ({ ...parts(line), marks: upTo(marks, step), at: at.runs[i].land, beyond: at.runs[i].beyond.land }));
  const chart = (scene, kind) =>
    ({ ...scene, now: at.x[kind], runs: scene.lines.map((line, i) => ({ ...parts(line), at: at.runs[i][kind], beyond: at.runs[i].beyond[kind] })) });
  return boxed("landscape", landscapePicture(id, { ...land, runs, start: land.toPixels(...state.start) }, words.landscape))
    + boxed("loss", chartPicture(id, "loss", chart(loss, "loss"), words.loss))
    + boxed("rate", chartPicture(id, "rate", chart(rate, "rate"), words.rate))
    + `<p class="pg-legend">${legend(state)}</p>`;
}

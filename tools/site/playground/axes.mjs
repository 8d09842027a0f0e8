/* The vertical axes of the charts: value -> share of the height, and ticks. */

import { scaleLinear, scaleLog, scaleSymlog } from "d3-scale";
import { surfaces } from "playground:generated";
import { number, power } from "./words.mjs";

const TICKS = 4;
const DECADES = 16;         // that a logarithmic axis spans at most
const ABOVE_START = 1e4;    // times the loss at the start: what rises further leaves the picture
const BELOW_START = 1e6;    // the same for what falls without end
const NEAR_START = 20;      // times the size of the loss at the start: a linear axis
const APART = 20;           // rates of runs that are more times apart have a logarithmic axis
const FALL = 100;           // times that a rate may fall on it
const EVEN = 1 + 1e-9;
const SMALLEST = 1e-300;    // what a linear axis can still show

/* The axis of losses: logarithmic; where losses may be negative, linear around zero. */
export function lossScale({ surface }, traces) {
  const start = Math.abs(traces[0].loss[0]);
  if (surfaces[surface].minimum === null) return aroundZero(start, traces);
  let low = Infinity, high = 0, cut = false, most = Infinity;   // the lowest that is positive, the highest
  for (const { loss } of traces) {
    for (const value of loss) {
      if (value > high && value < Infinity) high = value;
      if (value > 0) low = Math.min(low, value);
      else cut = true;
    }
  }
  if (start > 0) most = start * ABOVE_START;
  return logarithmic(low, Math.min(high, most), cut, high > most);
}

/* The axis of learning rates: from 0, or logarithmic where the runs' rates are far apart. */
export function rateScale(traces) {
  const peaks = traces.map(({ lr }) => lr.reduce((a, b) => Math.max(a, b), 0)).filter((peak) => peak > 0);
  const lowest = Math.min(...peaks), highest = Math.max(...peaks);
  if (!peaks.length || highest <= APART * lowest) return linear(0, Math.max(highest, 0));
  const least = Math.min(...traces.map(({ lr }) => lr.reduce((a, b) => Math.min(a, b), lowest)));
  return logarithmic(Math.max(least, lowest / FALL, Number.MIN_VALUE), highest, least < lowest / FALL);
}

/* From `low` to `high`, or the next ticks outside. */
function linear(low, high) {
  if (!(high - low > SMALLEST)) return linear(0, 1);
  const scale = scaleLinear([low, high], [0, 1]).nice(TICKS);
  return { place: scale, ticks: scale.ticks(TICKS).map((value) => ({ value, text: number(value, 6) })) };
}

/* From `low` to `high`, both positive, or the next powers of ten outside; `cut`: some values are lower, and are drawn on
   the floor; `over`: some are higher, and leave at the top. */
function logarithmic(low, high, cut, over = false) {
  if (!(low > 0 && high > 0 && low < Infinity)) [low, high] = [0.1, 1];
  if (low < high / 10 ** DECADES) [low, cut] = [high / 10 ** DECADES, true];
  if (low === high) low /= 2;
  const scale = scaleLog([low, high], [0, 1]).nice(), named = scale.tickFormat(TICKS, (value) => value);
  const [bottom, top] = scale.domain();
  const ticks = scale.ticks(TICKS).filter((value) => named(value)).map((value) => (
    { value, text: `${cut && value <= bottom * EVEN ? "≤ " : over && value * EVEN >= top ? "≥ " : ""}${short(value)}` }));
  return { place: (value) => (value > 0 ? Math.max(scale(value), 0) : 0), ticks };
}

const decade = (k) => (k >= -3 && k <= 3 ? number(10 ** k) : power(k));

const short = (value) => {
  const k = Math.log10(value);
  return Math.abs(k - Math.round(k)) < 1e-9 ? decade(Math.round(k)) : number(value, 6);
};

/* Linear up to the size of the loss at the start, logarithmic beyond that on both sides, if losses go far beyond it. */
function aroundZero(start, traces) {
  const exponent = Math.floor(Math.log10(start > SMALLEST && start < Infinity ? start : 1)), unit = 10 ** exponent;
  let low = 0, high = 0;
  for (const { loss } of traces) {
    for (const value of loss) {
      if (value < low) low = value;   // no NaN
      if (value > high) high = value;
    }
  }
  low = Math.max(low, -unit * BELOW_START);
  high = Math.min(high, unit * ABOVE_START);
  if (Math.max(-low, high) < NEAR_START * unit) return linear(low, high);
  const place = scaleSymlog([low, high], [0, 1]).constant(unit);
  const ticks = [{ value: 0, text: "0" }];
  const decades = (end) => Math.log10(1 + end / unit), every = Math.ceil((decades(-low) + decades(high)) / TICKS);
  for (const [end, sign] of [[-low, -1], [high, 1]]) {
    for (let k = every; k <= decades(end); k += every) {
      ticks.push({ value: sign * unit * 10 ** k, text: `${sign < 0 ? "−" : ""}${decade(exponent + k)}` });
    }
  }
  return { place, ticks };
}

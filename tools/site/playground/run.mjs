/* The runs of a state, step by step as `course_lib.training.minimize` makes them. */

import { rules, schedules, surfaces, warmup as warmingUp } from "playground:generated";
import { filled } from "./state.mjs";

/* One trace a run: {key, x, y, loss, lr, diverged}. x, y and loss are Float64Arrays of length `steps made` + 1, lr one of
   length `steps made`; diverged is null, or the first step (from 1) whose gradient, parameters or loss are not finite.
   A trace of `before` (the last result) that is still right is taken over as it is: compare with === to see what changed. */
export function run(state, before = []) {
  const { surface, settings, start, steps } = state;
  return state.runs.map((one) => {
    const key = JSON.stringify([surface, settings, start, steps, one]);
    return before.find((trace) => trace.key === key) ?? { key, ...trace(state, one) };
  });
}

/* The learning rate of each step of a run: step (from 0) -> rate. */
function rateOf(state, { settings, schedule, warmup }) {
  const { rate } = schedules[schedule.name], values = filled(schedule.settings, state.steps);
  const scheduled = (step) => rate(step, settings.lr, values);
  return warmup > 0 ? (step) => warmingUp.rate(step, warmup, scheduled) : scheduled;
}

function trace(state, one) {
  const { value, gradient } = surfaces[state.surface], { init, update } = rules[one.rule];
  const { steps, start: [startX, startY] } = state;
  const onSurface = filled(state.settings, steps), settings = filled(one.settings, steps), rate = rateOf(state, one);
  const [x, y, loss, lr] = [1, 1, 1, 0].map((more) => new Float64Array(steps + more));
  const states = [init(settings), init(settings)], slope = [0, 0];
  const until = (made, diverged) => {
    const [xs, ys, losses] = [x, y, loss].map((all) => all.subarray(0, made + 1));
    return { x: xs, y: ys, loss: losses, lr: lr.subarray(0, made), diverged };
  };
  x[0] = startX;
  y[0] = startY;
  loss[0] = value(startX, startY, onSurface);
  for (let t = 0; t < steps; t++) {
    gradient(x[t], y[t], onSurface, slope);
    lr[t] = rate(t);
    const nextX = x[t] + update(slope[0], x[t], lr[t], settings, states[0]);
    const nextY = y[t] + update(slope[1], y[t], lr[t], settings, states[1]);
    const next = value(nextX, nextY, onSurface);
    if (![slope[0], slope[1], nextX, nextY, next].every(Number.isFinite)) return until(t, t + 1);
    x[t + 1] = nextX;
    y[t + 1] = nextY;
    loss[t + 1] = next;
  }
  return until(steps, null);
}

// Walks through the steps: as fast as a run is pleasant to watch, or calmly where the reader wants little movement.

const calm = matchMedia("(prefers-reduced-motion: reduce)");
const FRAMES = 60;          // a run with more steps than this takes several at once
const LONGEST = 5000;       // milliseconds for a whole run
const CALM = 20, PAUSE = 700;   // moves of a whole run, and the milliseconds between them

/* `read` gives {step, steps}; `show(step)` shows one; `tell(playing)` hears of every start and end. */
export function makePlayer({ read, show, tell }) {
  let timer = 0, frame = 0, playing = false;

  function stop() {
    if (!playing) return;
    playing = false;
    clearTimeout(timer);
    cancelAnimationFrame(frame);
    tell(false);
  }

  function stride() {
    const { step, steps } = read();
    show(Math.min(step + Math.ceil(steps / CALM), steps));
    if (read().step >= steps) stop();
    else timer = setTimeout(stride, PAUSE);
  }

  function glide(begun, from) {
    frame = requestAnimationFrame((now) => {
      const { steps } = read();
      const pace = Math.max(steps / LONGEST, FRAMES / LONGEST);   // steps a millisecond
      const step = Math.min(Math.floor(from + Math.max(now - begun, 0) * pace), steps);
      show(step);
      if (step >= steps) stop();
      else glide(begun, from);
    });
  }

  function start() {
    const { step, steps } = read();
    playing = true;
    tell(true);
    const from = step >= steps ? 0 : step;
    show(from);
    if (calm.matches) timer = setTimeout(stride, PAUSE);
    else glide(performance.now(), from);
  }

  return { stop, toggle: () => (playing ? stop() : start()) };
}

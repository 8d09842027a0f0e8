// The living playground: one state; what the reader does changes it, and once a frame all that shows it follows.
import { surfaces } from "playground:generated";
import { format, merged, parse } from "./address.mjs";
import { makeCard } from "./card.mjs";
import { element } from "./controls.mjs";
import { legend } from "./markup.mjs";
import { makeFoot, makeStepRow, makeSurfaceRow, makeViewButtons } from "./panel.mjs";
import { KINDS, makePictures } from "./pictures.mjs";
import { makePlayer } from "./playing.mjs";
import { makePointer } from "./pointer.mjs";
import { run } from "./run.mjs";
import { rounded } from "./scales.mjs";
import { initialRun, initialState, initialSurface } from "./state.mjs";
import { describe } from "./words.mjs";

const REST = 600;      // milliseconds without a change until the result is said
const WRITE = 300;     // the same for the address
const SUGGESTED = ["momentum", "adam", "rmsprop", "gradient_descent"];   // what is added, unless it is there

/* Makes the figure's still picture live; gives a function that opens another situation in it. `pause` lets the browser do
   other things between the parts of the work. */
export async function mount(figure, pause) {
  const initial = parse(figure.dataset.situation ?? "", initialState()).state;
  const given = parse(location.search, initial);
  let opened = given.state, state = opened, traces = [], problems = given.problems;
  for (let i = 1; i <= state.runs.length; i += 1) {
    traces = run({ ...state, runs: state.runs.slice(0, i) }, traces);
    await pause();
  }
  let frame = 0, saying = 0, writing = 0;
  let cards = [];
  let turned = null;     // {start, turn} as the reader last set them: where the valley's turning begins
  let sizes = null;      // of the pictures, by kind
  let land = null;       // the scene of the landscape, once it is drawn
  let hurried = false;   // a setting of the surface is being dragged: the level lines are drawn roughly, until it rests

  /* ---- Changing the state */

  function change(patch) {
    const steps = patch.steps ?? state.steps;
    const step = patch.step ?? (state.step === state.steps ? steps : state.step);   // the last stays the last
    state = { ...state, ...patch, step: Math.min(step, steps) };
    if (patch.settings) hurried = true;
    if (!frame) frame = requestAnimationFrame(draw);
    clearTimeout(writing);
    clearTimeout(saying);
    writing = setTimeout(writeAddress, WRITE);
    saying = setTimeout(rest, REST);
  }

  function setStart(start) {
    turned = null;
    const [x0, x1, y0, y1] = state.view;
    change({ start: [rounded(start[0], x1 - x0), rounded(start[1], y1 - y0)] });
  }

  function setSetting(name, value) {
    const patch = { settings: { ...state.settings, [name]: value } };
    if (name === "turn") {   // the valley is turned, start and all
      turned ??= { start: state.start, turn: state.settings.turn };
      const angle = (value - turned.turn) * Math.PI / 180;
      const [x, y] = turned.start, c = Math.cos(angle), s = Math.sin(angle);
      patch.start = angle ? [c * x - s * y, s * x + c * y].map((w) => Number(w.toFixed(4))) : turned.start;
    }
    change(patch);
  }

  /* Nearer or farther; the first run's marker stays where it is, or else the middle. */
  function zoom(factor) {
    const [x0, x1, y0, y1] = state.view;
    const t = Math.min(state.step, traces[0].loss.length - 1);
    const within = (w, a, b) => (w > a && w < b ? w : (a + b) / 2);
    const x = within(traces[0].x[t], x0, x1), y = within(traces[0].y[t], y0, y1);
    const from = (w, a, b) => [w + (a - w) * factor, w + (b - w) * factor].map((end) => Number(end.toPrecision(6)));
    const view = [...from(x, x0, x1), ...from(y, y0, y1)];
    const small = Math.min((view[1] - view[0]) / (1 + Math.abs(x)), (view[3] - view[2]) / (1 + Math.abs(y)));
    if (small > 1e-4 && view[1] - view[0] < 1e6) change({ view });
  }

  function setRuns(runs, rebuildFrom = runs.length) {
    for (const { node } of cards.splice(rebuildFrom)) node.remove();
    change({ runs });
  }

  function addRun(made) {
    player.stop();
    setRuns([...state.runs, made ?? initialRun(SUGGESTED.find((name) => !state.runs.some(({ rule }) => rule === name)) ?? SUGGESTED[0])]);
    draw();
    cards.at(-1).select.focus();
  }

  function removeRun(index) {
    setRuns(state.runs.filter((_, i) => i !== index), index);
    draw();
    cards[Math.min(index, cards.length - 1)].select.focus();
  }

  function show(next) {
    player.stop();
    // A text that is wrong gives way.
    for (const input of figure.querySelectorAll("[aria-invalid]")) input.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
    turned = null;
    setRuns(next.runs, 0);
    change(structuredClone(next));
    clearTimeout(writing);
    draw();
  }

  /* Back to what was opened; from there, to what the page shows at first. */
  function reset() {
    show(format(state, opened) === "" ? initial : opened);
    writeAddress();
  }

  /* Shows the situation of a query, and the question that led there: {text, id of where it stands}. */
  function open(query, asked) {
    const { state: next, problems: wrong } = parse(query, initial);
    complain(wrong);
    if (!asked && format(next) === format(state)) return;   // another place of the page, not another situation
    opened = next;
    show(opened);
    question.replaceChildren(...(asked ? [asked.text, " ", element("a", { href: `#${asked.id}`, textContent: "Back to the question" })] : []));
  }

  function complain(wrong) {
    problems = wrong;
    alert.replaceChildren(...wrong.map((problem) => element("p", { textContent: `In the address, ${problem}.` })));
  }

  /* ---- Showing it */

  function draw() {
    cancelAnimationFrame(frame);
    frame = 0;
    traces = run(state, traces);
    land = pictures.update(state, traces, sizes, hurried);
    pointer.place(land, state.start);
    surfaceRow.update(state);
    stepRow.update(state);
    foot.update(state, traces);
    while (cards.length < state.runs.length) addCard(cards.length);
    cards.forEach((card, i) => card.update(state, traces[i]));
  }

  function addCard(index) {
    const card = makeCard(index, {
      edit: (edited) => setRuns(state.runs.map((one, i) => (i === index ? edited(one) : one))),
      duplicate: () => addRun(structuredClone(state.runs[index])),
      remove: () => removeRun(index),
    });
    cards.push(card);
    cardBox.append(card.node);
  }

  function rest() {
    if (hurried) {
      hurried = false;
      draw();
    }
    tell();
  }

  function tell(text) {
    const words = describe(state, traces);
    if (!text) pictures.describe(words);
    stage.querySelector(".pg-legend").innerHTML = legend(state);
    live.textContent = text ?? words.runs.join(" ");
  }

  function writeAddress() {
    const search = merged(location.search, format(state, initial));
    if (problems.length) complain([]);
    try {
      history.replaceState(history.state, "", `${location.pathname}${search}${location.hash}`);
    } catch {
      // A page that may not change its address works without.
    }
  }

  function link() {
    const url = new URL(location.href);
    url.search = merged(location.search, format(state, initial));
    return url.href;
  }

  /* ---- Building it, bit by bit */

  const stage = figure.querySelector(".pg-stage");
  const boxes = Object.fromEntries(KINDS.map((kind) => [kind, stage.querySelector(`.pg-${kind}`)]));
  const alert = element("div", { className: "pg-problems", role: "alert" });
  const question = element("p", { className: "pg-question" });
  const live = element("p", { className: "pg-hidden", role: "status" });
  const cardBox = element("div", { className: "pg-cards" });
  const pictures = makePictures(boxes);
  const player = makePlayer({
    read: () => state,
    show: (step) => change({ step }),
    tell: (playing) => stepRow.playing(playing),
  });
  await pause();
  const stepRow = makeStepRow({
    toggle: player.toggle,
    show: (step) => { player.stop(); change({ step }); },
    setSteps: (steps) => { player.stop(); change({ steps }); },
  });
  const surfaceRow = makeSurfaceRow({
    setSetting,
    setSurface: (surface) => { turned = null; player.stop(); change(initialSurface(surface)); },
    setStart: (i, value) => { turned = null; change({ start: state.start.map((w, k) => (k === i ? value : w)) }); },
  });
  const foot = makeFoot({ reset, link, tell, add: () => addRun() });
  // The panel stands aside, where the browser lays out a part at a time, until it is whole.
  const panel = element("div", { className: "pg-panel" });
  stage.after(panel);
  for (const row of [stepRow, surfaceRow]) {
    row.update(state);
    panel.append(row.node);
    await pause();
  }
  panel.append(cardBox);
  for (let i = 0; i < state.runs.length; i += 1) {
    addCard(i);
    cards[i].update(state, traces[i]);
    await pause();
  }
  foot.update(state, traces);
  panel.append(foot.node, live);
  await pause();

  const pointer = makePointer(boxes.landscape, {
    read: () => ({ land, start: state.start, view: state.view }),
    move: (x, y) => setStart([x, y]),
  });
  const view = makeViewButtons({ zoom, whole: () => change({ view: [...surfaces[state.surface].view] }) });
  await new Promise((measured) => {
    const watch = new ResizeObserver((entries) => {
      const next = { ...sizes };
      for (const { target, contentRect: { width, height } } of entries) {
        next[KINDS.find((kind) => boxes[kind] === target)] = { width: Math.round(width), height: Math.round(height) };
      }
      if (Object.values(next).some(({ width, height }) => width < 1 || height < 1)) return;   // it is not shown
      sizes = next;
      if (land) draw();
      else measured();
    });
    for (const box of Object.values(boxes)) watch.observe(box);
  });
  await pause();
  const parts = pictures.updating(state, traces, sizes);
  while (!parts.next().done) await pause();
  draw();
  await pause();
  boxes.landscape.append(pointer.handle, view);
  figure.prepend(alert, question);
  complain(problems);
  figure.setAttribute("data-ready", "");
  figure.playground = {
    get state() { return state; },
    get traces() { return traces; },
    get problems() { return problems; },
  };
  return open;
}

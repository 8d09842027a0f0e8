// Brings the three pictures up to date: what did not change is not touched.
import { chartPicture, landscapePicture, xAxis, yAxis } from "./markup.mjs";
import { landscape, lossChart, mark, markers, paths, rateChart, upTo } from "./scene.mjs";
import { describe } from "./words.mjs";

export const KINDS = ["landscape", "loss", "rate"];
export const COLOURS = ["pg-run-0", "pg-run-1", "pg-run-2", "pg-run-3"];   // the class of each run
let playgrounds = 0;

/* The parts of a picture: find("path", 1) is the element with data-pg="path" and data-run="1". */
function partsOf(svg) {
  const parts = new Map();
  for (const node of svg.querySelectorAll("[data-pg]")) {
    parts.set(`${node.dataset.pg} ${node.dataset.run ?? ""}`, node);
  }
  return (name, run = "") => parts.get(`${name} ${run}`);
}

/* Attributes that were set, so that the same is not set again. */
function setter() {
  const last = new WeakMap();
  return (node, name, value) => {
    if (!node) return;
    let own = last.get(node);
    if (!own) last.set(node, own = {});
    if (own[name] === value) return;
    own[name] = value;
    if (name === "text") node.textContent = value;
    else if (name === "markup") node.innerHTML = value;
    else node.setAttribute(name, value);
  };
}

const moved = ([x, y]) => `translate(${x} ${y})`;

/* `boxes` are the elements that hold the pictures, by kind. */
export function makePictures(boxes) {
  const id = `playground-${playgrounds += 1}`;
  const set = setter();
  const find = {};
  const scenes = {};
  let seen = {}, lines = [], turn = 0;

  function draw(kind, scene, state, traces) {
    const words = describe(state, traces)[kind];
    boxes[kind].querySelector("svg")?.remove();
    const markup = kind === "landscape" ? landscapePicture(id, scene, words) : chartPicture(id, kind, scene, words);
    boxes[kind].insertAdjacentHTML("afterbegin", markup);
    find[kind] = partsOf(boxes[kind].querySelector("svg"));
  }

  /* Draws the state, in parts; `sizes` by kind; `quick`: the level lines roughly. */
  function* updating(state, traces, sizes, quick) {
    const fresh = !find.rate || sizes !== seen.sizes || traces.length !== seen.traces.length;
    const same = !fresh && state.view === seen.state.view && state.surface === seen.state.surface;
    // In a hurry the level lines follow in every second frame only.
    turn = quick ? turn + 1 : 0;
    const land = same && turn && turn % 2 === 0 ? scenes.landscape : landscape(state, sizes.landscape, quick);
    yield;
    const runs = traces.map(() => ({}));
    const changed = fresh || traces.some((trace, i) => trace !== seen.traces[i]);
    const landChanged = land !== scenes.landscape;
    if (changed || landChanged) lines = paths(state, traces, land);
    if (!same) {
      draw("landscape", { ...land, runs }, state, traces);
    } else if (landChanged) {
      land.levels.forEach((d, i) => set(find.landscape("levels").children[i], "d", d));
    }
    scenes.landscape = land;
    for (const [kind, chart] of [["loss", lossChart], ["rate", rateChart]]) {
      yield;
      if (!changed) continue;
      scenes[kind] = chart(state, traces, sizes[kind]);
      if (fresh) draw(kind, { ...scenes[kind], runs }, state, traces);
      set(find[kind]("x"), "markup", xAxis(scenes[kind]));
      set(find[kind]("y"), "markup", yAxis(scenes[kind]));
    }
    yield;
    const at = markers(state, traces, land, scenes.loss, scenes.rate);
    const pale = ({ d }) => (state.step < state.steps ? d : "");   // under what is done, where that is not all
    for (let i = 0; i < traces.length; i += 1) {
      set(find.landscape("path", i), "d", pale(lines[i].line));
      set(find.landscape("done", i), "d", upTo(lines[i].line, state.step));
      set(find.landscape("marks", i), "d", upTo(lines[i].marks, state.step));
      set(find.landscape("marker", i), "transform", moved(at.runs[i].land));
      set(find.landscape("marker", i), "data-beyond", at.runs[i].beyond.land);
      for (const kind of ["loss", "rate"]) {
        set(find[kind]("line", i), "d", pale(scenes[kind].lines[i]));
        set(find[kind]("done", i), "d", upTo(scenes[kind].lines[i], state.step));
        set(find[kind]("marker", i), "transform", moved(at.runs[i][kind]));
        set(find[kind]("marker", i), "data-beyond", at.runs[i].beyond[kind]);
      }
    }
    for (const kind of ["loss", "rate"]) set(find[kind]("now"), "transform", `translate(${at.x[kind]} 0)`);
    set(find.landscape("start"), "transform", moved(land.toPixels(...state.start)));
    seen = { state, traces, sizes };
    return land;
  }

  return {
    updating,
    /* All at once; the scene of the landscape. */
    update(...what) {
      const parts = updating(...what);
      for (;;) {
        const { value, done } = parts.next();
        if (done) return value;
      }
    },
    /* The sentences about the pictures, for those who do not see them. */
    describe(words) {
      for (const kind of KINDS) set(find[kind]("title"), "text", words[kind]);
    },
  };
}

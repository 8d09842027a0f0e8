// What stands around the pictures: the surface, the start, the steps, and what is done with the whole.
import { surfaces } from "playground:generated";
import { checked } from "./card.mjs";
import { choice, element, field, icon, iconButton, ICONS, newId, plain, put, slider } from "./controls.mjs";
import { program } from "./python.mjs";
import { STEPS } from "./state.mjs";

const NUMBER = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;

/* Play, the step shown, the number of steps. {node, update(state), playing(yes)} */
export function makeStepRow({ show, toggle, setSteps }) {
  const play = element("button", { type: "button", className: "pg-play", onclick: toggle });
  const id = newId();
  const scrub = element("input", { type: "range", id, min: 0, step: 1 });
  const at = element("output", { for: id, className: "pg-at", "aria-live": "off" });
  scrub.addEventListener("input", () => show(Number(scrub.value)));
  const steps = slider(STEPS, { check: checked(STEPS), onValue: setSteps, label: "number of steps" });
  const playing = (yes) => {
    play.replaceChildren(icon(yes ? ICONS.pause : ICONS.play), element("span", { textContent: yes ? "Pause" : "Play" }));
  };
  playing(false);
  const node = element("div", { className: "pg-steps" }, play,
    element("label", { for: id, textContent: "step shown" }), scrub, at,
    element("div", { className: "pg-settings" }, ...steps.nodes));
  return {
    node, playing,
    update({ step, steps: all }) {
      put(scrub, "max", String(all));
      put(scrub, "value", String(step));
      put(at, "textContent", String(step));
      scrub.setAttribute("aria-valuetext", `${step} of ${all}`);
      steps.set(all);
    },
  };
}

/* The surface with its settings, and the start. {node, update(state)} */
export function makeSurfaceRow({ setSurface, setSetting, setStart }) {
  const id = newId();
  const kind = choice(surfaces, { label: "Surface", onValue: setSurface });
  const about = element("p", { className: "pg-about", id });
  kind.select.setAttribute("aria-describedby", id);
  const settings = element("div", { className: "pg-settings" });
  const coordinates = ["w₁", "w₂"].map((name, i) => field({
    label: `start, ${name}`,
    check(text) {
      const number = plain(text);
      if (NUMBER.test(number) && Number.isFinite(Number(number))) return Number(number);
      throw new Error(`${name} of the start must be a number, got ${number || "nothing"}.`);
    },
    onValue: (value) => setStart(i, value),
  }));
  const start = element("div", { className: "pg-place", role: "group", "aria-label": "start" },
    element("span", { className: "pg-label", textContent: "start" }),
    ...coordinates.map(({ input }) => input), ...coordinates.map(({ wrong }) => wrong));
  const node = element("div", { className: "pg-surface" }, kind.select, about, start, settings);
  let shown, controls = [];
  return {
    node,
    update({ surface, settings: values, start: place }) {
      if (surface !== shown) {
        shown = surface;
        controls = surfaces[surface].settings.map((setting) => [setting.name, slider(setting, {
          check: checked(setting), onValue: (value) => setSetting(setting.name, value), label: setting.label,
        })]);
        settings.replaceChildren(...controls.flatMap(([, { nodes }]) => nodes));
        about.textContent = surfaces[surface].about;
        kind.set(surface);
      }
      for (const [name, { set }] of controls) set(values[name]);
      coordinates.forEach(({ set }, i) => set(String(place[i])));
    },
  };
}

/* Nearer, farther, all: over the landscape. */
export function makeViewButtons({ zoom, whole }) {
  return element("div", { className: "pg-view", role: "group", "aria-label": "view" },
    iconButton("add", "Zoom in", () => zoom(1 / 1.5)),
    iconButton("minus", "Zoom out", () => zoom(1.5)),
    iconButton("whole", "The whole landscape", whole));
}

/* Copies a text; what `fallback` does where the browser does not let it. */
async function copy(text, fallback) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    fallback();
    return false;
  }
}

/* Add, reset, link, program. {node, update(state), add} */
export function makeFoot({ add, reset, link, tell }) {
  const more = element("button", { type: "button", onclick: add }, icon(ICONS.add), "Add an optimizer");
  const address = element("input", { type: "text", className: "pg-address", readOnly: true, hidden: true, "aria-label": "Link to this state" });
  const share = element("button", { type: "button", textContent: "Copy the link" });
  const label = { node: null, timer: 0 };
  const done = (button, text) => {
    clearTimeout(label.timer);
    if (label.node) label.node.textContent = label.text;
    Object.assign(label, { node: button, text });
    button.textContent = "Copied";
    tell("Copied.");
    label.timer = setTimeout(() => { button.textContent = text; label.node = null; }, 2000);
  };
  share.addEventListener("click", async () => {
    address.value = link();
    const copied = await copy(address.value, () => {
      address.hidden = false;
      address.select();
      tell("The link is selected: copy it.");
    });
    if (copied) done(share, "Copy the link");
  });
  const code = element("code");
  const copyCode = element("button", { type: "button", textContent: "Copy the code" });
  copyCode.addEventListener("click", async () => {
    if (await copy(code.textContent, () => getSelection().selectAllChildren(code))) done(copyCode, "Copy the code");
  });
  const python = element("details", { className: "pg-python" }, element("summary", { textContent: "The same in Python" }),
    element("pre", { tabIndex: 0, role: "region", "aria-label": "Python code" }, code), copyCode);
  let state = null, traces = null;
  const write = () => {
    if (python.open && state) put(code, "textContent", program(state, traces));
  };
  python.addEventListener("toggle", write);
  const node = element("div", { className: "pg-foot" }, more,
    element("button", { type: "button", textContent: "Reset", onclick: reset }), share, address, python);
  return {
    node, more,
    update(now, run) {
      if (now === state) return;
      [state, traces] = [now, run];
      more.disabled = now.runs.length > 3;
      put(address, "hidden", true);
      write();
    },
  };
}

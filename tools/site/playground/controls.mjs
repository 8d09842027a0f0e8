// The controls of the playground: each is made once, tells what the reader does, and can be set from outside.
import { positionOf, travel, valueAt } from "./scales.mjs";

const PATIENCE = 500;   // milliseconds from the last key to a message
let made = 0;

/* A new id, unique in the page. */
export const newId = () => `pg-${made += 1}`;

/* An element with properties, attributes (names with a dash, and role) and children. */
export function element(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role" || key === "for") node.setAttribute(key, value);
    else node[key] = value;
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/* A picture in a button, drawn in a square of 16. */
export function icon(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

export const ICONS = {
  play: "M4 2.5v11l9.5-5.5z",
  pause: "M3.5 2.5h3v11h-3zM9.5 2.5h3v11h-3z",
  add: "M7.25 2.5h1.5v4.75h4.75v1.5H8.75v4.75h-1.5V8.75H2.5v-1.5h4.75z",
  minus: "M2.5 7.25h11v1.5h-11z",
  whole: "M2 2h4.5v1.5h-3v3H2zM9.5 2H14v4.500h-1.500v-3h-3zM2 9.500h1.500v3h3V14H2zM12.500 9.500H14V14H9.500v-1.500h3z",
  copy: "M2 2h8v2H8.500v-.5h-5v5H4V10H2zM6 6h8v8H6zm1.500 1.500v5h5v-5z",
  remove: "M3.600 2.500 8 6.900l4.400-4.400 1.100 1.100L9.100 8l4.400 4.400-1.100 1.100L8 9.100l-4.400 4.400-1.100-1.100L6.900 8 2.500 3.600z",
};

/* A button with a picture alone. */
export function iconButton(name, label, onClick) {
  const node = element("button", { type: "button", className: "pg-icon", title: label, "aria-label": label, onclick: onClick }, icon(ICONS[name]));
  return node;
}

/* Set what the property or attribute is, if it is not so already. */
export function put(node, name, value) {
  if (node[name] !== value) node[name] = value;
}

/* A typed number as JavaScript reads it: with a plain minus, and a point for a comma. */
export const plain = (text) => text.trim().replace("−", "-").replace(/^([^.,]*),([^.,]*)$/, "$1.$2");

/* A field for text that must pass `check` (text -> value, or an Error says what is wrong). A wrong text stays with its
   message and changes nothing; Escape brings the last good one back. */
export function field({ label, check, onValue, className = "" }) {
  const wrong = element("p", { className: "pg-wrong", id: newId(), hidden: true });
  const input = element("input", {
    type: "text", inputMode: "decimal", autocomplete: "off", spellcheck: false, className: `pg-number ${className}`, "aria-label": label,
  });
  let good = "";
  const complain = (message) => {
    put(wrong, "textContent", message);
    put(wrong, "hidden", !message);
    if (message) input.setAttribute("aria-invalid", "true"), input.setAttribute("aria-describedby", wrong.id);
    else input.removeAttribute("aria-invalid"), input.removeAttribute("aria-describedby");
  };
  let timer = 0;
  const take = (patience) => {
    clearTimeout(timer);
    const text = input.value;
    try {
      const value = check(text);
      complain("");
      if (text === good) return;
      good = text;
      onValue(value);
    } catch (error) {
      // What becomes a number with the next key is not called wrong.
      if (patience) timer = setTimeout(() => complain(error.message), patience);
      else complain(error.message);
    }
  };
  input.addEventListener("input", () => take(PATIENCE));
  input.addEventListener("change", () => take(0));
  input.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape") return;
    clearTimeout(timer);
    input.value = good;
    complain("");
  });
  return {
    input, wrong,
    /* Show the value, unless the reader is writing this very value in another way. */
    set(text) {
      if (text === good) return;
      // The reader is writing this value in another way, or something that is no value yet.
      const writing = document.activeElement === input && [safely(check, text), undefined].includes(safely(check, input.value));
      good = text;
      clearTimeout(timer);
      complain("");
      if (!writing) put(input, "value", text);
    },
  };
}

function safely(check, text) {
  try {
    return check(text);
  } catch {
    return undefined;
  }
}

/* A number with a slider and a field: {nodes, set(value)}. */
export function slider(setting, { check, onValue, label }) {
  const id = newId();
  const { min, max, step } = travel(setting);
  const range = element("input", { type: "range", id, min, max, step });
  const exact = field({ label: `${label}, typed`, check, onValue });
  range.addEventListener("input", () => onValue(valueAt(setting, Number(range.value))));
  const name = element("label", { for: id });
  if (setting.symbol) name.append(element("i", { textContent: setting.symbol }), " ");
  const unit = setting.unit ?? "";
  name.append(setting.label, unit && ` (${unit})`);
  let shown;
  return {
    range,
    nodes: [name, range, exact.input, exact.wrong],
    set(value) {
      if (value === shown) return;
      shown = value;
      const position = String(positionOf(setting, value));
      if (range.value !== position) range.value = position;
      range.setAttribute("aria-valuetext", `${value}${unit}`);
      exact.set(String(value));
    },
  };
}

/* A switch: {nodes, set(value)}. */
export function checkbox(setting, { onValue }) {
  const box = element("input", { type: "checkbox" });
  box.addEventListener("change", () => onValue(box.checked));
  return {
    nodes: [element("label", { className: "pg-switch" }, box, ` ${setting.label}`)],
    set(value) { put(box, "checked", value); },
  };
}

/* A choice among {name: {title}}: {nodes, set(name)}. */
export function choice(options, { label, onValue }) {
  const select = element("select", { "aria-label": label },
    ...Object.entries(options).map(([value, { title }]) => element("option", { value, textContent: title })));
  select.addEventListener("change", () => onValue(select.value));
  return { select, nodes: [select], set(value) { put(select, "value", value); } };
}

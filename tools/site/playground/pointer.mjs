// The start in the landscape: a tap or a click sets it, the handle is dragged, and the arrow keys move it.
import { element } from "./controls.mjs";

const TAP = { pixels: 10, milliseconds: 600 };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/* `read` gives {land, start, view}; `move(w1, w2)` moves the start. {handle, place(land, start)}. */
export function makePointer(box, { read, move }) {
  const handle = element("button", { type: "button", className: "pg-handle", "aria-roledescription": "movable start" });
  let drag = null;   // {id, frame: the picture's place, shift: from the pointer to the handle's middle}
  let tap = null;
  let shown = "";

  const inside = ({ plot }, x, y) => x >= plot.left && x <= plot.right && y >= plot.top && y <= plot.bottom;

  function go(event, { frame, shift }) {
    const { land } = read();
    const { left, right, top, bottom } = land.plot;
    const x = Math.min(Math.max(event.clientX - frame.left + shift[0], left), right);
    const y = Math.min(Math.max(event.clientY - frame.top + shift[1], top), bottom);
    move(...land.toParameters(x, y));
  }

  box.addEventListener("pointerdown", (event) => {
    if (event.button || event.target.closest(".pg-view")) return;
    const onHandle = event.target === handle;
    const frame = box.getBoundingClientRect();
    const x = event.clientX - frame.left, y = event.clientY - frame.top;
    const { land, start } = read();
    if (!onHandle && !inside(land, x, y)) return;
    if (event.pointerType === "touch" && !onHandle) {
      tap = { id: event.pointerId, x: event.clientX, y: event.clientY, time: event.timeStamp, frame };
      return;
    }
    const middle = land.toPixels(...start);
    drag = { id: event.pointerId, frame, shift: onHandle ? [middle[0] - x, middle[1] - y] : [0, 0] };
    box.setPointerCapture(event.pointerId);
    box.classList.add("pg-dragged");
    if (!onHandle) go(event, drag);
    handle.focus({ preventScroll: true, focusVisible: false });
    event.preventDefault();
  });
  box.addEventListener("pointermove", (event) => {
    if (drag?.id === event.pointerId) go(event, drag);
  });
  const end = (event) => {
    if (tap?.id === event.pointerId) {
      const near = Math.hypot(event.clientX - tap.x, event.clientY - tap.y) < TAP.pixels;
      if (event.type === "pointerup" && near && event.timeStamp - tap.time < TAP.milliseconds) {
        go(event, { frame: tap.frame, shift: [0, 0] });
      }
      tap = null;
    }
    if (drag?.id === event.pointerId) {
      drag = null;
      box.classList.remove("pg-dragged");
    }
  };
  box.addEventListener("pointerup", end);
  box.addEventListener("pointercancel", end);

  handle.addEventListener("keydown", (event) => {
    const way = ARROWS[event.key];
    if (!way || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const { start, view: [x0, x1, y0, y1] } = read();
    const size = event.shiftKey ? 0.1 : 0.01;
    move(start[0] + way[0] * size * (x1 - x0), start[1] + way[1] * size * (y1 - y0));
  });

  return {
    handle,
    /* Bring the handle to the start; one that lies outside the view waits at its edge. */
    place(land, start) {
      const { left, right, top, bottom } = land.plot;
      const [x, y] = land.toPixels(...start);
      const at = [Math.min(Math.max(x, left), right), Math.min(Math.max(y, top), bottom)];
      const text = `translate(${at[0].toFixed(1)}px, ${at[1].toFixed(1)}px)`;
      if (text !== shown) handle.style.setProperty("transform", shown = text);
      handle.classList.toggle("pg-outside", at[0] !== x || at[1] !== y);
      const label = `Start, w₁ = ${start[0]}, w₂ = ${start[1]}`;
      if (handle.getAttribute("aria-label") !== label) handle.setAttribute("aria-label", label);
    },
  };
}

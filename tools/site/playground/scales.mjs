// How the way of a slider becomes the values of a setting. No DOM.

const STEPS = 100;   // of a slider: in a decade; of one that is linear, from end to end

/* The value on the slider's own scale: as it is, in decades, or in decades of what is left to 1. */
function along(scale, value) {
  if (scale === "log") return Math.log10(value);
  if (scale === "memory") return -Math.log10(1 - value);
  return value;
}

function niceStep(width) {
  const unit = 10 ** Math.floor(Math.log10(width));
  return unit * (width / unit >= 5 ? 5 : width / unit >= 2 ? 2 : 1);
}

/* {min, max, step} of the <input type=range> of a setting. */
export function travel({ scale, kind, least, most }) {
  if (scale !== "linear") return { min: 0, max: Math.round(STEPS * (along(scale, most) - along(scale, least))), step: 1 };
  let step = niceStep((most - least) / STEPS);
  if (kind === "count") step = Math.max(1, step);
  return { min: Math.floor(least / step + 1e-9) * step, max: most, step };
}

/* Where on its slider a value stands; one outside the slider's range stands at its end. */
export function positionOf(setting, value) {
  const { scale, least, most } = setting;
  const inside = Math.min(Math.max(value, least), most);
  if (scale === "linear") return inside;
  return STEPS * (along(scale, inside) - along(scale, least));
}

/* The value that a slider's position stands for: of two digits where one is that near, or else of three. */
export function valueAt(setting, position) {
  const { scale, kind, least, most } = setting;
  const inside = (value) => Math.min(Math.max(value, least), most);
  if (scale === "linear") return inside(kind === "count" ? Math.round(position) : Number(position.toPrecision(12)));
  const way = along(scale, least) + position / STEPS, sign = scale === "memory" ? -1 : 1;
  const round = (digits) => Number((10 ** (sign * way)).toPrecision(digits));
  const short = Math.abs(sign * Math.log10(round(2)) - way) <= 0.5 / STEPS ? round(2) : round(3);
  return inside(scale === "memory" ? Number((1 - short).toPrecision(12)) : short);
}

/* The coordinate rounded to what can be seen where the whole picture is `width` wide. */
export function rounded(value, width) {
  const digits = Math.max(0, Math.ceil(-Math.log10(width / 1000)));
  return Number(value.toFixed(Math.min(digits, 12)));
}

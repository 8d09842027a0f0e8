/* The level lines of a surface: for each level the region that lies no higher, as a path. */

import { contours } from "d3-contour";

const LEVELS = 12;
const GRID = 110;            // points along the longer side of the picture
const QUICK = 40;            // the same while a setting is dragged, which draws the lines anew in every frame
const STRAIGHT = 1;          // tenths of pixels: points that are no further off a line are left out
const LOWEST = 0.01;         // the lowest line, as a share of the height below which half of the picture lies
const BOWL = 0.25;           // that height in a bowl, as a share of the highest
const LEAST_MIDDLE = 1e-6;   // and anywhere, at least
const BENDING = 1.4;         // how much the lines move down with that height
const SAMPLE = 25;           // so many points in each direction are looked at to find it

const depths = new Float64Array(GRID * GRID);   // heights turned over, since d3 draws what lies no lower than a level

/* LEVELS paths, widest region first, in the rectangle `plot` (pixels), "" where there is no such line. */
export function levelPaths({ value, minimum }, settings, [x0, x1, y0, y1], { left, top, right, bottom }, quick) {
  const wide = right - left, tall = bottom - top, scale = (quick ? QUICK : GRID) / Math.max(wide, tall);
  const columns = Math.max(Math.floor(wide * scale), 12), rows = Math.max(Math.floor(tall * scale), 12);
  const turned = depths.subarray(0, columns * rows);
  for (let j = 0, k = 0; j < rows; j++) {
    const y = y1 - (y1 - y0) * j / (rows - 1);
    for (let i = 0; i < columns; i++, k++) turned[k] = -value(x0 + (x1 - x0) * i / (columns - 1), y, settings);
  }
  // A point of the grid is the middle of a cell of d3's. In tenths of pixels.
  const toX = (column) => Math.round(10 * (left + (column - 0.5) * wide / (columns - 1)));
  const toY = (row) => Math.round(10 * (top + (row - 0.5) * tall / (rows - 1)));
  // A valley that is turned keeps the lines that it had.
  const sample = Array.from({ length: SAMPLE * SAMPLE }, (_, k) => {
    const x = (k % SAMPLE) / (SAMPLE - 1), y = Math.floor(k / SAMPLE) / (SAMPLE - 1);
    return value(x0 + (x1 - x0) * x, y0 + (y1 - y0) * y, { ...settings, turn: 0 });
  });
  const levels = levelsBetween(sample.filter(Number.isFinite).sort((a, b) => a - b), minimum);
  const draw = contours().size([columns, rows]);
  return levels.map((level) => pathOf(draw.contour(turned, -level).coordinates, toX, toY));
}

/* The heights of the level lines, highest first. They are spaced as the square root of height, as in a bowl they are evenly
   apart then; as a higher root where much of the picture lies low; and around a saddle as height itself. */
function levelsBetween(sample, minimum) {
  const [low] = sample, range = sample.at(-1) - low;
  if (!(range > 0 && range < Infinity)) return Array(LEVELS).fill(-Infinity);   // no lines
  const middle = Math.max((sample[sample.length >> 1] - low) / range, LEAST_MIDDLE);   // half of the picture lies below
  const power = minimum === null ? 1 : 2 * Math.max(1, Math.log(middle) / Math.log(BOWL)) ** BENDING;
  const first = (LOWEST * middle) ** (1 / power);
  return Array.from({ length: LEVELS }, (_, i) => low + range * (1 - (1 - first) * (i + 1) / LEVELS) ** power);
}

/* A region, polygons with their holes, as a path; points that lie on the line between their neighbours are left out. */
function pathOf(polygons, toX, toY) {
  let d = "";
  for (const ring of polygons.flat()) {
    let fromX = toX(ring[0][0]), fromY = toY(ring[0][1]), heldX = fromX, heldY = fromY;   // the last point written, and seen
    d += `M${fromX / 10},${fromY / 10}l`;
    for (const [column, row] of ring) {
      const x = toX(column), y = toY(row);
      const off = Math.abs((heldX - fromX) * (y - fromY) - (heldY - fromY) * (x - fromX));
      if (off > STRAIGHT * (Math.abs(x - fromX) + Math.abs(y - fromY))) {
        d += `${(heldX - fromX) / 10},${(heldY - fromY) / 10} `;
        [fromX, fromY] = [heldX, heldY];
      }
      [heldX, heldY] = [x, y];
    }
    d += `${(heldX - fromX) / 10},${(heldY - fromY) / 10}z`;
  }
  return d;
}

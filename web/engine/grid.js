/** @file How a picture is cut into tiles, and what each of them sees: as `inference/grid.py`. */

import { toLevel } from '../pixels/levels.js';
import { mirrored } from '../pixels/resampling.js';

const MARGIN = 4; // mirrored pixels around a picture, so that zero padding inside does not show
const SMALLEST = 32; // pixels a side of a tile
const ALIGNED = 4; // tiles begin at multiples of it, as the strides of style generators need

/**
 * A tile along one side of a picture.
 * @typedef {object} Span
 * @property {number} start The first pixel of the result, in pixels of the picture.
 * @property {number} stop The one after the last.
 * @property {number} first What it sees, in pixels of the picture with a margin on all sides.
 * @property {number} last The one after that.
 */

/**
 * Chooses the tiles of a picture: those that see the fewest pixels twice.
 * @param {number} height Of the picture.
 * @param {number} width The same.
 * @param {number} area Pixels that can be run at once.
 * @param {number} around Pixels to each side that a tile sees.
 * @returns {{rows: Span[], columns: Span[], size: {height: number, width: number}}} And what a
 *   tile sees, in pixels.
 */
export function tiles(height, width, area, around) {
  let [tall, wide] = [height, width];
  if ((height + 2 * MARGIN) * (width + 2 * MARGIN) > area) {
    const side = Math.max(SMALLEST, Math.floor(Math.sqrt(area)) - 2 * around);
    let least = Infinity;
    for (let across = 1; across <= Math.ceil(width / side); across++) {
      const columns = aligned(Math.ceil(width / across));
      const fitting = Math.max(SMALLEST, Math.floor(area / (columns + 2 * around)) - 2 * around);
      const rows = aligned(Math.ceil(height / Math.ceil(height / fitting)));
      const [down, over] = [spans(height, rows, around), spans(width, columns, around)];
      const seen = down.length * down[0].last * over.length * over[0].last;
      if (seen < least) [least, tall, wide] = [seen, rows, columns];
    }
  }
  const rows = spans(height, tall, around);
  const columns = spans(width, wide, around);
  const size = { height: rows[0].last - rows[0].first, width: columns[0].last - columns[0].first };
  return { rows, columns, size };
}

/**
 * Cuts a side of a picture into tiles that all see equally many pixels: those at the ends, which see
 * nothing beyond, are larger.
 * @returns {Span[]}
 */
function spans(length, size, around) {
  const whole = length + 2 * MARGIN;
  const shared = 2 * Math.max(around, MARGIN); // by neighbours
  if (size >= length || shared >= whole) {
    return [{ start: 0, stop: length, first: 0, last: whole }];
  }
  const step = aligned(Math.ceil((whole - shared) / Math.ceil(length / size)));
  const rest = (((whole - step - shared) % ALIGNED) + ALIGNED) % ALIGNED;
  const seen = Math.min(step + shared + rest, whole);
  const list = [];
  for (let at = 0; at < whole - seen + step; at += step) {
    const first = Math.min(at, whole - seen);
    const start = at ? first + shared / 2 - MARGIN : 0;
    if (at) list.at(-1).stop = start;
    list.push({ start, stop: length, first, last: first + seen });
  }
  return list;
}

/**
 * Returns what a tile sees.
 * @param {import('../pixels/picture.js').Picture} picture
 * @param {Span} down The tile from top to bottom.
 * @param {Span} across And from left to right.
 * @returns {Float32Array} `[h, w, 3]` levels.
 */
export function seen({ width, height, channels, bits, data }, down, across) {
  const level = toLevel(bits);
  const [rows, columns] = [down, across].map(({ first, last }, axis) =>
    Int32Array.from({ length: last - first }, (_, i) =>
      mirrored(first + i - MARGIN, axis ? width : height),
    ),
  );
  const levels = new Float32Array(3 * rows.length * columns.length);
  let to = 0;
  for (const row of rows) {
    for (const column of columns) {
      const from = (row * width + column) * channels;
      levels[to++] = level(data[from]);
      levels[to++] = level(data[from + 1]);
      levels[to++] = level(data[from + 2]);
    }
  }
  return levels;
}

/**
 * Returns where a tile's own pixels begin in what it sees.
 * @param {Span} span
 */
export function offset(span) {
  return span.start + MARGIN - span.first;
}

function aligned(pixels) {
  return Math.ceil(pixels / ALIGNED) * ALIGNED;
}

/**
 * @file Colours of transparent pixels: hidden ones take on those around them, as
 * `pixels/transparency.py` has it.
 */

import { rint } from './levels.js';

const LEVELS = 4;
const CELL = 2 ** LEVELS;
const TRUSTED = 0.5; // share of the opacity around it from which on a pixel keeps its colour
const LEAST = Math.fround(1e-12); // where nothing is, instead of 0

/** A plane of float32 numbers, `[height, width, channels]`. */
class Plane {
  constructor(height, width, channels, data) {
    this.height = height;
    this.width = width;
    this.channels = channels;
    this.data = data ?? new Float32Array(height * width * channels);
  }

  /** Returns the sums of 2x2 cells. */
  halved() {
    const { width, channels: c, data } = this;
    const half = new Plane(this.height / 2, width / 2, c);
    for (let y = 0, to = 0; y < half.height; y++) {
      for (let x = 0; x < half.width; x++) {
        const from = (2 * y * width + 2 * x) * c;
        for (let k = 0; k < c; k++, to++) {
          const below = from + width * c + k;
          half.data[to] = add(
            add(add(data[from + k], data[below]), data[from + c + k]),
            data[below + c],
          );
        }
      }
    }
    return half;
  }

  /** Returns each number in a 2x2 cell of its own. */
  doubled() {
    const { height, width, channels: c, data } = this;
    const twice = new Plane(2 * height, 2 * width, c);
    for (let y = 0, to = 0; y < twice.height; y++) {
      for (let x = 0; x < twice.width; x++) {
        const from = ((y >> 1) * width + (x >> 1)) * c;
        for (let k = 0; k < c; k++) twice.data[to++] = data[from + k];
      }
    }
    return twice;
  }

  /** Returns the sums of each cell and the eight around it. */
  summedAround() {
    const { height, width, channels: c, data } = this;
    const rows = new Plane(height, width, c);
    const at = (y, i) => (y >= 0 && y < height ? data[y * width * c + i] : 0);
    for (let y = 0, to = 0; y < height; y++) {
      for (let i = 0; i < width * c; i++)
        rows.data[to++] = add(add(at(y - 1, i), at(y, i)), at(y + 1, i));
    }
    const sums = new Plane(height, width, c);
    for (let y = 0, to = 0; y < height; y++) {
      for (let i = 0; i < width * c; i++, to++) {
        const left = i >= c ? rows.data[to - c] : 0;
        const right = i < (width - 1) * c ? rows.data[to + c] : 0;
        sums.data[to] = add(add(left, rows.data[to]), right);
      }
    }
    return sums;
  }

  /** Returns what a function makes of each number and those of other planes at its place. */
  with(make, ...others) {
    const result = new Plane(this.height, this.width, this.channels);
    const shared = others.map(({ data, channels }) => [data, channels === this.channels]);
    for (let i = 0; i < result.data.length; i++) {
      const cell = Math.floor(i / this.channels);
      result.data[i] = make(this.data[i], ...shared.map(([data, same]) => data[same ? i : cell]));
    }
    return result;
  }
}

/**
 * Gives pixels that hardly show, or not at all, the colours that lie nearest around them.
 * @param {import('./picture.js').Picture} picture With opacity; its colours are replaced.
 */
export function fillTransparent(picture) {
  const { width, height, bits, data } = picture;
  const most = 2 ** bits - 1;
  let opaque = true;
  for (let i = 3; i < data.length && opaque; i += 4) opaque = data[i] === most;
  if (opaque) return;
  const across = Math.ceil(width / CELL) * CELL;
  const weight = new Plane(Math.ceil(height / CELL) * CELL, across, 1);
  const pixels = new Plane(weight.height, across, 3);
  for (let y = 0, from = 0; y < height; y++) {
    for (let x = 0; x < width; x++, from += 4) {
      const to = y * across + x;
      weight.data[to] = data[from + 3] / most;
      for (let k = 0; k < 3; k++) pixels.data[3 * to + k] = data[from + k];
    }
  }
  const trusted = trust(weight);
  const colour = pixels.with((p, w, t) => Math.fround(Math.fround(p * w) * t), weight, trusted);
  const filled = pullPush(
    colour,
    weight.with((w, t) => w * t, trusted),
    weight,
    LEVELS,
  );
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to += 4) {
      for (let k = 0; k < 3; k++) data[to + k] = rint(filled.data[3 * (y * across + x) + k]);
    }
  }
}

/** Returns how far each pixel's own colour counts, 0..1. */
function trust(weight) {
  const around = (plane) => plane.halved().halved().summedAround();
  const squares = around(weight.with((w) => w * w));
  const near = squares
    .with((s, t) => s / Math.max(t, LEAST), around(weight))
    .doubled()
    .doubled();
  const share = (w, n) => Math.min(1, w / Math.max(Math.fround(TRUSTED * n), LEAST));
  return weight.with(share, near);
}

/** Fills what a plane lacks from one of half its size, down to cells of 16x16 pixels. */
function pullPush(colour, trusted, weight, levels) {
  let around;
  if (levels === 0) {
    const all = trusted.summedAround();
    around = colour.summedAround().with((c, t) => c / Math.max(t, LEAST), all);
  } else {
    around = pullPush(colour.halved(), trusted.halved(), weight.halved(), levels - 1).doubled();
  }
  return colour.with(
    (c, other, t, w) => {
      const own = Math.fround(c / Math.max(t, LEAST));
      const share = Math.fround(t / Math.max(w, LEAST));
      return add(Math.fround(own * share), Math.fround(other * Math.fround(1 - share)));
    },
    around,
    trusted,
    weight,
  );
}

/** Adds two float32 numbers. */
function add(a, b) {
  return Math.fround(a + b);
}

/** @file One pass of one network, or of two that are mixed, over a picture of any size. */

import { apply, CHART, chart, measured } from '../pixels/affine.js';
import { integers, toInteger, toLevel } from '../pixels/levels.js';
import { Picture } from '../pixels/picture.js';
import { resizedRows, taps } from '../pixels/resampling.js';
import { smooth } from '../pixels/smooth.js';
import { fillTransparent } from '../pixels/transparency.js';
import { offset, seen, tiles } from './grid.js';

const { fround } = Math;

const REACH = 24; // pixels to each side that a shipped model sees, and no more
const AREA = 320 ** 2; // pixels that are run at once
const MOST_OUTPUT = 4e6; // pixels that come out of them

/** A network, or two that are mixed, without the shift of colour and contrast it adds. */
export class Generator {
  /** @type {import('../pixels/affine.js').Affine | null | undefined} */
  #affine;

  /**
   * @param {import('./runtime.js').Runtime} runtime
   * @param {{name: string, bytes: Uint8Array}[]} networks One, or two of one scale.
   * @param {number} scale Of them.
   * @param {number} share Of the second, 0..1.
   */
  constructor(runtime, networks, scale, share) {
    this.runtime = runtime;
    this.networks = networks;
    this.scale = scale;
    this.share = fround(share);
  }

  /**
   * Enlarges levels.
   * @param {Float32Array} lr `[height, width, 3]` in 0..255.
   * @param {{height: number, width: number}} size
   * @returns {Promise<Float32Array>} `[scale height, scale width, 3]`, neither rounded nor clipped.
   */
  async run(lr, size) {
    if (this.#affine === undefined) {
      this.#affine = measured(await this.#mixed(chart(), CHART), this.scale);
    }
    const sr = await this.#mixed(lr, size);
    if (this.#affine) apply(this.#affine, sr);
    return sr;
  }

  async #mixed(lr, { height, width }) {
    const shape = [1, height, width, 3];
    const larger = [1, height * this.scale, width * this.scale, 3];
    const results = [];
    for (const network of this.networks) {
      const inputs = { lr: { shape, data: lr } };
      const { sr } = await this.runtime.run(network, 'upscale', inputs, { sr: larger });
      results.push(sr);
    }
    const [first, second] = results;
    if (second) {
      for (let i = 0; i < first.length; i++) {
        const [a, b] = [first[i], second[i]].map((level) => Math.min(Math.max(level, 0), 255));
        first[i] = a + fround(this.share * fround(b - a));
      }
    }
    return first;
  }
}

/** A generator run over a whole picture, tile by tile. */
export class Pass {
  /**
   * @param {Picture} picture It is not changed.
   * @param {{scale: number, run: Generator['run']}} generator
   * @param {object} how
   * @param {number} how.bits 8 or 16, of the result.
   * @param {import('../pixels/smooth.js').Smooth | null} [how.smooth] What bicubic interpolation
   *   makes instead.
   * @param {number} [how.around] Pixels to each side of a tile that it sees.
   * @param {number} [how.area] Pixels that are run at once.
   */
  constructor(picture, generator, { bits, smooth = null, around = REACH, area = AREA }) {
    this.generator = generator;
    this.bits = bits;
    this.smooth = smooth;
    const { scale } = generator;
    const { width, height } = picture;
    const fitting = Math.min(area, MOST_OUTPUT / scale ** 2);
    this.grid = tiles(height, width, fitting, around);
    this.picture = picture;
    this.width = width * scale;
    this.height = height * scale;
  }

  /** Tiles of it. */
  get count() {
    return this.grid.rows.length * this.grid.columns.length;
  }

  /**
   * Enlarges the picture.
   * @param {() => void} ended Called after each tile.
   * @yields {import('../pixels/levels.js').Integers} Rows of the result from the top,
   *   `[n, width, channels]`.
   */
  async *rows(ended) {
    const { scale } = this.generator;
    const picture = this.#visible();
    const { channels } = picture;
    const interpolate = this.smooth ? this.#interpolation(picture) : null;
    const opacity = picture.alpha ? this.#opacity(picture) : null;
    const size = this.grid.size;
    for (const down of this.grid.rows) {
      const rows = (down.stop - down.start) * scale;
      const band = integers(this.bits, rows * this.width * channels);
      for (const across of this.grid.columns) {
        const sr = await this.generator.run(seen(picture, down, across), size);
        this.#place(sr, band, down, across, channels);
        ended();
      }
      interpolate?.(band, down);
      opacity?.(band, down);
      yield band;
    }
  }

  /** Returns the picture with the colours of hidden pixels replaced. */
  #visible() {
    const { width, height, channels, bits, data, alpha } = this.picture;
    if (!alpha) return this.picture;
    const copy = new Picture(width, height, channels, bits, data.slice());
    fillTransparent(copy);
    return copy;
  }

  /** Puts what a tile gives in its place among the rows. */
  #place(sr, band, down, across, channels) {
    const { scale } = this.generator;
    const integer = toInteger(this.bits);
    const pitch = this.grid.size.width * scale;
    const [top, left] = [offset(down) * scale, offset(across) * scale];
    const [rows, columns] = [down, across].map((span) => (span.stop - span.start) * scale);
    for (let y = 0; y < rows; y++) {
      let from = 3 * ((top + y) * pitch + left);
      let to = (y * this.width + across.start * scale) * channels;
      for (let x = 0; x < columns; x++, from += 3, to += channels) {
        band[to] = integer(sr[from]);
        band[to + 1] = integer(sr[from + 1]);
        band[to + 2] = integer(sr[from + 2]);
      }
    }
  }

  /** Returns the function that puts bicubic interpolation into rows, where the picture is smooth. */
  #interpolation(picture) {
    const { scale } = this.generator;
    const { width, height, channels: c, bits, data } = picture;
    const found = smooth(picture, this.smooth);
    const [level, integer] = [toLevel(bits), toInteger(this.bits)];
    const [down, across] = [taps(height, this.height), taps(width, this.width)];
    const line = new Float32Array(width * c);
    const between = (y) => {
      line.fill(0);
      for (let t = y * down.count; t < (y + 1) * down.count; t++) {
        const from = down.indices[t] * line.length;
        const weight = down.weights[t];
        for (let i = 0; i < line.length; i++) line[i] += fround(level(data[from + i]) * weight);
      }
    };
    const put = (band, to, x) => {
      for (let k = 0; k < 3; k++) {
        let sum = 0;
        for (let t = x * across.count; t < (x + 1) * across.count; t++) {
          sum = fround(sum + fround(line[across.indices[t] * c + k] * across.weights[t]));
        }
        band[to + k] = integer(sum);
      }
    };
    return (band, { start, stop }) => {
      for (let y = start * scale; y < stop * scale; y++) {
        const row = Math.floor(y / scale) * width;
        if (!found.subarray(row, row + width).includes(1)) continue;
        between(y);
        const to = (y - start * scale) * this.width;
        for (let x = 0; x < this.width; x++) {
          if (found[row + Math.floor(x / scale)]) put(band, (to + x) * c, x);
        }
      }
    };
  }

  /** Returns the function that gives rows their opacity, enlarged by bicubic interpolation. */
  #opacity({ width, height, bits, data }) {
    const { scale } = this.generator;
    const level = toLevel(bits);
    const integer = toInteger(this.bits);
    const plane = Float32Array.from({ length: width * height }, (_, i) => level(data[4 * i + 3]));
    const [down, across] = [taps(height, this.height), taps(width, this.width)];
    return (band, { start, stop }) => {
      const rows =
        scale === 1
          ? plane.subarray(start * width, stop * width)
          : resizedRows(plane, width, down, across, start * scale, stop * scale);
      for (let i = 0; i < rows.length; i++) band[4 * i + 3] = integer(rows[i]);
    };
  }
}

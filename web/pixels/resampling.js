/** @file Bicubic resampling, MATLAB's `imresize`, as `pixels/resampling.py` has it in float32. */

const { fround } = Math;

/**
 * Which pixels of an axis make each pixel of the resized one, and how much they count.
 * @typedef {object} Taps
 * @property {number} count Pixels that count for each.
 * @property {Int32Array} indices `[out, count]`.
 * @property {Float32Array} weights `[out, count]`.
 */

/**
 * Returns the taps of an axis; an axis that shrinks is smoothed.
 * @param {number} length Of the axis, in pixels.
 * @param {number} out Of the resized axis.
 * @returns {Taps}
 */
export function taps(length, out) {
  const scale = out / length;
  const stretch = Math.min(scale, 1);
  const support = 4 / stretch;
  const width = Math.ceil(support) + 2;
  const indices = new Int32Array(out * width);
  const weights = new Float64Array(out * width);
  for (let i = 0; i < out; i++) {
    const centre = (i + 0.5) / scale - 0.5;
    const first = Math.floor(centre - support / 2);
    let sum = 0;
    for (let t = 0; t < width; t++) {
      const weight = stretch * cubic(stretch * (centre - (first + t)));
      indices[i * width + t] = mirrored(first + t, length);
      weights[i * width + t] = weight;
      sum += weight;
    }
    for (let t = 0; t < width; t++) weights[i * width + t] /= sum;
  }
  return used({ count: width, indices, weights }, out);
}

/**
 * Mirrors a place beyond an axis into it; the pixel at the edge is repeated.
 * @param {number} index
 * @param {number} length Of the axis.
 * @returns {number}
 */
export function mirrored(index, length) {
  const period = 2 * length;
  const inside = ((index % period) + period) % period;
  return Math.min(inside, period - 1 - inside);
}

/**
 * Enlarges one channel, rows of it.
 * @param {Float32Array} plane `[height, width]` levels.
 * @param {number} width Of the plane.
 * @param {Taps} down Of its rows.
 * @param {Taps} across Of its columns.
 * @param {number} start First row of the result.
 * @param {number} stop The one after the last.
 * @returns {Float32Array} `[stop - start, out]`.
 */
export function resizedRows(plane, width, down, across, start, stop) {
  const out = across.indices.length / across.count;
  const result = new Float32Array((stop - start) * out);
  const line = new Float32Array(width);
  for (let y = start; y < stop; y++) {
    line.fill(0);
    for (let t = 0; t < down.count; t++) {
      const weight = down.weights[y * down.count + t];
      const from = down.indices[y * down.count + t] * width;
      for (let x = 0; x < width; x++) line[x] += fround(plane[from + x] * weight);
    }
    resizeLine(line, 1, across, result, (y - start) * out);
  }
  return result;
}

/** Resizes a picture as its rows come in from the top, holding those that still count. */
export class RowResizer {
  /**
   * @param {number} width Of the picture.
   * @param {number} height Of the picture.
   * @param {number} channels Of a pixel.
   * @param {{width: number, height: number}} size Of the result.
   */
  constructor(width, height, channels, size) {
    this.width = width;
    this.channels = channels;
    this.across = taps(width, size.width);
    this.down = taps(height, size.height);
    this.size = size;
    /** @type {Map<number, Float32Array>} Rows that are resized across. */
    this.held = new Map();
    this.fed = 0;
    this.given = 0;
  }

  /**
   * Takes the next rows and returns those of the result that are complete.
   * @param {Float32Array} levels `[n, width, channels]`.
   * @returns {Float32Array} `[m, size.width, channels]`; m may be 0.
   */
  feed(levels) {
    const { channels, size, down } = this;
    const pitch = this.width * channels;
    const line = size.width * channels;
    for (let at = 0; at < levels.length; at += pitch) {
      const row = new Float32Array(line);
      resizeLine(levels.subarray(at, at + pitch), channels, this.across, row, 0);
      this.held.set(this.fed++, row);
    }
    const last = (y) => maximum(down.indices, y * down.count, (y + 1) * down.count);
    let until = this.given;
    while (until < size.height && last(until) < this.fed) until++;
    const result = new Float32Array((until - this.given) * line);
    for (let y = this.given, to = 0; y < until; y++, to += line) {
      const row = result.subarray(to, to + line);
      for (let t = y * down.count; t < (y + 1) * down.count; t++) {
        const from = this.held.get(down.indices[t]);
        const weight = down.weights[t];
        for (let i = 0; i < line; i++) row[i] += fround(from[i] * weight);
      }
    }
    this.given = until;
    this.#forget();
    return result;
  }

  /** Lets go of rows that count for none that is still to come. */
  #forget() {
    const { down, size } = this;
    let first = this.fed;
    for (let y = this.given; y < Math.min(size.height, this.given + down.count); y++) {
      for (let t = y * down.count; t < (y + 1) * down.count; t++) {
        first = Math.min(first, down.indices[t]);
      }
    }
    for (const row of this.held.keys()) if (row < first) this.held.delete(row);
  }
}

/** Resizes one row, `[width, channels]`, into `result` at an offset. */
function resizeLine(row, channels, across, result, offset) {
  const out = across.indices.length / across.count;
  for (let x = 0; x < out; x++) {
    for (let k = 0; k < channels; k++) {
      let sum = 0;
      for (let t = x * across.count; t < (x + 1) * across.count; t++) {
        const product = fround(row[across.indices[t] * channels + k] * across.weights[t]);
        sum = fround(sum + product);
      }
      result[offset + x * channels + k] = sum;
    }
  }
}

/** The kernel of Keys, "Cubic convolution interpolation for digital image processing", 1981. */
function cubic(x) {
  const t = Math.abs(x);
  if (t <= 1) return 1.5 * t ** 3 - 2.5 * t ** 2 + 1;
  return t <= 2 ? -0.5 * t ** 3 + 2.5 * t ** 2 - 4 * t + 2 : 0;
}

/** Leaves out taps that count nowhere. */
function used({ count, indices, weights }, out) {
  const kept = [];
  for (let t = 0; t < count; t++) {
    let counts = false;
    for (let i = 0; i < out && !counts; i++) counts = weights[i * count + t] !== 0;
    if (counts) kept.push(t);
  }
  const result = {
    count: kept.length,
    indices: new Int32Array(out * kept.length),
    weights: new Float32Array(out * kept.length),
  };
  for (let i = 0; i < out; i++) {
    kept.forEach((t, k) => {
      result.indices[i * kept.length + k] = indices[i * count + t];
      result.weights[i * kept.length + k] = weights[i * count + t];
    });
  }
  return result;
}

function maximum(values, start, stop) {
  let most = values[start];
  for (let i = start + 1; i < stop; i++) most = Math.max(most, values[i]);
  return most;
}

/**
 * @file PNG files decoded without the browser, which would cut 16 bits down to 8, multiply opacity
 * into the colours, and turn colours into those of a screen.
 */

import { integers } from '../pixels/levels.js';
import { Picture } from '../pixels/picture.js';
import { chunksOf, latin, unpacked } from './bytes.js';
import { chunks } from './png_chunks.js';

const XMP = 'XML:com.adobe.xmp';
const INCHES = 0.0254; // of a metre
const CHANNELS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const DEPTHS = { 0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16] };
// Of the seven pictures that an interlaced one consists of: first column and row, steps.
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
];

/**
 * What a PNG says before its pixels.
 * @typedef {object} Header
 * @property {number} width In pixels.
 * @property {number} height In pixels.
 * @property {number} depth Bits of a sample.
 * @property {number} colour 0 gray, 2 RGB, 3 palette, 4 gray and opacity, 6 RGB and opacity.
 * @property {boolean} interlaced
 * @property {Uint8Array} [palette]
 * @property {Uint8Array} [transparent] Opacity of palette colours, or the colour without any.
 * @property {Uint8Array[]} data Packed, in parts.
 * @property {import('./metadata.js').Metadata} metadata
 */

/**
 * Reads all but the pixels.
 * @param {Uint8Array} bytes Of the file.
 * @returns {Promise<Header>}
 */
export async function readHeader(bytes) {
  const found = { data: [], metadata: {} };
  for (const { kind, body } of chunks(bytes)) {
    const view = new DataView(body.buffer, body.byteOffset, body.length);
    if (kind === 'IHDR' && body.length >= 13) {
      const [depth, colour, , , interlace] = body.subarray(8);
      Object.assign(found, { width: view.getUint32(0), height: view.getUint32(4) });
      Object.assign(found, { depth, colour, interlaced: interlace === 1 });
    } else if (kind === 'PLTE') found.palette = body;
    else if (kind === 'tRNS') found.transparent = body;
    else if (kind === 'IDAT') found.data.push(body);
    else await readMore(kind, body, view, found.metadata);
  }
  if (!DEPTHS[found.colour]?.includes(found.depth)) throw new Error('its header is damaged');
  if (found.colour === 3 && !found.palette) throw new Error('its palette is missing');
  return found;
}

/** Reads what stands beside the pixels; what cannot be unpacked is left out. */
async function readMore(kind, body, view, metadata) {
  if (kind === 'pHYs' && body.length === 9 && body[8] === 1) {
    metadata.dpi = [view.getUint32(0) * INCHES, view.getUint32(4) * INCHES];
  } else if (kind === 'eXIf') {
    metadata.exif = body;
  } else if (kind === 'iCCP') {
    const name = body.indexOf(0);
    metadata.icc = await unpacked(body.subarray(name + 2)).catch(() => undefined);
  } else if (kind === 'iTXt' && latin(body, 0, XMP.length + 1) === `${XMP}\0`) {
    const start = XMP.length + 3;
    // After the language and the translated keyword.
    const text = body.subarray(body.indexOf(0, body.indexOf(0, start) + 1) + 1);
    metadata.xmp = body[XMP.length + 1] ? await unpacked(text).catch(() => undefined) : text;
  }
}

/**
 * Decodes the pixels.
 * @param {Header} header
 * @returns {Promise<Picture>} As they are stored, not turned.
 */
export async function decode(header) {
  const { width, height, depth, colour, transparent } = header;
  const alpha = colour > 3 || (transparent !== undefined && transparent.length > 0);
  const picture = new Picture(width, height, alpha ? 4 : 3, depth === 16 ? 16 : 8);
  picture.gray = colour === 0 || colour === 4;
  const put = painter(header, picture);
  const source = new Bytes(
    new Blob(header.data).stream().pipeThrough(new DecompressionStream('deflate')),
  );
  const bits = depth * CHANNELS[colour];
  for (const [left, top, across, down] of header.interlaced ? PASSES : [[0, 0, 1, 1]]) {
    const columns = Math.ceil((width - left) / across);
    if (columns <= 0) continue;
    const rows = new Filter(Math.ceil((columns * bits) / 8), Math.max(1, bits >> 3));
    for (let y = top; y < height; y += down) {
      const row = rows.undo(await source.take(rows.length + 1));
      put(samples(row, depth), columns, y, left, across);
    }
  }
  return picture;
}

/** Undoes the filter of row after row. */
class Filter {
  /**
   * @param {number} length Bytes of a row.
   * @param {number} step Bytes to the pixel on the left.
   */
  constructor(length, step) {
    this.length = length;
    this.step = step;
    this.above = new Uint8Array(length);
  }

  /** Returns a row, from its filter and its filtered bytes. */
  undo(filtered) {
    const { length, step, above } = this;
    const row = filtered.slice(1);
    const kind = filtered[0];
    if (kind === 1) {
      for (let i = step; i < length; i++) row[i] += row[i - step];
    } else if (kind === 2) {
      for (let i = 0; i < length; i++) row[i] += above[i];
    } else if (kind === 3) {
      for (let i = 0; i < length; i++) row[i] += ((i < step ? 0 : row[i - step]) + above[i]) >> 1;
    } else if (kind === 4) {
      for (let i = 0; i < Math.min(step, length); i++) row[i] += above[i];
      for (let i = step; i < length; i++) row[i] += paeth(row[i - step], above[i], above[i - step]);
    } else if (kind) {
      throw new Error('its data is damaged');
    }
    this.above = row;
    return row;
  }
}

function paeth(left, up, corner) {
  const [toLeft, toUp] = [Math.abs(up - corner), Math.abs(left - corner)];
  const toCorner = Math.abs(left + up - 2 * corner);
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

/** Returns the samples of a row; fewer bits than 8 are not spread. */
function samples(row, depth) {
  if (depth === 8) return row;
  if (depth === 16) {
    return Uint16Array.from(
      { length: row.length >> 1 },
      (_, i) => (row[2 * i] << 8) | row[2 * i + 1],
    );
  }
  const each = 8 / depth;
  const mask = 2 ** depth - 1;
  return Uint8Array.from(
    { length: row.length * each },
    (_, i) => (row[Math.floor(i / each)] >> (8 - depth * ((i % each) + 1))) & mask,
  );
}

/** Returns the function that puts the samples of a row into a picture. */
function painter({ colour, depth, palette, transparent }, { width, channels, bits, data }) {
  const most = 2 ** bits - 1;
  const spread = depth < 8 ? 255 / (2 ** depth - 1) : 1;
  const view =
    transparent && new DataView(transparent.buffer, transparent.byteOffset, transparent.length);
  const hidden =
    view && colour < 3 && view.byteLength >= 2 * CHANNELS[colour]
      ? Array.from({ length: CHANNELS[colour] }, (_, k) => view.getUint16(2 * k))
      : null;
  const pixel = integers(bits, 4);
  const put = {
    0: (from, i) => pixel.fill(from[i] * spread, 0, 3),
    2: (from, i) => pixel.set(from.subarray(3 * i, 3 * i + 3)),
    3: (from, i) => pixel.set(palette.subarray(3 * from[i], 3 * from[i] + 3)),
    4: (from, i) => pixel.fill(from[2 * i], 0, 3),
    6: (from, i) => pixel.set(from.subarray(4 * i, 4 * i + 4)),
  }[colour];
  const opacity = {
    0: (from, i) => (hidden && from[i] === hidden[0] ? 0 : most),
    2: (from, i) => (hidden?.every((each, k) => from[3 * i + k] === each) ? 0 : most),
    3: (from, i) => transparent?.[from[i]] ?? most,
    4: (from, i) => from[2 * i + 1],
    6: (from, i) => from[4 * i + 3],
  }[colour];
  return (from, columns, y, left, across) => {
    let to = (y * width + left) * channels;
    for (let i = 0; i < columns; i++, to += across * channels) {
      put(from, i);
      for (let k = 0; k < 3; k++) data[to + k] = pixel[k];
      if (channels === 4) data[to + 3] = opacity(from, i);
    }
  };
}

/** Bytes of a stream, as many at a time as are asked for. */
class Bytes {
  #parts;
  #held = new Uint8Array(0);
  #at = 0;

  constructor(stream) {
    this.#parts = chunksOf(stream);
  }

  async take(count) {
    const taken = new Uint8Array(count);
    let filled = 0;
    while (filled < count) {
      if (this.#at === this.#held.length) {
        const { done, value } = await this.#next();
        if (done) throw new Error('its data breaks off before the last row');
        [this.#held, this.#at] = [value, 0];
      }
      const part = this.#held.subarray(this.#at, this.#at + count - filled);
      taken.set(part, filled);
      filled += part.length;
      this.#at += part.length;
    }
    return taken;
  }

  async #next() {
    try {
      return await this.#parts.next();
    } catch {
      throw new Error('its data breaks off or is damaged');
    }
  }
}

/** @file A PNG file written row by row: no canvas, so no limit on its size. */

import { rint } from '../pixels/levels.js';
import { chunksOf, fromLatin, joined, latin, packed } from './bytes.js';
import { chunk, SIGNATURE } from './png_chunks.js';

const PART = 2 ** 20; // bytes of pixels a chunk, packed
const AT_ONCE = 2 ** 22; // bytes that are filtered at a time
const METRE = 39.3700787; // inches
const UP = 2; // the filter of all rows

/** Writes a PNG. */
export class PngWriter {
  #parts = [];
  #pending = [];
  #size = 0;

  /**
   * @param {object} about
   * @param {number} about.width In pixels.
   * @param {number} about.height In pixels.
   * @param {number} about.channels 3, or 4 with opacity, of the rows it gets.
   * @param {number} about.bits 8 or 16.
   * @param {boolean} about.gray Whether it has no colours.
   * @param {import('./metadata.js').Metadata} about.metadata
   */
  constructor({ width, height, channels, bits, gray, metadata }) {
    this.channels = channels;
    this.bits = bits;
    this.gray = gray;
    this.metadata = metadata;
    const samples = (gray ? 1 : 3) + (channels === 4 ? 1 : 0);
    this.length = (width * samples * bits) / 8;
    this.samples = width * samples;
    this.above = new Uint8Array(this.length);
    const head = new Uint8Array(13);
    const view = new DataView(head.buffer);
    view.setUint32(0, width);
    view.setUint32(4, height);
    head.set([bits, { 1: 0, 2: 4, 3: 2, 4: 6 }[samples]], 8);
    this.head = head;
    const deflate = new CompressionStream('deflate');
    this.writer = deflate.writable.getWriter();
    this.reading = this.#read(deflate.readable);
    this.reading.catch(() => {}); // it is awaited in the end
  }

  async #read(stream) {
    for await (const part of chunksOf(stream)) {
      this.#pending.push(part);
      this.#size += part.length;
      if (this.#size >= PART) this.#put();
    }
    if (this.#size) this.#put();
  }

  /** Puts what is packed into a chunk; a Blob's bytes may lie on the disk. */
  #put() {
    this.#parts.push(new Blob([chunk('IDAT', joined(this.#pending))]));
    this.#pending = [];
    this.#size = 0;
  }

  /**
   * Adds the next rows.
   * @param {import('../pixels/levels.js').Integers} rows `[n, width, channels]`.
   */
  async write(rows) {
    const stored = this.gray ? this.#grays(rows) : rows;
    const count = stored.length / this.samples;
    const most = Math.max(1, Math.floor(AT_ONCE / this.length));
    for (let top = 0; top < count; top += most) {
      const part = stored.subarray(top * this.samples, Math.min(count, top + most) * this.samples);
      await this.writer.write(this.#filtered(part));
    }
  }

  #grays(rows) {
    const { channels } = this;
    const step = channels - 2;
    const grays = new rows.constructor((rows.length / channels) * step);
    for (let from = 0, to = 0; from < rows.length; from += channels, to += step) {
      grays[to] = rint((rows[from] + rows[from + 1] + rows[from + 2]) / 3);
      if (step === 2) grays[to + 1] = rows[from + 3];
    }
    return grays;
  }

  #filtered(samples) {
    const { length } = this;
    const bytes = this.bits === 16 ? bigEndian(samples) : samples;
    const count = bytes.length / length;
    const result = new Uint8Array(bytes.length + count);
    let above = this.above;
    for (let row = 0, to = 0; row < count; row++) {
      const own = bytes.subarray(row * length, (row + 1) * length);
      result[to++] = UP;
      for (let i = 0; i < length; i++) result[to++] = own[i] - above[i];
      above = own;
    }
    this.above = above.slice();
    return result;
  }

  /**
   * Ends the file.
   * @returns {Promise<{file: Blob, plain: Blob}>} The file, and the same without its metadata, to
   *   be decoded and encoded again. They share their bytes.
   */
  async finish() {
    await this.writer.close();
    await this.reading;
    const start = [SIGNATURE, chunk('IHDR', this.head)];
    const rest = [...this.#parts, chunk('IEND', new Uint8Array(0))];
    const type = 'image/png';
    const more = await described(this.metadata, this.gray);
    return {
      file: new Blob([...start, ...more, ...rest], { type }),
      plain: new Blob([...start, ...rest], { type }),
    };
  }
}

/** Returns the chunks that say what belongs to a picture. */
async function described({ icc, exif, xmp, dpi }, gray) {
  const found = [];
  // A profile of another colour space than the pixels is none of theirs.
  if (icc && gray === (latin(icc, 16, 4) === 'GRAY'))
    found.push(chunk('iCCP', joined([fromLatin('icc\0\0'), await packed(icc)])));
  if (dpi) {
    const body = new Uint8Array(9);
    const view = new DataView(body.buffer);
    dpi.forEach((each, i) => view.setUint32(4 * i, Math.min(2 ** 31 - 1, rint(each * METRE))));
    body[8] = 1;
    found.push(chunk('pHYs', body));
  }
  if (exif) found.push(chunk('eXIf', exif));
  if (xmp) found.push(chunk('iTXt', joined([fromLatin('XML:com.adobe.xmp\0\0\0\0\0'), xmp])));
  return found;
}

function bigEndian(samples) {
  const bytes = new Uint8Array(2 * samples.length);
  for (let i = 0; i < samples.length; i++) {
    bytes[2 * i] = samples[i] >> 8;
    bytes[2 * i + 1] = samples[i];
  }
  return bytes;
}

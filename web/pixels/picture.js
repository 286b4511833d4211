/** @file `Picture`: the pixels of a file, upright, and what belongs to them. */

import { integers } from './levels.js';

/** The pixels of a picture, upright, and what belongs to them. */
export class Picture {
  /**
   * @param {number} width In pixels.
   * @param {number} height In pixels.
   * @param {number} channels 3, or 4 with opacity, which is not multiplied into the colours.
   * @param {number} bits 8 or 16 a channel.
   * @param {import('./levels.js').Integers} [data] `[height, width, channels]`; zeros by default.
   */
  constructor(width, height, channels, bits, data) {
    this.width = width;
    this.height = height;
    this.channels = channels;
    this.bits = bits;
    this.data = data ?? integers(bits, width * height * channels);
    /** Whether the file has no colours; the three channels are equal then. */
    this.gray = false;
    /** @type {number | null} Of a JPEG or a lossy WebP, 0 to 100 by how coarse it is. */
    this.quality = null;
    /** Which of them the quality is of. */
    this.form = 'JPEG';
    /** @type {import('../files/metadata.js').Metadata} */
    this.metadata = {};
  }

  /** Whether there is opacity. */
  get alpha() {
    return this.channels === 4;
  }

  /**
   * Returns the picture as it is to be seen.
   * @param {number} orientation 1 to 8, as EXIF has them.
   * @returns {Picture} With the same metadata.
   */
  upright(orientation) {
    if (orientation === 1) return this;
    const { width, height, channels: c, data } = this;
    const turned = orientation > 4;
    const result = new Picture(turned ? height : width, turned ? width : height, c, this.bits);
    const flipX = [2, 3, 7, 8].includes(orientation);
    const flipY = [3, 4, 6, 7].includes(orientation);
    let to = 0;
    for (let y = 0; y < result.height; y++) {
      for (let x = 0; x < result.width; x++) {
        let [column, row] = turned ? [y, x] : [x, y];
        if (flipX) column = width - 1 - column;
        if (flipY) row = height - 1 - row;
        const from = (row * width + column) * c;
        for (let k = 0; k < c; k++) result.data[to++] = data[from + k];
      }
    }
    return Object.assign(result, {
      gray: this.gray,
      quality: this.quality,
      form: this.form,
      metadata: this.metadata,
    });
  }
}

/** @file What is seen of a result while it is made: its rows, smaller where they are many. */

const MOST = 2 ** 24; // pixels of a whole preview
const LONGEST = 8192; // pixels a side

/** Makes bitmaps of rows. */
export class Preview {
  /** @param {{width: number, height: number}} size Of the result, in pixels. */
  constructor({ width, height }) {
    this.result = { width, height };
    const factor = Math.min(
      1,
      Math.sqrt(MOST / (width * height)),
      LONGEST / Math.max(width, height),
    );
    this.factor = factor;
    this.width = Math.max(1, Math.round(width * factor));
    this.height = Math.max(1, Math.round(height * factor));
  }

  /**
   * Returns rows as they are shown.
   * @param {import('../pixels/levels.js').Integers} rows `[n, width, channels]`.
   * @param {number} top The first of them.
   * @param {number} channels 3 or 4.
   * @returns {Promise<{bitmap: ImageBitmap, top: number}>} And where they are shown.
   */
  async show(rows, top, channels) {
    const { width } = this.result;
    const count = rows.length / (width * channels);
    const shift = rows instanceof Uint16Array ? 8 : 0;
    const image = new ImageData(width, count);
    for (let from = 0, to = 0; from < rows.length; from += channels) {
      for (let k = 0; k < 3; k++) image.data[to++] = rows[from + k] >> shift;
      image.data[to++] = channels === 4 ? rows[from + 3] >> shift : 255;
    }
    const first = Math.round(top * this.factor);
    const bitmap = await createImageBitmap(image, {
      resizeWidth: this.width,
      resizeHeight: Math.max(1, Math.round((top + count) * this.factor) - first),
      resizeQuality: 'medium',
    });
    return { bitmap, top: first };
  }
}

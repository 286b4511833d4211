/** @file Where a picture is of one colour, which its enlargement is to keep. */

/**
 * Finds pixels in whose surroundings all are exactly alike, as `pixels/flat.py` does.
 * @param {import('./picture.js').Picture} picture Its opacity does not count.
 * @param {number} radius Pixels to each side that must be alike; what lies beyond the picture is.
 * @returns {Uint8Array} `[height, width]` of 0 and 1.
 */
export function flat(picture, radius) {
  const { width, height, channels: c, data } = picture;
  const pitch = width * c;
  const like = (a, b) =>
    data[a] === data[b] && data[a + 1] === data[b + 1] && data[a + 2] === data[b + 2];
  const found = new Uint8Array(width * height);
  // Of each column: the last row that is not alike from left to right, and the last that is not
  // like the one below it.
  const lastAcross = new Int32Array(width).fill(-1 - radius);
  const lastDown = new Int32Array(width).fill(-1 - radius);
  const across = new Uint8Array(width);
  for (let y = 0; y < height + radius; y++) {
    if (y < height) {
      alikeAcross(y * pitch);
      for (let x = 0; x < width; x++) if (!across[x]) lastAcross[x] = y;
    }
    // Row `y - radius` is decided by those down to `y`, and by steps down to the one into `y`.
    if (y > 0 && y < height) {
      for (let x = 0; x < width; x++) {
        const above = (y - 1) * pitch + x * c;
        if (!like(above, above + pitch)) lastDown[x] = y - 1;
      }
    }
    const row = y - radius;
    if (row < 0) continue;
    for (let x = 0; x < width; x++) {
      const first = row - radius;
      found[row * width + x] = Number(lastAcross[x] < first && lastDown[x] < first);
    }
  }
  return found;

  /** Sets `across` for the row that begins at a place in `data`. */
  function alikeAcross(start) {
    let last = -1 - radius;
    for (let x = 0; x < width + radius; x++) {
      if (x > 0 && x < width && !like(start + (x - 1) * c, start + x * c)) last = x - 1;
      const column = x - radius;
      if (column >= 0) across[column] = Number(last < column - radius);
    }
  }
}

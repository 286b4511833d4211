/** @file Where a picture is smooth, so that bicubic interpolation has all there is to know. */

/**
 * What counts as smooth.
 * @typedef {object} Smooth
 * @property {number} radius Pixels to each side that must be smooth too, at least 2.
 * @property {number} most Levels that a third difference has at most, besides half of the first,
 *   unless it is 0.
 */

/**
 * Finds pixels in whose surroundings rows and columns are smooth, as `pixels/smooth.py` does.
 * @param {import('./picture.js').Picture} picture Its opacity does not count.
 * @param {Smooth} how
 * @returns {Uint8Array} `[height, width]` of 0 and 1.
 */
export function smooth(picture, how) {
  const { width, height, channels } = picture;
  const pitch = width * channels;
  const down = new Uint8Array(width * height);
  const across = new Uint8Array(width * height);
  for (let x = 0; x < width; x++) {
    const to = { first: x, step: width, count: height };
    mark(picture, { ...to, first: x * channels, step: pitch }, how, down, to);
  }
  for (let y = 0; y < height; y++) {
    const to = { first: y * width, step: 1, count: width };
    mark(picture, { ...to, first: y * pitch, step: channels }, how, across, to);
    spread(down, to, how.radius);
  }
  for (let x = 0; x < width; x++) {
    spread(across, { first: x, step: width, count: height }, how.radius);
  }
  return down.map((flag, i) => flag & across[i]);
}

/**
 * A row or a column.
 * @typedef {object} Line
 * @property {number} first Where it begins.
 * @property {number} step From one of its pixels to the next.
 * @property {number} count Of its pixels.
 */

/**
 * Flags pixels of a line that have no large third difference up to the radius away.
 * @param {import('./picture.js').Picture} picture
 * @param {Line} line In the picture's data.
 * @param {Smooth} how
 * @param {Uint8Array} flags
 * @param {Line} to Of flags.
 */
function mark({ bits, data }, line, { radius, most }, flags, to) {
  const limit = most * (bits === 16 ? 257 : 1);
  const [r, g, b] = [0, 1, 2].map((channel) => beyond(data, line, channel, radius));
  const half = limit && 0.5;
  const large = (a, i) => {
    const first = a[i + 2] - a[i + 1];
    return Math.abs(a[i + 3] - a[i] - 3 * first) > limit + half * Math.abs(first);
  };
  let last = -1; // of the large ones
  for (let i = 0; i < r.length - 3; i++) {
    if (large(r, i) || large(g, i) || large(b, i)) last = i;
    const pixel = i + 3 - 2 * radius;
    if (pixel >= 0) flags[to.first + pixel * to.step] = Number(last < pixel);
  }
}

/**
 * Returns a channel of a line that goes on beyond its ends as it would turned about them.
 * @param {import('./levels.js').Integers} data
 * @param {Line} line
 * @param {number} channel
 * @param {number} radius Pixels beyond each end.
 * @returns {Int32Array} `[radius + count + radius]`.
 */
function beyond(data, { first, step, count }, channel, radius) {
  const values = new Int32Array(count + 2 * radius);
  for (let i = 0; i < count; i++) values[radius + i] = data[first + i * step + channel];
  const [start, end] = [radius, radius + count - 1];
  for (let i = 1; i <= radius; i++) {
    // Of a short line this goes on from what is beyond the other end; one pixel stays as it is.
    values[start - i] = 2 * values[start] - values[Math.min(start + i, end + i - 1)];
    values[end + i] = 2 * values[end] - values[end - i];
  }
  return values;
}

/**
 * Leaves flags of a line set where all up to a radius away are.
 * @param {Uint8Array} flags They are changed.
 * @param {Line} line
 * @param {number} radius
 */
function spread(flags, { first, step, count }, radius) {
  let last = -1 - radius; // of those that are not set
  for (let i = 0; i < count + radius; i++) {
    if (i < count && !flags[first + i * step]) last = i;
    const pixel = i - radius;
    if (pixel >= 0) flags[first + pixel * step] = Number(last < pixel - radius);
  }
}

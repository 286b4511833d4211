/**
 * @file Levels of pixels: 8 and 16 bits as 0..255 and back.
 *
 * Arithmetic is that of `keras_perceptual/pixels/levels.py` in float32, step by step, so that the
 * same integers come out.
 */

const { fround } = Math;

/** @typedef {Uint8Array | Uint16Array} Integers Pixels of 8 or 16 bits a channel. */

/**
 * An empty array for pixels.
 * @param {number} bits 8 or 16.
 * @param {number} length Number of channels of all pixels.
 * @returns {Integers}
 */
export function integers(bits, length) {
  return bits === 16 ? new Uint16Array(length) : new Uint8Array(length);
}

/**
 * Returns the function from an integer to its level.
 * @param {number} bits 8 or 16.
 * @returns {(value: number) => number} To a float32 in 0..255.
 */
export function toLevel(bits) {
  return bits === 16 ? (value) => fround(value / 257) : (value) => value;
}

/**
 * Returns the function from a level to the nearest integer.
 * @param {number} bits 8 or 16.
 * @returns {(level: number) => number} From a float32 in about 0..255.
 */
export function toInteger(bits) {
  if (bits === 16) {
    return (level) => Math.trunc(clamp(fround(fround(level * 257) + 0.5), 65535.5));
  }
  return (level) => Math.trunc(clamp(fround(level + 0.5), 255.5));
}

/**
 * Rounds to the nearest integer, halves to the even one, as NumPy does.
 * @param {number} value
 * @returns {number}
 */
export function rint(value) {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below;
}

/**
 * @param {number} value
 * @param {number} most
 * @returns {number} In 0..most.
 */
function clamp(value, most) {
  if (value < 0) return 0;
  return value > most ? most : value;
}

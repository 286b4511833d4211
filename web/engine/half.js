/** @file Float16 numbers, in which weights are stored. */

const words = new Uint32Array(1);
const floats = new Float32Array(words.buffer);

/**
 * @param {number} half The 16 bits of a float16.
 * @returns {number}
 */
export function fromHalf(half) {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/**
 * Rounds to the nearest float16, halves to the even one.
 * @param {number} value A float32.
 * @returns {number} Its 16 bits.
 */
export function toHalf(value) {
  floats[0] = value;
  const sign = (words[0] >>> 16) & 0x8000;
  const size = Math.abs(value);
  if (Number.isNaN(value)) return sign | 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  const exponent = Math.max(-14, ((words[0] >>> 23) & 255) - 127);
  const steps = size * 2 ** (10 - exponent); // exact: 1024 to 2047 of them, fewer where subnormal
  const below = Math.floor(steps);
  const rest = steps - below;
  const rounded = rest > 0.5 || (rest === 0.5 && below % 2) ? below + 1 : below;
  return sign | (((exponent + 14) << 10) + rounded);
}

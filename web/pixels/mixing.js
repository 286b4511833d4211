/** @file A painting mixed with the photograph it was made of, as `pixels/histograms.py` mixes. */

import { toInteger, toLevel } from './levels.js';

const { fround } = Math;
const LUMA = [65.481, 128.553, 24.966]; // of MATLAB's rgb2ycbcr

/**
 * Mixes rows of a painting with those of the photograph, in place.
 * @param {import('./levels.js').Integers} painted `[n, width, channels]`.
 * @param {import('./levels.js').Integers} original The same of the photograph.
 * @param {object} how
 * @param {number} how.channels 3, or 4 with opacity, which is left as it is.
 * @param {number} how.bits 8 or 16.
 * @param {number} how.strength 0..1, the painting's share.
 * @param {boolean} how.preserveColour Whether to take luma alone from the painting.
 */
export function mixRows(painted, original, { channels, bits, strength, preserveColour }) {
  const level = toLevel(bits);
  const integer = toInteger(bits);
  const share = fround(strength);
  for (let i = 0; i < painted.length; i += channels) {
    const before = [0, 1, 2].map((k) => level(original[i + k]));
    let after = [0, 1, 2].map((k) => level(painted[i + k]));
    if (preserveColour) {
      // Added to red, green and blue alike, a change of luma leaves both chroma as they are.
      const brighter = ((luma(after) - luma(before)) * 255) / 219;
      after = before.map((each) => each + brighter);
    }
    for (let k = 0; k < 3; k++) {
      const step = preserveColour ? after[k] - before[k] : fround(after[k] - before[k]);
      const change = preserveColour ? share * step : fround(share * step);
      painted[i + k] = integer(before[k] + change);
    }
  }
}

function luma(levels) {
  return 16 + (levels[0] * LUMA[0] + levels[1] * LUMA[1] + levels[2] * LUMA[2]) / 255;
}

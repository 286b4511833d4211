/**
 * @file What a picture went through, as far as its pixels tell, and whether it is restored: blocks
 * and noise, by the same measures and thresholds as `pixels/condition.py` and
 * `inference/restoration.py`.
 */

import { cut, dctOf, grids, sameSteps } from './blocks.js';
import { toLevel } from './levels.js';

const SIDE = 128; // pixels a side of the squares that are looked at, a multiple of a block's
const ACROSS = 3; // as many squares at most a row, and rows of them
const BLOCK = 8;
const ENOUGH = 128; // blocks; in fewer there may be texture and nothing else
const MOST_NOISE = 60; // levels; what has more is a pattern
const [GROUND, LINES] = [16, 64]; // alike pixels of a block with drawn lines; levels it spans
const FEWEST_SHADES = 32;

const YCBCR = [
  [0.299, 0.587, 0.114],
  [-0.168736, -0.331264, 0.5],
  [0.5, -0.418688, -0.081312],
];
const DCT = dctOf(BLOCK);
const places = (chosen) => [...Array(BLOCK * BLOCK).keys()].filter((i) => chosen(i >> 3, i & 7));
const TEXTURE = places((u, v) => u + v >= 3);
const MIDDLE = places((u, v) => u + v >= 3 && u + v <= 6);
const CORNER = places((u, v) => u >= 6 && v >= 6);

/**
 * What is known of a picture.
 * @typedef {object} Condition
 * @property {number} blocks How far the grid of JPEG blocks stands out, 0 to 1.
 * @property {number} webpBlocks The same of WebP.
 * @property {number} bothBlocks The lesser of these where both grids are one, as in a film.
 * @property {number} noise Of brightness, its standard deviation in levels.
 * @property {number} colourNoise The same of Cb or Cr, whichever has more.
 * @property {number | null} quality 0 to 100, of a JPEG, or a lossy WebP, AVIF or HEIC.
 * @property {string} form Which of them.
 */

/**
 * Beyond these the restoring model of a scale does better, as `models.json` has them.
 * @typedef {object} Limits
 * @property {Record<string, number>} quality Of a lossy file, by its format.
 * @property {number} blocks
 * @property {number} webp_blocks
 * @property {number} both_blocks
 * @property {number} noise
 * @property {number} colour_noise
 */

/**
 * Decides on a picture.
 * @param {import('./picture.js').Picture} picture
 * @param {Limits} limits
 * @param {object} all Of all scales.
 * @param {Record<string, number>} all.least The lowest quality among their limits.
 * @param {number} all.explained Up to this quality of a JPEG, blocks that stand out are its own;
 * @param {number} all.own above it, up to so much.
 * @returns {{restore: number, reason: string}} The share of the restoring model, 0 or 1, and what
 *   was found that it is for.
 */
export function restoration(picture, limits, { least, explained, own }) {
  const { blocks, webpBlocks, bothBlocks, ...rest } = conditionOf(picture, least);
  const { noise, colourNoise, quality, form } = rest;
  const found = [];
  let ofItself = 0;
  if (quality !== null && form === 'JPEG') ofItself = quality > explained ? own : Infinity;
  if (quality !== null && quality <= limits.quality[form]) {
    found.push(`${form} of quality ${quality}`);
  } else if (blocks > Math.max(limits.blocks, ofItself)) {
    found.push('blocks of JPEG');
  } else if (webpBlocks > limits.webp_blocks && (quality === null || form !== 'WebP')) {
    found.push('blocks of WebP');
  } else if (bothBlocks > limits.both_blocks && quality === null) {
    found.push('blocks of a film, AVIF or HEIC');
  }
  if (noise > limits.noise || colourNoise > limits.colour_noise) found.push('noise');
  return { restore: Number(found.length > 0), reason: found.join(' and ') };
}

/**
 * Looks at squares all over a picture, unless its file says enough.
 * @param {import('./picture.js').Picture} picture
 * @param {Record<string, number>} least By its format; a file up to this quality is not looked at.
 * @returns {Condition}
 */
export function conditionOf(picture, least) {
  const { width, height, quality, form } = picture;
  const file = { quality, form };
  const nothing = { blocks: 0, webpBlocks: 0, bothBlocks: 0, noise: 0, colourNoise: 0, ...file };
  if (quality !== null && quality <= least[form]) return nothing;
  if (Math.min(width, height) < 2 * BLOCK) return nothing;
  const squares = [];
  for (const down of parts(height)) {
    for (const across of parts(width)) {
      const planes = ycbcr(picture, down, across);
      squares.push({ planes, height: down.length, width: across.length });
    }
  }
  const noise = noiseOf(squares.flatMap((square) => cut(square, BLOCK, 0)));
  return { ...grids(squares), ...noise, ...file };
}

/** What is looked at of an axis: parts that begin at multiples of a block, or all. */
function parts(length) {
  const count = Math.min(ACROSS, Math.floor(length / SIDE));
  if (count < 2) return [{ start: 0, length: Math.min(length, 2 * SIDE) }];
  const step = (length - SIDE) / (count - 1);
  return [...Array(count).keys()].map((i) => ({
    start: Math.floor(Math.trunc(i * step) / BLOCK) * BLOCK,
    length: SIDE,
  }));
}

/** Returns three `[down, across]` planes of a part of a picture. */
function ycbcr({ width, channels, bits, data }, down, across) {
  const level = toLevel(bits);
  return YCBCR.map(([r, g, b]) => {
    const plane = new Float32Array(down.length * across.length);
    for (let y = 0, to = 0; y < down.length; y++) {
      let from = ((down.start + y) * width + across.start) * channels;
      for (let x = 0; x < across.length; x++, from += channels) {
        plane[to++] = r * level(data[from]) + g * level(data[from + 1]) + b * level(data[from + 2]);
      }
    }
    return plane;
  });
}

/** Estimates noise of brightness and of colour where there is least else. */
function noiseOf(blocks) {
  const none = { noise: 0, colourNoise: 0 };
  const seen = blocks.filter(([luma]) => {
    const mean = average(luma);
    return mean > 10 && mean < 245; // what is black or white has lost its noise
  });
  const withLines = new Set(seen.filter(([luma]) => lined(luma)));
  const painted = seen.filter((block) => !withLines.has(block) && !drawn(block[0]));
  const shades = new Set();
  const step = Math.floor(seen.length / 64) + 1;
  for (let i = 0; i < seen.length; i += step) seen[i][0].forEach((level) => shades.add(level));
  if (seen.length < 4 || shades.size < FEWEST_SHADES) return none;
  if ((seen.length - painted.length) / seen.length > 0.5) return none;
  if (withLines.size / seen.length > 0.25) return none;
  const [light, ...colours] = [0, 1, 2].map((plane) => {
    const spectra = painted.map((block) => spectrum(block[plane]));
    const energy = (each) => meanSquare(each, TEXTURE);
    spectra.sort((a, b) => energy(a) - energy(b));
    const smoothest = spectra.slice(0, Math.max(4, Math.floor(spectra.length / 10)));
    const strength = (part) => Math.sqrt(average(smoothest.map((each) => meanSquare(each, part))));
    const high = strength(CORNER);
    return high * Math.min(1, high / (strength(MIDDLE) + 0.05)) ** 2;
  });
  const sure = Math.min(1, seen.length / ENOUGH);
  if (!(sure * light < MOST_NOISE)) return none;
  return { noise: sure * light, colourNoise: sure * Math.max(...colours) };
}

/** Says whether most pixels of a block are as bright as the next, which noise does not leave. */
function drawn(luma) {
  return sameSteps(luma, BLOCK)[0] > 0.5;
}

/** Says whether lines lie on a ground of one level, which noise does not leave either. */
function lined(luma) {
  const levels = luma.slice().sort();
  if (levels[63] - levels[0] <= LINES) return false;
  return levels.some((level, i) => level === levels[i + GROUND - 1]);
}

/** Returns the two-dimensional DCT of a block. */
function spectrum(block) {
  const rows = new Float32Array(64);
  const result = new Float32Array(64);
  for (let u = 0; u < 8; u++) {
    for (let x = 0; x < 8; x++) {
      for (let k = 0; k < 8; k++) rows[u * 8 + x] += DCT[u * 8 + k] * block[k * 8 + x];
    }
    for (let v = 0; v < 8; v++) {
      for (let k = 0; k < 8; k++) result[u * 8 + v] += rows[u * 8 + k] * DCT[v * 8 + k];
    }
  }
  return result;
}

function meanSquare(values, chosen) {
  let sum = 0;
  for (const i of chosen) sum += values[i] ** 2;
  return sum / chosen.length;
}

function average(values) {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

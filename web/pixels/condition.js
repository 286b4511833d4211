/**
 * @file What a picture went through, as far as its pixels tell, and whether it is restored: JPEG
 * blocks and noise, by the same measures and thresholds as `pixels/condition.py` and
 * `inference/restoration.py`.
 */

import { toLevel } from './levels.js';

const SIDE = 128; // pixels a side of the squares that are looked at, a multiple of a block's
const ACROSS = 3; // as many squares at most a row, and rows of them
const BLOCK = 8;
const CHANCE = 0.9;
const ENOUGH = 128; // blocks; in fewer there may be texture and nothing else
const MOST_NOISE = 60; // levels; what has more is a pattern
const [GROUND, LINES] = [16, 64]; // alike pixels of a block with drawn lines; levels it spans
const FEWEST_SHADES = 32;
const [ALIKE, CELLS] = [0.3, 0.65]; // of a block's neighbours; of the blocks that have as many

const YCBCR = [
  [0.299, 0.587, 0.114],
  [-0.168736, -0.331264, 0.5],
  [0.5, -0.418688, -0.081312],
];
const DCT = Float32Array.from({ length: BLOCK * BLOCK }, (_, i) => {
  const [u, x] = [i >> 3, i & 7];
  return 0.5 * Math.cos(((2 * x + 1) * u * Math.PI) / 16) * (u ? 1 : Math.SQRT1_2);
});
const places = (chosen) => [...Array(BLOCK * BLOCK).keys()].filter((i) => chosen(i >> 3, i & 7));
const HIGH = places((u, v) => u + v >= 5);
const TEXTURE = places((u, v) => u + v >= 3);
const MIDDLE = places((u, v) => u + v >= 3 && u + v <= 6);
const CORNER = places((u, v) => u >= 6 && v >= 6);

/**
 * What is known of a picture.
 * @typedef {object} Condition
 * @property {number} blocks How far the grid of JPEG blocks stands out, 0 to 1.
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
  const { blocks, noise, colourNoise, quality, form } = conditionOf(picture, least);
  const found = [];
  let ofItself = 0;
  if (quality !== null && form === 'JPEG') ofItself = quality > explained ? own : Infinity;
  if (quality !== null && quality <= limits.quality[form]) {
    found.push(`${form} of quality ${quality}`);
  } else if (blocks > Math.max(limits.blocks, ofItself)) found.push('blocks of JPEG');
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
  const nothing = { blocks: 0, noise: 0, colourNoise: 0, quality, form };
  if (quality !== null && quality <= least[form]) return nothing;
  if (Math.min(width, height) < 2 * BLOCK) return nothing;
  const small = new Float64Array(BLOCK * BLOCK);
  const busy = new Float64Array(BLOCK * BLOCK);
  const squares = [];
  for (const down of parts(height)) {
    for (const across of parts(width)) {
      const planes = ycbcr(picture, down, across);
      countSmall(planes[0], down.length, across.length, small, busy);
      squares.push({ planes, height: down.length, width: across.length });
    }
  }
  const { apart, offset } = isolation(small, busy);
  const isDrawn = apart > 0 && cells(squares.flatMap((square) => cut(square, offset)));
  const blocks = squares.flatMap((square) => cut(square, 0));
  return { ...nothing, blocks: isDrawn ? 0 : apart, ...noiseOf(blocks) };
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

/**
 * Counts, of blocks that begin at each of 8x8 offsets, high coefficients that are near 0. JPEG
 * leaves many of them at 0, in blocks of its own grid only.
 */
function countSmall(luma, height, width, small, busy) {
  // The DCT of every row of 8 pixels, `[y, x, v]`, then of every column of such rows.
  const across = width - BLOCK + 1;
  const rows = new Float32Array(height * across * BLOCK);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < across; x++) {
      for (let v = 0; v < BLOCK; v++, to++) {
        let sum = 0;
        for (let k = 0; k < BLOCK; k++) sum += DCT[v * BLOCK + k] * luma[y * width + x + k];
        rows[to] = sum;
      }
    }
  }
  const whole = (length) => Math.floor((length - BLOCK + 1) / BLOCK) * BLOCK;
  for (let y = 0; y < whole(height); y++) {
    for (let x = 0; x < whole(width); x++) {
      let most = 0;
      let below = 0;
      for (const place of HIGH) {
        const [u, v] = [place >> 3, place & 7];
        let sum = 0;
        for (let k = 0; k < BLOCK; k++)
          sum += DCT[u * BLOCK + k] * rows[((y + k) * across + x) * BLOCK + v];
        const size = Math.abs(sum);
        if (size > most) most = size;
        if (size < 1) below++;
      }
      if (most > 2) {
        const offset = (y % BLOCK) * BLOCK + (x % BLOCK);
        small[offset] += below / HIGH.length;
        busy[offset]++;
      }
    }
  }
}

/** Returns how far one offset has more small coefficients than others have, and which. */
function isolation(small, busy) {
  const usual = median([...busy].sort((a, b) => a - b));
  // A block of which JPEG left no high coefficient is busy at all offsets but its own. A few blocks
  // less than usual are chance.
  const shares = [...small].map((count, i) => {
    const least = Math.max(busy[i], usual - Math.sqrt(usual), 1);
    return (count + least - busy[i]) / least;
  });
  const sorted = [...shares].sort((a, b) => a - b);
  const [second, first] = sorted.slice(-2);
  const apart = first - median(sorted);
  const alone = usual >= 8 && first - second > 0.01 && apart > CHANCE / Math.sqrt(usual);
  return { apart: alone ? apart : 0, offset: shares.indexOf(first) };
}

/**
 * Says whether blocks are cells of a drawing, such as pixel art: mostly of one level each. JPEG
 * leaves blocks that are flat, but in what is not it puts waves all over.
 */
function cells(blocks) {
  const least = blocks.map(([luma]) => Math.min(alike(luma, 1), alike(luma, BLOCK)));
  const partly = least.filter((share) => share < 1);
  const drawings = partly.filter((share) => share >= ALIKE);
  return !partly.length || drawings.length / partly.length > CELLS;
}

/** Returns the share of a block's pixels that are as bright as the next across or down. */
function alike(luma, step) {
  let same = 0;
  for (let i = 0; i < 64; i++) {
    const last = step === 1 ? (i & 7) === 7 : i >= 56;
    if (!last && luma[i] === luma[i + step]) same++;
  }
  return same / 56;
}

/** Returns the blocks of a square's planes from an offset on, of each block `[3][64]`. */
function cut({ planes, height, width }, offset) {
  const blocks = [];
  for (let top = offset >> 3; top + BLOCK <= height; top += BLOCK) {
    for (let left = offset & 7; left + BLOCK <= width; left += BLOCK) {
      const inside = (_, i) => (top + (i >> 3)) * width + left + (i & 7);
      blocks.push(
        planes.map((plane) => Float32Array.from({ length: 64 }, (_, i) => plane[inside(_, i)])),
      );
    }
  }
  return blocks;
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
  return alike(luma, 1) > 0.5;
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

function median(sorted) {
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

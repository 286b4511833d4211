/**
 * @file What a picture went through, as far as its pixels tell, and whether it is restored: JPEG
 * blocks and noise, by the same measures and thresholds as `pixels/condition.py` and
 * `inference/restoration.py`.
 */

import { toLevel } from './levels.js';

const SIDE = 128; // pixels a side of the squares that are looked at, a multiple of a block's
const ACROSS = 3; // as many squares at most a row, and rows of them
const BLOCK = 8;
const [CHANCE, CHANCE_OF_BOTH] = [0.9, 0.5];
const [AHEAD, AHEAD_OF_BOTH] = [0.01, 0.15]; // of the next; the latter a share of what stands out
const MOST_FOUR = 2; // times as far as those of 8 stand out blocks of 4 that are not a WebP's
const ENOUGH = 128; // blocks; in fewer there may be texture and nothing else
const MOST_NOISE = 60; // levels; what has more is a pattern
const [GROUND, LINES] = [16, 64]; // alike pixels of a block with drawn lines; levels it spans
const FEWEST_SHADES = 32;
const BUSY = 2; // a block's highest frequencies are above, or it is smooth at any offset
const CELLS = 12; // cells of a drawing differ by so many times what they do inside, others by less
const [SAME, ALIKE] = [0.3, 0.65]; // in a drawing, of a block's steps that are 0; of such blocks

const YCBCR = [
  [0.299, 0.587, 0.114],
  [-0.168736, -0.331264, 0.5],
  [0.5, -0.418688, -0.081312],
];
/** Returns the matrix of a DCT of so many pixels, row after row. */
const dctOf = (side) =>
  Float32Array.from({ length: side * side }, (_, i) => {
    const [u, x] = [Math.floor(i / side), i % side];
    const wave = Math.cos(((2 * x + 1) * u * Math.PI) / (2 * side));
    return Math.sqrt(2 / side) * wave * (u ? 1 : Math.SQRT1_2);
  });
const DCT = dctOf(BLOCK);
/**
 * Blocks that a code cuts a picture into: from which u + v on coefficients are high, and below how
 * many levels they are small.
 */
const JPEG = { side: BLOCK, high: 5, small: 1, dct: DCT };
const WEBP = { side: 4, high: 3, small: 3, dct: dctOf(4) };
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
  const [eight, four] = [isolation(squares, JPEG), isolation(squares, WEBP)];
  const [blocks, webpBlocks] = [one(eight), one(four)];
  const noise = noiseOf(squares.flatMap((square) => cut(square, BLOCK, 0)));
  return { blocks, webpBlocks, bothBlocks: both(eight, four), ...noise, ...file };
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
 * Finds the grid of a code's blocks: how far its offset has more small coefficients than others have,
 * of a drawing 0; how far more than the next; the former as a multiple of what it is by chance.
 */
function isolation(squares, code) {
  const { side } = code;
  const small = new Float64Array(side * side);
  const busy = new Float64Array(side * side);
  for (const square of squares) countSmall(square, code, small, busy);
  const usual = median([...busy].sort((a, b) => a - b));
  // A block of which no high coefficient is left is busy at all offsets but its own. A few blocks
  // less than usual are chance.
  const shares = [...small].map((count, i) => {
    const least = Math.max(busy[i], usual - Math.sqrt(usual), 1);
    return (count + least - busy[i]) / least;
  });
  const sorted = [...shares].sort((a, b) => a - b);
  const [second, first] = sorted.slice(-2);
  const offset = shares.indexOf(first);
  const found = first - median(sorted);
  const beyond = usual >= 8 ? found * Math.sqrt(usual) : 0;
  const isNone = beyond > CHANCE_OF_BOTH && isDrawn(squares, side, offset);
  const [apart, chances] = isNone ? [0, 0] : [found, beyond];
  return { apart, ahead: first - second, chances, offset: [Math.floor(offset / side), offset % side] };
}

/** Returns how far a grid stands out by itself; enlarged pixels make several offsets stand out. */
function one({ apart, ahead, chances }) {
  return ahead > AHEAD && chances > CHANCE ? apart : 0;
}

/** Returns how far the grids of blocks of 8 and of 4 stand out together. */
function both(eight, four) {
  if (eight.offset.some((place, i) => place % WEBP.side !== four.offset[i])) return 0;
  if ([eight, four].some(({ ahead, apart }) => ahead <= AHEAD_OF_BOTH * apart)) return 0;
  if (Math.min(eight.chances, four.chances) <= CHANCE_OF_BOTH) return 0;
  return four.apart < MOST_FOUR * eight.apart ? Math.min(eight.apart, four.apart) : 0;
}

/**
 * Counts, of blocks that begin at each offset, high coefficients that are near 0. A code leaves
 * many of them at 0, in blocks of its own grid only.
 */
function countSmall(square, { side, high, small: least, dct }, small, busy) {
  const { planes, height, width } = square;
  const [luma] = planes;
  // The DCT of every row of a block, `[y, x, v]`, then of every column of such rows.
  const across = width - side + 1;
  const rows = new Float32Array(height * across * side);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < across; x++) {
      for (let v = 0; v < side; v++, to++) {
        let sum = 0;
        for (let k = 0; k < side; k++) sum += dct[v * side + k] * luma[y * width + x + k];
        rows[to] = sum;
      }
    }
  }
  const wanted = [...dct.keys()].filter((i) => Math.floor(i / side) + (i % side) >= high);
  const whole = (length) => Math.floor((length - side + 1) / side) * side;
  for (let y = 0; y < whole(height); y++) {
    for (let x = 0; x < whole(width); x++) {
      let most = 0;
      let below = 0;
      for (const place of wanted) {
        const v = place % side;
        let sum = 0;
        for (let k = 0; k < side; k++)
          sum += dct[place - v + k] * rows[((y + k) * across + x) * side + v];
        const size = Math.abs(sum);
        if (size > most) most = size;
        if (size < least) below++;
      }
      if (most > BUSY) {
        const offset = (y % side) * side + (x % side);
        small[offset] += below / wanted.length;
        busy[offset]++;
      }
    }
  }
}

/**
 * Says whether blocks are parts of a drawing, such as the cells of reduced pixel art. They differ
 * from each other and hardly inside, or are mostly of one level each. A code leaves flat blocks
 * too, but in what is not flat it puts waves all over.
 */
function isDrawn(squares, side, offset) {
  const byPlace = [...Array(side).keys()].map((place) =>
    squares.reduce((sum, square) => sum + steps(square, side, offset, place), 0),
  );
  const blocks = squares.flatMap((square) => cut(square, side, offset));
  const same = blocks.map(([luma]) => Math.min(...sameSteps(luma, side)));
  const partly = same.filter((share) => share < 1);
  const alike = partly.filter((share) => share >= SAME).length;
  if (Math.max(...byPlace) > CELLS * Math.min(...byPlace)) return true;
  return !partly.length || alike > ALIKE * partly.length;
}

/** Returns the mean steps of brightness after one pixel of each block, down and across. */
function steps({ planes: [luma], height, width }, side, offset, place) {
  const [top, left] = [Math.floor(offset / side), offset % side];
  const sums = [0, 0];
  const counts = [0, 0];
  for (let y = top; y < height; y++) {
    for (let x = left; x < width; x++) {
      const at = y * width + x;
      if ((y - top) % side === place && y + 1 < height) {
        sums[0] += Math.abs(luma[at + width] - luma[at]);
        counts[0]++;
      }
      if ((x - left) % side === place && x + 1 < width) {
        sums[1] += Math.abs(luma[at + 1] - luma[at]);
        counts[1]++;
      }
    }
  }
  return sums[0] / counts[0] + sums[1] / counts[1];
}

/** Returns the blocks of a square's planes from an offset on, of each block its three planes. */
function cut({ planes, height, width }, side, offset) {
  const blocks = [];
  for (let top = Math.floor(offset / side); top + side <= height; top += side) {
    for (let left = offset % side; left + side <= width; left += side) {
      const inside = (i) => (top + Math.floor(i / side)) * width + left + (i % side);
      const length = side * side;
      blocks.push(
        planes.map((plane) => Float32Array.from({ length }, (_, i) => plane[inside(i)])),
      );
    }
  }
  return blocks;
}

/** Returns the shares of a block's steps, across and down, that are 0. */
function sameSteps(luma, side) {
  const same = [0, 0];
  for (let i = 0; i < side * side; i++) {
    if (i % side < side - 1 && luma[i] === luma[i + 1]) same[0]++;
    if (i < side * (side - 1) && luma[i] === luma[i + side]) same[1]++;
  }
  return same.map((count) => count / (side * (side - 1)));
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

function median(sorted) {
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * @file The blocks that codes such as JPEG cut a picture into, by what is left of high frequencies,
 * as `pixels/blocks.py`.
 */

const [CHANCE, CHANCE_OF_BOTH] = [0.9, 0.5];
const [AHEAD, AHEAD_OF_BOTH] = [0.01, 0.15]; // of the next; the latter a share of what stands out
const MOST_FOUR = 2; // times as far as those of 8 stand out blocks of 4 that are not a WebP's
const BUSY = 2; // a block's highest frequencies are above, or it is smooth at any offset
const CELLS = 12; // cells of a drawing differ by so many times what they do inside, others by less
const [SAME, ALIKE] = [0.3, 0.65]; // in a drawing, of a block's steps that are 0; of such blocks

/** Returns the matrix of a DCT of so many pixels, row after row. */
export const dctOf = (side) =>
  Float32Array.from({ length: side * side }, (_, i) => {
    const [u, x] = [Math.floor(i / side), i % side];
    const wave = Math.cos(((2 * x + 1) * u * Math.PI) / (2 * side));
    return Math.sqrt(2 / side) * wave * (u ? 1 : Math.SQRT1_2);
  });

/**
 * Blocks that a code cuts a picture into: from which u + v on coefficients are high, and below how
 * many levels they are small.
 */
const JPEG = { side: 8, high: 5, small: 1, dct: dctOf(8) };
const WEBP = { side: 4, high: 3, small: 3, dct: dctOf(4) };

/**
 * Part of a picture, that begins at a multiple of a block.
 * @typedef {object} Square
 * @property {Float32Array[]} planes Brightness and two of colour, in levels.
 * @property {number} height
 * @property {number} width
 */

/**
 * Finds how far the grids of blocks stand out.
 * @param {Square[]} squares Of 16 pixels a side at least.
 * @returns {{blocks: number, webpBlocks: number, bothBlocks: number}} As `Condition` has them.
 */
export function grids(squares) {
  const [eight, four] = [isolation(squares, JPEG), isolation(squares, WEBP)];
  return { blocks: one(eight), webpBlocks: one(four), bothBlocks: both(eight, four) };
}

/**
 * Finds the grid of a code's blocks: how far its offset has more small coefficients than others
 * have, of a drawing 0; how far more than the next; the former in multiples of chance.
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
  const place = [Math.floor(offset / side), offset % side];
  return { apart, ahead: first - second, chances, place };
}

/** Returns how far a grid stands out by itself; enlarged pixels make several offsets stand out. */
function one({ apart, ahead, chances }) {
  return ahead > AHEAD && chances > CHANCE ? apart : 0;
}

/** Returns how far the grids of blocks of 8 and of 4 stand out together. */
function both(eight, four) {
  if (eight.place.some((at, i) => at % WEBP.side !== four.place[i])) return 0;
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
export function cut({ planes, height, width }, side, offset) {
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
export function sameSteps(luma, side) {
  const same = [0, 0];
  for (let i = 0; i < side * side; i++) {
    if (i % side < side - 1 && luma[i] === luma[i + 1]) same[0]++;
    if (i < side * (side - 1) && luma[i] === luma[i + side]) same[1]++;
  }
  return same.map((count) => count / (side * (side - 1)));
}

function median(sorted) {
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

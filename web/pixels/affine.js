/**
 * @file The shift of colour and contrast that a network adds, measured on gray patches, as
 * `pixels/affine.py` measures it; what takes it out is the safe post-process.
 */

const PATCHES = Array.from({ length: 8 }, (_, i) => 16 + 32 * i); // grays that do not clip
const SIDE = 16; // LR pixels a side of a patch
const CONTRAST = [0.8, 1.25]; // what is beyond is no shift
const LEAST = 0.75; // levels that count

/** The chart that a network is shown, `[16, 128, 3]` float32 levels. */
export const CHART = { width: SIDE * PATCHES.length, height: SIDE };

/** Returns the chart's pixels. */
export function chart() {
  const levels = new Float32Array(CHART.width * CHART.height * 3);
  for (let i = 0; i < levels.length; i++) {
    const x = Math.floor(i / 3) % CHART.width;
    levels[i] = PATCHES[Math.floor(x / SIDE)];
  }
  return levels;
}

/**
 * A gain and an offset in levels of each channel.
 * @typedef {object} Affine
 * @property {Float32Array} gain `[3]`.
 * @property {Float32Array} offset `[3]`.
 */

/**
 * Returns what takes the shift out that shows in what a network made of the chart.
 * @param {Float32Array} sr `[16 scale, 128 scale, 3]` levels.
 * @param {number} scale Of the network.
 * @returns {Affine | null} Null where no shift is worth it, or it is none.
 */
export function measured(sr, scale) {
  const seen = patchMeans(sr, SIDE * scale);
  const middle = mean(PATCHES);
  const steps = PATCHES.map((gray) => gray - middle);
  const power = dot(steps, steps);
  const contrast = seen.map((levels) => dot(steps, levels) / power);
  if (!contrast.every((each) => each > CONTRAST[0] && each < CONTRAST[1])) return null;
  const gain = contrast.map((each) => 1 / each);
  const offset = seen.map((levels, k) => middle - mean(levels) / contrast[k]);
  let moved = 0;
  let worse = false;
  for (let k = 0; k < 3; k++) {
    const inverse = (level) => level * gain[k] + offset[k];
    for (const end of [0, 255]) moved = Math.max(moved, Math.abs(inverse(end) - end));
    PATCHES.forEach((gray, i) => {
      const [before, after] = [seen[k][i], inverse(seen[k][i])].map((level) =>
        Math.abs(level - gray),
      );
      worse ||= after > before + LEAST;
    });
  }
  if (moved <= LEAST || worse) return null;
  return { gain: Float32Array.from(gain), offset: Float32Array.from(offset) };
}

/**
 * Changes levels in place.
 * @param {Affine} affine
 * @param {Float32Array} levels `[..., 3]`.
 */
export function apply({ gain, offset }, levels) {
  for (let i = 0; i < levels.length; i++) {
    levels[i] = Math.fround(levels[i] * gain[i % 3]) + offset[i % 3];
  }
}

/** Returns the mean of the middle of each patch, `[channel][patch]`. */
function patchMeans(sr, side) {
  const margin = Math.floor(side / 4);
  const pitch = side * PATCHES.length * 3;
  return [0, 1, 2].map((k) =>
    PATCHES.map((_, patch) => {
      let sum = 0;
      for (let y = margin; y < side - margin; y++) {
        for (let x = patch * side + margin; x < (patch + 1) * side - margin; x++) {
          sum += sr[y * pitch + 3 * x + k];
        }
      }
      return sum / (side - 2 * margin) ** 2;
    }),
  );
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function dot(a, b) {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}

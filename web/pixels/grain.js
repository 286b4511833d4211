/**
 * @file Grain: faint smooth noise that a style generator is given something to paint by, as
 * `pixels/grain.py` makes it. Its waves come with the models: they are NumPy's random numbers.
 */

import { rint } from './levels.js';

const { fround } = Math;

/**
 * The waves that grain is the sum of.
 * @typedef {object} Waves
 * @property {number} levels Standard deviation of the grain, of 255.
 * @property {number} headroom Levels by which black becomes lighter, and white darker.
 * @property {number[]} down Radians a pixel.
 * @property {number[]} right The same.
 * @property {number[][]} phases Of each wave, those of red, green and blue.
 */

/**
 * Adds grain to a picture.
 * @param {import('./picture.js').Picture} picture It is changed; its opacity is not.
 * @param {Waves} waves
 * @param {number} [top] Its first row, of a part of a picture.
 * @param {number} [left] Its first column.
 */
export function addGrain(picture, waves, top = 0, left = 0) {
  const { width, height, channels, bits, data } = picture;
  const most = 2 ** bits - 1;
  const unit = most / 255;
  const contrast = fround(1 - (2 * waves.headroom) / 255);
  const lift = fround(waves.headroom * unit);
  const strength = fround(waves.levels * unit);
  const columns = columnFactors(waves, width, left);
  const count = waves.down.length;
  const factors = new Float32Array(2 * count);
  for (let y = 0, at = 0; y < height; y++) {
    waves.down.forEach((radians, wave) => {
      factors[wave] = Math.cos((top + y) * radians);
      factors[count + wave] = -Math.sin((top + y) * radians);
    });
    for (let x = 0; x < width; x++, at += channels) {
      for (let k = 0; k < 3; k++) {
        let grain = 0;
        const column = (3 * x + k) * 2 * count;
        for (let i = 0; i < 2 * count; i++) grain += factors[i] * columns[column + i];
        const lifted = fround(fround(data[at + k] * contrast) + lift);
        const level = fround(lifted + fround(fround(grain) * strength));
        data[at + k] = rint(Math.min(Math.max(level, 0), most));
      }
    }
  }
}

/** Returns `[width, 3, 2 waves]`, what a row's factors are multiplied by. */
function columnFactors({ right, phases }, width, left) {
  const count = right.length;
  const columns = new Float32Array(width * 3 * 2 * count);
  const scale = Math.sqrt(2 / count);
  for (let x = 0; x < width; x++) {
    for (let k = 0; k < 3; k++) {
      const at = (3 * x + k) * 2 * count;
      for (let wave = 0; wave < count; wave++) {
        const angle = (left + x) * right[wave] + phases[wave][k];
        columns[at + wave] = Math.cos(angle) * scale;
        columns[at + count + wave] = Math.sin(angle) * scale;
      }
    }
  }
  return columns;
}

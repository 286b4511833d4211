/** @file How large pictures may be: refused politely before the browser dies. */

import { FileError } from '../files/source.js';

const MEGAPIXELS = { in: 80, out: 800 }; // of a machine of 8 GB or more, and a browser of 64 bits
const ENOUGH = 8; // GB
const LARGEST_SIDE = 2 ** 20; // pixels
const LARGE = 60e6; // pixels of a result that people are warned of

/**
 * Refuses a picture that is too large to be read.
 * @param {{width: number, height: number}} size In pixels.
 */
export function checkInput({ width, height }) {
  if (!width || !height) throw new FileError('it has no pixels');
  refuseBeyond(width, height, limit('in'), 'cut it up, or use infer.py');
}

/**
 * Refuses a result that is too large.
 * @param {{width: number, height: number}} size In pixels.
 */
export function checkOutput({ width, height }) {
  refuseBeyond(width, height, limit('out'), 'choose a smaller scale, or use infer.py');
}

/**
 * Says whether people are to be warned before a result is made.
 * @param {{width: number, height: number}} size In pixels.
 */
export function isLarge({ width, height }) {
  return width * height > LARGE;
}

/** Says whether there is room for networks on a GPU beside those on the processor. */
export function isRoomy() {
  return memory() >= ENOUGH;
}

function limit(which) {
  return MEGAPIXELS[which] * 1e6 * Math.min(1, memory() / ENOUGH);
}

function memory() {
  return navigator.deviceMemory ?? ENOUGH;
}

function refuseBeyond(width, height, most, advice) {
  if (width * height <= most && Math.max(width, height) <= LARGEST_SIDE) return;
  throw new FileError(
    `${width}×${height} pixels are more than this page takes, ${Math.round(most / 1e6)} ` +
      `megapixels on this device; ${advice}`,
  );
}

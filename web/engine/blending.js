/** @file Blends of two models of one architecture, weight by weight, as `inference/blending.py`. */

import { Model } from './flatbuffer.js';
import { fromHalf, toHalf } from './half.js';

const { fround } = Math;

/**
 * Interpolates between two .tflite files of one architecture.
 * @param {Uint8Array} first Bytes of one; its weights are changed in place.
 * @param {Uint8Array} second Bytes of the other.
 * @param {number} share Of the second, 0..1.
 */
export function blend(first, second, share) {
  const [ours, theirs] = [first, second].map((bytes) => new Model(bytes).constants('upscale'));
  const fitting =
    ours.length === theirs.length &&
    ours.every(
      (each, i) => each.type === theirs[i].type && each.bytes.length === theirs[i].bytes.length,
    );
  if (!fitting || !ours.length) throw new Error('expected models of one architecture');
  const [left, right] = [fround(1 - share), fround(share)];
  const mixed = (a, b) => fround(fround(left * a) + fround(right * b));
  ours.forEach(({ type, bytes }, i) => {
    const [to, from] = [bytes, theirs[i].bytes].map(
      (each) => new DataView(each.buffer, each.byteOffset, each.byteLength),
    );
    if (type === 1) {
      for (let at = 0; at < bytes.length; at += 2) {
        const value = mixed(fromHalf(to.getUint16(at, true)), fromHalf(from.getUint16(at, true)));
        to.setUint16(at, toHalf(value), true);
      }
    } else {
      for (let at = 0; at < bytes.length; at += 4) {
        to.setFloat32(at, mixed(to.getFloat32(at, true), from.getFloat32(at, true)), true);
      }
    }
  });
}

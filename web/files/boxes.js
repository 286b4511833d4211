/** @file The boxes of an AVIF or HEIC and where its first picture lies, as `files/boxes.py`. */

import { Bits, Unread } from './bits.js';
import { latin } from './bytes.js';

const HEAD = 2 ** 16; // bytes of a file that have the box of what is in it

/**
 * Finds the first picture that a codec made; a large one may consist of several.
 * @param {Uint8Array} bytes Of an AVIF or HEIC.
 * @param {string} codec The four letters that stand for it.
 * @param {number} length Bytes that are wanted of the picture.
 * @returns {{properties: Uint8Array, picture: Uint8Array}} The box that has the properties of all
 *   pictures, and how this one begins (ISO/IEC 14496-12, 8.11.3, 8.11.6 and 8.11.14).
 * @throws {Unread}
 */
export function firstPicture(bytes, codec, length) {
  const meta = boxes(known(boxes(bytes.subarray(0, HEAD)).get('meta')).subarray(4));
  const start = placeOf(known(meta.get('iloc')), firstNumber(known(meta.get('iinf')), codec));
  const properties = known(meta.get('iprp'));
  return { properties, picture: bytes.subarray(start, start + length) };
}

/**
 * Returns what must be there.
 * @template T
 * @param {T | undefined} value
 * @returns {T}
 * @throws {Unread}
 */
export function known(value) {
  if (value === undefined) throw new Unread();
  return value;
}

/** Yields the kind and the body of each box. */
export function* eachBox(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + 8 <= bytes.length; ) {
    const size = view.getUint32(at);
    if (size < 8) return; // to the end of the file, or longer than 32 bits can say
    yield [latin(bytes, at + 4, 4), bytes.subarray(at + 8, at + size)];
    at += size;
  }
}

function boxes(bytes) {
  return new Map(eachBox(bytes));
}

/** Returns the number of the first item of a kind. */
function firstNumber(box, codec) {
  for (const [kind, entry] of eachBox(box.subarray(box[0] ? 8 : 6))) {
    const width = entry[0] < 3 ? 2 : 4;
    if (kind === 'infe' && latin(entry, 6 + width, 4) === codec)
      return new Bits(entry.subarray(4)).number(8 * width);
  }
  throw new Unread();
}

/** Returns where in the file an item begins. */
function placeOf(box, wanted) {
  const bits = new Bits(box.subarray(4));
  const [offset, length, base, last] = [4, 4, 4, 4].map((count) => 8 * bits.number(count));
  const version = box[0];
  const number = version < 2 ? 16 : 32;
  for (let left = bits.number(number); left > 0; left--) {
    const item = bits.number(number);
    const method = version ? bits.number(16) & 15 : 0;
    bits.number(16);
    const [start, parts] = [bits.number(base), bits.number(16)];
    if (item !== wanted) {
      bits.at += parts * ((version && last) + offset + length);
      continue;
    }
    if (method || !parts) throw new Unread();
    bits.at += version && last;
    return start + bits.number(offset);
  }
  throw new Unread();
}

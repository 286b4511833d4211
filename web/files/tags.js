/**
 * @file Directories of tags, which EXIF blocks consist of, as `files/tags.py` reads and writes them.
 * Values are kept as bytes, so that unknown tags pass unchanged.
 */

import { joined, latin } from './bytes.js';

const INSIDE = new Set([0x8769, 0x8825, 0xa005]); // tags that point to directories: EXIF, GPS, ...
const SIZES = { 1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4 };
const LONG = 4;
const MOST = 2 ** 24; // bytes of all values; a hostile file may claim any number
const DEEPEST = 2;

/**
 * Tags by number, and the directories that some of them point to.
 * @typedef {object} Directory
 * @property {boolean} little Whether the least byte of a number comes first.
 * @property {Map<number, {kind: number, data: Uint8Array}>} tags
 * @property {Map<number, Directory>} inside
 */

/**
 * Reads the first directory of an EXIF block and those inside it. What points outside the block,
 * or claims more than there is, is left out.
 * @param {Uint8Array} block Without `Exif\0\0`.
 * @returns {Directory | null} Null where it is none.
 */
export function parse(block) {
  const order = latin(block, 0, 2);
  if (block.length < 8 || !['II', 'MM'].includes(order)) return null;
  const little = order === 'II';
  const view = new DataView(block.buffer, block.byteOffset, block.length);
  return directory(block, view, view.getUint32(4, little), little, 0);
}

function directory(block, view, offset, little, depth) {
  const found = { little, tags: new Map(), inside: new Map() };
  if (offset + 2 > block.length) return null;
  const count = view.getUint16(offset, little);
  let left = MOST;
  for (let at = offset + 2; at + 12 <= Math.min(block.length, offset + 2 + 12 * count); at += 12) {
    const number = view.getUint16(at, little);
    const kind = view.getUint16(at + 2, little);
    const size = view.getUint32(at + 4, little) * (SIZES[kind] ?? 0);
    if (size <= 0 || size > left) continue;
    if (INSIDE.has(number)) {
      const pointer = view.getUint32(at + 8, little);
      const child = depth < DEEPEST ? directory(block, view, pointer, little, depth + 1) : null;
      if (child) found.inside.set(number, child);
      continue;
    }
    const start = size > 4 ? view.getUint32(at + 8, little) : at + 8;
    left -= size;
    if (start + size <= block.length) {
      found.tags.set(number, { kind, data: block.subarray(start, start + size) });
    }
  }
  return found;
}

/**
 * Returns the first unsigned integer of a tag, or null.
 * @param {Directory} found
 * @param {number} number
 */
export function integer(found, number) {
  const tag = found.tags.get(number);
  if (!tag || ![1, 3, 4, 13].includes(tag.kind)) return null;
  const view = new DataView(tag.data.buffer, tag.data.byteOffset, tag.data.length);
  if (tag.kind === 1) return view.getUint8(0);
  return tag.kind === 3 ? view.getUint16(0, found.little) : view.getUint32(0, found.little);
}

/**
 * Returns a directory as an EXIF block, without `Exif\0\0`, or null if it has no tags.
 * @param {Directory} found
 * @returns {Uint8Array | null}
 */
export function dump(found) {
  if (!found.tags.size && !found.inside.size) return null;
  const head = new Uint8Array(8);
  const view = new DataView(head.buffer);
  head.set(found.little ? [73, 73] : [77, 77]);
  view.setUint16(2, 42, found.little);
  view.setUint32(4, 8, found.little);
  return joined([head, written(found, 8)]);
}

/** Returns a directory that will lie at an offset, its values and directories after it. */
function written({ little, tags, inside }, offset) {
  const numbers = [...new Set([...tags.keys(), ...inside.keys()])].sort((a, b) => a - b);
  const table = new Uint8Array(2 + 12 * numbers.length + 4);
  const view = new DataView(table.buffer);
  const values = [];
  let after = offset + table.length;
  const append = (bytes) => {
    values.push(bytes);
    after += bytes.length;
  };
  view.setUint16(0, numbers.length, little);
  numbers.forEach((number, i) => {
    const at = 2 + 12 * i;
    const child = inside.get(number);
    const tag = tags.get(number);
    view.setUint16(at, number, little);
    view.setUint16(at + 2, child ? LONG : tag.kind, little);
    view.setUint32(at + 4, child ? 1 : tag.data.length / SIZES[tag.kind], little);
    if (child) {
      view.setUint32(at + 8, after, little);
      append(written(child, after));
    } else if (tag.data.length > 4) {
      view.setUint32(at + 8, after, little);
      append(tag.data);
      if (tag.data.length % 2) append(new Uint8Array(1));
    } else {
      table.set(tag.data, at + 8);
    }
  });
  return joined([table, ...values]);
}

/** @file How coarsely an AVIF was quantised, as `files/av1.py` and `files/quality.py`. */

import { Bits, Unread, orNull } from './bits.js';
import { firstPicture, known } from './boxes.js';

const FRAME = 512; // bytes of a picture that have all that is read of it
const [SEQUENCE, FRAME_HEADER, WHOLE_FRAME] = [1, 3, 6]; // of what a picture consists
const [TILE_WIDTH, TILE_AREA, TILES] = [4096, 4096 * 2304, 64];

/**
 * Returns the quality at which libavif quantises as coarsely as a file.
 * @param {Uint8Array} bytes Of an AVIF.
 * @returns {number | null} 0 to 100, or null where nothing is lost or its header cannot be read.
 */
export function qualityOf(bytes) {
  const index = orNull(quantiser, bytes);
  if (!index) return null;
  // Two lines go through what libavif's table has, to 3.
  return Math.round(index < 148 ? 100 - index / 2.96 : (255 - index) / 2.14);
}

/** Returns the index of the base quantiser (the AV1 bitstream specification, 5.5 and 5.9). */
function quantiser(bytes) {
  const { picture } = firstPicture(bytes, 'av01', FRAME);
  const units = unitsOf(picture);
  const sequence = sequenceOf(new Bits(known(units.get(SEQUENCE))));
  return baseOf(new Bits(known(units.get(FRAME_HEADER) ?? units.get(WHOLE_FRAME))), sequence);
}

/** Returns what a picture consists of by its kind; the last may be cut. */
function unitsOf(bytes) {
  const units = new Map();
  for (let at = 0; at < bytes.length; ) {
    const head = bytes[at];
    at += 1 + ((head >> 2) & 1);
    let size = head & 2 ? 0 : bytes.length;
    for (let more = head & 2, shift = 0; more; shift += 7, at++) {
      size |= (bytes[at] & 127) << shift;
      more = bytes[at] & 128;
    }
    const kind = (head >> 3) & 15;
    // Of a small picture, the next frame may be here too.
    if (!units.has(kind)) units.set(kind, bytes.subarray(at, at + size));
    at += size;
  }
  return units;
}

/** Returns what is said before the frames, and needed to read theirs (section 5.5). */
function sequenceOf(bits) {
  const read = (count) => bits.number(count);
  read(4); // profile, still picture
  // Each frame says whether it has tools and integers of screen content, unless these are below 2.
  const found = { reduced: read(1), tools: 2, integers: 2, idLength: 0, orderLength: 0 };
  if (found.reduced)
    read(5); // level
  else passOperatingPoints(read);
  const lengths = [read(4) + 1, read(4) + 1];
  [found.width, found.height] = lengths.map((length) => read(length) + 1);
  if (!found.reduced && read(1)) found.idLength = read(4) + 2 + read(3) + 1;
  found.large = read(1); // superblocks of 128 pixels
  read(2); // filters of the prediction
  if (!found.reduced) {
    read(4); // of frames that are predicted from others
    const ordered = read(1);
    if (ordered) read(2);
    if (!read(1)) found.tools = read(1);
    if (found.tools && !read(1)) found.integers = read(1);
    if (ordered) found.orderLength = read(3) + 1;
  }
  found.scaled = read(1);
  return found;
}

function passOperatingPoints(read) {
  if (read(1)) throw new Unread(); // a timing
  const delayed = read(1);
  for (let left = read(5) + 1; left > 0; left--) {
    read(12);
    if (read(5) > 7) read(1);
    if (delayed && read(1)) read(4);
  }
}

/** Returns the index of a key frame's base quantiser (sections 5.9.2 and 5.9.12). */
function baseOf(bits, sequence) {
  const read = (count) => bits.number(count);
  if (!sequence.reduced && read(4) !== 1) throw new Unread(); // no key frame that is shown
  const fixed = read(1); // probabilities
  const tools = sequence.tools === 2 ? read(1) : sequence.tools;
  if (tools && sequence.integers === 2) read(1);
  read(sequence.idLength);
  if (!sequence.reduced && read(1)) throw new Unread(); // a frame of another size
  read(sequence.orderLength);
  if (sequence.scaled && read(1)) throw new Unread(); // scaled
  if (read(1)) read(32); // the size to show
  if (tools) read(1);
  if (!sequence.reduced && !fixed) read(1);
  passTiles(read, sequence);
  return read(8);
}

/** Passes over how a frame is cut into tiles (section 5.9.15). */
function passTiles(read, { large, width, height }) {
  const side = large ? 128 : 64;
  const [columns, rows] = [width, height].map((length) => Math.ceil(length / side));
  const leastColumns = log2(Math.ceil((columns * side) / TILE_WIDTH));
  const least = Math.max(leastColumns, log2(Math.ceil((columns * rows * side ** 2) / TILE_AREA)));
  if (!read(1)) throw new Unread(); // uneven tiles
  const counted = (start, most) => {
    while (start < most && read(1)) start++;
    return start;
  };
  const across = counted(leastColumns, log2(Math.min(columns, TILES)));
  const down = counted(Math.max(0, least - across), log2(Math.min(rows, TILES)));
  if (across || down) read(across + down + 2);
}

/** Returns the least power of two that is at least a count. */
function log2(count) {
  let power = 0;
  while (2 ** power < count) power++;
  return power;
}

/** @file How coarsely a HEIC was quantised, as `files/hevc.py` and `files/quality.py`. */

import { Bits, Unread, orNull } from './bits.js';
import { eachBox, firstPicture, known } from './boxes.js';

const HEAD = 4096; // bytes of a picture that have all that is read of it
const [SEQUENCE, PICTURE] = [33, 34]; // kinds of units, of parameters
const [SLICES, ALONE] = [32, [19, 20]]; // below it slices; those of a picture that needs no other
const LAYERS = 8;

/**
 * Returns the quality at which x265 quantises as coarsely as a file, by libheif.
 * @param {Uint8Array} bytes Of a HEIC.
 * @returns {number | null} 0 to 94, or null where nothing is lost or its header cannot be read.
 */
export function qualityOf(bytes) {
  const parameter = orNull(quantiser, bytes);
  return parameter === null ? null : Math.min(Math.max(0, 94 - 2 * parameter), 94);
}

/** Returns the quantisation parameter of the first slice (ITU-T H.265, 7.3.1 to 7.3.6). */
function quantiser(bytes) {
  const { properties, picture } = firstPicture(bytes, 'hvc1', HEAD);
  const inside = [...eachBox(known(new Map(eachBox(properties)).get('ipco')))];
  const [, configuration] = known(inside.find(([kind]) => kind === 'hvcC'));
  const units = parametersOf(configuration);
  const sequence = sequenceOf(new Bits(known(units.get(SEQUENCE))));
  const parameters = pictureOf(new Bits(known(units.get(PICTURE))));
  if (parameters.lossless) return null;
  const slice = firstSlice(picture, 1 + (configuration[21] & 3));
  return parameters.quantiser + changeOf(new Bits(slice), sequence, parameters);
}

/** Returns the units in the box that configures a decoder, by their kind. */
function parametersOf(configuration) {
  const bits = new Bits(configuration);
  bits.at = 8 * 22;
  const units = new Map();
  for (let arrays = bits.number(8); arrays > 0; arrays--) {
    bits.at += 8;
    for (let left = bits.number(16); left > 0; left--) {
      const { kind, body } = unitOf(bits.take(bits.number(16)));
      units.set(kind, body);
    }
  }
  return units;
}

/** Returns the kind of a unit, and its body without the bytes that tell it from a start. */
function unitOf(data) {
  if (!data.length) throw new Unread();
  const body = [];
  let zeros = 0;
  for (const byte of data.subarray(2)) {
    if (zeros < 2 || byte !== 3) body.push(byte);
    zeros = byte ? 0 : zeros + 1;
  }
  return { kind: (data[0] >> 1) & 63, body: Uint8Array.from(body) };
}

/** Returns the first slice of a picture; before each unit stands its size. */
function firstSlice(picture, width) {
  const bits = new Bits(picture);
  for (;;) {
    const { kind, body } = unitOf(bits.take(bits.number(8 * width)));
    if (ALONE.includes(kind)) return body;
    if (kind < SLICES) throw new Unread(); // of a picture that needs others
  }
}

function sequenceOf(bits) {
  bits.at += 4;
  const layers = bits.number(3);
  bits.at += 1 + 96; // the profile and level
  const told = Array.from({ length: layers }, () => [bits.number(1), bits.number(1)]);
  if (layers) bits.at += 2 * (LAYERS - layers);
  for (const [profile, level] of told) bits.at += 88 * profile + 8 * level;
  bits.golomb();
  const colours = bits.golomb();
  const separate = colours === 3 && bits.number(1) === 1;
  pass(bits, 2); // width and height
  pass(bits, 4 * bits.number(1)); // what is cropped
  pass(bits, 3); // depths, order
  pass(bits, 3 * (bits.number(1) ? 1 + layers : 1));
  pass(bits, 6); // sides of blocks
  if (bits.number(1) && bits.number(1)) passScaling(bits);
  bits.at += 1;
  return { coloured: colours > 0 && !separate, separate, offsets: bits.number(1) };
}

/** Passes over how frequencies are scaled (section 7.3.4). */
function passScaling(bits) {
  for (let size = 0; size < 4; size++) {
    for (let left = size === 3 ? 2 : 6; left > 0; left--) {
      pass(bits, bits.number(1) ? Number(size > 1) + Math.min(64, 16 << (2 * size)) : 1);
    }
  }
}

function pictureOf(bits) {
  pass(bits, 2);
  bits.at += 1;
  const [shown, reserved] = [bits.number(1), bits.number(3)];
  bits.at += 2;
  pass(bits, 2);
  const quantiser = 26 + bits.signedGolomb();
  bits.at += 2;
  pass(bits, bits.number(1)); // how deep a block may change it
  pass(bits, 2); // of colours
  bits.at += 3;
  return { quantiser, lossless: bits.number(1), reserved, shown };
}

/** Returns by how much a slice's parameter differs from its picture's. */
function changeOf(bits, { coloured, separate, offsets }, { reserved, shown }) {
  if (!bits.number(1)) throw new Unread(); // not the first slice
  bits.at += 1;
  pass(bits, 1);
  bits.at += reserved;
  pass(bits, 1); // what it is predicted from
  bits.at += shown + 2 * Number(separate) + offsets * (1 + Number(coloured));
  return bits.signedGolomb();
}

function pass(bits, count) {
  for (let left = count; left > 0; left--) bits.golomb();
}

/** @file What belongs to a picture beside its pixels, as `files/metadata.py` cleans it. */

import { fromLatin, latin } from './bytes.js';
import * as tags from './tags.js';

const ORIENTATION = 0x0112;
const EXIF = 0x8769;
const SIZES = [0xa002, 0xa003]; // of the old picture, in its EXIF directory
const PIXELS = [0x0111, 0x0144]; // where a TIFF has its pixels
const RESOLUTION = [0x011a, 0x011b, 0x0128];
// What describes a TIFF's layout, copies of what is carried by itself, and the ground that a pixel
// covers.
// prettier-ignore
const DROPPED = new Set([
  254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 280, 284, 285, 297, 317, 320,
  322, 323, 324, 325, 330, 338, 339, 340, 341, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521,
  529, 530, 531, 532, 700, 33550, 33723, 33922, 34264, 34377, 34675, 34735, 34736, 34737, 37724,
  42112, 42113,
]);
const XMP_ORIENTATION = /((?<!\/)tiff:Orientation\s*(?:=\s*["']|>)\s*)([1-8])/g;

/**
 * What belongs to a picture beside its pixels. What a file does not have is missing.
 * @typedef {object} Metadata
 * @property {Uint8Array} [icc] The colour profile.
 * @property {Uint8Array} [exif] An EXIF block without `Exif\0\0` that says nothing on orientation,
 *   size or layout.
 * @property {Uint8Array} [xmp] An XMP packet.
 * @property {[number, number]} [dpi] Pixels an inch, across and down.
 */

/**
 * Makes metadata of what a file holds.
 * @param {Metadata} found As in the file.
 * @returns {{metadata: Metadata, orientation: number}} What is true of the upright picture, and
 *   the orientation, 1 to 8, that makes it upright.
 */
export function cleaned({ icc, exif, xmp, dpi }) {
  const directory = exif ? tags.parse(exif) : null;
  const metadata = { icc, dpi };
  let orientation = directory ? tags.integer(directory, ORIENTATION) : null;
  if (directory) metadata.exif = tags.dump(kept(directory)) ?? undefined;
  if (xmp) {
    const packet = latinOf(xmp);
    orientation ??= Number([...packet.matchAll(XMP_ORIENTATION)][0]?.[2] ?? 1);
    metadata.xmp = fromLatin(packet.replace(XMP_ORIENTATION, (_, before) => `${before}1`));
  }
  if (dpi && !dpi.every((each) => each >= 1 && each <= 100000)) delete metadata.dpi;
  const known = orientation !== null && orientation >= 1 && orientation <= 8;
  return { metadata, orientation: known ? orientation : 1 };
}

function kept({ little, tags: old, inside }) {
  const without = (map, dropped) => new Map([...map].filter(([number]) => !dropped(number)));
  const tiff = PIXELS.some((number) => old.has(number));
  const rest = new Map(inside);
  const exif = inside.get(EXIF);
  if (exif) rest.set(EXIF, { ...exif, tags: without(exif.tags, (n) => SIZES.includes(n)) });
  const dropped = (n) => DROPPED.has(n) || (tiff && RESOLUTION.includes(n));
  return { little, tags: without(old, dropped), inside: rest };
}

/** Returns bytes as characters, however many there are. */
function latinOf(bytes) {
  let text = '';
  for (let at = 0; at < bytes.length; at += 4096) text += latin(bytes, at, 4096);
  return text;
}

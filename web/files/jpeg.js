/** @file The segments that JPEG files consist of, and what they say. */

import { fromLatin, joined, latin } from './bytes.js';

const [APP0, APP1, APP2, DQT, SOS, EOI] = [0xe0, 0xe1, 0xe2, 0xdb, 0xda, 0xd9];
const EXIF = 'Exif\0';
const XMP = 'http://ns.adobe.com/xap/1.0/\0';
const ICC = 'ICC_PROFILE\0';
const INCH = { 1: 1, 2: 2.54 }; // units of JFIF
const MIDDLE = 3688; // sum of the table of brightness at quality 50, annex K.1 of the standard
const MOST = 65533; // bytes of a segment's body

/**
 * What a JPEG says beside its pixels.
 * @typedef {object} Header
 * @property {number} components 1 gray, 3 colours, 4 inks.
 * @property {number} width In pixels.
 * @property {number} height In pixels.
 * @property {number | null} quality 1 to 100, at which libjpeg has a table as coarse.
 * @property {import('./metadata.js').Metadata} metadata
 * @property {Blob} plain The file without what would turn its pixels or change their colours.
 */

/**
 * Reads a JPEG's header.
 * @param {Uint8Array} bytes Of the file.
 * @returns {Header}
 */
export function readHeader(bytes) {
  const header = { components: 0, width: 0, height: 0, quality: null, metadata: {} };
  const tables = new Map();
  const kept = [bytes.subarray(0, 2)];
  const exif = [];
  const profile = [];
  let end = 2;
  for (const { marker, body, start, stop } of segments(bytes)) {
    const view = new DataView(body.buffer, body.byteOffset, body.length);
    const begins = (name) => latin(body, 0, name.length) === name;
    end = stop;
    if (marker === APP0 && begins('JFIF\0') && body.length >= 12 && INCH[body[7]]) {
      header.metadata.dpi = [8, 10].map((at) => view.getUint16(at) * INCH[body[7]]);
    }
    if (marker === DQT) readTables(body, tables);
    if (isFrame(marker) && body.length > 5) {
      header.components = body[5];
      [header.height, header.width] = [view.getUint16(1), view.getUint16(3)];
    }
    if (marker === APP1 && begins(EXIF)) {
      // A block of more than 64 kB goes on in the next segment; a second one does not count.
      if (!exif.length || !['II', 'MM'].includes(latin(body, 6, 2))) exif.push(body.subarray(6));
    } else if (marker === APP1 && begins(XMP)) {
      header.metadata.xmp ??= body.subarray(XMP.length);
    } else if (marker === APP2 && begins(ICC)) {
      profile[body[12] - 1] = body.subarray(14);
    } else {
      kept.push(bytes.subarray(start, stop));
    }
  }
  if (exif.length) header.metadata.exif = joined(exif);
  // Inks are turned into colours by it, and it is of no use afterwards.
  if (profile.length && header.components < 4)
    header.metadata.icc = joined(profile.filter(Boolean));
  if (tables.size) header.quality = qualityOf(tables.get(Math.min(...tables.keys())));
  const plain = header.components < 4 ? [...kept, bytes.subarray(end)] : [bytes];
  // Firefox decodes no Blob of several parts.
  return { ...header, plain: new Blob([joined(plain)], { type: 'image/jpeg' }) };
}

/** Yields the segments up to the first scan. */
function* segments(bytes) {
  let at = 2;
  while (at + 4 <= bytes.length) {
    if (bytes[at] !== 0xff) {
      at++;
      continue;
    }
    const marker = bytes[at + 1];
    if (marker === 0xff || marker <= 1 || (marker >= 0xd0 && marker <= 0xd8)) {
      at += marker === 0xff ? 1 : 2;
      continue;
    }
    if (marker === EOI || marker === SOS) return;
    const size = (bytes[at + 2] << 8) | bytes[at + 3];
    if (size < 2) return;
    const stop = at + 2 + size;
    yield { marker, body: bytes.subarray(at + 4, stop), start: at, stop };
    at = stop;
  }
}

function isFrame(marker) {
  return marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
}

/** Adds up the quantisation tables of a segment, by their numbers. */
function readTables(body, tables) {
  let at = 0;
  while (at < body.length) {
    const wide = body[at] >> 4 ? 2 : 1;
    const number = body[at] & 15;
    let sum = 0;
    for (let i = 0; i < 64; i++) {
      const place = at + 1 + i * wide;
      sum += wide === 2 ? (body[place] << 8) | body[place + 1] : body[place];
    }
    tables.set(number, sum);
    at += 1 + 64 * wide;
  }
}

function qualityOf(sum) {
  const share = sum / MIDDLE;
  const quality = share > 1 ? 50 / share : 100 - 50 * share;
  return Number.isFinite(quality) ? Math.max(1, Math.round(quality)) : null;
}

/**
 * Puts what belongs to a picture into a JPEG.
 * @param {Uint8Array} bytes Of a JPEG without it.
 * @param {import('./metadata.js').Metadata} metadata
 * @returns {Uint8Array}
 */
export function described(bytes, { icc, exif, xmp, dpi }) {
  const parts = [bytes.subarray(0, 2)];
  const unit = Number(Boolean(dpi));
  const [x, y] = (dpi ?? [1, 1]).map((each) => Math.min(65535, Math.max(1, Math.round(each))));
  parts.push(segment(APP0, 'JFIF\0', Uint8Array.of(1, 1, unit, x >> 8, x, y >> 8, y, 0, 0)));
  for (const part of cut(exif, MOST - 6)) parts.push(segment(APP1, 'Exif\0\0', part));
  if (xmp && xmp.length <= MOST - XMP.length) parts.push(segment(APP1, XMP, xmp));
  const profile = cut(icc, MOST - 14);
  profile.forEach((part, i) => {
    parts.push(segment(APP2, ICC, joined([Uint8Array.of(i + 1, profile.length), part])));
  });
  // A browser says that its colours are those of sRGB.
  let end = 2;
  for (const { marker, start, stop } of segments(bytes)) {
    if (![APP0, APP1, APP2].includes(marker)) parts.push(bytes.subarray(start, stop));
    end = stop;
  }
  return joined([...parts, bytes.subarray(end)]);
}

function segment(marker, name, body) {
  const size = 2 + name.length + body.length;
  return joined([Uint8Array.of(0xff, marker, size >> 8, size & 255), fromLatin(name), body]);
}

function cut(bytes, most) {
  const count = bytes ? Math.ceil(bytes.length / most) : 0;
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * most, (i + 1) * most));
}

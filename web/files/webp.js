/** @file The chunks that WebP files consist of, and what they say beside the pixels. */

import { fromLatin, joined, latin } from './bytes.js';
import { qualityOf } from './webp_quality.js';

const [ICC_FLAG, ALPHA_FLAG, EXIF_FLAG, XMP_FLAG] = [0x20, 0x10, 0x08, 0x04];

/**
 * Reads a WebP's header.
 * @param {Uint8Array} bytes Of the file.
 * @returns {{metadata: import('./metadata.js').Metadata, plain: Blob, quality: number | null}}
 *   `plain` is the file without what would turn its pixels or change their colours; the quality, 0
 *   to 100, is that of the first frame, if it is lossy.
 */
export function readHeader(bytes) {
  const metadata = {};
  const kept = [];
  for (const { kind, body, whole } of chunks(bytes)) {
    if (kind === 'ICCP') metadata.icc = body;
    else if (kind === 'EXIF')
      metadata.exif = latin(body, 0, 6) === 'Exif\0\0' ? body.subarray(6) : body;
    else if (kind === 'XMP ') metadata.xmp = body;
    else {
      const copy = whole.slice();
      if (kind === 'VP8X') copy[8] &= ~(ICC_FLAG | EXIF_FLAG | XMP_FLAG);
      kept.push(copy);
    }
  }
  const plain = new Blob([riff(kept)], { type: 'image/webp' });
  const frame = firstFrame(chunks(bytes));
  return { metadata, plain, quality: frame && qualityOf(frame) };
}

/**
 * Puts what belongs to a picture into a WebP.
 * @param {Uint8Array} bytes Of a WebP without it.
 * @param {import('./metadata.js').Metadata} metadata
 * @param {{width: number, height: number}} size In pixels.
 * @returns {Uint8Array}
 */
export function described(bytes, { icc, exif, xmp }, { width, height }) {
  const found = [...chunks(bytes)];
  const extended = found.find(({ kind }) => kind === 'VP8X');
  const lossless = found.find(({ kind }) => kind === 'VP8L');
  let flags = extended
    ? extended.body[0] & ALPHA_FLAG
    : lossless && lossless.body[4] & 0x10
      ? ALPHA_FLAG
      : 0;
  if (icc) flags |= ICC_FLAG;
  if (exif) flags |= EXIF_FLAG;
  if (xmp) flags |= XMP_FLAG;
  const sides = [width - 1, height - 1].flatMap((side) => [
    side & 255,
    (side >> 8) & 255,
    side >> 16,
  ]);
  const parts = [made('VP8X', Uint8Array.of(flags, 0, 0, 0, ...sides))];
  if (icc) parts.push(made('ICCP', icc));
  const beside = ['VP8X', 'ICCP', 'EXIF', 'XMP '];
  parts.push(...found.filter(({ kind }) => !beside.includes(kind)).map(({ whole }) => whole));
  if (exif) parts.push(made('EXIF', exif));
  if (xmp) parts.push(made('XMP ', xmp));
  return riff(parts);
}

/** Returns the bytes of the first frame among chunks, or null if it is lossless. */
function firstFrame(found) {
  for (const { kind, body } of found) {
    if (kind === 'VP8 ') return body;
    if (kind === 'VP8L') return null;
    if (kind === 'ANMF') return firstFrame(chunks(body, 16));
  }
  return null;
}

function* chunks(bytes, at = 12) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  while (at + 8 <= bytes.length) {
    const size = view.getUint32(at + 4, true);
    const stop = at + 8 + size + (size % 2);
    const body = bytes.subarray(at + 8, at + 8 + size);
    yield { kind: latin(bytes, at, 4), body, whole: bytes.subarray(at, stop) };
    at = stop;
  }
}

function made(kind, body) {
  return joined([fromLatin(kind), little(body.length), body, new Uint8Array(body.length % 2)]);
}

function riff(parts) {
  const size = parts.reduce((sum, part) => sum + part.length, 4);
  return joined([fromLatin('RIFF'), little(size), fromLatin('WEBP'), ...parts]);
}

function little(number) {
  return new Uint8Array(Uint32Array.of(number).buffer);
}

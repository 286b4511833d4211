/** @file The chunks that PNG files consist of. */

import { latin } from './bytes.js';

export const SIGNATURE = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  let rest = n;
  for (let k = 0; k < 8; k++) rest = rest & 1 ? 0xedb88320 ^ (rest >>> 1) : rest >>> 1;
  return rest;
});

/**
 * Returns the bytes of a chunk.
 * @param {string} kind Its four letters.
 * @param {Uint8Array} body
 */
export function chunk(kind, body) {
  const whole = new Uint8Array(12 + body.length);
  const view = new DataView(whole.buffer);
  view.setUint32(0, body.length);
  for (let i = 0; i < 4; i++) whole[4 + i] = kind.charCodeAt(i);
  whole.set(body, 8);
  let crc = ~0;
  for (let i = 4; i < 8 + body.length; i++) crc = CRC[(crc ^ whole[i]) & 255] ^ (crc >>> 8);
  view.setUint32(8 + body.length, ~crc);
  return whole;
}

/**
 * Reads the chunks of a PNG, up to where it breaks off.
 * @param {Uint8Array} bytes Of the file.
 * @yields {{kind: string, body: Uint8Array}}
 */
export function* chunks(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = SIGNATURE.length;
  while (at + 8 <= bytes.length) {
    const size = view.getUint32(at);
    yield { kind: latin(bytes, at + 4, 4), body: bytes.subarray(at + 8, at + 8 + size) };
    at += 12 + size;
  }
}

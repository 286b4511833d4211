/** @file Bytes of files: put together, packed and unpacked. */

/**
 * @param {Uint8Array[]} parts
 * @returns {Uint8Array}
 */
export function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * Returns characters of 8 bits.
 * @param {Uint8Array} bytes
 * @param {number} start
 * @param {number} length
 */
export function latin(bytes, start, length) {
  return String.fromCharCode(...bytes.subarray(start, start + length));
}

/**
 * Returns the bytes of characters of 8 bits.
 * @param {string} text
 */
export function fromLatin(text) {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/**
 * Packs bytes as zlib does.
 * @param {Uint8Array} bytes
 * @returns {Promise<Uint8Array>}
 */
export function packed(bytes) {
  return through(bytes, new CompressionStream('deflate'));
}

/**
 * Unpacks what zlib packed.
 * @param {Uint8Array} bytes
 * @param {number} [most] Bytes beyond which it is refused.
 * @returns {Promise<Uint8Array>}
 */
export function unpacked(bytes, most = 2 ** 24) {
  return through(bytes, new DecompressionStream('deflate'), most);
}

async function through(bytes, stream, most = Infinity) {
  const parts = [];
  let size = 0;
  for await (const part of chunksOf(new Blob([bytes]).stream().pipeThrough(stream))) {
    size += part.length;
    if (size > most) throw new Error(`expected at most ${most} bytes, unpacked`);
    parts.push(part);
  }
  return joined(parts);
}

/**
 * Reads a stream to its end; not every browser iterates over streams.
 * @param {ReadableStream<Uint8Array>} stream
 */
export async function* chunksOf(stream) {
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

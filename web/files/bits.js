/** @file Numbers of so many bits each, as `files/bits.py`. */

/** What is damaged, or of a kind that is not read here. */
export class Unread extends Error {}

/**
 * Returns what is read of bytes, or null where that cannot be.
 * @template T
 * @param {(bytes: Uint8Array) => T} read May throw `Unread`.
 * @param {Uint8Array} bytes
 * @returns {T | null}
 */
export function orNull(read, bytes) {
  try {
    return read(bytes);
  } catch (error) {
    if (error instanceof Unread) return null;
    throw error;
  }
}

/** Reads numbers from bytes, their highest bits first. */
export class Bits {
  /** @param {Uint8Array} data */
  constructor(data) {
    this.data = data;
    this.at = 0;
  }

  number(count) {
    let number = 0;
    for (const stop = this.at + count; this.at < stop; this.at++) {
      if (this.at >= 8 * this.data.length) throw new Unread();
      number = 2 * number + ((this.data[this.at >> 3] >> (7 - (this.at % 8))) & 1);
    }
    return number;
  }

  /** Returns the next bytes, from a whole one on; of those at the end fewer. */
  take(count) {
    const start = this.at >> 3;
    this.at += 8 * count;
    return this.data.subarray(start, start + count);
  }

  /** In exponential Golomb code, as often 0 as all others. */
  golomb() {
    let zeros = 0;
    while (!this.number(1)) zeros++;
    return 2 ** zeros - 1 + this.number(zeros);
  }

  /** Of those that count 0, 1, -1, 2, -2 and so on. */
  signedGolomb() {
    const number = this.golomb();
    return number % 2 ? (number + 1) / 2 : -number / 2;
  }
}

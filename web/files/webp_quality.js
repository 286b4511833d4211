/** @file The quality of a lossy WebP, by how coarsely it was quantised, as `files/quality.py`. */

const HEADER = 4096; // bytes of a frame that have all that is read of it
const COARSEST = 127; // index of a quantiser

/**
 * Returns the quality at which libwebp quantises as coarsely as a frame.
 * @param {Uint8Array} frame
 * @returns {number | null} 0 to 100, or null where its header cannot be read.
 */
export function qualityOf(frame) {
  const index = quantiser(frame.subarray(0, HEADER));
  if (index === null) return null;
  // libwebp takes the cube root of a line with a kink at quality 75.
  const linear = (1 - index / COARSEST) ** 3;
  return Math.round(linear < 0.5 ? 150 * linear : 50 * (1 + linear));
}

/** Returns the mean index of a frame's quantisers (RFC 6386, sections 9.1 to 9.6 and 19.2). */
function quantiser(frame) {
  if (frame[3] !== 0x9d || frame[4] !== 0x01 || frame[5] !== 0x2a) return null;
  const bits = new Bits(frame.subarray(10));
  let [sum, absolute] = [0, 0];
  bits.number(2); // colours, clamping
  if (bits.number(1)) {
    const [withMap, withValues] = [bits.number(1), bits.number(1)];
    if (withValues) {
      absolute = bits.number(1);
      for (let i = 0; i < 4; i++) sum += bits.signed(7);
      for (let i = 0; i < 4; i++) bits.signed(6); // the loop filter's strengths
    }
    if (withMap) for (let i = 0; i < 3; i++) bits.number(8 * bits.number(1));
  }
  bits.number(10); // the loop filter
  if (bits.number(1) && bits.number(1)) for (let i = 0; i < 8; i++) bits.signed(6);
  bits.number(2); // partitions
  const base = absolute ? 0 : bits.number(7);
  return bits.ended ? null : base + sum / 4;
}

/** Numbers of WebP's arithmetic code, where 0 is as likely as 1 (RFC 6386, section 7). */
class Bits {
  /** @param {Uint8Array} data */
  constructor(data) {
    this.data = data;
    this.at = 2;
    this.value = (data[0] << 8) | data[1];
    this.range = 255;
    this.shifts = 0;
  }

  /** Whether more was read than there is. */
  get ended() {
    return this.at > this.data.length;
  }

  /** Returns the next number of so many bits. */
  number(count) {
    let number = 0;
    for (let i = 0; i < count; i++) {
      const split = (this.range + 1) >> 1;
      const one = this.value >= split << 8;
      if (one) this.value -= split << 8;
      this.range = one ? this.range - split : split;
      for (; this.range < 128; this.range <<= 1) {
        this.value <<= 1;
        if (++this.shifts % 8 === 0) this.value |= this.data[this.at++];
      }
      number = 2 * number + Number(one);
    }
    return number;
  }

  /** Returns the next number that may be left out, and then has a sign. */
  signed(count) {
    if (!this.number(1)) return 0;
    const number = this.number(count);
    return this.number(1) ? -number : number;
  }
}

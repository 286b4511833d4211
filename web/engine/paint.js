/** @file A picture painted in a style, as `inference/painting.py` does it. */

import { addGrain } from '../pixels/grain.js';
import { toLevel } from '../pixels/levels.js';
import { mixRows } from '../pixels/mixing.js';
import { Picture } from '../pixels/picture.js';
import { fillTransparent } from '../pixels/transparency.js';
import { Pass } from './pass.js';

const WHOLE = 1024 ** 2; // pixels of a picture that is painted at once
const AREA = 512 ** 2; // pixels of a tile and what it sees
const AROUND = 64; // pixels to each side that a stroke depends on, its statistics given
const WINDOWS = 4; // in each direction, that stand for a picture
const LARGEST = 256; // pixels a side of one

/**
 * What is asked for.
 * @typedef {object} Painting
 * @property {string} style Its name.
 * @property {number} strength From 0, the photograph, to 1, the painting.
 * @property {boolean} preserveColour Whether brightness alone is taken from the painting.
 */

/** The style network and a style, run on parts of one picture. */
class Painter {
  /** @type {Float32Array | null} Those that parts of a picture have in common. */
  statistics = null;
  scale = 1;

  constructor(runtime, network, about, number) {
    this.runtime = runtime;
    this.network = network;
    this.about = about;
    const weights = Float32Array.from(about.names, (_, i) => Number(i === number));
    this.style = { shape: [1, weights.length], data: weights };
  }

  /** Paints `[height, width, 3]` levels. */
  async run(lr, size) {
    const signature = this.statistics ? 'tile' : 'paint';
    const { sr } = await this.#run(signature, [lr], size);
    return sr;
  }

  /** Takes the statistics that windows of a picture have in common. */
  async measure(windows, size) {
    this.statistics = (await this.#run('paint', windows, size)).statistics;
  }

  /** Pads, runs, and cuts off what the file leaves to be cut off. */
  async #run(signature, windows, { height, width }) {
    const { padding, cut, multiple, statistics } = this.about;
    const sides = [height, width].map(
      (side) => Math.ceil(side / multiple) * multiple + 2 * padding,
    );
    const data = new Float32Array(3 * windows.length * sides[0] * sides[1]);
    const [rows, columns] = [
      reflected(height, sides[0], padding),
      reflected(width, sides[1], padding),
    ];
    let to = 0;
    for (const levels of windows) {
      for (const row of rows) {
        for (const column of columns) {
          const from = 3 * (row * width + column);
          for (let k = 0; k < 3; k++) data[to++] = levels[from + k];
        }
      }
    }
    const inputs = { lr: { shape: [windows.length, ...sides, 3], data }, style: this.style };
    const smaller = sides.map((side) => side - 2 * (padding - cut));
    const outputs = { sr: [windows.length, ...smaller, 3] };
    if (signature === 'tile') {
      inputs.statistics = { shape: [statistics], data: this.statistics };
    } else {
      outputs.statistics = [statistics];
    }
    const found = await this.runtime.run(this.network, signature, inputs, outputs);
    const sr = new Float32Array(3 * height * width);
    for (let y = 0; y < height; y++) {
      const from = 3 * ((y + cut) * smaller[1] + cut);
      sr.set(found.sr.subarray(from, from + 3 * width), 3 * y * width);
    }
    return { ...found, sr };
  }
}

/**
 * Paints a picture.
 * @param {Picture} picture
 * @param {Painting} asked
 * @param {object} how
 * @param {import('./models.js').Models} how.models
 * @param {import('./runtime.js').Runtime} how.runtime
 * @param {(done: number) => void} how.progress Called with the share that is done, 0..1.
 * @yields {import('../pixels/levels.js').Integers} Rows of the result, `[n, width, channels]`.
 */
export async function* painted(picture, asked, { models, runtime, progress }) {
  const about = models.list.styles;
  const number = about.names.indexOf(asked.style);
  if (number < 0) throw new Error(`there is no style ${asked.style}`);
  const network = { name: about.file, bytes: await models.file(about.file) };
  const painter = new Painter(runtime, network, about, number);
  const { width, height, channels, bits } = picture;
  const grained = new Picture(width, height, channels, bits, picture.data.slice());
  addGrain(grained, about.grain);
  let area = WHOLE;
  if (width * height > WHOLE) {
    area = AREA;
    const { windows, size } = spread(picture, about.grain);
    await painter.measure(windows, size);
  }
  const pass = new Pass(grained, painter, { bits, around: AROUND, area: 1.1 * area });
  let ended = 0;
  let at = 0;
  for await (const rows of pass.rows(() => progress(++ended / pass.count))) {
    if (asked.strength < 1 || asked.preserveColour) {
      const original = picture.data.subarray(at, at + rows.length);
      mixRows(rows, original, { channels, bits, ...asked });
    }
    at += rows.length;
    yield rows;
  }
}

/** Returns windows spread evenly over a picture, `[size.height, size.width, 3]` levels each. */
function spread(picture, grain) {
  const { width, height, channels, bits, data } = picture;
  const [tall, wide] = [height, width].map((side) => Math.min(LARGEST, side));
  const starts = (whole, side) => [
    ...new Set(
      [...Array(WINDOWS).keys()].map((i) => Math.trunc((i * (whole - side)) / (WINDOWS - 1))),
    ),
  ];
  const level = toLevel(bits);
  const windows = [];
  for (const top of starts(height, tall)) {
    for (const left of starts(width, wide)) {
      const window = new Picture(wide, tall, channels, bits);
      for (let y = 0; y < tall; y++) {
        const from = ((top + y) * width + left) * channels;
        window.data.set(data.subarray(from, from + wide * channels), y * wide * channels);
      }
      addGrain(window, grain, top, left);
      if (window.alpha) fillTransparent(window);
      const levels = new Float32Array(3 * wide * tall);
      for (let i = 0; i < levels.length; i++) {
        levels[i] = level(window.data[Math.floor(i / 3) * channels + (i % 3)]);
      }
      windows.push(levels);
    }
  }
  return { windows, size: { height: tall, width: wide } };
}

/** Returns where each pixel of a padded side comes from: mirrored around the pixel at the edge. */
function reflected(length, padded, padding) {
  const period = Math.max(2 * length - 2, 1);
  return Int32Array.from({ length: padded }, (_, i) => {
    const inside = (((i - padding) % period) + period) % period;
    return Math.min(inside, period - inside);
  });
}

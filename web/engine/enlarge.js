/** @file A picture enlarged: which models it gets, and its way through them to its size. */

import { restoration } from '../pixels/condition.js';
import { toInteger, toLevel, integers } from '../pixels/levels.js';
import { Picture } from '../pixels/picture.js';
import { RowResizer } from '../pixels/resampling.js';
import { Generator, Pass } from './pass.js';

// Where a picture is left to bicubic interpolation. What JPEG made flat is a block of 8.
const CLEAN = { radius: 2, most: 4 };
const RESTORED = { radius: 8, most: 0 };

/** @typedef {import('../pixels/smooth.js').Smooth} Smooth */

/**
 * What is asked for.
 * @typedef {object} Enlarging
 * @property {number} scale Output size over input size: one of those in `models.json`.
 * @property {'auto' | number} restore How much damage is taken out, 0 to 1.
 * @property {number} fidelity From 0, as sharp as the model is, to 1, as faithful as the one that
 *   was trained on pixels.
 * @property {string} model Name of a model, or empty: those of the scale.
 */

/**
 * What a picture goes through.
 * @typedef {object} Plan
 * @property {{names: string[], share: number, smooth: Smooth | null, scale: number}[]} steps The
 *   models of each pass, the share of the second of two, and what is left to interpolation.
 * @property {string} title Of the models, for people.
 * @property {string} reason What the picture shows that it is restored for.
 */

/**
 * Chooses the models of a picture, as `Upscaler` does.
 * @param {Picture} picture
 * @param {Enlarging} asked
 * @param {import('./models.js').Models} models
 * @param {boolean} int8 Whether 8-bit files are taken.
 * @returns {Plan}
 */
export function plan(picture, asked, models, int8) {
  const scaleOf = (name) => models.about(name).scale;
  if (asked.model) {
    const { scale, int8: small } = models.about(asked.model);
    // Used as it is, but its 8 bits must not show in flat parts.
    const smooth = int8 && small ? { ...smoothOf(asked.model), most: 0 } : null;
    const step = { names: [asked.model], share: 0, smooth, scale };
    const steps = asked.scale <= scale ? [step] : [step, step];
    return { steps, title: title(steps, asked.fidelity), reason: '' };
  }
  const { scales, least, explained, own } = models.list;
  const { clean, restoring, limits } = scales.find(({ scale }) => scale === asked.scale);
  const found =
    asked.restore === 'auto'
      ? restoration(picture, limits, { least, explained, own })
      : { restore: asked.restore, reason: '' };
  const { restore, reason } = found;
  const mixed = restore > 0 && restore < 1;
  const names = restore === 1 ? restoring : clean;
  const steps = names.map((name, i) => {
    const both = mixed && i === 0;
    return {
      names: both ? [name, restoring[0]] : [name],
      share: both ? restore : 0,
      smooth: both ? RESTORED : smoothOf(name),
      scale: scaleOf(name),
    };
  });
  return { steps, title: title(steps, asked.fidelity), reason };
}

/** Returns what is left to interpolation beside a model. */
function smoothOf(name) {
  return name.endsWith('-photo') ? RESTORED : CLEAN;
}

function title(steps, fidelity) {
  const titled = ({ names, share }) =>
    [names[0], fidelity && `fidelity ${fidelity}`, share && `restore ${share}`]
      .filter(Boolean)
      .join(', ');
  return steps.map(titled).join(' + ');
}

/**
 * Enlarges a picture.
 * @param {Picture} picture
 * @param {Plan} chosen
 * @param {object} how
 * @param {{width: number, height: number}} how.size Of the result, in pixels.
 * @param {number} how.fidelity 0 to 1.
 * @param {boolean} how.int8 Whether 8-bit files are taken.
 * @param {import('./models.js').Models} how.models
 * @param {import('./runtime.js').Runtime} how.runtime
 * @param {(done: number) => void} how.progress Called with the share that is done, 0..1.
 * @yields {import('../pixels/levels.js').Integers} Rows of the result, `[n, width, channels]`.
 */
export async function* enlarged(
  picture,
  chosen,
  { size, fidelity, int8, models, runtime, progress },
) {
  const factor = chosen.steps.reduce((product, { scale }) => product * scale, 1);
  const exact = size.width === picture.width * factor && size.height === picture.height * factor;
  const bits = exact ? picture.bits : 16;
  const work = new Work(chosen.steps, progress);
  let current = picture;
  for (const [i, step] of chosen.steps.entries()) {
    const networks = [];
    for (const name of step.names) networks.push(await models.network(name, { int8, fidelity }));
    const generator = new Generator(runtime, networks, step.scale, step.share);
    const pass = new Pass(current, generator, { bits, smooth: step.smooth });
    const rows = pass.rows(work.begin(i, pass.count));
    if (i < chosen.steps.length - 1) {
      current = await gathered(rows, pass, picture.channels);
    } else if (exact) {
      yield* rows;
    } else {
      yield* reduced(rows, pass, picture, size);
    }
  }
}

/** How much of the work of all passes is done. */
class Work {
  constructor(steps, progress) {
    let area = 1;
    const costs = steps.map(({ scale, names }) => {
      const cost = area * names.length;
      area *= scale ** 2;
      return cost;
    });
    const total = costs.reduce((sum, cost) => sum + cost, 0);
    this.shares = costs.map((cost) => cost / total);
    this.progress = progress;
  }

  /** Returns the function to be called after each of the tiles of a pass. */
  begin(step, count) {
    const before = this.shares.slice(0, step).reduce((sum, share) => sum + share, 0);
    let ended = 0;
    return () => this.progress(before + (this.shares[step] * ++ended) / count);
  }
}

async function gathered(rows, { width, height, bits }, channels) {
  const whole = new Picture(width, height, channels, bits);
  let at = 0;
  for await (const band of rows) {
    whole.data.set(band, at);
    at += band.length;
  }
  return whole;
}

/** Reduces rows of 16 bits to a size. */
async function* reduced(rows, { width, height }, { channels, bits }, size) {
  const resizer = new RowResizer(width, height, channels, size);
  const [level, integer] = [toLevel(16), toInteger(bits)];
  for await (const band of rows) {
    const levels = resizer.feed(Float32Array.from(band, level));
    const result = integers(bits, levels.length);
    levels.forEach((each, i) => {
      result[i] = integer(each);
    });
    if (result.length) yield result;
  }
}

/**
 * @file Networks on the processor, and on a GPU once it has shown for the picture at hand that it
 * gives the same, and sooner. Nothing waits for that.
 *
 * The second time a network is run with the same sizes, the GPU gets that tile too, while the
 * processor goes on. If both give the same and the GPU is faster, it runs all tiles after that.
 * Whatever goes wrong then or later ends it, and the processor does the rest.
 */

// Levels that a value may differ by. Measured: 0.0001 enlarging, 0.015 painting; in float16 0.5.
const LIMIT = 0.1;
const TRIED = 2; // the run of a network that the GPU gets too: what is run once is no tile
const FASTER = 2; // times; a GPU that gains less is left to what else needs it
const TRIAL = 30; // seconds that it has to be loaded and to show it

/**
 * What is known of one network and its sizes.
 * @typedef {object} Known
 * @property {number} runs On the processor.
 * @property {number} seconds The least that one took.
 * @property {Float32Array} [expected] What it gave for the tile that is tried.
 * @property {import('./gpu.js').Answer} [answer] What the GPU gave.
 * @property {boolean} trusted Whether the GPU runs it from now on.
 */

/** Runs networks as a `Runtime` does. They are not to be 8-bit ones, whose sums GPUs do otherwise. */
export class Accelerated {
  /** Runs on the GPU that counted. */
  used = 0;
  /** @type {Map<string, Known>} */
  #known = new Map();

  /**
   * @param {import('./runtime.js').Runtime} runtime On the processor.
   * @param {import('./gpu.js').Gpu} gpu
   * @param {number} [faster] How many times as fast as the processor it has to be.
   */
  constructor(runtime, gpu, faster = FASTER) {
    this.runtime = runtime;
    this.gpu = gpu;
    this.faster = faster;
  }

  /** Runs a signature of a network: `Runtime.run`. */
  async run(...request) {
    const known = this.#about(request);
    if (known.trusted && this.gpu.ready) {
      const found = await this.#onGpu(request, known);
      if (found) return found;
    }
    return this.#onProcessor(request, known);
  }

  #about([{ name }, signature, inputs, outputs]) {
    const shapes = Object.values(inputs).map(({ shape }) => shape);
    const key = JSON.stringify([name, signature, shapes, outputs]);
    if (!this.#known.has(key)) this.#known.set(key, { runs: 0, seconds: Infinity, trusted: false });
    return this.#known.get(key);
  }

  async #onGpu(request, { seconds }) {
    try {
      const { outputs } = await this.gpu.run(request, { limit: 2 + 4 * seconds });
      this.used++;
      return outputs;
    } catch {
      return null;
    }
  }

  async #onProcessor(request, known) {
    const tried = ++known.runs === TRIED && this.gpu.ready;
    if (tried) this.#try(request, known);
    const began = performance.now();
    const outputs = await this.runtime.run(...request);
    known.seconds = Math.min(known.seconds, (performance.now() - began) / 1000);
    if (tried) known.expected = outputs.sr.slice(); // what is returned may be changed
    if (known.expected) await this.#judge(known);
    return outputs;
  }

  #try(request, known) {
    this.gpu.run(request, { timed: true, limit: TRIAL }).then(
      (answer) => {
        known.answer = answer;
      },
      () => {}, // it is given up
    );
  }

  /** Compares what both gave, once the GPU has answered. */
  async #judge(known) {
    await new Promise((resolve) => setTimeout(resolve)); // so that an answer can come in
    const { expected, answer } = known;
    if (!answer && this.gpu.ready) return;
    known.expected = known.answer = undefined;
    if (!answer) return;
    if (!alike(expected, answer.outputs.sr)) this.gpu.end('it gave other pixels');
    else if (answer.seconds * this.faster > known.seconds) this.gpu.end('it is slow');
    else known.trusted = true;
  }
}

/** Says whether two lists of levels differ by no more than `LIMIT` where they are shown. */
function alike(first, second) {
  const shown = (level) => Math.min(Math.max(level, 0), 255);
  return (
    first.length === second.length &&
    first.every((level, i) => Math.abs(shown(level) - shown(second[i])) <= LIMIT) // not where NaN
  );
}

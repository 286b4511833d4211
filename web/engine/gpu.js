/** @file A GPU, behind a worker that is ended as soon as anything is wrong with it. */

/**
 * What a GPU gives.
 * @typedef {object} Answer
 * @property {Record<string, Float32Array>} outputs
 * @property {number} seconds That a run took, where it was timed.
 */

/** A GPU, if there is one. */
export class Gpu {
  /** Whether one was found, and nothing has been wrong with it. */
  ready = false;
  /** @type {Worker | null} */
  #worker;
  /** @type {{resolve: (answer: Answer) => void, reject: (reason: Error) => void, timer: number}[]} */
  #asked = [];

  /**
   * Looks for one.
   * @param {object} [how]
   * @param {URL} [how.script] Of the worker.
   * @param {boolean} [how.software] Whether one that the processor imitates is taken.
   */
  constructor({ script = new URL('../gpu-worker.js', import.meta.url), software = false } = {}) {
    this.#worker = new Worker(script);
    this.#worker.onmessage = ({ data }) => this.#hear(data);
    this.#worker.onerror = (event) => {
      event.preventDefault(); // or it would count as an error of this worker
      this.end('its worker failed');
    };
    this.#worker.postMessage({ type: 'find', software });
  }

  /**
   * Runs a network.
   * @param {any[]} request The arguments of `Runtime.run`.
   * @param {object} how
   * @param {boolean} [how.timed] Whether it is run twice, to see how long it takes.
   * @param {number} how.limit Seconds after which the GPU is given up.
   * @returns {Promise<Answer>} Rejected when the GPU is given up.
   */
  run(request, { timed = false, limit }) {
    if (!this.ready) return Promise.reject(new Error('there is no GPU'));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.end(`no answer in ${limit} s`), 1000 * limit);
      this.#asked.push({ resolve, reject, timer });
      this.#worker.postMessage({ type: 'run', request, timed });
    });
  }

  /**
   * Gives it up, for good.
   * @param {string} why
   */
  end(why) {
    this.ready = false;
    this.#worker?.terminate();
    this.#worker = null;
    for (const { reject, timer } of this.#asked.splice(0)) {
      clearTimeout(timer);
      reject(new Error(`the GPU is given up: ${why}`));
    }
  }

  #hear(message) {
    if (!this.#worker) return;
    if (message.type === 'ran') {
      const { resolve, timer } = this.#asked.shift();
      clearTimeout(timer);
      resolve(message);
    } else if (message.type === 'found' && message.found) {
      this.ready = true;
    } else {
      this.end(message.message ?? 'there is none');
    }
  }
}

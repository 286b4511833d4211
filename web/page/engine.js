/** @file The worker that does the work, as the page sees it. */

// Firefox now and then blocks a worker for ever as it starts LiteRT.js's threads. It is replaced when
// it is silent for so many milliseconds; in the end there are no threads.
const SILENT = 8000;
const TRIES = 3;

/**
 * What is told while a picture is worked on.
 * @typedef {object} Listener
 * @property {(message: any) => void} opened
 * @property {(done: number) => void} progress Share that is done, 0..1.
 * @property {(shown: {bitmap: ImageBitmap, top: number}) => void} preview
 */

/** Runs one job at a time; cancelling ends the worker, and the next job starts another. */
export class Engine {
  /** @type {Worker | null} */
  #worker = null;
  /** @type {{all: boolean, ended: (threads: number) => void} | null} What is still to be loaded for later. */
  #warming = null;
  #blocked = 0;
  #timer = 0;
  /** @type {{job: any, listener: Listener, resolve: Function, reject: Function} | null} */
  #current = null;

  /** @param {number} [threads] Of the network, by default all. */
  constructor(threads) {
    this.threads = threads;
  }

  /**
   * Loads what the first picture needs, so that it need not wait, and all else for later.
   * @param {boolean} all Whether all models are loaded.
   * @param {(threads: number) => void} ended Called once they are, with how many a network has.
   */
  warm(all, ended) {
    this.#warming = { all, ended };
    if (this.#worker) this.#warm();
    else this.#start();
  }

  /**
   * Works on a picture.
   * @param {import('../engine/work.js').Job} job
   * @param {Listener} listener
   * @returns {Promise<any>} What the worker says in the end: `done`, or `large`.
   */
  run(job, listener) {
    return new Promise((resolve, reject) => {
      this.#current = { job, listener, resolve, reject };
      this.#start();
      this.#work();
    });
  }

  /** Ends what is worked on, at once. */
  cancel() {
    this.#fail(new DOMException('cancelled', 'AbortError'));
  }

  #start() {
    if (!this.#worker) {
      this.#worker = new Worker(new URL('../worker.js', import.meta.url));
      this.#worker.onmessage = ({ data }) => this.#hear(data);
      this.#worker.onerror = (event) => {
        event.preventDefault();
        this.#fail(new Error(`the worker failed: ${event.message ?? 'it could not be loaded'}`));
      };
      if (this.#warming) this.#warm();
    }
    return this.#worker;
  }

  #work() {
    const job = { ...this.#current.job, threads: this.threads };
    this.#worker.postMessage({ type: 'work', job });
  }

  /** Replaces the worker unless it is heard of in time. */
  #watch() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (++this.#blocked >= TRIES) this.threads = 1;
      this.#end();
      this.#start();
      if (this.#current) this.#work();
    }, SILENT);
  }

  #end() {
    clearTimeout(this.#timer);
    this.#worker?.terminate();
    this.#worker = null;
  }

  #warm() {
    this.#worker.postMessage({ type: 'warm', all: this.#warming.all, threads: this.threads });
  }

  #warmed(threads) {
    this.#warming?.ended(threads);
    this.#warming = null;
  }

  #hear(message) {
    const { type } = message;
    if (type === 'starting') return this.#watch();
    if (type === 'started') return clearTimeout(this.#timer);
    if (type === 'warm') return this.#warmed(message.threads);
    const current = this.#current;
    if (!current) return undefined;
    if (type === 'opened') return current.listener.opened(message);
    if (type === 'progress') return current.listener.progress(message.done);
    if (type === 'preview') return current.listener.preview(message);
    if (type === 'error') return this.#fail(new Error(message.message), !message.broken);
    this.#current = null;
    return current.resolve(message);
  }

  /** Ends the current job with an error, and the worker unless it may go on. */
  #fail(error, alive = false) {
    if (!alive) this.#end();
    const current = this.#current;
    this.#current = null;
    current?.reject(error);
  }
}

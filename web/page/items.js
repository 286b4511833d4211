/** @file The photographs that came in, one after the other through the engine. */

import { suffixOf } from './settings.js';
import { Clock, duration } from './time.js';

/** A photograph and what became of it. */
export class Item {
  /** @type {'waiting' | 'working' | 'done' | 'failed' | 'cancelled' | 'asking'} */
  state = 'waiting';
  told = 'Waiting';
  done = 0;
  /** @type {HTMLCanvasElement | null} That the result is drawn to while it is made. */
  canvas = null;
  /** @type {Blob | null} What is shown of the whole result, smaller where that is very large. */
  shown = null;
  /** @type {any} What was asked for, of `Settings.read`. */
  asked = null;
  /** Whether somebody said that a large result is meant. */
  confirmed = false;
  /** @type {any} What the worker said of it. */
  opened = null;
  /** @type {any} */
  result = null;

  /**
   * @param {number} id
   * @param {File} file
   */
  constructor(id, file) {
    this.id = id;
    this.file = file;
  }
}

/** Works on photographs in turn. */
export class Items {
  /** @type {Item[]} */
  list = [];
  /** @type {Item | null} */
  selected = null;
  #count = 0;
  /** @type {Item | null} */
  #working = null;

  /**
   * @param {import('./engine.js').Engine} engine
   * @param {() => any} settings Returns what is asked for.
   * @param {(item: Item | null, what: string) => void} changed Called with what is new of an item.
   */
  constructor(engine, settings, changed) {
    this.engine = engine;
    this.settings = settings;
    this.changed = changed;
  }

  /** Takes files in, and shows the first of them. */
  add(files) {
    const added = files.map((file) => new Item(++this.#count, file));
    this.list.push(...added);
    if (added.length) this.select(added[0]);
    this.#next();
  }

  select(item) {
    this.selected = item;
    this.changed(item, 'selected');
  }

  /** Works on an item once more. */
  again(item, confirmed = false) {
    this.#stop(item);
    Object.assign(item, {
      state: 'waiting',
      told: 'Waiting',
      confirmed,
      opened: null,
      result: null,
      canvas: null,
      shown: null,
    });
    this.changed(item, item === this.selected ? 'selected' : 'state');
    this.#next();
  }

  cancel(item) {
    this.#stop(item);
    this.#become(item, 'cancelled', 'Cancelled');
    this.#next();
  }

  remove(item) {
    this.#stop(item);
    this.list = this.list.filter((each) => each !== item);
    this.changed(item, 'removed');
    if (this.selected === item) this.select(this.list[0] ?? null);
    this.#next();
  }

  #stop(item) {
    if (item !== this.#working) return;
    this.#working = null;
    this.engine.cancel();
  }

  #become(item, state, told) {
    Object.assign(item, { state, told });
    this.changed(item, 'state');
  }

  async #next() {
    const item = this.#working ? null : this.list.find(({ state }) => state === 'waiting');
    if (!item) return;
    this.#working = item;
    item.asked = this.settings();
    item.done = 0;
    this.#become(item, 'working', 'Loading');
    const clock = new Clock();
    try {
      const job = { file: item.file, confirmed: item.confirmed, ...item.asked };
      const answer = await this.engine.run(job, {
        opened: (opened) => {
          clock.start();
          item.opened = opened;
          item.canvas = document.createElement('canvas');
          Object.assign(item.canvas, opened.preview);
          this.changed(item, 'opened');
        },
        progress: (done) => {
          item.done = done;
          this.#become(item, 'working', clock.left(done));
        },
        preview: ({ bitmap, top }) => {
          item.canvas.getContext('2d').drawImage(bitmap, 0, top);
          bitmap.close();
        },
      });
      await this.#end(item, answer);
    } catch (error) {
      if (error.name !== 'AbortError') this.#become(item, 'failed', `Not done: ${error.message}`);
    }
    if (this.#working === item) this.#working = null;
    this.#next();
  }

  async #end(item, answer) {
    if (answer.type === 'large') {
      const { width, height } = answer.size;
      const size = `${Math.round((width * height) / 1e6)} megapixels`;
      this.#become(
        item,
        'asking',
        `The result has ${size}, ${width}×${height}: this may take long.`,
      );
      return;
    }
    const { canvas, opened } = item;
    const whole = canvas.width === opened.size.width && canvas.height === opened.size.height;
    item.shown = whole ? answer.file : await new Promise((resolve) => canvas.toBlob(resolve));
    item.canvas = null; // many of them would fill the memory
    item.result = { ...answer, size: opened.size, suffix: suffixOf(item.asked) };
    const { title, reason } = opened;
    const where = answer.gpu ? ' on the GPU' : '';
    const found = reason ? `; it shows ${reason}` : '';
    this.#become(item, 'done', `Done in ${duration(answer.seconds)} by ${title}${where}${found}`);
  }
}

/**
 * @file LiteRT.js in a worker: which build of it this browser runs, and networks of fixed sizes.
 *
 * A network's file has sizes that are open. They are written into a copy of it for each size that
 * is run, since the runtime has no call that sets them.
 */

import { Model } from './flatbuffer.js';

const MOST_THREADS = 8; // more gain nothing on tiles
const KEPT = 3; // compiled networks; a picture needs one or two sizes of each

/**
 * Starts LiteRT.js, which a worker may do once.
 * @param {URL} folder Of its files.
 * @param {number} [threads] To use; by default all cores, where the page may have threads.
 * @returns {Promise<Runtime>}
 */
export async function startRuntime(folder, threads) {
  const faults = [];
  const wasm = new URL('wasm/', folder).href;
  const litert = await import(new URL('core.js', folder).href);
  const relaxedSimd = await litert.supportsFeature('relaxedSimd');
  const shared =
    self.crossOriginIsolated && relaxedSimd && (await litert.supportsFeature('threads'));
  const cores = shared ? Math.min(threads ?? navigator.hardwareConcurrency ?? 1, MOST_THREADS) : 1;
  // In a worker the glue takes the worker's own address for its own: say where its files are.
  self.Module = {
    locateFile: (file) => wasm + file,
    mainScriptUrlOrBlob: `${wasm}litert_wasm_threaded_internal.js`,
    print() {},
    printErr: (line) => /^(ERROR|FATAL)\b|abort/i.test(line) && faults.push(line),
  };
  // It would take a GPU, and hold it, though networks run on the processor here.
  Object.defineProperty(navigator, 'gpu', { value: undefined, configurable: true });
  await quietly(() => litert.loadLiteRt(wasm, cores > 1 ? { threads: true } : {}));
  return new Runtime(litert, faults, { threads: cores, exact: relaxedSimd });
}

/** Runs something that warns where there is no GPU, which is no fault here. */
async function quietly(work) {
  const { warn } = console;
  console.warn = () => {};
  try {
    return await work();
  } finally {
    console.warn = warn;
  }
}

/** LiteRT.js, started. */
export class Runtime {
  #litert;
  #faults;
  /** @type {Map<string, any>} Compiled networks, those used last at the end. */
  #compiled = new Map();

  /**
   * @param {any} litert The module.
   * @param {string[]} faults What the runtime printed as errors.
   * @param {{threads: number, exact: boolean}} how `exact` where its sums are those of a processor,
   *   so that 8-bit networks give the pixels that Python has of them.
   */
  constructor(litert, faults, how) {
    this.#litert = litert;
    this.#faults = faults;
    this.threads = how.threads;
    this.exact = how.exact;
  }

  /**
   * Runs a signature of a network.
   * @param {object} network
   * @param {string} network.name To know it again by.
   * @param {Uint8Array} network.bytes Of its file.
   * @param {string} signature
   * @param {Record<string, {shape: number[], data: Float32Array}>} inputs
   * @param {Record<string, number[]>} outputs Their shapes.
   * @returns {Promise<Record<string, Float32Array>>}
   */
  async run(network, signature, inputs, outputs) {
    const shapes = { ...outputs };
    for (const [name, { shape }] of Object.entries(inputs)) shapes[name] = shape;
    const compiled = await this.#compile(network, signature, shapes);
    const { Tensor } = this.#litert;
    const tensors = Object.entries(inputs).map(([name, { shape, data }]) => [
      name,
      new Tensor(data, shape),
    ]);
    try {
      const results = await compiled.run(signature, Object.fromEntries(tensors));
      const arrays = Object.entries(results).map(([name, tensor]) => {
        const data = tensor.toTypedArray().slice();
        tensor.delete();
        return [name, data];
      });
      this.#check();
      return Object.fromEntries(arrays);
    } finally {
      for (const [, tensor] of tensors) tensor.delete();
    }
  }

  async #compile({ name, bytes }, signature, shapes) {
    const key = JSON.stringify([name, signature, shapes]);
    let compiled = this.#compiled.get(key);
    if (compiled) {
      this.#compiled.delete(key);
    } else {
      if (this.#compiled.size >= KEPT) {
        const [oldest] = this.#compiled.keys();
        this.#compiled.get(oldest).delete();
        this.#compiled.delete(oldest);
      }
      const copy = bytes.slice();
      new Model(copy).resize(signature, shapes);
      const cpuOptions = { numThreads: this.threads };
      compiled = await this.#litert.loadAndCompile(copy, { accelerator: 'wasm', cpuOptions });
      this.#check();
    }
    this.#compiled.set(key, compiled);
    return compiled;
  }

  /** The runtime goes on after errors, with wrong pixels: they end the work instead. */
  #check() {
    const [fault] = this.#faults.splice(0);
    if (fault) throw new Error(`LiteRT.js: ${fault}`);
  }
}

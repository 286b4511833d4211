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
  const litert = await import(new URL('core.js', folder).href);
  const relaxedSimd = await litert.supportsFeature('relaxedSimd');
  const shared =
    self.crossOriginIsolated && relaxedSimd && (await litert.supportsFeature('threads'));
  const cores = shared ? Math.min(threads ?? navigator.hardwareConcurrency ?? 1, MOST_THREADS) : 1;
  // It would take a GPU, and hold it, though networks run on the processor here.
  Object.defineProperty(navigator, 'gpu', { value: undefined, configurable: true });
  const faults = await load(litert, folder, cores);
  return new Runtime(litert, faults, { threads: cores, exact: relaxedSimd });
}

/**
 * Starts LiteRT.js on a GPU, as `startRuntime` does on the processor.
 * @param {URL} folder Of its files.
 * @returns {Promise<{runtime: Runtime, device: GPUDevice}>}
 */
export async function startOnGpu(folder) {
  const litert = await import(new URL('core.js', folder).href);
  const faults = await load(litert, folder, 1);
  const device = litert.getWebGpuDevice();
  if (!device) throw new Error('LiteRT.js found no GPU');
  return { runtime: new Runtime(litert, faults, { threads: 1, exact: false, gpu: true }), device };
}

/** Has LiteRT.js load its glue; returns where what it prints as errors will be. */
async function load(litert, folder, cores) {
  const faults = [];
  const wasm = new URL('wasm/', folder).href;
  // In a worker the glue takes the worker's own address for its own: say where its files are.
  self.Module = {
    locateFile: (file) => wasm + file,
    mainScriptUrlOrBlob: `${wasm}litert_wasm_threaded_internal.js`,
    print() {},
    printErr: (line) => /^(ERROR|FATAL)\b|abort/i.test(line) && faults.push(line),
  };
  await quietly(() => litert.loadLiteRt(wasm, cores > 1 ? { threads: true } : {}));
  return faults;
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
   * @param {{threads: number, exact: boolean, gpu?: boolean}} how `exact` where its sums are those
   *   of a processor, so that 8-bit networks give the pixels that Python has of them; `gpu` where
   *   networks run on one.
   */
  constructor(litert, faults, how) {
    this.#litert = litert;
    this.#faults = faults;
    this.threads = how.threads;
    this.exact = how.exact;
    // In float16, which GPUs may take instead, 3 of 100 values come out as another level.
    this.options = how.gpu
      ? { accelerator: 'webgpu', gpuOptions: { precision: 'fp32' } }
      : { accelerator: 'wasm', cpuOptions: { numThreads: how.threads } };
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
      const arrays = {};
      for (const [name, tensor] of Object.entries(results)) {
        arrays[name] = await tensor.data(); // a copy
        tensor.delete();
      }
      this.#check();
      return arrays;
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
      const model = new Model(copy);
      const onGpu = this.options.accelerator === 'webgpu';
      // A GPU takes a file only if all that is in it has fixed sizes.
      for (const key of onGpu ? model.signatures : [signature]) model.resize(key, shapes);
      compiled = await this.#litert.loadAndCompile(copy, this.options);
      this.#check();
      if (onGpu && !compiled.isFullyAccelerated) throw new Error(`a GPU does not take ${name}`);
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

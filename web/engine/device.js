/**
 * @file Networks on a GPU, in a worker of their own; `gpu.js` is the other side.
 *
 * `find` is answered with `found`, `run` with `ran`; what fails, or is lost at any time, with
 * `failed`. Nothing is asked for after that.
 */

import { startOnGpu } from './runtime.js';

const FOLDER = new URL('../litert/', import.meta.url);
const SCOPES = ['validation', 'out-of-memory', 'internal'];

/** @type {Promise<{runtime: import('./runtime.js').Runtime, device: GPUDevice}> | undefined} */
let starting;
let last = Promise.resolve();

/**
 * Does what a message asks for, after what was asked for before.
 * @param {{type: 'find', software: boolean} | {type: 'run', request: any[], timed: boolean}} message
 *   `software` allows a GPU that the processor imitates; `request` has the arguments of
 *   `Runtime.run`, and `timed` runs it once more to see how long it takes.
 */
export function handle(message) {
  last = last.then(() => (message.type === 'find' ? find(message) : run(message))).catch(fail);
}

function fail(error) {
  postMessage({ type: 'failed', message: String(error?.message ?? error) });
}

async function find({ software }) {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' });
  const imitated = adapter?.info?.isFallbackAdapter ?? adapter?.isFallbackAdapter;
  postMessage({ type: 'found', found: Boolean(adapter) && (software || !imitated) });
}

async function run({ request, timed }) {
  starting ??= start();
  const { runtime, device } = await starting;
  for (const scope of SCOPES) device.pushErrorScope(scope);
  let outputs = await runtime.run(...request);
  const began = performance.now();
  if (timed) outputs = await runtime.run(...request);
  const seconds = (performance.now() - began) / 1000;
  for (const scope of SCOPES) {
    const error = await device.popErrorScope();
    if (error) throw new Error(`${scope}: ${error.message}`);
  }
  const buffers = Object.values(outputs).map(({ buffer }) => buffer);
  postMessage({ type: 'ran', outputs, seconds }, buffers);
}

async function start() {
  const started = await startOnGpu(FOLDER);
  started.device.lost.then(({ message }) => fail(`the GPU was lost: ${message}`));
  return started;
}

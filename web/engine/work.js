/**
 * @file The messages between the page and its worker.
 *
 * The page sends `warm`, so that all that a picture needs is loaded before there is one, or `work`.
 * The worker answers with `opened` once a picture is decoded, `progress` and `preview` while it is
 * worked on, and in the end `done` or `error`. It is cancelled by ending the worker. While LiteRT.js
 * starts it says `starting` every second, and then `started`.
 */

import { open } from '../files/source.js';
import { PngWriter } from '../files/png_writer.js';
import { Accelerated } from './accelerated.js';
import { enlarged, plan } from './enlarge.js';
import { Gpu } from './gpu.js';
import { checkInput, checkOutput, isLarge, isRoomy } from './limits.js';
import { Models } from './models.js';
import { painted } from './paint.js';
import { Preview } from './preview.js';
import { startRuntime } from './runtime.js';

const BASE = new URL('../', import.meta.url);
const USUAL = 4; // the scale that most ask for

const BEAT = 1000; // milliseconds
const WORTH = 2 ** 20; // pixels of a picture above which a GPU is tried; a smaller one is soon done

/** @type {Gpu | null} Looked for at once, used by the picture that finds it there. */
const gpu = navigator.gpu && isRoomy() ? new Gpu() : null;

/** @type {Promise<Models> | undefined} */
let list;
/** @type {Promise<import('./runtime.js').Runtime> | undefined} */
let starting;

/**
 * What is asked for: a picture, and what becomes of it.
 * @typedef {object} Job
 * @property {File} file
 * @property {boolean} confirmed Whether somebody said that a large result is meant.
 * @property {number} [threads] Of the network, by default all.
 * @property {import('./enlarge.js').Enlarging} [enlarge]
 * @property {import('./paint.js').Painting} [paint] Instead of `enlarge`.
 */

/**
 * Does what a message asks for.
 * @param {{type: 'warm', all: boolean, threads?: number} | {type: 'work', job: Job}} message
 */
export async function handle(message) {
  if (message.type === 'work') return work(message.job);
  const runtime = await started(message.threads);
  const models = await opened();
  for (const name of models.usual(USUAL)) {
    await models.network(name, { int8: runtime.exact, fidelity: 0 });
  }
  if (message.all) await models.keepAll();
  postMessage({ type: 'warm', threads: runtime.threads });
}

/** Starts LiteRT.js, and tells the page again and again that it starts, as long as it can. */
function started(threads) {
  starting ??= start(threads);
  return starting;
}

async function start(threads) {
  const tell = () => postMessage({ type: 'starting' });
  tell();
  const beat = setInterval(tell, BEAT);
  try {
    return await startRuntime(new URL('litert/', BASE), threads);
  } finally {
    clearInterval(beat);
    postMessage({ type: 'started' });
  }
}

function opened() {
  list ??= Models.open(BASE);
  list.catch(() => {
    list = undefined; // to be tried again
  });
  return list;
}

async function work(job) {
  const began = performance.now();
  const scale = job.enlarge?.scale ?? 1;
  const scaled = ({ width, height }) => ({ width: width * scale, height: height * scale });
  const picture = await open(job.file, (found) => {
    checkInput(found);
    checkOutput(scaled(found));
  });
  const size = scaled(picture);
  const { width, height, gray, bits, channels, metadata } = picture;
  if (isLarge(size) && !job.confirmed) {
    postMessage({ type: 'large', width, height, size });
    return;
  }
  const models = await opened();
  const processor = await started(job.threads);
  const gpuHelps = gpu?.ready && width * height > WORTH;
  const runtime = gpuHelps ? new Accelerated(processor, gpu) : processor;
  // A GPU does sums of 8 bits otherwise, so that parts of the picture would differ.
  const int8 = !gpuHelps && processor.exact && bits === 8 && !job.enlarge?.fidelity;
  const chosen = job.enlarge
    ? plan(picture, job.enlarge, models, int8)
    : { title: job.paint.style, reason: '' };
  const preview = new Preview(size);
  const { title, reason } = chosen;
  postMessage({
    type: 'opened',
    width,
    height,
    size,
    title,
    reason,
    preview: { width: preview.width, height: preview.height },
  });
  const progress = (done) => postMessage({ type: 'progress', done });
  const rows = job.enlarge
    ? enlarged(picture, chosen, {
        size,
        int8,
        models,
        runtime,
        progress,
        fidelity: job.enlarge.fidelity,
      })
    : painted(picture, job.paint, { models, runtime, progress });
  const png = new PngWriter({ ...size, channels, bits, gray, metadata });
  let top = 0;
  for await (const band of rows) {
    await png.write(band);
    // Without it, as of a picture too wide for a bitmap, the work goes on.
    const shown = await preview.show(band, top, channels).catch(() => null);
    if (shown) postMessage({ type: 'preview', ...shown }, [shown.bitmap]);
    top += band.length / (size.width * channels);
  }
  const { file, plain } = await png.finish();
  const seconds = (performance.now() - began) / 1000;
  const how = { threads: processor.threads, int8, alpha: picture.alpha, gpu: runtime.used > 0 };
  postMessage({ type: 'done', file, plain, metadata, seconds, ...how });
}

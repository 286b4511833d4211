/**
 * @file A worker that enlarges a picture in small tiles with a GPU or what stands in for one, and
 * without; or compares single runs of networks. It is served beside the page's own files.
 */

const names = ['accelerated', 'gpu', 'models', 'pass', 'runtime'].map((name) => `engine/${name}`);
const parts = Promise.all([...names, 'pixels/picture'].map((name) => import(`./${name}.js`)));
const AREA = 64 ** 2; // pixels of a tile
const FOUND = 20; // seconds in which a GPU is found
const NETWORK = 'x4-feature';

let processor;

onmessage = async ({ data }) => {
  try {
    const [
      { Accelerated },
      { Gpu },
      { Models },
      { Generator, Pass },
      { startRuntime },
      { Picture },
    ] = await parts;
    processor ??= await startRuntime(new URL('litert/', location.href));
    const models = await Models.open(location.href);
    const script = data.script && new URL(data.script, location.href);
    const gpu = new Gpu(script ? { script } : { software: true });
    for (let i = 0; i < 20 * FOUND && !gpu.ready; i++) await pause(50);
    if (!gpu.ready) return postMessage({ found: false });
    if (data.networks) {
      postMessage(await compared(data, gpu, models));
      gpu.end('it is over');
      return;
    }

    const network = await models.network(NETWORK, { int8: false, fidelity: 0 });
    const { width, height, levels } = data.picture;
    const picture = new Picture(width, height, 3, 8, Uint8Array.from(levels));
    const enlarge = async (runtime) => {
      const pass = new Pass(picture, new Generator(runtime, [network], 4, 0), {
        bits: 8,
        area: AREA,
      });
      const bands = [];
      for await (const band of pass.rows(() => {})) bands.push(band);
      return { bands, tiles: pass.count };
    };
    const run = async (...request) => {
      await pause(data.pause); // so that a GPU has its time
      return processor.run(...request);
    };
    const accelerated = new Accelerated({ run }, gpu, data.script ? 1 : 0);
    const { bands, tiles } = await enlarge(accelerated);
    const expected = (await enlarge(processor)).bands;
    const differences = bands.map((band, i) => greatest(band, expected[i]));
    const { used } = accelerated;
    postMessage({
      found: true,
      difference: Math.max(...differences),
      used,
      tiles,
      ready: gpu.ready,
    });
    gpu.end('it is over');
  } catch (error) {
    postMessage({ error: String(error?.stack ?? error) });
  }
};

/** Runs each network on the processor and on the GPU, where it has run before. */
async function compared({ networks, size }, gpu, models) {
  const rows = [];
  for (const name of networks) {
    const request = await (name === 'styles' ? painting : enlarging)(models, name, size);
    await processor.run(...request);
    const began = performance.now();
    const { sr } = await processor.run(...request);
    const taken = performance.now() - began;
    const asked = performance.now();
    const answer = await gpu.run(request, { timed: true, limit: 200 }).catch(String);
    const both = performance.now() - asked;
    if (typeof answer === 'string') return { found: true, rows, failed: `${name}: ${answer}` };
    const again = 1000 * answer.seconds;
    const difference = greatest(sr, answer.outputs.sr);
    rows.push({ name, processor: taken, gpu: again, first: both - again, difference });
  }
  return { found: true, rows };
}

async function enlarging(models, name, size) {
  const { scale } = models.about(name);
  const network = await models.network(name, { int8: false, fidelity: 0 });
  const lr = { shape: [1, size, size, 3], data: drawn(size) };
  return [network, 'upscale', { lr }, { sr: [1, size * scale, size * scale, 3] }];
}

/** A tile of a painting, with the statistics that it has by itself. */
async function painting(models, _, size) {
  const { file, names, padding, cut, statistics } = models.list.styles;
  const network = { name: file, bytes: await models.file(file) };
  const [side, smaller] = [size + 2 * padding, size + 2 * cut];
  const lr = { shape: [1, side, side, 3], data: drawn(side) };
  const style = { shape: [1, names.length], data: Float32Array.from(names, (_, i) => Number(!i)) };
  const sr = [1, smaller, smaller, 3];
  const painted = { sr, statistics: [statistics] };
  const found = await processor.run(network, 'paint', { lr, style }, painted);
  const measured = { shape: [statistics], data: found.statistics };
  return [network, 'tile', { lr, style, statistics: measured }, { sr }];
}

/** Returns waves, edges and grain, 0..255. */
function drawn(size) {
  return Float32Array.from({ length: 3 * size * size }, (_, i) => {
    const [x, y, k] = [Math.floor(i / 3) % size, Math.floor(i / 3 / size), i % 3];
    const grain = (Math.imul(i + 1, 2654435761) >>> 24) / 8;
    const edge = (x * 3 + y * 2) % 41 > 20 ? 40 : 0;
    return Math.round(90 + edge + 60 * Math.sin(x / 5 + k) * Math.cos(y / 7) + grain);
  });
}

function greatest(first, second) {
  return first.reduce((most, level, i) => Math.max(most, Math.abs(level - second[i])), 0);
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

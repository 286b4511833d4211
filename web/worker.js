/**
 * @file Where pictures are worked on, beside the page. A classic worker: LiteRT.js loads its glue by
 * `importScripts`, which module workers lack.
 */

const work = import('./engine/work.js');
self.onmessage = async ({ data }) => {
  try {
    const { handle } = await work;
    await handle(data);
  } catch (error) {
    // What fails while there is no picture yet fails again with one, and is told then.
    if (data.type !== 'work') return;
    const broken = error?.name !== 'FileError'; // a network that failed may be in any state
    postMessage({ type: 'error', message: String(error?.message ?? error), broken });
  }
};

/**
 * @file Where networks run on a GPU, beside `worker.js`, which starts it. A worker of its own,
 * because a GPU may never answer, and a worker can be ended. A classic one as `worker.js` is.
 */

const device = import('./engine/device.js');
self.onmessage = async ({ data }) => (await device).handle(data);

/**
 * @file Stands in for `gpu-worker.js`: it answers as that does, by the processor, and after the
 * trial as its address says: `?right`, `?wrong`, `?slow`, `?late`, `?throws`, `?hangs`, `?lost`.
 */

const HOW = location.search.slice(1);
const starting = import('./engine/runtime.js').then(({ startRuntime }) =>
  startRuntime(new URL('litert/', location.href), 1),
);
let runs = 0;
let last = Promise.resolve();

onmessage = ({ data }) => {
  last = last.then(() => answer(data));
};

async function answer({ type, request }) {
  const runtime = await starting;
  if (type === 'find') return postMessage({ type: 'found', found: true });
  runs++;
  if (HOW === 'hangs') for (;;);
  if (HOW === 'late' && runs > 2) return undefined;
  if (HOW === 'throws') return postMessage({ type: 'failed', message: 'not this network' });
  if (HOW === 'lost' && runs > 2) return postMessage({ type: 'failed', message: 'lost' });
  const outputs = await runtime.run(...request);
  if (HOW === 'wrong') outputs.sr[outputs.sr.length >> 1] += 2;
  return postMessage({ type: 'ran', outputs, seconds: HOW === 'slow' ? 99 : 0 });
}

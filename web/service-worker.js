/**
 * @file Keeps the page on the device, so that it works without a connection, and gives it the
 * headers that threads need where its host does not send them.
 */

const VERSION = 'VERSION';
const FILES = [/* FILES */];
const PREFIX = 'keras-perceptual ';
const CACHE = PREFIX + VERSION;
const KEPT = /\/(models|litert)\//; // kept once they are used
const HEADERS = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  // As in index.html; for the worker, which goes by its own headers.
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; " +
    "img-src 'self' blob:; connect-src 'self' blob:; worker-src 'self'; manifest-src 'self'; " +
    "base-uri 'none'; form-action 'none'",
};

self.addEventListener('install', (event) => {
  const first = !self.registration.active;
  event.waitUntil(keepPage().then(() => first && self.skipWaiting()));
});

self.addEventListener('activate', (event) => {
  event.waitUntil(forgetOthers().then(() => self.clients.claim()));
});

self.addEventListener('message', ({ data }) => {
  if (data === 'replace') self.skipWaiting();
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method === 'GET' && new URL(request.url).origin === self.location.origin) {
    event.respondWith(answer(request));
  }
});

async function keepPage() {
  const cache = await caches.open(CACHE);
  const keep = async (file) => {
    const response = await fetch(new Request(file, { cache: 'no-cache' }));
    if (!response.ok) throw new Error(`${file}: the server answered ${response.status}`);
    await cache.put(file, await isolated(response));
  };
  await Promise.all(FILES.map(keep));
}

async function forgetOthers() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
}

async function answer(request) {
  const cache = await caches.open(CACHE);
  const asked = new URL(request.url).pathname.endsWith('/') ? 'index.html' : request;
  const kept = await cache.match(asked, { ignoreSearch: true });
  if (kept) return kept;
  const response = await isolated(await fetch(request));
  if (response.ok && KEPT.test(request.url)) {
    await cache.put(request, response.clone()).catch(() => {}); // a full disk is no reason to fail
  }
  return response;
}

/**
 * Returns a response with the headers. Its body is read first: Firefox sometimes waits for ever for
 * a script whose body is handed on as a stream.
 */
async function isolated(response) {
  if (!response.status) return response; // what a browser hides
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
  const { status, statusText } = response;
  const body = [204, 205, 304].includes(status) ? null : await response.blob();
  return new Response(body, { status, statusText, headers });
}

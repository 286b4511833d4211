/** @file The service worker: the page without a connection, and threads on any host. */

const RELOADED = 'reloaded for threads';

/**
 * Starts it where there may be one.
 * @param {() => void} newer Called when a newer version of the page waits.
 * @returns {Promise<ServiceWorkerRegistration | null>} Once it keeps the page.
 */
export async function start(newer) {
  if (!navigator.serviceWorker) return null;
  try {
    const registration = await navigator.serviceWorker.register(
      new URL('../service-worker.js', import.meta.url),
    );
    const tell = () => registration.waiting && registration.active && newer();
    registration.addEventListener('updatefound', () => {
      if (!registration.active) return; // the first there is
      registration.installing?.addEventListener('statechange', tell);
    });
    tell();
    await controlled();
    isolate();
    return registration;
  } catch {
    return null; // as in a private window: the page works without
  }
}

/** Waits until the service worker answers for this page. */
async function controlled() {
  await navigator.serviceWorker.ready;
  if (navigator.serviceWorker.controller) return;
  await new Promise((resolve) => {
    navigator.serviceWorker.addEventListener('controllerchange', resolve, { once: true });
  });
}

/** Loads the page once more where its host did not isolate it; the service worker does. */
function isolate() {
  if (self.crossOriginIsolated) {
    sessionStorage.removeItem(RELOADED);
  } else if (!sessionStorage.getItem(RELOADED)) {
    sessionStorage.setItem(RELOADED, 'yes');
    location.reload();
  }
}

/**
 * Loads the newer version.
 * @param {ServiceWorkerRegistration} registration
 */
export function replace(registration) {
  navigator.serviceWorker.addEventListener('controllerchange', () => location.reload());
  registration.waiting?.postMessage('replace');
}

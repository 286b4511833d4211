// A browser that tests drive: a command a line on stdin, its answer a line on stdout.
//
// node driver.mjs MODULES chromium|firefox EXECUTABLE [SWITCH...]   MODULES has puppeteer-core; with
// switches of Chromium, or preferences of Firefox to turn on, the browser may use a GPU
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';

const [modules, kind, executablePath, ...switches] = process.argv.slice(2);
const { default: puppeteer } = await import(
  createRequire(join(modules, 'package.json')).resolve('puppeteer-core')
);
const QUIET = ['--no-sandbox', '--disable-quic', '--no-first-run'];
QUIET.push(...(switches.length ? switches : ['--disable-gpu']));
QUIET.push('--disable-background-networking', '--disable-component-update', '--disable-sync');
const browser = await puppeteer.launch({
  browser: kind === 'firefox' ? 'firefox' : 'chrome',
  executablePath,
  headless: true,
  args: kind === 'firefox' ? [] : QUIET,
  extraPrefsFirefox: Object.fromEntries(switches.map((name) => [name, true])),
  protocolTimeout: 240000,
});

let page;
let faults = [];
let allowed = '';

/** What goes wrong in a page: errors on its console, uncaught ones, requests of other hosts. */
function watch() {
  page.on('pageerror', (error) => faults.push(`uncaught: ${error}`));
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(`console: ${message.text()}`);
  });
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(allowed) && !/^(blob|data|about):/.test(url)) faults.push(`asked ${url}`);
  });
}

const commands = {
  async open({ url, width = 1000, height = 900, touch = false, scheme = 'light' }) {
    await page?.close();
    page = await browser.newPage();
    faults = [];
    allowed = new URL(url).origin;
    watch();
    await page.setViewport({
      width,
      height,
      hasTouch: touch,
      isMobile: touch && kind !== 'firefox',
    });
    if (kind !== 'firefox') {
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    }
    await page.goto(url);
    await page.waitForFunction(() => document.documentElement.dataset.ready, { timeout: 60000 });
  },
  /** Chooses files, as a person does. */
  async choose({ files }) {
    const input = await page.$('#files');
    await input.uploadFile(...files);
  },
  /** Drops a file, with its bytes. */
  async drop({ file, type }) {
    const bytes = readFileSync(file).toString('base64');
    await page.evaluate(
      ([data, name, kind]) => {
        const transfer = new DataTransfer();
        const content = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
        transfer.items.add(new File([content], name, { type: kind }));
        const event = new DragEvent('drop', { dataTransfer: transfer, bubbles: true });
        document.getElementById('intake').dispatchEvent(event);
      },
      [bytes, basename(file), type],
    );
  },
  evaluate: ({ code }) => page.evaluate(code),
  async wait({ code, timeout = 120 }) {
    await page.waitForFunction(code, { timeout: 1000 * timeout, polling: 50 });
  },
  async press({ keys }) {
    for (const key of keys) await page.keyboard.press(key);
  },
  async click({ selector }) {
    await page.click(selector);
  },
  /** Writes what a Blob in the page holds to a file. */
  async fetch({ code, path }) {
    const data = await page.evaluate(
      `(async () => {
        const blob = await (${code});
        const reader = new FileReader();
        await new Promise((resolve) => { reader.onload = resolve; reader.readAsDataURL(blob); });
        return reader.result.split(',')[1];
      })()`,
    );
    writeFileSync(path, Buffer.from(data, 'base64'));
  },
  async screenshot({ path, full = false }) {
    await page.screenshot({ path, fullPage: full });
  },
  faults: () => faults.splice(0),
  pid: () => browser.process().pid,
  version: () => browser.version(),
  async shut() {
    await page.close();
    page = undefined;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...named } = JSON.parse(line);
  let answer;
  try {
    answer = { value: (await commands[command](named)) ?? null };
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();

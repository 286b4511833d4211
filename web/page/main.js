/** @file The page: its parts put together. */

import { encoded, nameOf, save } from './downloads.js';
import { Engine } from './engine.js';
import { listen } from './intake.js';
import { Items } from './items.js';
import { List } from './list.js';
import * as offline from './offline.js';
import { Settings } from './settings.js';
import { Viewer } from './viewer.js';

const find = (id) => document.getElementById(id);
const threads = Number(new URLSearchParams(location.search).get('threads')) || undefined;

const settings = new Settings(find('settings'));
const viewer = new Viewer(find('viewer'));
const engine = new Engine(threads);
const items = new Items(engine, () => settings.read(), changed);
const list = new List(find('items'), items);

/** Shows what is new of an item. */
function changed(item, what) {
  find('queue').hidden = !items.list.length;
  if (item) list.update(item);
  for (const each of items.list) if (what === 'selected') list.update(each);
  list.mark(items.selected);
  if (item !== items.selected || what === 'removed') return;
  if (!item) {
    viewer.close();
    return;
  }
  if (what === 'selected') viewer.open(item.file);
  if (item.opened && what !== 'state') viewer.expect(item.opened.size, item.canvas);
  if (item.shown) viewer.finish(item.shown);
  find('saving').hidden = !item.result;
  find('again').hidden = item.state === 'working' || item.state === 'waiting';
  find('details').textContent = detailsOf(item);
  if (item.state !== 'working' || what === 'opened') say(`${item.file.name}: ${item.told}`);
}

function detailsOf({ opened, result }) {
  if (!opened) return '';
  const { width, height, size } = opened;
  const file = result ? `, ${(result.file.size / 1e6).toFixed(1)} MB as PNG` : '';
  return `${width}×${height} to ${size.width}×${size.height} pixels${file}`;
}

function say(text) {
  find('status').textContent = text;
}

async function download() {
  const { file, result } = items.selected;
  const format = find('format').value;
  find('save').disabled = true;
  try {
    save(await encoded(result, format), nameOf(file.name, result.suffix, format));
  } catch (error) {
    find('details').textContent = error.message;
    say(`${file.name}: ${error.message}`);
  } finally {
    find('save').disabled = false;
  }
}

async function begin() {
  listen(find('intake'), [find('files'), find('camera')], (files) => items.add(files));
  find('save').addEventListener('click', download);
  find('again').addEventListener('click', () => items.again(items.selected));
  find('reload').addEventListener('click', async () => offline.replace(await registered));
  const registered = offline.start(() => {
    find('update').hidden = false;
  });
  try {
    const response = await fetch('models.json');
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    settings.offer(await response.json());
  } catch (error) {
    const told = `The list of models cannot be loaded: ${error.message}. Load the page again.`;
    find('machine').textContent = told;
    say(told);
    return;
  }
  document.documentElement.dataset.ready = 'yes';
  const kept = Boolean(await registered) && !navigator.connection?.saveData;
  engine.warm(kept, (cores) => {
    const where = cores > 1 ? `It runs on ${cores} cores.` : 'It runs on one core.';
    find('machine').textContent = kept
      ? `${where} This page now works without a connection.`
      : where;
    document.documentElement.dataset.warm = 'yes';
  });
}

begin();

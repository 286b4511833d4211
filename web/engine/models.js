/** @file The models beside the page: their list, their files, and the networks made of them. */

import { blend } from './blending.js';

/**
 * A model that enlarges, as `models.json` has it.
 * @typedef {object} About
 * @property {string} name
 * @property {number} scale
 * @property {string} faithful Name of the one trained on pixels that fidelity leads to.
 * @property {string} file
 * @property {string | null} int8 The same in 8 bits, where there is one.
 */

/** The models, fetched as they are needed. */
export class Models {
  /** @type {Map<string, Promise<Uint8Array>>} */
  #files = new Map();

  /**
   * @param {any} list What `models.json` says.
   * @param {URL} base Address of the page.
   */
  constructor(list, base) {
    this.list = list;
    this.base = base;
  }

  /**
   * Fetches the list.
   * @param {URL} base Address of the page.
   * @returns {Promise<Models>}
   */
  static async open(base) {
    const list = await fetched(new URL('models.json', base), 'the list of models');
    return new Models(JSON.parse(new TextDecoder().decode(list)), base);
  }

  /**
   * @param {string} name
   * @returns {About}
   */
  about(name) {
    const found = this.list.models.find((each) => each.name === name);
    if (!found) throw new Error(`there is no model ${name}`);
    return found;
  }

  /**
   * Returns the names of the models that a scale gets, clean pictures' and damaged ones'.
   * @param {number} scale
   */
  usual(scale) {
    const { clean, restoring } = this.list.scales.find((each) => each.scale === scale);
    return [...clean, ...restoring];
  }

  /** Fetches every file once, so that a service worker keeps it for when there is no connection. */
  async keepAll() {
    const { models, styles } = this.list;
    const files = [...models.flatMap(({ file, int8 }) => [file, int8]), styles.file].filter(
      Boolean,
    );
    for (const file of files) await fetched(new URL(file, this.base), `the model ${file}`);
  }

  /**
   * Returns the network of a model.
   * @param {string} name
   * @param {{int8: boolean, fidelity: number}} how Whether 8 bits are taken where there are some,
   *   and the share, 0..1, of the weights of the model that was trained on pixels.
   */
  async network(name, { int8, fidelity }) {
    const { file, int8: small, faithful } = this.about(name);
    if (!fidelity) {
      const chosen = (int8 && small) || file;
      return { name: chosen, bytes: await this.file(chosen) };
    }
    const bytes = (await this.file(file)).slice();
    blend(bytes, await this.file(this.about(faithful).file), fidelity);
    return { name: `${file} ${fidelity}`, bytes };
  }

  /**
   * Returns the bytes of a file beside the page.
   * @param {string} name
   * @returns {Promise<Uint8Array>} Shared: not to be changed.
   */
  file(name) {
    let bytes = this.#files.get(name);
    if (!bytes) {
      bytes = fetched(new URL(name, this.base), `the model ${name}`);
      bytes.catch(() => this.#files.delete(name)); // to be tried again
      this.#files.set(name, bytes);
    }
    return bytes;
  }
}

async function fetched(url, what) {
  let response;
  try {
    response = await fetch(url);
  } catch {
    throw new Error(`${what} cannot be loaded: there is no connection`);
  }
  if (!response.ok) {
    throw new Error(`${what} cannot be loaded: the server answered ${response.status}`);
  }
  return new Uint8Array(await response.arrayBuffer());
}

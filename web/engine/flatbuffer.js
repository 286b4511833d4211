/**
 * @file What a .tflite file consists of, as far as the page changes it: the sizes of what goes in
 * and comes out, and the weights. The field numbers are those of LiteRT's `schema.fbs`.
 */

const MODEL = { subgraphs: 2, buffers: 4, signatures: 7 };
const SUBGRAPH = { tensors: 0 };
const TENSOR = { shape: 0, type: 1, buffer: 2, shapeSignature: 7 };
const SIGNATURE = { inputs: 0, outputs: 1, key: 2, subgraph: 4 };
const TENSOR_MAP = { name: 0, tensor: 1 };
const BUFFER = { data: 0 };

/** A .tflite file, read and changed in place. */
export class Model {
  /** @param {Uint8Array} bytes Of the file. */
  constructor(bytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < 8 || text(bytes.subarray(4, 8)) !== 'TFL3') {
      throw new Error('expected a LiteRT model, received something else');
    }
    this.root = this.#follow(0);
  }

  /** Keys of its signatures. */
  get signatures() {
    const tables = this.#tables(this.root, MODEL.signatures);
    return tables.map((each) => text(this.#bytesOf(each, SIGNATURE.key)));
  }

  /**
   * Gives what goes into a signature and comes out of it a fixed size. The runtime compares sizes
   * with those in the file, and has no call that changes them.
   * @param {string} key Of the signature.
   * @param {Record<string, number[]>} shapes By the names of tensors.
   */
  resize(key, shapes) {
    const { signature, tensors } = this.#signature(key);
    for (const field of [SIGNATURE.inputs, SIGNATURE.outputs]) {
      for (const map of this.#tables(signature, field)) {
        const shape = shapes[text(this.#bytesOf(map, TENSOR_MAP.name))];
        if (!shape) continue;
        const tensor = tensors[this.#number(map, TENSOR_MAP.tensor)];
        for (const which of [TENSOR.shape, TENSOR.shapeSignature]) {
          const vector = this.#vector(tensor, which);
          shape.slice(0, vector.count).forEach((side, i) => {
            this.view.setInt32(vector.start + 4 * i, side, true);
          });
        }
      }
    }
  }

  /**
   * Finds the floating constants of a signature.
   * @param {string} key
   * @returns {{type: number, bytes: Uint8Array}[]} Each once, in the order of tensors; type 0 is
   *   float32, 1 float16.
   */
  constants(key) {
    const buffers = this.#tables(this.root, MODEL.buffers);
    const found = new Map();
    for (const tensor of this.#signature(key).tensors) {
      const type = this.#byte(tensor, TENSOR.type);
      const buffer = this.#number(tensor, TENSOR.buffer);
      const bytes = this.#bytesOf(buffers[buffer], BUFFER.data);
      if (type <= 1 && bytes.length) found.set(buffer, { type, bytes });
    }
    return [...found.values()];
  }

  #signature(key) {
    const signature = this.#tables(this.root, MODEL.signatures).find(
      (each) => text(this.#bytesOf(each, SIGNATURE.key)) === key,
    );
    if (signature === undefined) throw new Error(`expected a model with the signature ${key}`);
    const graphs = this.#tables(this.root, MODEL.subgraphs);
    const graph = graphs[this.#number(signature, SIGNATURE.subgraph)];
    return { signature, tensors: this.#tables(graph, SUBGRAPH.tensors) };
  }

  /** Returns where a field of a table lies, or 0 where the table leaves it out. */
  #field(table, id) {
    const types = table - this.view.getInt32(table, true);
    const there = 4 + 2 * id < this.view.getUint16(types, true);
    const offset = there ? this.view.getUint16(types + 4 + 2 * id, true) : 0;
    return offset && table + offset;
  }

  #follow(position) {
    return position + this.view.getUint32(position, true);
  }

  #number(table, id) {
    const field = this.#field(table, id);
    return field ? this.view.getUint32(field, true) : 0;
  }

  #byte(table, id) {
    const field = this.#field(table, id);
    return field ? this.view.getUint8(field) : 0;
  }

  #vector(table, id) {
    const field = this.#field(table, id);
    if (!field) return { count: 0, start: 0 };
    const vector = this.#follow(field);
    return { count: this.view.getUint32(vector, true), start: vector + 4 };
  }

  #tables(table, id) {
    const { count, start } = this.#vector(table, id);
    return Array.from({ length: count }, (_, i) => this.#follow(start + 4 * i));
  }

  #bytesOf(table, id) {
    const { count, start } = this.#vector(table, id);
    return this.bytes.subarray(start, start + count);
  }
}

/** @param {Uint8Array} bytes */
function text(bytes) {
  return new TextDecoder().decode(bytes);
}

/** @file Results as files: their names, and their formats. */

import * as jpeg from '../files/jpeg.js';
import * as webp from '../files/webp.js';

const QUALITY = 0.95;
const CANVAS = { side: 16383, area: 120e6 }; // pixels that every browser's canvas takes
const TYPES = { jpg: 'image/jpeg', webp: 'image/webp' };

/**
 * Returns the name of a result, as infer.py gives it.
 * @param {string} name Of the photograph.
 * @param {string} suffix Such as `_x4`.
 * @param {string} ending Without a dot.
 */
export function nameOf(name, suffix, ending) {
  const stem = name.replace(/\.[^.]*$/, '') || 'photograph';
  return `${stem}${suffix}.${ending}`;
}

/**
 * Returns a result as a file of a format.
 * @param {{file: Blob, plain: Blob, metadata: import('../files/metadata.js').Metadata,
 *   size: {width: number, height: number}}} result
 * @param {'png' | 'jpg' | 'webp'} format
 * @returns {Promise<Blob>}
 */
export async function encoded(result, format) {
  if (format === 'png') return result.file;
  const { width, height } = result.size;
  const name = { jpg: 'JPEG', webp: 'WebP' }[format];
  const refused = `this browser makes no ${name} of ${width}×${height} pixels; PNG holds them`;
  if (Math.max(width, height) > CANVAS.side || width * height > CANVAS.area)
    throw new Error(refused);
  const blob = await drawn(result.plain, width, height, format).catch(() => null);
  if (blob?.type !== TYPES[format]) throw new Error(refused);
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const described =
    format === 'jpg'
      ? jpeg.described(bytes, result.metadata)
      : webp.described(bytes, result.metadata, result.size);
  return new Blob([described], { type: TYPES[format] });
}

async function drawn(png, width, height, format) {
  const whole = new Blob([await png.arrayBuffer()], { type: png.type }); // for Firefox: of one part
  const bitmap = await createImageBitmap(whole, { colorSpaceConversion: 'none' });
  const surface = new OffscreenCanvas(width, height);
  const context = surface.getContext('2d');
  if (format === 'jpg') {
    context.fillStyle = 'white'; // under what is transparent
    context.fillRect(0, 0, width, height);
  }
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return surface.convertToBlob({ type: TYPES[format], quality: QUALITY });
}

/**
 * Hands a file to the person.
 * @param {Blob} blob
 * @param {string} name
 */
export function save(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

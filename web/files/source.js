/** @file Image files to pictures: told apart by their first bytes, decoded, cleaned, upright. */

import { latin } from './bytes.js';
import * as avif from './avif.js';
import * as browser from './browser_decoder.js';
import * as heic from './heic.js';
import * as jpeg from './jpeg.js';
import { cleaned } from './metadata.js';
import * as png from './png_decoder.js';
import * as webp from './webp.js';

/** Bytes of a file beyond which it is refused: it is read as a whole. */
const MOST_BYTES = 2 ** 30;

/** How coarsely a file that the browser decodes was quantised, by its format. */
const QUALITIES = { AVIF: avif.qualityOf, HEIC: heic.qualityOf };

/** What is wrong with a file, for people. */
export class FileError extends Error {
  name = 'FileError';
}

/**
 * Opens an image file.
 * @param {File | Blob} file
 * @param {(size: {width: number, height: number}) => void} check Called with the size as soon as
 *   it is known, before anything is decoded where the format allows; it may throw.
 * @returns {Promise<import('../pixels/picture.js').Picture>} Upright.
 */
export async function open(file, check) {
  if (!file.size) throw new FileError('the file is empty');
  if (file.size > MOST_BYTES) throw new FileError('the file has more than 1 GiB');
  const bytes = await read(file);
  const { picture, metadata } = await decoded(file, bytes, check);
  const { metadata: kept, orientation } = cleaned(metadata);
  picture.metadata = kept;
  return picture.upright(orientation);
}

async function read(file) {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch {
    throw new FileError('the file cannot be read; it may have been moved or changed');
  }
}

async function decoded(file, bytes, check) {
  const format = formatOf(bytes);
  try {
    if (format === 'PNG') {
      const header = await png.readHeader(bytes);
      check(header);
      return { picture: await png.decode(header), metadata: header.metadata };
    }
    if (format === 'JPEG') {
      const { plain, metadata, components, quality, ...size } = jpeg.readHeader(bytes);
      if (!size.width) throw new Error('its header is damaged');
      check(size);
      const picture = Object.assign(await browser.decode(plain, false), {
        quality,
        gray: components === 1,
      });
      return { picture, metadata };
    }
    const quality = QUALITIES[format]?.(bytes) ?? null;
    const { plain, metadata, ...about } =
      format === 'WebP' ? webp.readHeader(bytes) : { plain: file, metadata: {}, quality };
    const picture = Object.assign(await browser.decode(plain, true), { ...about, form: format });
    check(picture);
    return { picture, metadata };
  } catch (error) {
    if (error instanceof FileError) throw error;
    const known = ['PNG', 'JPEG', 'WebP', 'GIF', 'BMP', 'AVIF'].includes(format);
    if (format && !known)
      throw new FileError(`this browser reads no ${format}; save it as PNG or JPEG`);
    if (!format) throw new FileError('it is not an image that this browser reads');
    throw new FileError(`the ${format} cannot be decoded: ${error.message}`);
  }
}

/** Tells the format of a file by its first bytes; empty where it is not known. */
function formatOf(bytes) {
  const text = latin(bytes, 0, 16);
  if (text.startsWith('\x89PNG\r\n\x1a\n')) return 'PNG';
  if (text.startsWith('\xff\xd8\xff')) return 'JPEG';
  if (text.startsWith('RIFF') && text.slice(8, 12) === 'WEBP') return 'WebP';
  if (text.startsWith('GIF8')) return 'GIF';
  if (text.startsWith('BM')) return 'BMP';
  if (text.startsWith('II*\0') || text.startsWith('MM\0*')) return 'TIFF';
  if (text.slice(4, 8) !== 'ftyp') return '';
  return /avi[fs]/.test(latin(bytes, 8, 32)) ? 'AVIF' : 'HEIC';
}

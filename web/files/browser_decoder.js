/** @file Pictures decoded by the browser, as their files have them. */

import { Picture } from '../pixels/picture.js';

const BAND = 512; // rows that are read at a time

/**
 * Decodes a picture.
 * @param {Blob} file Without orientation and profile where they could be taken out.
 * @param {boolean} alpha Whether it may have opacity.
 * @returns {Promise<Picture>} 8 bits a channel; opacity only where there is any.
 */
export async function decode(file, alpha) {
  const options = { premultiplyAlpha: 'none', colorSpaceConversion: 'none' };
  const bitmap = await createImageBitmap(file, options);
  try {
    return opaque((alpha && straight(bitmap)) || drawn(bitmap));
  } finally {
    bitmap.close();
  }
}

/** Reads pixels by a 2D canvas, which multiplies opacity into the colours. */
function drawn(bitmap) {
  const { width, height } = bitmap;
  const picture = new Picture(width, height, 4, 8);
  const surface = new OffscreenCanvas(width, Math.min(BAND, height));
  const context = surface.getContext('2d', { willReadFrequently: true });
  if (!context) throw new Error('this browser has no memory for it');
  context.globalCompositeOperation = 'copy';
  for (let top = 0; top < height; top += BAND) {
    const rows = Math.min(BAND, height - top);
    context.drawImage(bitmap, 0, -top);
    picture.data.set(context.getImageData(0, 0, width, rows).data, 4 * width * top);
  }
  return picture;
}

/** Reads pixels by WebGL, which leaves colours as they are; null where it cannot. */
function straight(bitmap) {
  const { width, height } = bitmap;
  const gl = new OffscreenCanvas(1, 1).getContext('webgl2', { antialias: false });
  if (!gl) return null;
  try {
    const most = gl.getParameter(gl.MAX_TEXTURE_SIZE);
    if (width > most || height > most) return null;
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
    gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
    const texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
    gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
    const picture = new Picture(width, height, 4, 8);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, picture.data);
    return gl.getError() ? null : picture;
  } finally {
    gl.getExtension('WEBGL_lose_context')?.loseContext();
  }
}

/** Leaves the opacity out where everything is opaque. */
function opaque(picture) {
  const { width, height, data } = picture;
  for (let i = 3; i < data.length; i += 4) if (data[i] !== 255) return picture;
  const result = new Picture(width, height, 3, 8);
  for (let from = 0, to = 0; from < data.length; from += 4) {
    for (let k = 0; k < 3; k++) result.data[to++] = data[from + k];
  }
  return result;
}

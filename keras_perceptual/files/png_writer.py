"""Pixels to the bytes of a PNG."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from isal import isal_zlib

from keras_perceptual.files import png
from keras_perceptual.files.vips import pyvips

__all__ = ["profile", "write"]

# ISA-L packs photographs to the size of zlib's second level in a quarter of the time, and drawings
# to some percent more.
_LEVEL = 2
_UP = 2  # the filter: differences from the row above
_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}  # the colour type by the number of channels
_STRIP = 2**20  # bytes that are packed at once


def write(image: pyvips.Image, file: BinaryIO, *chunks: bytes) -> None:
    """Writes an image.

    Args:
        image: gray or RGB with opacity or not, 8 or 16 bits.
        file: where the bytes of the PNG go.
        *chunks: whole ones, that stand before the pixels.

    Raises:
        OSError: if writing fails.
        pyvips.Error: if libvips cannot read the image.
    """
    bits = 16 if image.format == "ushort" else 8
    head = struct.pack(">IIBBBBB", image.width, image.height, bits, _COLOURS[image.bands], 0, 0, 0)
    file.write(b"".join([png.SIGNATURE, png.chunk(b"IHDR", head), *chunks]))
    packer = isal_zlib.compressobj(_LEVEL)
    for strip in _filtered(image, bits // 8 * image.bands * image.width):
        if packed := packer.compress(strip):
            file.write(png.chunk(b"IDAT", packed))
    file.write(png.chunk(b"IDAT", packer.flush()) + png.chunk(b"IEND"))


def profile(icc: bytes) -> bytes:
    """Returns the chunk of a colour profile."""
    return png.chunk(b"iCCP", b"icc\0\0", isal_zlib.compress(icc, _LEVEL))


def _filtered(image: pyvips.Image, line: int) -> Iterator[np.ndarray]:
    """Yields the rows of an image, some at a time, each after its filter's number."""
    region = pyvips.Region.new(image)
    rows = max(1, _STRIP // line)
    above = np.zeros((1, line), np.uint8)
    for top in range(0, image.height, rows):
        count = min(rows, image.height - top)
        pixels = np.frombuffer(region.fetch(0, top, image.width, count), np.uint8)
        if image.format == "ushort":
            pixels = pixels.view(np.uint16).astype(">u2").view(np.uint8)
        pixels = pixels.reshape(count, line)
        strip = np.empty((count, 1 + line), np.uint8)
        strip[:, 0] = _UP
        np.subtract(pixels, np.concatenate([above, pixels[:-1]]), out=strip[:, 1:])
        above = pixels[-1:].copy()
        yield strip

"""Image files for the tests: made byte by byte, by a library, or by a `Sink`; and read back."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pyvips
from PIL import Image
from PIL.ExifTags import IFD, Base
from PIL.TiffTags import LONG, SHORT

from keras_perceptual.files import formats, tags
from keras_perceptual.files.metadata import Metadata, clean
from keras_perceptual.files.sink import Sink
from keras_perceptual.files.source import open_source

GRAY, RGB, PALETTE, GRAY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(samples: np.ndarray, depth: int, colour: int, *before: bytes) -> bytes:
    """Makes a PNG of `[H, W, C]` samples of any depth, with chunks before its pixels."""
    height, width, channels = samples.shape
    flat = samples.reshape(height, width * channels)
    if depth == 16:
        rows = flat.astype(">u2").view(np.uint8)
    else:
        per = 8 // depth
        flat = np.pad(flat, ((0, 0), (0, -flat.shape[1] % per))).reshape(height, -1, per)
        shifts = np.arange(8 - depth, -1, -depth)
        rows = (flat.astype(np.uint8) << shifts).sum(axis=2, dtype=np.uint8)
    rows = np.pad(rows, ((0, 0), (1, 0)))  # each line begins with its filter: none
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(rows.tobytes()))
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return head + b"".join(before) + body + chunk(b"IEND", b"")


def tiff(samples: np.ndarray, order: str = "<", *, extra: int | None = None) -> bytes:
    """Makes an uncompressed TIFF of `[H, W, C]` uint8 or uint16 samples.

    Args:
        samples: gray or RGB, and what `extra` says.
        order: `<` or `>`.
        extra: what the last channel is: 0 nobody knows, 1 premultiplied opacity, 2 opacity.
    """
    height, width, channels = samples.shape
    bits = 8 * samples.itemsize
    pixels = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    colours = channels - (extra is not None)
    entries = [
        (Base.ImageWidth, LONG, [width]),
        (Base.ImageLength, LONG, [height]),
        (Base.BitsPerSample, SHORT, [bits] * channels),
        (Base.Compression, SHORT, [1]),
        (Base.PhotometricInterpretation, SHORT, [2 if colours == 3 else 1]),
        (Base.StripOffsets, LONG, [8]),
        (Base.SamplesPerPixel, SHORT, [channels]),
        (Base.RowsPerStrip, LONG, [height]),
        (Base.StripByteCounts, LONG, [len(pixels)]),
    ]
    if extra is not None:
        entries.append((Base.ExtraSamples, SHORT, [extra]))
    at = 8 + len(pixels) + len(pixels) % 2
    after = at + 2 + 12 * len(entries) + 4
    table, values = struct.pack(order + "H", len(entries)), b""
    for number, kind, numbers in entries:
        data = struct.pack(f"{order}{len(numbers)}{'H' if kind == SHORT else 'I'}", *numbers)
        place = data.ljust(4, b"\0")
        if len(data) > 4:
            place = struct.pack(order + "I", after + len(values))
            values += data
        table += struct.pack(order + "HHI", number, kind, len(numbers)) + place
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, at)
    return head + pixels + bytes(len(pixels) % 2) + table + bytes(4) + values


def pillow(image: Image.Image, codec: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.copy().save(file, codec, **options)
    return file.getvalue()


def vips(array: np.ndarray, space: str) -> pyvips.Image:
    return pyvips.Image.new_from_array(np.ascontiguousarray(array)).copy(interpretation=space)


def srgb() -> bytes:
    """Returns a colour profile."""
    return bytes(pyvips.Operation.call("profile_load", "srgb"))


def some_metadata() -> Metadata:
    exif = Image.Exif()
    exif[Base.Artist] = "somebody"
    exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = "2024:01:01 00:00:00"
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>here</x:xmpmeta>"
    return clean(tags.parse(exif.tobytes()), srgb(), xmp, (240.0, 240.0))


def write_rows(
    path: Path,
    pixels: np.ndarray,
    *,
    table: np.ndarray | None = None,
    budget: int = 0,
    **about: object,
) -> None:
    """Writes pixels a few rows at a time, with what else a `Sink` takes."""
    height, width, channels = pixels.shape
    about = {"bits": 8 * pixels.itemsize, "alpha": channels == 4, "budget": budget, **about}
    with Sink(path, formats.of(path), height, width, **about) as sink:
        for top in range(0, height, 7):
            sink.append(pixels[top : top + 7])
        sink.finish(table)
    assert [p.name for p in path.parent.iterdir() if p.name.startswith(".")] == []


def read_rows(file: Path | bytes) -> np.ndarray:
    with open_source(file) as source:
        return source.take(source.height)


def by_pillow(data: bytes, mode: str) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert(mode))

"""PNG, JPEG, TIFF and WebP to rows, decoded by libvips as they are asked for."""

from __future__ import annotations

import contextlib
import io
import os
from typing import BinaryIO

import numpy as np
from PIL.ExifTags import Base
from PIL.TiffImagePlugin import COMPRESSION_INFO

from keras_perceptual.errors import ImageError
from keras_perceptual.files import tags
from keras_perceptual.files.decoded import Given, Rows
from keras_perceptual.files.metadata import Metadata, clean, orientation
from keras_perceptual.files.vips import pyvips

__all__ = ["decodes", "open_rows"]

# What libvips knows of TIFF, by Pillow's names.
_COMPRESSIONS = {
    "raw", "tiff_ccitt", "group3", "group4", "tiff_lzw", "jpeg", "tiff_adobe_deflate",
    "tiff_deflate", "packbits",
}  # fmt: skip
_YCBCR = tags.PHOTOMETRIC["YCbCr"]
_PHOTOMETRICS = {_YCBCR} | {
    tags.PHOTOMETRIC[name] for name in ("WhiteIsZero", "BlackIsZero", "RGB", "RGB Palette", "CMYK")
}

# Rows that libvips is asked for: it caches as many, in time that grows with their square.
_AT_ONCE = 64

_UNSET_DPI = (25.4, 71.98, 72.0)  # what libvips says where a file says nothing


class _VipsRows(Rows):
    """Rows of a libvips image, decoded as they are fetched from its stream."""

    def __init__(
        self, image: pyvips.Image, about: Metadata, frames: int, stream: pyvips.Source
    ) -> None:
        bits = 16 if image.format == "ushort" else 8
        super().__init__((image.height, image.width, image.bands), bits, about, frames)
        self._region = pyvips.Region.new(image)
        self._held = image, stream  # regions do not hold the memory that pixels come from

    def fetch(self, top: int, count: int) -> np.ndarray:
        rows = np.empty((count, self.width, self.bands), np.uint16 if self.bits == 16 else np.uint8)
        for first in range(0, count, _AT_ONCE):
            part = rows[first : first + _AT_ONCE]
            data = self._region.fetch(0, top + first, self.width, len(part))
            part[:] = np.frombuffer(data, rows.dtype).reshape(part.shape)
        return rows


def decodes(given: Given) -> bool:
    """Says whether libvips decodes a file rightly, as its wheels are built; Pillow does others.

    In TIFF it has no LZMA, Zstandard and WebP, no 8-bit Lab, and takes YCbCr for RGB unless it is
    JPEG.
    """
    if given.directory is None:
        return not given.form.codec or given.form.name == "WebP"
    (number, *_) = given.directory.numbers(Base.Compression) or (tags.UNCOMPRESSED,)
    (photometric, *_) = given.directory.numbers(Base.PhotometricInterpretation) or (1,)
    compression = COMPRESSION_INFO.get(number)
    return (
        compression in _COMPRESSIONS
        and photometric in _PHOTOMETRICS
        and (photometric != _YCBCR or compression == "jpeg")
    )


def open_rows(given: Given) -> Rows:
    """Opens a file: reads its header, and no pixels unless the format or a turn asks for it."""
    load = getattr(pyvips.Image, f"{given.form.name.lower()}load_source")
    if isinstance(given.path, bytes):
        stream = pyvips.Source.new_from_memory(given.path)
    else:
        stream = pyvips.Source.new_from_file(os.fsencode(given.path))
    # A truncated TIFF is an error to libvips, a truncated JPEG less than one: errors there are
    # also the stray bytes that some cameras leave.
    fail_on = "error" if given.form.name == "TIFF" else "truncated"
    image = load(stream, access="sequential", fail_on=fail_on)
    given.check_size(image.width, image.height)
    frames, about, turn = _about(given, image)
    if turn > 2:
        # From the bottom or the side: libvips decodes to memory, or to a file beyond 100 MB.
        image = load(stream, access="random", fail_on=fail_on)
    if image.interpretation == "cmyk":
        image = _from_cmyk(image)
    return _VipsRows(_upright(_plain(given, image), turn), about, frames, stream)


def _about(given: Given, image: pyvips.Image) -> tuple[int, Metadata, int]:
    """Returns the number of frames, the metadata, and the orientation."""
    fields = set(image.get_fields())
    profile, xmp, exif, frames = (
        image.get(field) if field in fields else None
        for field in ("icc-profile-data", "xmp-data", "exif-data", "n-pages")
    )
    directory = given.directory
    if exif is None:
        exif = _png_exif(image, fields)
    if exif:
        with contextlib.suppress(ValueError):
            directory = tags.parse(exif)
    if given.form.name == "PNG":
        frames = _apng_frames(given.file)
    if image.interpretation == "cmyk":
        profile = None
    dpi: tuple[float, float] | None = (image.xres * 25.4, image.yres * 25.4)
    if any(abs(image.xres * 25.4 - unset) < 0.02 for unset in _UNSET_DPI):
        dpi = None
    return frames or 1, clean(directory, profile, xmp, dpi), orientation(directory)


def _png_exif(image: pyvips.Image, fields: set[str]) -> bytes:
    """Returns the EXIF of a PNG from before the format had a place for it: as a hexadecimal text.

    ImageMagick wrote three lines before it: nothing, the name, the size.
    """
    for field in fields:
        if field.startswith("png-comment-") and field.endswith("Raw profile type exif"):
            with contextlib.suppress(ValueError):
                return bytes.fromhex("".join(image.get(field).split("\n")[3:]))
    return b""


def _plain(given: Given, image: pyvips.Image) -> pyvips.Image:
    """Checks that the bands are gray or RGB, with opacity or not; drops what is neither."""
    colours = 1 if image.interpretation in ("b-w", "grey16") else 3
    extra = image.bands - colours
    known = ("b-w", "grey16", "srgb", "rgb16", "rgb")
    if image.format not in ("uchar", "ushort") or image.interpretation not in known or extra < 0:
        raise ImageError(
            f"{given.name}: expected gray or RGB, received {image.bands} channels of "
            f"{image.interpretation}; convert it first"
        )
    unspecified = given.directory and given.directory.numbers(Base.ExtraSamples)[:1] == (
        tags.UNSPECIFIED,
    )
    kept = colours + bool(extra and not unspecified)
    return image if kept == image.bands else image.extract_band(0, n=kept)


def _from_cmyk(image: pyvips.Image) -> pyvips.Image:
    """Converts CMYK to sRGB by its profile; without one, as inks that multiply."""
    depth = 16 if image.format == "ushort" else 8
    if image.get_typeof("icc-profile-data"):
        with contextlib.suppress(pyvips.Error):
            return image.icc_transform(
                "srgb", embedded=True, intent="relative", black_point_compensation=True, depth=depth
            )
    most = 2**depth - 1
    light = most - image.extract_band(0, n=4)
    rgb = (light.extract_band(0, n=3) * light[3] / most).rint().cast(image.format)
    if image.bands > 4:
        rgb = rgb.bandjoin(image.extract_band(4))
    return rgb.copy(interpretation="rgb16" if depth == 16 else "srgb")


def _upright(image: pyvips.Image, turn: int) -> pyvips.Image:
    if turn == 1:
        return image
    image = image.copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", turn)  # libvips misses some EXIF
    return image.autorot()


def _apng_frames(file: BinaryIO) -> int:
    """Counts the frames of a PNG by the chunk that an animated one has before its pixels."""
    file.seek(8)
    while len(head := file.read(8)) == 8 and head[4:] not in (b"IDAT", b"IEND"):
        if head[4:] == b"acTL":
            return int.from_bytes(file.read(4), "big")
        file.seek(int.from_bytes(head[:4], "big") + 4, io.SEEK_CUR)
    return 1

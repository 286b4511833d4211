"""Image files to rows of upright pixels, decoded by libvips as they are asked for."""

from __future__ import annotations

import contextlib
import io
import os
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from keras_perceptual.errors import ImageError
from keras_perceptual.files import tags
from keras_perceptual.files.formats import Format
from keras_perceptual.files.metadata import Metadata, clean, orientation
from keras_perceptual.files.vips import pyvips

__all__ = [
    "MIRRORED",
    "QUARTERS",
    "ArrayRows",
    "Given",
    "Rows",
    "check_tags",
    "open_rows",
    "vips_decodes",
]

_BITS, _COMPRESSION, _PHOTOMETRIC, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 258, 259, 262, 338, 339
_COLOUR_MAP = 320
_JPEG, _PALETTE, _YCBCR = 7, 3, 6
# none, CCITT, LZW, JPEG, Deflate, PackBits
_VIPS_COMPRESSIONS = {1, 2, 3, 4, 5, _JPEG, 8, 32773, 32946}
# bilevel, gray, RGB, palette, CMYK, YCbCr
_VIPS_PHOTOMETRICS = {0, 1, 2, _PALETTE, 5, _YCBCR}

# Rows that libvips is asked for: it caches as many, in time that grows with their square.
_AT_ONCE = 64

# What stands an EXIF orientation upright: quarter turns clockwise, then a mirror.
QUARTERS = {3: 2, 4: 2, 5: 1, 6: 1, 7: 3, 8: 3}
MIRRORED = (2, 4, 5, 7)

_UNSET_DPI = (25.4, 71.98, 72.0)  # what libvips says where a file says nothing


@dataclass(frozen=True)
class Given:
    """What is known of a file before it is decoded.

    Args:
        name: for messages.
        form: the format.
        file: open at its beginning.
        directory: the tags of a TIFF, None of others.
        most_pixels: what is larger is refused.
    """

    name: str
    form: Format
    file: BinaryIO
    directory: tags.Directory | None
    most_pixels: int

    def check_size(self, width: int, height: int) -> None:
        """Refuses a picture that is empty or too large to be meant."""
        if width < 1 or height < 1:
            raise ImageError(f"{self.name}: has no pixels")
        if width * height > self.most_pixels:
            raise ImageError(
                f"{self.name}: expected at most {self.most_pixels / 1e6:g} megapixels, received "
                f"{width}x{height}; cut it up if that is meant"
            )

    def wrong_type(self, kind: str, bits: int) -> ImageError:
        """Returns the error of pixels whose range is not known."""
        return ImageError(
            f"{self.name}: expected unsigned channels of 8 or 16 bits, received {kind} of "
            f"{bits} bits, whose range is not known; convert it first"
        )


class Rows:
    """Decoded rows, or the promise of them.

    Attributes:
        width: in pixels.
        height: in pixels.
        bands: 1 gray, 2 gray and opacity, 3 RGB, 4 RGB and opacity.
        bits: 8 or 16.
        metadata: of the file.
        frames: how many frames or pages the file has.
    """

    def __init__(self, shape: tuple[int, int, int], bits: int, about: Metadata, frames: int):
        self.height, self.width, self.bands = shape
        self.bits, self.metadata, self.frames = bits, about, frames

    def fetch(self, top: int, count: int) -> np.ndarray:
        """Returns `[count, width, bands]` from row `top` on; tops must not go back."""
        raise NotImplementedError


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


class ArrayRows(Rows):
    """Rows of an array."""

    def __init__(self, pixels: np.ndarray, about: Metadata, frames: int) -> None:
        height, width, bands = pixels.shape
        super().__init__((height, width, bands), 8 * pixels.itemsize, about, frames)
        self._pixels = pixels

    def fetch(self, top: int, count: int) -> np.ndarray:
        return self._pixels[top : top + count]


def check_tags(given: Given) -> None:
    """Refuses a TIFF of pixels whose range is not known, or that has lost its palette."""
    if given.directory is None:
        return
    palette = given.directory.numbers(_PHOTOMETRIC) == (_PALETTE,)
    if palette and not given.directory.numbers(_COLOUR_MAP):
        raise ImageError(f"{given.name}: cannot be read: its palette is missing")
    bits = max(given.directory.numbers(_BITS), default=1)
    kinds = {2: "signed integers", 3: "floating point", 5: "complex numbers", 6: "complex numbers"}
    (kind, *_) = given.directory.numbers(_SAMPLE_FORMAT) or (1,)
    if bits not in (1, 2, 4, 8, 16) or kind in kinds:
        raise given.wrong_type(kinds.get(kind, "integers"), bits)


def vips_decodes(directory: tags.Directory | None) -> bool:
    """Says whether libvips decodes a TIFF rightly, as its wheels are built; Pillow does others.

    It has no LZMA, Zstandard and WebP, no 8-bit Lab, and takes YCbCr for RGB unless it is JPEG.

    Args:
        directory: the TIFF's tags; None of another format, which it does decode.
    """
    if directory is None:
        return True
    (compression, *_) = directory.numbers(_COMPRESSION) or (1,)
    (photometric, *_) = directory.numbers(_PHOTOMETRIC) or (1,)
    return (
        compression in _VIPS_COMPRESSIONS
        and photometric in _VIPS_PHOTOMETRICS
        and (photometric != _YCBCR or compression == _JPEG)
    )


def open_rows(given: Given, path: str | os.PathLike | bytes) -> Rows:
    """Opens a PNG, JPEG, TIFF or WebP."""
    load = getattr(pyvips.Image, f"{given.form.name.lower()}load_source")

    if isinstance(path, bytes):
        stream = pyvips.Source.new_from_memory(path)
    else:
        stream = pyvips.Source.new_from_file(os.fsencode(path))
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
    unspecified = given.directory and given.directory.numbers(_EXTRA_SAMPLES)[:1] == (0,)
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
    if turn in QUARTERS:
        image = image.rot(f"d{90 * QUARTERS[turn]}")
    return image.fliphor() if turn in MIRRORED else image


def _apng_frames(file: BinaryIO) -> int:
    """Counts the frames of a PNG by the chunk that an animated one has before its pixels."""
    file.seek(8)
    while len(head := file.read(8)) == 8 and head[4:] not in (b"IDAT", b"IEND"):
        if head[4:] == b"acTL":
            return int.from_bytes(file.read(4), "big")
        file.seek(int.from_bytes(head[:4], "big") + 4, io.SEEK_CUR)
    return 1

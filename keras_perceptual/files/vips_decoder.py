"""Images to rows, decoded by libvips as they are asked for."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
from PIL.ExifTags import Base
from PIL.TiffImagePlugin import COMPRESSION_INFO

from keras_perceptual.errors import ImageError
from keras_perceptual.files import formats, gif, jpeg, tags
from keras_perceptual.files.decoded import Given, Rows
from keras_perceptual.files.metadata import Metadata, clean, orientation
from keras_perceptual.files.vips import forget_errors, pyvips, stream

__all__ = ["alone", "decodes", "open_rows"]

# libvips's loaders, and bytes of memory a pixel where they decode a whole picture at once.
_LOADERS = {
    "PNG": ("png", 9), "JPEG": ("jpeg", 9), "TIFF": ("tiff", 0), "WebP": ("webp", 10),
    "AVIF": ("heif", 16), "HEIC": ("heif", 16), "GIF": ("gif", 12),
}  # fmt: skip
# What it knows of TIFF, by Pillow's names.
_COMPRESSIONS = {
    "raw", "tiff_ccitt", "group3", "group4", "tiff_lzw", "jpeg", "tiff_adobe_deflate",
    "tiff_deflate", "packbits", "webp",
}  # fmt: skip
_JPEG = 7
_ALONE = ((2,), (3,), (4,), (_JPEG,))
_YCBCR = tags.PHOTOMETRIC["YCbCr"]
_PHOTOMETRICS = {_YCBCR} | {
    tags.PHOTOMETRIC[name] for name in ("WhiteIsZero", "BlackIsZero", "RGB", "RGB Palette", "CMYK")
}

# Rows that libvips is asked for: it caches as many, in time that grows with their square.
_AT_ONCE = 64

_HEAD = 4096  # bytes of a JPEG in a TIFF, in which its size stands
_MISSING = 128  # level of the gray that libjpeg shows where data is missing


class _Opened:
    """An image that libvips decodes from a file as it is asked for."""

    def __init__(self, given: Given, file: BinaryIO, fail_on: str) -> None:
        loader, cost = _LOADERS[given.form.name]
        load = getattr(pyvips.Image, f"{loader}load_source")
        forget_errors()
        file.seek(0)
        self._source = stream(file)  # to be held as long as anything is decoded
        self.image = load(self._source, access="sequential", fail_on=fail_on)
        given.check_size(self.image.width, self.image.height, cost if given.header.whole else 0)
        self.frames, self.about, self.turn = _about(given, self.image)
        if self.turn > 2:
            # From the bottom or the side: libvips decodes to memory, or to a file beyond 100 MB.
            file.seek(0)
            self._source = stream(file)
            self.image = load(self._source, access="random", fail_on=fail_on)

        self._region = pyvips.Region.new(self.image)

    def rows(self, top: int, count: int) -> bytes:
        """Returns rows as they are stored, to compare them."""
        return self._region.fetch(0, top, self.image.width, count)


class _VipsRows(Rows):
    """Rows of a libvips image, decoded as they are fetched from its stream."""

    def __init__(self, given: Given) -> None:
        self._given = given
        opened = self._show(given.file, _fail_on(given))
        image = self._image
        bits = 16 if image.format == "ushort" else 8
        shape = image.height, image.width, image.bands
        super().__init__(shape, bits, opened.about, opened.frames)

    def _show(self, file: BinaryIO, fail_on: str) -> _Opened:
        """Opens a file for its rows to be fetched."""
        self._opened = opened = _Opened(self._given, file, fail_on)
        image = opened.image
        if image.interpretation == "cmyk":
            image = _from_cmyk(image)
        self._image = _upright(_plain(self._given, image), opened.turn)
        self._region = pyvips.Region.new(self._image)
        return opened

    def fetch(self, top: int, count: int) -> np.ndarray:
        rows = np.empty((count, self.width, self.bands), np.uint16 if self.bits == 16 else np.uint8)
        for first in range(0, count, _AT_ONCE):
            part = rows[first : first + _AT_ONCE]
            data = self._region.fetch(0, top + first, self.width, len(part))
            part[:] = np.frombuffer(data, rows.dtype).reshape(part.shape)
        return rows


class _JpegRows(_VipsRows):
    """Rows of a JPEG, all of which are there.

    libjpeg shows gray where data is missing, and warns. It warns of other things too, and libvips
    does not notice a warning in the last eight rows. So where there is one, or a corner is of that
    gray, the data are looked at.
    """

    def __init__(self, given: Given) -> None:
        self._doubtful = self._checked = False
        super().__init__(given)
        self._doubtful = self._opened.image.interpretation == "cmyk"  # whose gray is any colour

    def fetch(self, top: int, count: int) -> np.ndarray:
        try:
            rows = super().fetch(top, count)
        except pyvips.Error:
            if self._checked:
                raise
            self._show(io.BytesIO(self._check()), "none")
            rows = super().fetch(top, count)
        corners = rows[[0, -1]][:, [0, -1]]
        self._doubtful |= bool((corners == _MISSING).all(2).any())
        if top + count == self.height and self._doubtful and not self._checked:
            self._check()
        return rows

    def _check(self) -> bytes:
        """Returns the file in a form in which nothing is missing to libjpeg."""
        self._checked = True
        self._given.file.seek(0)
        return _complete(self._given, self._given.file.read())


class _TiffJpegRows(_VipsRows):
    """Rows of a TIFF of JPEGs, the data of all of which are there: libtiff does not say."""

    def __init__(self, given: Given) -> None:
        self._checked = False
        super().__init__(given)
        assert given.directory is not None
        expected = (given.directory.numbers(Base.TileWidth) or (self._opened.image.width,))[0]
        for data in _strips(given, _HEAD):
            width, _ = jpeg.size(io.BytesIO(data))
            if 0 < width < expected:
                raise ImageError(
                    f"{given.name}: cannot be read: expected strips or tiles of {expected} pixels "
                    f"across, found one of {width}"
                )
        given.file.seek(0)

    def fetch(self, top: int, count: int) -> np.ndarray:
        rows = super().fetch(top, count)
        if not self._checked and (rows == _MISSING).all(2).any():
            self._checked = True
            for data in _strips(self._given):
                _complete(replace(self._given, form=formats.of("a.jpg")), data)
        return rows


def _strips(given: Given, most: int = sys.maxsize) -> Iterator[bytes]:
    """Yields the JPEGs that a TIFF consists of, up to so many bytes of each."""
    assert given.directory is not None
    find = given.directory.numbers
    tables = given.directory.tags.get(Base.JPEGTables)
    offsets = find(Base.StripOffsets) or find(Base.TileOffsets)
    sizes = find(Base.StripByteCounts) or find(Base.TileByteCounts)
    for offset, size in zip(offsets, sizes, strict=False):
        given.file.seek(offset)
        data = given.file.read(min(size, most))
        yield tables.data[:-2] + data[2:] if tables else data


def _complete(given: Given, data: bytes) -> bytes:
    """Returns a JPEG in a form in which nothing is missing to libjpeg.

    Raises:
        ImageError: if data is missing.
        pyvips.Error: if it cannot be decoded whatever follows.
    """
    complete, other = (jpeg.padded(data, seed) for seed in range(2))
    one, two = (_Opened(given, io.BytesIO(each), "none") for each in (complete, other))
    height = one.image.height
    for top in range(0, height, _AT_ONCE):
        rows = top, min(_AT_ONCE, height - top)
        if one.rows(*rows) != two.rows(*rows):
            raise ImageError(
                f"{given.name}: cannot be read: its data breaks off before the last row"
            )
    return complete


def decodes(given: Given) -> bool:
    """Says whether libvips may be asked for a file, as its wheels are built.

    In TIFF it has no LZMA and Zstandard, no 8-bit Lab, and takes YCbCr for RGB unless it is
    JPEG.
    """
    if given.directory is None:
        return given.form.name in _LOADERS
    (number, *_) = given.directory.numbers(Base.Compression) or (tags.UNCOMPRESSED,)
    (photometric, *_) = given.directory.numbers(Base.PhotometricInterpretation) or (1,)
    compression = COMPRESSION_INFO.get(number)
    return (
        compression in _COMPRESSIONS
        and photometric in _PHOTOMETRICS
        and (photometric != _YCBCR or compression == "jpeg")
    )


def alone(given: Given) -> bool:
    """Says whether Pillow would not tell that data is missing: of faxes and JPEGs in TIFF."""
    return given.directory is not None and given.directory.numbers(Base.Compression) in _ALONE


def open_rows(given: Given) -> Rows:
    """Opens a file: reads its header, and no pixels unless the format or a turn asks for it."""
    if given.form.name == "JPEG":
        return _JpegRows(given)
    if given.form.name == "GIF":
        gif.check_complete(given.file)
    if given.form.name == "HEIC":
        _VipsRows(given).fetch(0, 1)  # its wheels open one and cannot decode it
    compressed = given.directory and given.directory.numbers(Base.Compression) == (_JPEG,)
    return (_TiffJpegRows if compressed else _VipsRows)(given)


def _fail_on(given: Given) -> str:
    """Returns what is to end decoding.

    A truncated TIFF is an error to libvips; of JPEG every warning is looked at. Elsewhere errors
    are also what a decoder mends.
    """
    return {"TIFF": "error", "JPEG": "warning"}.get(given.form.name, "truncated")


def _about(given: Given, image: pyvips.Image) -> tuple[int, Metadata, int]:
    """Returns the number of frames, the metadata, and the orientation."""

    def field(name: str) -> Any:
        return image.get(name) if image.get_typeof(name) else None

    header = given.header
    profile = None if image.interpretation == "cmyk" else field("icc-profile-data")
    frames = header.frames or field("n-pages") or 1
    if header.frames or given.directory is not None:
        about = clean(header.directory, profile, header.xmp, header.dpi)
        return frames, about, orientation(header.directory, header.xmp)
    directory, xmp = None, field("xmp-data")
    with contextlib.suppress(ValueError):
        directory = tags.parse(field("exif-data") or b"")
    turned = _LOADERS[given.form.name][0] == "heif"  # by the loader
    return frames, clean(directory, profile, xmp), 1 if turned else orientation(directory, xmp)


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

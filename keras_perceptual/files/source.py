"""`open_source`: image files to rows of RGB pixels, a few at a time."""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import BinaryIO

import numpy as np
from PIL.ExifTags import Base

from keras_perceptual.errors import ImageError, ImageSizeError, image_errors
from keras_perceptual.files import formats, gif, jpeg, pillow_decoder, png, tags, vips_decoder
from keras_perceptual.files.decoded import Given, Rows
from keras_perceptual.files.header import Header
from keras_perceptual.files.metadata import resolution
from keras_perceptual.files.quality import QUALITIES

__all__ = ["MOST_PIXELS", "Source", "look", "open_file", "open_source"]

MOST_PIXELS = 500_000_000

_Decoder = Callable[[Given], Rows]


class Source:
    """An image file, read from the top. To be closed, or used in a `with` statement.

    Attributes:
        name: the file's path as given, or `stdin`.
        format: the format it is in, whatever its ending says.
        width: in pixels, of the upright picture.
        height: in pixels, of the upright picture.
        bits: 8 or 16 a channel, as in the file.
        gray: whether it has no colours; three equal channels are given all the same.
        alpha: whether there is a fourth channel, opacity.
        metadata: what belongs to the picture beside its pixels.
        frames: how many frames, or pages of a TIFF, the file has; the first is read.
    """

    def __init__(self, given: Given, rows: Rows, others: Sequence[_Decoder] = ()) -> None:
        self._given, self._others = given, others
        self.name, self.format = given.name, given.form
        self.width, self.height, self.bits = rows.width, rows.height, rows.bits
        self.gray, self.alpha = rows.bands < 3, rows.bands in (2, 4)
        self.metadata, self.frames = rows.metadata, rows.frames
        self._rows: Rows | None = rows
        self._top = 0

    def take(self, count: int) -> np.ndarray:
        """Returns the next rows.

        Args:
            count: how many; fewer, and in the end none, are left.

        Returns:
            `[count, width, 3 or 4]` uint8 or uint16, RGB and, unpremultiplied, opacity.

        Raises:
            ImageError: if the file breaks off or is damaged here.
            ValueError: if the source is closed.
        """
        if self._rows is None:
            raise ValueError(f"{self.name}: is closed")
        count = min(count, self.height - self._top)
        if count < 1:
            dtype = np.uint16 if self.bits == 16 else np.uint8
            return np.empty((0, self.width, 3 + self.alpha), dtype)
        with image_errors(self.name, "cannot be read"):
            rows = self._fetch(count)
        self._top += count
        if self.gray:
            return rows[..., [0, 0, 0, 1] if self.alpha else [0, 0, 0]]
        return rows

    def _fetch(self, count: int) -> np.ndarray:
        """Decodes rows, by another decoder if the first one fails on them."""
        assert self._rows is not None
        try:
            return self._rows.fetch(self._top, count)
        except (ImageError, MemoryError):
            raise
        except Exception:
            if not self._others:
                raise
            others, self._others = self._others, ()
            with contextlib.suppress(Exception):
                rows, _ = _open(self._given, others)
                if _kind(rows) == _kind(self._rows):
                    self._rows = rows
                    return rows.fetch(self._top, count)
            raise

    @cached_property
    def quality(self) -> int | None:
        """Of a JPEG or lossy WebP, AVIF or HEIC, 0 to 100 by how coarsely quantised; or None."""
        find = QUALITIES.get(self.format.name)
        if find is None:
            return None
        _, file = open_file(self._given.path)
        with file:
            return find(file)

    def again(self) -> Source:
        """Returns the same picture, to be read from the top, beside what is read of this one.

        Raises:
            ImageError: as `open_source`.
        """
        if self._rows and self._rows.held:
            return Source(self._given, self._rows)
        given = self._given
        return open_source(given.path, most_pixels=given.most_pixels, memory=given.memory)

    def close(self) -> None:
        """Lets go of the file and of what is decoded."""
        self._given.file.close()
        self._rows = None

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_source(
    path: str | os.PathLike | bytes, *, most_pixels: int = MOST_PIXELS, memory: int | None = None
) -> Source:
    """Opens an image file: reads its header, and no pixels where the format allows.

    PNG that is not interlaced, JPEG that is not progressive, and TIFF are decoded row by row as
    they are taken, unless their orientation asks for a turn. Others are decoded whole. What one
    decoder does not read, libvips or Pillow, the other one may.

    Args:
        path: a file, or the bytes of one; its content decides on the format.
        most_pixels: what is larger is refused.
        memory: bytes that decoding may take where it needs the whole picture, by default 2 GiB;
            never more than is free.

    Returns:
        The source; the first frame or page of several.

    Raises:
        ImageError: if the file is missing, no image, broken, larger than `most_pixels` or
            `memory` allow, or of pixels whose range is not known (floating point, 32 bits,
            signed).
    """
    name, file = open_file(path)
    with contextlib.ExitStack() as held, image_errors(name, "cannot be read"):
        held.enter_context(file)
        given = look(path, name, file, most_pixels, memory)
        given.check_tags()
        rows, others = _open(given, _decoders(given))
        if not rows.held:
            held.pop_all()  # the file is read as rows are taken
        return Source(given, rows, others)


def look(
    path: str | os.PathLike | bytes,
    name: str,
    file: BinaryIO,
    most_pixels: int,
    memory: int | None = None,
) -> Given:
    """Reads what an open file says of itself.

    Raises:
        ImageError: if it is empty or no image.
        ValueError: if it is a TIFF without tags.
    """
    head = file.read(64)
    form = formats.sniff(head)
    if not head:
        raise ImageError(f"{name}: is empty")
    if form is None:
        known = ", ".join(each.name for each in formats.FORMATS)
        raise ImageError(f"{name}: not an image of those read here: {known}")
    read = _HEADERS.get(form.name)
    header = read(file) if read else Header()
    return Given(path, name, form, file, header, most_pixels, memory)


def _tiff_header(file: BinaryIO) -> Header:
    file.seek(0)
    directory = tags.parse(file)
    xmp = directory.tags.get(Base.XMLPacket)
    return Header(directory, xmp.data if xmp else None, resolution(directory), whole=False)


_HEADERS: dict[str, Callable[[BinaryIO], Header]] = {
    "PNG": png.header, "JPEG": jpeg.header, "TIFF": _tiff_header, "GIF": gif.header
}  # fmt: skip


def _decoders(given: Given) -> tuple[_Decoder, ...]:
    """Returns what decodes a file rightly, the one to ask first before the other."""
    if given.form.name == "JPEG":  # of which Pillow does not say that data is missing
        return (vips_decoder.open_rows,)
    known = vips_decoder.decodes(given)
    if known and vips_decoder.alone(given):
        return (vips_decoder.open_rows,)
    if given.form.codec and given.form.name != "WebP":
        return (pillow_decoder.open_rows, *([vips_decoder.open_rows] if known else []))
    return (*([vips_decoder.open_rows] if known else []), pillow_decoder.open_rows)


def _open(given: Given, decoders: Sequence[_Decoder]) -> tuple[Rows, Sequence[_Decoder]]:
    """Opens a file by the first decoder that can; returns those after it as well.

    Raises:
        Exception: that of the first decoder, if none can.
    """
    first: Exception | None = None
    for number, decoder in enumerate(decoders, 1):
        try:
            return decoder(given), decoders[number:]
        except (ImageSizeError, MemoryError):
            raise
        except Exception as error:
            first = first or error
    assert first is not None
    raise first


def _kind(rows: Rows) -> tuple[int, int, int, int]:
    return rows.height, rows.width, rows.bands, rows.bits


def open_file(path: str | os.PathLike | bytes) -> tuple[str, BinaryIO]:
    """Opens a file, or the bytes of one.

    Returns:
        (name for messages, file).

    Raises:
        ImageError: if there is no such file, or it is not one.
    """
    if isinstance(path, bytes):
        return "stdin", io.BytesIO(path)
    name = os.fspath(path)
    with image_errors(name, "cannot be read"):
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise ImageError(f"{name}: expected a file; pipes are read from stdin")
        return name, open(path, "rb")

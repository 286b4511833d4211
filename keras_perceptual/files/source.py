"""`open_source`: image files to rows of RGB pixels, a few at a time."""

from __future__ import annotations

import io
import os
import stat
from functools import cached_property
from typing import BinaryIO

import numpy as np

from keras_perceptual.errors import ImageError, image_errors
from keras_perceptual.files import formats, pillow_decoder, tags, vips_decoder
from keras_perceptual.files.decoded import ArrayRows, Given, Rows
from keras_perceptual.files.formats import Format
from keras_perceptual.files.quality import jpeg_quality

__all__ = ["MOST_PIXELS", "Source", "open_file", "open_source"]

MOST_PIXELS = 500_000_000


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

    def __init__(
        self, path: str | os.PathLike | bytes, name: str, form: Format, rows: Rows
    ) -> None:
        self._path = path
        self.name, self.format = name, form
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
            rows = self._rows.fetch(self._top, count)
        self._top += count
        if self.gray:
            return rows[..., [0, 0, 0, 1] if self.alpha else [0, 0, 0]]
        return rows

    @cached_property
    def quality(self) -> int | None:
        """Of a JPEG, 1 to 100 by its tables; None of other files."""
        if self.format.name != "JPEG":
            return None
        _, file = open_file(self._path)
        with file:
            return jpeg_quality(file)

    def again(self) -> Source:
        """Returns the same picture, to be read from the top, beside what is read of this one.

        Raises:
            ImageError: as `open_source`.
        """
        if isinstance(self._rows, ArrayRows):
            return Source(self._path, self.name, self.format, self._rows)
        return open_source(self._path)

    def close(self) -> None:
        """Lets go of the file and of what is decoded."""
        self._rows = None

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_source(path: str | os.PathLike | bytes, *, most_pixels: int = MOST_PIXELS) -> Source:
    """Opens an image file: reads its header, and no pixels where the format allows.

    PNG that is not interlaced, JPEG that is not progressive, and TIFF are decoded row by row as
    they are taken, unless their orientation asks for a turn. Others are decoded whole.

    Args:
        path: a file, or the bytes of one; its content decides on the format.
        most_pixels: what is larger is refused.

    Returns:
        The source; the first frame or page of several.

    Raises:
        ImageError: if the file is missing, no image, broken, larger than `most_pixels`, or of
            pixels whose range is not known (floating point, 32 bits, signed).
    """
    name, file = open_file(path)
    with file, image_errors(name, "cannot be read"):
        form = formats.sniff(file.read(64))
        if form is None:
            known = ", ".join(each.name for each in formats.FORMATS)
            raise ImageError(f"{name}: not an image of those read here: {known}")
        file.seek(0)
        directory = tags.parse(file) if form.name == "TIFF" else None
        file.seek(0)
        given = Given(path, name, form, file, directory, most_pixels)
        given.check_tags()
        decoder = vips_decoder if vips_decoder.decodes(given) else pillow_decoder
        return Source(path, name, form, decoder.open_rows(given))


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

"""What a decoder is given, and what it gives: rows of upright pixels, as they are asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL.ExifTags import Base

from keras_perceptual.errors import ImageError
from keras_perceptual.files import tags
from keras_perceptual.files.formats import Format
from keras_perceptual.files.metadata import Metadata

__all__ = ["ArrayRows", "Given", "Rows"]

# Sample formats of TIFF that are no unsigned integers.
_OTHER_KINDS = {
    2: "signed integers", 3: "floating point", 5: "complex numbers", 6: "complex numbers"
}  # fmt: skip


@dataclass(frozen=True)
class Given:
    """What is known of a file before it is decoded.

    Args:
        path: the file, or the bytes of one.
        name: for messages.
        form: the format.
        file: open at its beginning.
        directory: the tags of a TIFF, None of others.
        most_pixels: what is larger is refused.
    """

    path: str | os.PathLike | bytes
    name: str
    form: Format
    file: BinaryIO
    directory: tags.Directory | None
    most_pixels: int

    def check_tags(self) -> None:
        """Refuses a TIFF of pixels whose range is not known, or that has lost its palette."""
        if self.directory is None:
            return
        photometric = self.directory.numbers(Base.PhotometricInterpretation)
        palette = photometric == (tags.PHOTOMETRIC["RGB Palette"],)
        if palette and not self.directory.numbers(Base.ColorMap):
            raise ImageError(f"{self.name}: cannot be read: its palette is missing")
        bits = max(self.directory.numbers(Base.BitsPerSample), default=1)
        (kind, *_) = self.directory.numbers(Base.SampleFormat) or (1,)
        if bits not in (1, 2, 4, 8, 16) or kind in _OTHER_KINDS:
            raise self.wrong_type(_OTHER_KINDS.get(kind, "integers"), bits)

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


class ArrayRows(Rows):
    """Rows of an array."""

    def __init__(self, pixels: np.ndarray, about: Metadata, frames: int) -> None:
        height, width, bands = pixels.shape
        super().__init__((height, width, bands), 8 * pixels.itemsize, about, frames)
        self._pixels = pixels

    def fetch(self, top: int, count: int) -> np.ndarray:
        return self._pixels[top : top + count]

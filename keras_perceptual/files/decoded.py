"""What a decoder is given, and what it gives: rows of upright pixels, as they are asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL.ExifTags import Base

from keras_perceptual.errors import ImageError, ImageSizeError
from keras_perceptual.files import tags
from keras_perceptual.files.formats import Format
from keras_perceptual.files.header import Header
from keras_perceptual.files.metadata import Metadata
from keras_perceptual.system.memory import available

__all__ = ["Given", "Rows", "check_memory"]

# Sample formats of TIFF that are no unsigned integers.
_OTHER_KINDS = {
    2: "signed integers", 3: "floating point", 5: "complex numbers", 6: "complex numbers"
}  # fmt: skip

MEMORY = 2**31  # bytes that decoding may take unless somebody says
_MOST_CHANNELS = 16  # of a TIFF; all are decoded, whatever they are
_SMALL = 2**26  # bytes that no budget is too small for


@dataclass(frozen=True)
class Given:
    """What is known of a file before it is decoded.

    Args:
        path: the file, or the bytes of one.
        name: for messages.
        form: the format.
        file: open at its beginning.
        header: what the file says beside its pixels.
        most_pixels: what is larger is refused.
        memory: bytes that decoding may take, by default 2 GiB; never more than is free.
    """

    path: str | os.PathLike | bytes
    name: str
    form: Format
    file: BinaryIO
    header: Header
    most_pixels: int
    memory: int | None = None

    @property
    def directory(self) -> tags.Directory | None:
        """The tags of a TIFF, None of others."""
        return self.header.directory if self.form.name == "TIFF" else None

    def check_tags(self) -> None:
        """Refuses a TIFF whose pixels have no known range, a lost palette, or are not all there."""
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
        (samples, *_) = self.directory.numbers(Base.SamplesPerPixel) or (1,)
        if samples > _MOST_CHANNELS:
            raise ImageError(f"{self.name}: expected gray or RGB, received {samples} channels")
        found, needed = _pieces(self.directory)
        if found < needed:
            raise ImageError(
                f"{self.name}: cannot be read: expected {needed} strips or tiles, found {found}"
            )

    def check_size(self, width: int, height: int, cost: float = 0) -> None:
        """Refuses a picture that is empty, too large to be meant, or too large for the memory.

        Args:
            width: in pixels.
            height: in pixels.
            cost: bytes of memory that decoding takes for each pixel; 0 where it goes by rows.
        """
        if width < 1 or height < 1:
            raise ImageError(f"{self.name}: has no pixels")
        if width * height > self.most_pixels:
            raise ImageSizeError(
                f"{self.name}: expected at most {self.most_pixels / 1e6:g} megapixels, received "
                f"{width}x{height}; cut it up if that is meant"
            )
        what = f"decoding {width}x{height} of {self.form.name}"
        check_memory(self.name, what, width * height * cost, self.memory)

    def wrong_type(self, kind: str, bits: int) -> ImageError:
        """Returns the error of pixels whose range is not known."""
        return ImageError(
            f"{self.name}: expected unsigned channels of 8 or 16 bits, received {kind} of "
            f"{bits} bits, whose range is not known; convert it first"
        )


def _pieces(directory: tags.Directory) -> tuple[int, int]:
    """Returns how many strips or tiles a TIFF has, and how many its size asks for."""

    def number(tag: int, unless: int) -> int:
        return (directory.numbers(tag) or (unless,))[0] or unless

    width, height = (number(tag, 1) for tag in (Base.ImageWidth, Base.ImageLength))
    tiles = directory.numbers(Base.TileOffsets)
    if tiles:
        across, down = number(Base.TileWidth, width), number(Base.TileLength, height)
    else:
        across, down = width, number(Base.RowsPerStrip, height)
    planes = number(Base.SamplesPerPixel, 1) if number(Base.PlanarConfiguration, 1) == 2 else 1
    found = len(tiles or directory.numbers(Base.StripOffsets))
    return found, -(-width // across) * -(-height // down) * planes if found else 0


def check_memory(name: str, what: str, needed: float, memory: int | None = None) -> None:
    """Refuses what takes too much memory.

    Args:
        name: of the file, for the message.
        what: takes it, for the message.
        needed: bytes it takes.
        memory: bytes it may take, by default 2 GiB; never more than is free.

    Raises:
        ImageSizeError: with the numbers.
    """
    allowed, free = memory or MEMORY, available()
    if needed > max(_SMALL, min(allowed, free)):
        limit = (
            f"{allowed / 1e9:.1f} GB are allowed; --memory allows more"
            if allowed < free
            else f"{free / 1e9:.1f} GB are free"
        )
        raise ImageSizeError(f"{name}: {what} takes {needed / 1e9:.1f} GB of memory, {limit}")


class Rows:
    """Decoded rows, or the promise of them.

    Attributes:
        width: in pixels.
        height: in pixels.
        bands: 1 gray, 2 gray and opacity, 3 RGB, 4 RGB and opacity.
        bits: 8 or 16.
        metadata: of the file.
        frames: how many frames or pages the file has.
        held: whether all pixels are in memory, so that rows may be fetched in any order.
    """

    held = False

    def __init__(self, shape: tuple[int, int, int], bits: int, about: Metadata, frames: int):
        self.height, self.width, self.bands = shape
        self.bits, self.metadata, self.frames = bits, about, frames

    def fetch(self, top: int, count: int) -> np.ndarray:
        """Returns `[count, width, bands]` from row `top` on; tops must not go back."""
        raise NotImplementedError

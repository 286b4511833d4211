"""The blocks that GIF files consist of: where their frames lie, read without decoding them."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from keras_perceptual.files.header import Header

__all__ = ["Frame", "canvas", "frames", "header"]


class Frame(NamedTuple):
    """Where a frame lies: left, top, width and height, in pixels."""

    left: int
    top: int
    width: int
    height: int


def frames(file: BinaryIO) -> Iterator[Frame]:
    """Reads where the frames of a GIF lie, up to where it breaks off."""
    file.seek(10)
    _skip_colours(file, file.read(3))
    while kind := file.read(1):
        if kind == b"!":
            file.seek(1, io.SEEK_CUR)
            _skip_blocks(file)
        elif kind == b",":
            place = file.read(9)
            if len(place) < 9:
                return
            yield Frame(*struct.unpack("<HHHH", place[:8]))
            _skip_colours(file, place[8:])
            file.seek(1, io.SEEK_CUR)
            _skip_blocks(file)
        elif kind == b";":
            return


def _skip_colours(file: BinaryIO, flags: bytes) -> None:
    """Skips a table of colours, if there is one."""
    if flags and flags[0] & 0x80:
        file.seek(3 << (flags[0] & 7) + 1, io.SEEK_CUR)


def _skip_blocks(file: BinaryIO) -> None:
    while (size := file.read(1)) not in (b"", b"\0"):
        file.seek(size[0], io.SEEK_CUR)


def canvas(file: BinaryIO) -> tuple[int, int]:
    """Returns the (width, height) that holds the screen of a GIF and all its frames."""
    file.seek(6)
    width, height = struct.unpack("<HH", file.read(4))
    for frame in frames(file):
        width = max(width, frame.left + frame.width)
        height = max(height, frame.top + frame.height)
    return width, height


def header(file: BinaryIO) -> Header:
    """Counts the frames of a GIF."""
    return Header(frames=max(1, sum(1 for _ in frames(file))))

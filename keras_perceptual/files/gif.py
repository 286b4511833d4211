"""The blocks that GIF files consist of: where their frames lie, read without decoding them."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from keras_perceptual.files.header import Header

__all__ = ["Frame", "canvas", "check_complete", "frames", "header"]


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
            file.seek(1, io.SEEK_CUR)  # the size of codes
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


def check_complete(file: BinaryIO) -> None:
    """Refuses a GIF whose first frame has fewer pixels than its size says.

    Raises:
        ValueError: if pixels are missing.
    """
    frame = next(frames(file), None)
    if frame is None:
        raise ValueError("it has no frame")
    file.seek(-1, io.SEEK_CUR)  # it is read as far as its flags
    _skip_colours(file, file.read(1))
    (bits,) = file.read(1)
    data = b""
    while (size := file.read(1)) not in (b"", b"\0"):
        data += file.read(size[0])
    if _pixels(data, bits, frame.width * frame.height) < frame.width * frame.height:
        raise ValueError("its data breaks off before the last row")


def _pixels(data: bytes, bits: int, enough: int) -> int:
    """Counts the pixels of LZW codes, up to the end or as many as are enough."""
    clear = 1 << bits
    lengths: list[int] = []  # of the strings of the codes above `clear + 1`
    held = count = pixels = last = 0
    width = bits + 1
    for byte in data:
        held |= byte << count
        count += 8
        while count >= width:
            code = held & (1 << width) - 1
            held >>= width
            count -= width
            if code == clear:
                lengths.clear()
                width, last = bits + 1, 0
                continue
            known = clear + 2 + len(lengths)
            if code == clear + 1 or code > known or pixels >= enough:
                return pixels
            if last and known < 4096:
                lengths.append(last + 1)
            length = 1 if code < clear else lengths[code - clear - 2] if code < known else last + 1
            pixels += length
            last = length
            if known + bool(last) >= 1 << width and width < 12:
                width += 1
    return pixels

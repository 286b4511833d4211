"""The blocks that GIF files consist of: where their frames lie, read without decoding them."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from keras_perceptual.files.header import Header

__all__ = [
    "CLEARED",
    "RESTORED",
    "Frame",
    "canvas",
    "check_complete",
    "frames",
    "header",
    "loop",
    "still",
]

CLEARED, RESTORED = 2, 3  # how a frame goes: to nothing, to what was there before; else it stays

_SCREEN = struct.Struct("<6sHHBBB")
_PLACE = struct.Struct("<HHHHB")
_CONTROL = 0xF9
_LOOP = b"!\xff\x0bNETSCAPE2.0\x03\x01"


@dataclass(frozen=True)
class Frame:
    """One frame as a GIF stores it.

    Args:
        left: in pixels, of the screen.
        top: in pixels, of the screen.
        width: in pixels.
        height: in pixels.
        control: its control block, which has its time, its way to go, its transparent colour; or
            nothing.
        start: offset of its flags in the file.
        stop: offset behind its data.
    """

    left: int
    top: int
    width: int
    height: int
    control: bytes
    start: int
    stop: int

    @property
    def duration(self) -> int:
        """Milliseconds that it is shown."""
        return 10 * struct.unpack_from("<H", self.control, 4)[0] if self.control else 0

    @property
    def disposal(self) -> int:
        """How it goes before the next one comes."""
        return self.control[3] >> 2 & 7 if self.control else 0


def frames(file: BinaryIO) -> Iterator[Frame]:
    """Reads where the frames of a GIF lie, up to where it breaks off."""
    file.seek(10)
    _skip_colours(file, file.read(3)[:1])
    control = b""
    while kind := file.read(1):
        if kind == b"!":
            at = file.tell() - 1
            label = file.read(1)
            _skip_blocks(file)
            if label == bytes([_CONTROL]):
                file.seek(at)
                control = file.read(8)
                control = control if len(control) == 8 and control[2] == 4 else b""
        elif kind == b",":
            place = file.read(_PLACE.size)
            if len(place) < _PLACE.size:
                return
            left, top, width, height, _ = _PLACE.unpack(place)
            start = file.tell() - 1
            _skip_colours(file, place[-1:])
            file.seek(1, io.SEEK_CUR)  # the size of codes
            _skip_blocks(file)
            stop = file.tell()
            yield Frame(left, top, width, height, control, start, stop)
            file.seek(stop)
            control = b""
        elif kind == b";":
            return


def _skip_colours(file: BinaryIO, flags: bytes) -> None:
    """Skips a table of colours, if there is one."""
    if flags and flags[0] & 0x80:
        file.seek(3 << (flags[0] & 7) + 1, io.SEEK_CUR)


def _skip_blocks(file: BinaryIO) -> None:
    while (size := file.read(1)) not in (b"", b"\0"):
        file.seek(size[0], io.SEEK_CUR)


def canvas(file: BinaryIO, first: bool = False) -> tuple[int, int]:
    """Returns the (width, height) that holds the screen of a GIF and its frames, or the first."""
    file.seek(0)
    _, width, height, *_ = _SCREEN.unpack(file.read(_SCREEN.size))
    for frame in frames(file):
        width = max(width, frame.left + frame.width)
        height = max(height, frame.top + frame.height)
        if first:
            break
    return width, height


def still(file: BinaryIO, frame: Frame) -> bytes:
    """Returns a GIF of one frame alone, whose screen it fills."""
    file.seek(0)
    version, _, _, flags, ground, ratio = _SCREEN.unpack(file.read(_SCREEN.size))
    colours = file.read(3 << (flags & 7) + 1) if flags & 0x80 else b""
    file.seek(frame.start)
    data = file.read(frame.stop - frame.start)
    screen = _SCREEN.pack(version, frame.width, frame.height, flags, ground, ratio)
    place = struct.pack("<HHHH", 0, 0, frame.width, frame.height)
    return screen + colours + frame.control + b"," + place + data + b";"


def loop(file: BinaryIO) -> int:
    """Returns how often a GIF is played, 0 for ever: it says how often it is repeated, or not."""
    first = next(frames(file), None)
    file.seek(0)
    before = file.read(first.start if first else -1)
    at = before.find(_LOOP) + len(_LOOP)
    if at < len(_LOOP) or at + 2 > len(before):
        return 1
    (repeats,) = struct.unpack_from("<H", before, at)
    return repeats and repeats + 1


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
    file.seek(frame.start)
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

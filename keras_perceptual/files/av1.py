"""How coarsely an AVIF was quantised: the head of its first frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from keras_perceptual.files.bits import Bits
from keras_perceptual.files.boxes import first_picture

__all__ = ["avif_quantiser"]

_FRAME = 512  # bytes of a picture that have all that is read of it
_SEQUENCE, _FRAME_HEADER, _WHOLE_FRAME = 1, 3, 6  # kinds of what a picture consists of
_TILE_WIDTH, _TILE_AREA, _TILES = 4096, 4096 * 2304, 64  # the most of a tile, and most tiles a side

_Read = Callable[[int], int]  # from a number of bits to the next number


def avif_quantiser(file: BinaryIO) -> int:
    """Returns the index of a picture's base quantiser, 0 to 255; 0 loses nothing.

    Args:
        file: an AVIF.

    Raises:
        ValueError: if it is of a kind that is not read here: with a timing, a frame of another
            size, tiles of uneven sizes.
        IndexError, KeyError: if it is damaged.

    Source: the AV1 bitstream specification, sections 5.5 and 5.9.
    """
    _, picture = first_picture(file, b"av01", _FRAME)
    units: dict[int, bytes] = {}
    for kind, body in _units(picture):
        units.setdefault(kind, body)  # of a small picture, the next frame may be read too
    sequence = _Sequence(Bits(units[_SEQUENCE]))
    frame = units[_FRAME_HEADER] if _FRAME_HEADER in units else units[_WHOLE_FRAME]
    return _base(Bits(frame), sequence)


def _units(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields the kinds and bodies of what a picture consists of; the last may be cut."""
    at = 0
    while at < len(data):
        kind, extended, sized = data[at] >> 3 & 15, data[at] >> 2 & 1, data[at] >> 1 & 1
        at += 1 + extended
        size, shift = 0 if sized else len(data), 0
        while sized:
            size |= (data[at] & 127) << shift
            sized, shift, at = data[at] >> 7, shift + 7, at + 1
        yield kind, data[at : at + size]
        at += size


class _Sequence:
    """What is said before the frames, and needed to read theirs (section 5.5)."""

    def __init__(self, bits: Bits) -> None:
        read = bits.number
        read(4)  # profile, still picture
        self.reduced = read(1)
        self.id_length = self.order_length = 0
        self.tools = self.integers = 2  # each frame says whether it has them
        if self.reduced:
            read(5)  # level
        else:
            self._operating_points(read)
        lengths = read(4) + 1, read(4) + 1
        self.width, self.height = (read(length) + 1 for length in lengths)
        if not self.reduced and read(1):
            self.id_length = read(4) + 2 + read(3) + 1
        self.large = read(1)  # superblocks of 128 pixels
        read(2)  # filters of the prediction
        if not self.reduced:
            self._tools(read)
        self.scaled = read(1)

    @staticmethod
    def _operating_points(read: _Read) -> None:
        if read(1):
            raise ValueError("has a timing")
        delayed = read(1)
        for _ in range(read(5) + 1):
            read(12)
            if read(5) > 7:
                read(1)
            if delayed and read(1):
                read(4)

    def _tools(self, read: _Read) -> None:
        read(4)  # of frames that are predicted from others
        ordered = read(1)
        if ordered:
            read(2)
        if not read(1):
            self.tools = read(1)
        if self.tools and not read(1):
            self.integers = read(1)
        if ordered:
            self.order_length = read(3) + 1


def _base(bits: Bits, sequence: _Sequence) -> int:
    """Returns the index of a key frame's base quantiser (sections 5.9.2 and 5.9.12)."""
    read = bits.number
    if not sequence.reduced and read(4) != 1:  # not shown again, a key frame that is shown
        raise ValueError("does not begin with a key frame")
    fixed = read(1)  # probabilities
    tools = read(1) if sequence.tools == 2 else sequence.tools
    if tools and sequence.integers == 2:
        read(1)
    read(sequence.id_length)
    if not sequence.reduced and read(1):
        raise ValueError("has a frame of another size")
    read(sequence.order_length)
    if sequence.scaled and read(1):
        raise ValueError("has a frame that is scaled")
    if read(1):
        read(32)  # the size to show
    if tools:
        read(1)
    if not sequence.reduced and not fixed:
        read(1)
    _tiles(read, sequence)
    return read(8)


def _tiles(read: _Read, sequence: _Sequence) -> None:
    """Passes over how a frame is cut into tiles (section 5.9.15)."""
    shift = 7 if sequence.large else 6
    columns, rows = (-(-side // 2**shift) for side in (sequence.width, sequence.height))
    least_columns = _log2(-(-columns * 2**shift // _TILE_WIDTH))
    least = max(least_columns, _log2(-(-columns * rows * 4**shift // _TILE_AREA)))
    if not read(1):
        raise ValueError("has tiles of uneven sizes")
    across = _counted(read, least_columns, _log2(min(columns, _TILES)))
    down = _counted(read, max(0, least - across), _log2(min(rows, _TILES)))
    if across or down:
        read(across + down + 2)


def _counted(read: _Read, start: int, most: int) -> int:
    while start < most and read(1):
        start += 1
    return start


def _log2(count: int) -> int:
    """Returns the least power of two that is at least a count."""
    return max(0, count - 1).bit_length()

"""How coarsely an AVIF was quantised: the boxes of its file, and the head of its first frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

__all__ = ["avif_quantiser"]

_HEAD = 2**16  # bytes of a file that have the box of what is in it
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

    Source: ISO/IEC 14496-12, sections 8.11.3 and 8.11.6; the AV1 bitstream specification,
        sections 5.5 and 5.9.
    """
    file.seek(0)
    head = file.read(_HEAD)
    meta = dict(_boxes(head))[b"meta"]
    boxes = dict(_boxes(meta[4:]))
    file.seek(_place(boxes[b"iloc"], _first_picture(boxes[b"iinf"])))
    units: dict[int, bytes] = {}
    for kind, body in _units(file.read(_FRAME)):
        units.setdefault(kind, body)  # of a small picture, the next frame may be read too
    sequence = _Sequence(_Bits(units[_SEQUENCE]))
    frame = units[_FRAME_HEADER] if _FRAME_HEADER in units else units[_WHOLE_FRAME]
    return _base(_Bits(frame), sequence)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8:  # to the end of the file, or longer than 32 bits can say
            return
        yield data[at + 4 : at + 8], data[at + 8 : at + size]
        at += size


def _first_picture(box: bytes) -> int:
    """Returns the number of the first item that AV1 codes, from the box that describes them."""
    for kind, entry in _boxes(box[8 if box[0] else 6 :]):
        width = 2 if entry[0] < 3 else 4
        if kind == b"infe" and entry[6 + width : 10 + width] == b"av01":
            return int.from_bytes(entry[4 : 4 + width], "big")
    raise KeyError("av01")


def _place(box: bytes, wanted: int) -> int:
    """Returns where in the file an item begins, from the box that locates them."""
    version, sizes = box[0], box[4:6]
    offset, length, base = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4
    index = sizes[1] & 15 if version else 0
    number = 2 if version < 2 else 4
    bits = _Bits(box[6:])
    for _ in range(bits.number(8 * number)):
        item = bits.number(8 * number)
        method = bits.number(16) & 15 if version else 0
        bits.number(16)
        start, parts = bits.number(8 * base), bits.number(16)
        if item != wanted:
            bits.skip(8 * parts * (index + offset + length))
            continue
        if method or not parts:
            raise ValueError("is not in the file by its place")
        bits.skip(8 * index)
        return start + bits.number(8 * offset)
    raise KeyError(wanted)


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


class _Bits:
    """Numbers of so many bits each."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def number(self, count: int) -> int:
        """Returns the next number.

        Raises:
            IndexError: if the data end before.
        """
        number = 0
        for at in range(self._at, self._at + count):
            number = 2 * number + (self._data[at >> 3] >> (7 - at % 8) & 1)
        self._at += count
        return number

    def skip(self, count: int) -> None:
        """Passes over so many bits."""
        self._at += count


class _Sequence:
    """What is said before the frames, and needed to read theirs (section 5.5)."""

    def __init__(self, bits: _Bits) -> None:
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


def _base(bits: _Bits, sequence: _Sequence) -> int:
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

"""What image files consist of, so that mutations can take the parts and not just the bytes."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple


class Number(NamedTuple):
    """Where a number lies: offset, bytes, and byte order as `struct` writes it."""

    at: int
    size: int
    order: str


class Structure(NamedTuple):
    """Parts of a file, and its numbers that say how large something is, where, or how often.

    Args:
        parts: (start, stop) of what can be moved, doubled or dropped.
        numbers: of sizes, places, counts.
        data: (start, stop) of compressed pixels, which may end early.
        end: what then ends the file.
    """

    parts: list[tuple[int, int]]
    numbers: list[Number]
    data: list[tuple[int, int]]
    end: bytes


def structure(data: bytes) -> Structure:
    """Returns the structure of a valid file; of formats that have little of it, its head."""
    for start, read in _READERS:
        if data.startswith(start):
            return read(data)
    if data[4:12] == b"ftypavif" or data[4:8] == b"jP  ":
        return _boxes(data)
    return Structure(
        [(at, at + 8) for at in range(0, 64, 8)], [], [(len(data) // 2, len(data))], b""
    )


def _png(data: bytes) -> Structure:
    parts, numbers, pixels, at = [], [], [], 8
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        body, stop = at + 8, at + 12 + size
        parts.append((at, stop))
        numbers.append(Number(at, 4, ">"))
        if kind == b"IHDR":
            numbers += [Number(body, 4, ">"), Number(body + 4, 4, ">")]
            numbers += [Number(body + 8 + i, 1, ">") for i in range(5)]
        elif kind in (b"acTL", b"pHYs"):
            numbers += [Number(body, 4, ">"), Number(body + 4, 4, ">")]
        elif kind == b"fcTL":
            numbers += [Number(body + i, 4, ">") for i in range(0, 20, 4)]
            numbers += [Number(body + i, 2, ">") for i in (20, 22)]
            numbers += [Number(body + i, 1, ">") for i in (24, 25)]
        elif kind in (b"IDAT", b"fdAT"):
            pixels.append((body, body + size))
        at = stop
    return Structure(parts, numbers, pixels, data[-12:])


def _jpeg(data: bytes) -> Structure:
    parts, numbers, pixels, at = [], [], [], 2
    while data[at + 1] != 0xD9:
        marker, size = struct.unpack_from(">xBH", data, at)
        stop = at + 2 + size
        numbers.append(Number(at + 2, 2, ">"))
        if marker in (0xC0, 0xC2):
            numbers += [Number(at + 5, 2, ">"), Number(at + 7, 2, ">"), Number(at + 9, 1, ">")]
            numbers += [Number(at + 11 + 3 * i, 1, ">") for i in range(data[at + 9])]
        elif marker == 0xDD:
            numbers.append(Number(at + 4, 2, ">"))
        elif marker == 0xDA:
            begin = stop
            while data[stop] != 0xFF or data[stop + 1] in (0, *range(0xD0, 0xD8)):
                stop += 1
            pixels.append((begin, stop))
        parts.append((at, stop))
        at = stop
    return Structure(parts, numbers, pixels, b"\xff\xd9")


def _gif(data: bytes) -> Structure:
    numbers = [Number(6, 2, "<"), Number(8, 2, "<"), Number(10, 1, "<")]
    parts, pixels = [], []
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    while data[at] != 0x3B:
        start = at
        if data[at] == 0x2C:
            numbers += [Number(at + 1 + i, 2, "<") for i in range(0, 8, 2)]
            numbers += [Number(at + 9, 1, "<")]
            at += 10 + (3 << (data[at + 9] & 7) + 1 if data[at + 9] & 0x80 else 0)
            numbers.append(Number(at, 1, "<"))
            at += 1
            begin = at
        else:
            numbers += [Number(at + 3, 1, "<"), Number(at + 4, 2, "<")]
            at += 2
            begin = None
        while data[at]:
            at += 1 + data[at]
        at += 1
        parts.append((start, at))
        if begin is not None:
            pixels.append((begin, at))
    return Structure(parts, numbers, pixels, b"\0;")


def _riff(data: bytes) -> Structure:
    parts, numbers, pixels = [], [Number(4, 4, "<")], []

    def walk(at: int, stop: int) -> None:
        while at + 8 <= stop:
            kind, size = struct.unpack_from("<4sI", data, at)
            body, end = at + 8, at + 8 + size + size % 2
            parts.append((at, end))
            numbers.append(Number(at + 4, 4, "<"))
            if kind == b"VP8X":
                numbers.extend([Number(body, 1, "<"), Number(body + 4, 3, "<")])
                numbers.append(Number(body + 7, 3, "<"))
            elif kind == b"ANMF":
                numbers.extend(Number(body + i, 3, "<") for i in range(0, 15, 3))
                walk(body + 16, end)
            elif kind == b"ANIM":
                numbers.append(Number(body + 4, 2, "<"))
            elif kind == b"VP8 ":
                numbers.extend([Number(body + 6, 2, "<"), Number(body + 8, 2, "<")])
                pixels.append((body + 10, body + size))
            elif kind == b"VP8L":
                numbers.append(Number(body + 1, 4, "<"))
                pixels.append((body + 5, body + size))
            at = end

    walk(12, len(data))
    return Structure(parts, numbers, pixels, b"")


def _tiff(data: bytes) -> Structure:
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    word, entry, count = (8, 20, 8) if big else (4, 12, 2)
    first = 8 if big else 4
    (at,) = struct.unpack_from(order + ("Q" if big else "I"), data, first)
    (entries,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
    numbers, parts = [Number(first, word, order), Number(at, count, order)], []
    for number in range(entries):
        place = at + count + number * entry
        parts.append((place, place + entry))
        numbers += [Number(place, 2, order), Number(place + 2, 2, order)]
        numbers += [Number(place + 4, word, order), Number(place + 4 + word, word, order)]
        numbers.append(Number(place + 4 + word, 2, order))
    behind = at + count + entries * entry + word
    pixels = [each for each in ((first + word, at), (behind, len(data))) if each[0] < each[1]]
    return Structure(parts, numbers, pixels, b"")


_CONTAINERS = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"jp2h": 0, b"iinf": 6, b"iref": 4}


def _boxes(data: bytes) -> Structure:
    parts, numbers, pixels = [], [], []

    def walk(at: int, stop: int) -> None:
        while at + 8 <= stop:
            size, kind = struct.unpack_from(">I4s", data, at)
            end = min(stop, at + size) if size else stop
            if end < at + 8:
                return
            parts.append((at, end))
            numbers.append(Number(at, 4, ">"))
            if kind in _CONTAINERS:
                walk(at + 8 + _CONTAINERS[kind], end)
            elif kind in (b"ispe", b"ihdr"):
                skip = 12 if kind == b"ispe" else 8
                numbers.extend([Number(at + skip, 4, ">"), Number(at + skip + 4, 4, ">")])
            elif kind in (b"mdat", b"jp2c"):
                pixels.append((at + 8, end))
            else:
                numbers.extend(Number(at + i, 2, ">") for i in range(8, end - at - 1, 2))
            at = end

    walk(0, len(data))
    for found in re.finditer(b"\xff\x51", data):  # JPEG 2000: sizes of the picture and its tiles
        numbers += [Number(found.start() + 6 + i, 4, ">") for i in range(0, 32, 4)]
    return Structure(parts, numbers, pixels, b"\xff\xd9")


def _bmp(data: bytes) -> Structure:
    numbers = [Number(at, 4, "<") for at in (2, 10, 14, 18, 22, 30, 34, 46, 50)]
    numbers += [Number(at, 2, "<") for at in (26, 28)]
    (start,) = struct.unpack_from("<I", data, 10)
    return Structure([(14, start), (start, len(data))], numbers, [(start, len(data))], b"")


_READERS = (
    (b"\x89PNG", _png), (b"\xff\xd8", _jpeg), (b"GIF8", _gif), (b"RIFF", _riff),
    (b"II*\0", _tiff), (b"MM\0*", _tiff), (b"II+\0", _tiff), (b"BM", _bmp),
)  # fmt: skip


def extremes(size: int, total: int) -> Iterator[int]:
    """Yields numbers that hold surprises, as far as they fit into a number of bytes."""
    for value in (
        0, 1, 2, 3, 7, 8, 0x7F, 0x80, 0xFF, 256, 999, 1001, 3000, 0x7FFF, 0x8000, 22_000, 65_500,
        0xFFFF, 65_536, 0xFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63, 2**64 - 1, total,
        total - 1,
    ):  # fmt: skip
        if 0 <= value < 1 << 8 * size:
            yield value

"""Directories of tags, which TIFF files and EXIF blocks consist of.

Values are kept as bytes, so that unknown tags pass unchanged.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
from PIL import TiffTags
from PIL.ExifTags import IFD, Base

__all__ = [
    "OPACITY",
    "PHOTOMETRIC",
    "UNCOMPRESSED",
    "UNSPECIFIED",
    "Directory",
    "Tag",
    "add",
    "dump",
    "parse",
    "start",
]

# Values of tags; those of the tags themselves and of their types are Pillow's.
PHOTOMETRIC = TiffTags.lookup(Base.PhotometricInterpretation).enum
UNCOMPRESSED = 1
UNSPECIFIED, OPACITY = 0, 2  # of a channel beside the colours; 1 is opacity, premultiplied

_INSIDE = (IFD.Exif, IFD.GPSInfo, IFD.Interop)
_SLONG8, _IFD8 = 17, 18  # BigTIFF's

_TYPES = {  # (bytes a value, bytes of the unit that byte order turns)
    TiffTags.BYTE: (1, 1), TiffTags.ASCII: (1, 1), TiffTags.SHORT: (2, 2), TiffTags.LONG: (4, 4),
    TiffTags.RATIONAL: (8, 4), TiffTags.SIGNED_BYTE: (1, 1), TiffTags.UNDEFINED: (1, 1),
    TiffTags.SIGNED_SHORT: (2, 2), TiffTags.SIGNED_LONG: (4, 4), TiffTags.SIGNED_RATIONAL: (8, 4),
    TiffTags.FLOAT: (4, 4), TiffTags.DOUBLE: (8, 8), TiffTags.IFD: (4, 4), TiffTags.LONG8: (8, 8),
    _SLONG8: (8, 8), _IFD8: (8, 8),
}  # fmt: skip
_UNSIGNED = (TiffTags.BYTE, TiffTags.SHORT, TiffTags.LONG, TiffTags.IFD, TiffTags.LONG8)
_MOST = 2**24  # bytes of all values; a hostile file may claim any number, and often the same


@dataclass(frozen=True)
class Tag:
    """The values of one tag.

    Args:
        kind: TIFF's number of their type.
        data: the values, in the byte order of their directory.
    """

    kind: int
    data: bytes

    @property
    def count(self) -> int:
        """How many values there are."""
        return len(self.data) // _TYPES[self.kind][0]


@dataclass
class Directory:
    """Tags by their numbers, and the directories that some of them point to.

    Args:
        order: `<` or `>`, the byte order of the values, as `struct` writes it.
        tags: by number.
        inside: directories by the number of the tag that points there: EXIF, GPS.
    """

    order: str = "<"
    tags: dict[int, Tag] = field(default_factory=dict)
    inside: dict[int, Directory] = field(default_factory=dict)

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Returns the unsigned integers of a tag, none if it is missing or has others."""
        found = self.tags.get(tag)
        if found is None or found.kind not in _UNSIGNED:
            return ()
        unit = _TYPES[found.kind][0]
        return tuple(np.frombuffer(found.data, f"{self.order}u{unit}").tolist())

    def ratio(self, tag: int) -> float | None:
        """Returns the first fraction of a tag, or None."""
        found = self.tags.get(tag)
        if found is None or found.kind != TiffTags.RATIONAL:
            return None
        over, under = struct.unpack(self.order + "II", found.data[:8])
        return over / under if under else None

    def put(self, tag: int, kind: int, *values: int) -> None:
        """Sets the unsigned integers of a tag."""
        data = np.array(values).astype(f"{self.order}u{_TYPES[kind][0]}").tobytes()
        self.tags[tag] = Tag(kind, data)

    def in_order(self, order: str) -> Directory:
        """Returns the directory in a byte order."""
        if order == self.order:
            return self
        turned = {
            number: Tag(tag.kind, _turned(tag.data, _TYPES[tag.kind][1]))
            for number, tag in self.tags.items()
        }
        return Directory(order, turned, {n: d.in_order(order) for n, d in self.inside.items()})


def _turned(data: bytes, unit: int) -> bytes:
    return np.frombuffer(data, f"u{unit}").byteswap().tobytes()


@dataclass(frozen=True)
class _Layout:
    """How a file writes numbers: the byte order, and whether it is a BigTIFF."""

    order: str
    big: bool

    @property
    def word(self) -> int:
        """Bytes of an offset."""
        return 8 if self.big else 4

    def offset(self, data: bytes) -> int:
        return struct.unpack(self.order + ("Q" if self.big else "I"), data[: self.word])[0]

    @property
    def count(self) -> struct.Struct:
        """Of the number of entries."""
        return struct.Struct(self.order + ("Q" if self.big else "H"))

    @property
    def entry(self) -> struct.Struct:
        """Number, type, count, and the values or where they are."""
        return struct.Struct(self.order + ("HHQ8s" if self.big else "HHI4s"))


def _head(file: BinaryIO) -> tuple[_Layout, int]:
    """Reads the header: the layout, and the offset of the first directory."""
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        raise ValueError("expected tags, received something else")
    layout = _Layout(order, struct.unpack(order + "H", head[2:4])[0] == 43)
    return layout, layout.offset(head[8:] if layout.big else head[4:])


def parse(file: BinaryIO | bytes) -> Directory:
    r"""Reads the first directory of a TIFF file or EXIF block, and those inside it.

    What points outside the file, or claims more than there is, is left out.

    Args:
        file: of either, from its beginning; `Exif\0\0` may stand before a block of bytes.

    Raises:
        ValueError: if it is neither.
    """
    if isinstance(file, bytes):
        file = io.BytesIO(file.removeprefix(b"Exif\0\0"))
    try:
        layout, offset = _head(file)
        return _parse(file, layout, offset, 0)
    except (struct.error, OverflowError, OSError) as error:
        raise ValueError(f"damaged or cut short, without its tags ({error})") from None


def _parse(file: BinaryIO, layout: _Layout, offset: int, depth: int) -> Directory:
    found = Directory(layout.order)
    file.seek(offset)
    (entries,) = layout.count.unpack(file.read(layout.count.size))
    table = file.read(min(entries, 10_000) * layout.entry.size)
    table = table[: len(table) // layout.entry.size * layout.entry.size]
    left = _MOST
    for number, kind, count, value in layout.entry.iter_unpack(table):
        size = count * _TYPES.get(kind, (0, 0))[0]
        if not 0 < size <= left:
            continue
        if number in _INSIDE:
            if depth < 2:
                try:
                    found.inside[number] = _parse(file, layout, layout.offset(value), depth + 1)
                except (struct.error, OverflowError, OSError, ValueError):
                    continue
            continue
        if size > layout.word:
            file.seek(layout.offset(value))
            data = file.read(size)
        else:
            data = value[:size]
        left -= size
        if len(data) == size:
            found.tags[number] = Tag(kind, data)
    return found


def dump(directory: Directory) -> bytes:
    r"""Returns a directory as an EXIF block, without `Exif\0\0`; empty if it has no tags."""
    if not directory.tags and not directory.inside:
        return b""
    layout = _Layout(directory.order, False)
    head = (b"II" if directory.order == "<" else b"MM") + struct.pack(directory.order + "HI", 42, 8)
    return head + _dump(directory, layout, 8)


def start(directory: Directory) -> bytes:
    """Returns the first bytes of a BigTIFF that has no directory but this one."""
    layout = _Layout(directory.order, True)
    head = b"II" if directory.order == "<" else b"MM"
    head += struct.pack(directory.order + "HHHQ", 43, 8, 0, 16)
    return head + _dump(directory, layout, 16)


def _dump(directory: Directory, layout: _Layout, offset: int) -> bytes:
    """Returns a directory that will lie at an offset, its values and directories after it."""
    numbers = sorted({*directory.tags, *directory.inside})
    after = offset + layout.count.size + len(numbers) * layout.entry.size + layout.word
    table, values = layout.count.pack(len(numbers)), b""
    pointer = struct.Struct(layout.order + ("Q" if layout.big else "I"))
    for number in numbers:
        place = pointer.pack(after + len(values))
        if number in directory.inside:
            kind, count = (_IFD8 if layout.big else TiffTags.LONG), 1
            values += _dump(directory.inside[number], layout, after + len(values))
        else:
            tag = directory.tags[number]
            kind, count = tag.kind, tag.count
            if len(tag.data) > layout.word:
                values += tag.data + bytes(-len(tag.data) % 2)
            else:
                place = tag.data.ljust(layout.word, b"\0")
        table += layout.entry.pack(number, kind, count, place)
    return table + bytes(layout.word) + values


def add(file: BinaryIO, more: Directory, without: frozenset[int] = frozenset()) -> None:
    """Adds tags that a TIFF file lacks, by a new directory at its end.

    Args:
        file: a TIFF of one page, open for reading and writing.
        more: the tags and the directories inside to add.
        without: tags that the file has and is to lose.
    """
    file.seek(0)
    layout, offset = _head(file)
    merged = _parse(file, layout, offset, 0)
    more = more.in_order(layout.order)
    kept = {number: tag for number, tag in merged.tags.items() if number not in without}
    merged.tags = {**more.tags, **kept}
    merged.inside = {**more.inside, **merged.inside}
    end = file.seek(0, io.SEEK_END)
    end += end % 2
    block = _dump(merged, layout, end)
    file.seek(end)
    file.write(block)
    file.seek(8 if layout.big else 4)
    file.write(struct.pack(layout.order + ("Q" if layout.big else "I"), end))
    file.seek(0, io.SEEK_END)

"""The chunks that PNG files consist of, and what they say beside the pixels."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from keras_perceptual.files import tags
from keras_perceptual.files.header import Header

__all__ = [
    "SIGNATURE",
    "XMP",
    "Chunk",
    "check_complete",
    "chunk",
    "chunks",
    "header",
    "international_text",
]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP = b"XML:com.adobe.xmp"

_MOST = 2**24  # bytes of one text, unpacked
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_READ = (b"IHDR", b"acTL", b"pHYs", b"eXIf", *_TEXTS)
_METRE = 0.0254  # of an inch


class Chunk(NamedTuple):
    """A chunk of a PNG.

    Args:
        kind: its four letters.
        body: its bytes; empty for those that `chunks` was not asked for.
    """

    kind: bytes
    body: bytes


def chunks(file: BinaryIO, wanted: tuple[bytes, ...] | None = None) -> Iterator[Chunk]:
    """Reads the chunks of a PNG, up to where it breaks off.

    Args:
        file: open at its beginning.
        wanted: the kinds to read the bodies of, up to 16 MiB each; None reads all.
    """
    file.seek(len(SIGNATURE))
    while len(head := file.read(8)) == 8:
        size, kind = int.from_bytes(head[:4], "big"), head[4:]
        if wanted is None or (kind in wanted and size <= _MOST):
            yield Chunk(kind, file.read(size))
            file.seek(4, io.SEEK_CUR)
        else:
            yield Chunk(kind, b"")
            file.seek(size + 4, io.SEEK_CUR)


def chunk(kind: bytes, *parts: bytes | memoryview) -> bytes:
    """Returns the bytes of a chunk."""
    body = b"".join(parts)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def international_text(keyword: bytes, text: bytes) -> bytes:
    """Returns the chunk of a text in UTF-8, not compressed."""
    return chunk(b"iTXt", keyword, b"\0\0\0\0\0", text)


def header(file: BinaryIO) -> Header:
    """Reads what a PNG says beside its pixels, wherever it stands in the file."""
    directory = xmp = dpi = None
    frames, interlaced = 1, False
    for kind, body in chunks(file, _READ):
        if kind == b"IHDR":
            interlaced = body[12:13] == b"\1"
        elif kind == b"acTL" and len(body) == 8:
            frames = max(1, int.from_bytes(body[:4], "big"))
        elif kind == b"pHYs" and len(body) == 9 and body[8] == 1:
            x, y, _ = struct.unpack(">IIB", body)
            dpi = x * _METRE, y * _METRE
        elif kind == b"eXIf":
            with contextlib.suppress(ValueError):
                directory = tags.parse(body)
        elif kind in _TEXTS:
            keyword, text = _text(kind, body)
            if keyword in (XMP, b"Raw profile type xmp") and not xmp:
                xmp = text if keyword == XMP else _raw_profile(text)
            elif keyword == b"Raw profile type exif" and directory is None:
                with contextlib.suppress(ValueError):
                    directory = tags.parse(_raw_profile(text))
    return Header(directory, xmp or None, dpi, frames, interlaced)


def check_complete(file: BinaryIO) -> None:
    """Refuses a PNG whose data unpacks to fewer bytes than its rows need.

    Raises:
        ValueError: if there are fewer.
    """
    unpack, missing = zlib.decompressobj(), 1
    for kind, body in chunks(file):
        if kind == b"IHDR":
            missing = _size(*struct.unpack(">IIBBBBB", body))
        elif kind == b"IDAT":
            while body and not unpack.eof:
                missing -= len(unpack.decompress(body, 2**20))
                body = unpack.unconsumed_tail
    if missing > 0:
        raise ValueError("its data breaks off before the last row")


_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Of the seven pictures that an interlaced one consists of: first column and row, steps.
_PASSES = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
    (0, 1, 1, 2),
)  # fmt: skip


def _size(
    width: int, height: int, depth: int, colour: int, _pack: int, _filter: int, interlaced: int
) -> int:
    """Returns the bytes of the rows of a PNG, each with its filter before it."""
    size = 0
    for x, y, across, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - x) // across), -(-(height - y) // down)
        if columns > 0 and rows > 0:
            size += rows * (1 + -(-columns * depth * _CHANNELS[colour] // 8))
    return size


def _text(kind: bytes, body: bytes) -> tuple[bytes, bytes]:
    """Returns the keyword and the text of a chunk, nothing where it cannot be unpacked."""
    keyword, _, rest = body.partition(b"\0")
    packed = kind == b"zTXt"
    if kind == b"zTXt":
        rest = rest[1:]  # the method, of which there is one
    elif kind == b"iTXt":
        packed = rest[:1] == b"\1"
        rest = rest[2:].split(b"\0", 2)[-1]  # after the language and the translated keyword
    if packed:
        try:
            rest = zlib.decompressobj().decompress(rest, _MOST)
        except zlib.error:
            rest = b""
    return keyword, rest


def _raw_profile(text: bytes) -> bytes:
    """Returns a profile that ImageMagick wrote before PNG had a place for it.

    Three lines come before its hexadecimal digits: nothing, the name, the size.
    """
    try:
        return bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii"))
    except ValueError:
        return b""

"""The segments that JPEG files consist of, what they say, and whether their data is all there."""

from __future__ import annotations

import contextlib
import io
import random
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

from keras_perceptual.files import tags
from keras_perceptual.files.header import Header

__all__ = ["header", "padded", "size"]

_SOF = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # frames of pixels: not tables
_APP0, _APP1, _SOS, _EOI = 0xE0, 0xE1, 0xDA, 0xD9
_BARE = {0x00, 0x01, *range(0xD0, 0xD9)}  # markers without a segment; 00 is none
_RESTARTS = range(0xD0, 0xD8)
_RUN_END = re.compile(rb"\xff+[\x01-\xfe]")
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_EXIF = b"Exif\0"
_INCH = {1: 1.0, 2: 2.54}  # units of JFIF; 0 says how wide pixels are for their height
_PADDING = 64  # bytes


def segments(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Reads the segments of a JPEG from where it stands to the next scan: (marker, body)."""
    while byte := file.read(1):
        if byte != b"\xff":
            continue
        while (byte := file.read(1)) == b"\xff":
            pass
        if not byte or byte[0] == _EOI:
            return
        if byte[0] in _BARE:
            continue
        size = int.from_bytes(file.read(2), "big")
        if size < 2:
            return
        yield byte[0], file.read(size - 2)
        if byte[0] == _SOS:
            return


def size(file: BinaryIO) -> tuple[int, int]:
    """Returns the (width, height) of a JPEG, 0 where it has none."""
    file.seek(2)
    for marker, body in segments(file):
        if marker in _SOF and len(body) > 5:
            height, width = struct.unpack(">HH", body[1:5])
            return width, height
    return 0, 0


def header(file: BinaryIO) -> Header:
    """Reads what a JPEG says beside its pixels: JFIF's resolution, EXIF and XMP."""
    exif = xmp = b""
    dpi, components, whole = None, 0, False
    file.seek(2)
    for marker, body in segments(file):
        if marker == _APP0 and body[:5] == b"JFIF\0" and len(body) >= 12:
            unit, x, y = struct.unpack(">BHH", body[7:12])
            dpi = (x * _INCH[unit], y * _INCH[unit]) if unit in _INCH else None
        elif marker == _APP1 and body.startswith(_EXIF):
            # A block of more than 64 kB goes on in the next segment; a second one does not count.
            if not exif or body[6:10] not in (b"II*\0", b"MM\0*"):
                exif += body[6:]
        elif marker == _APP1 and body.startswith(_XMP):
            xmp = xmp or body[len(_XMP) :]
        elif marker in _SOF and len(body) > 5:
            components = body[5]
            whole = marker % 4 == 2  # progressive
        elif marker == _SOS:
            whole = whole or body[:1] != bytes([components])  # a scan for each component
    directory = None
    if exif:
        with contextlib.suppress(ValueError):
            directory = tags.parse(exif)
    return Header(directory, xmp or None, dpi, 1, whole)


def padded(data: bytes, seed: int) -> bytes:
    """Puts random bytes behind all entropy-coded data.

    A decoder skips what it does not need. Where data is missing it takes these bytes in its place,
    so that the pictures of two seeds differ.

    Args:
        data: a JPEG; an end marker that is missing is added.
        seed: of the bytes.
    """
    padding = random.Random(seed).randbytes(_PADDING).replace(b"\xff", b"\xfe")
    file, parts, at = io.BytesIO(data), [], 0
    file.seek(2)
    while any(marker == _SOS for marker, _ in segments(file)):
        # Restart markers end a run of data, other markers the scan.
        for found in _RUN_END.finditer(data, file.tell()):
            parts += [data[at : found.start()], padding]
            at = found.start()
            if data[found.end() - 1] not in _RESTARTS:
                break
        else:
            break
        file.seek(at)
    return b"".join(parts) + data[at:].rstrip(b"\xff") + padding + b"\xff\xd9"

"""The boxes of an AVIF or HEIC, and where the first of its pictures lies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from keras_perceptual.files.bits import Bits

__all__ = ["boxes", "first_picture"]

_HEAD = 2**16  # bytes of a file that have the box of what is in it


def first_picture(file: BinaryIO, codec: bytes, length: int) -> tuple[bytes, bytes]:
    """Finds the first picture that a codec made; a large one may consist of several.

    Args:
        file: an AVIF or HEIC.
        codec: the four letters that stand for it.
        length: bytes that are read of the picture.

    Returns:
        (the box that has the properties of all pictures, how this one begins).

    Raises:
        ValueError: if it does not lie in the file by its place.
        IndexError, KeyError: if the file is damaged.

    Source: ISO/IEC 14496-12, sections 8.11.3, 8.11.6 and 8.11.14.
    """
    file.seek(0)
    head = file.read(_HEAD)
    meta = dict(boxes(dict(boxes(head))[b"meta"][4:]))
    file.seek(_place(meta[b"iloc"], _first_number(meta[b"iinf"], codec)))
    return meta[b"iprp"], file.read(length)


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields the kind and the body of each box."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8:  # to the end of the file, or longer than 32 bits can say
            return
        yield data[at + 4 : at + 8], data[at + 8 : at + size]
        at += size


def _first_number(box: bytes, codec: bytes) -> int:
    """Returns the number of the first item of a kind, from the box that describes them."""
    for kind, entry in boxes(box[8 if box[0] else 6 :]):
        width = 2 if entry[0] < 3 else 4
        if kind == b"infe" and entry[6 + width : 10 + width] == codec:
            return int.from_bytes(entry[4 : 4 + width], "big")
    raise KeyError(codec)


def _place(box: bytes, wanted: int) -> int:
    """Returns where in the file an item begins, from the box that locates them."""
    version, sizes = box[0], box[4:6]
    offset, length, base = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4
    index = sizes[1] & 15 if version else 0
    number = 2 if version < 2 else 4
    bits = Bits(box[6:])
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

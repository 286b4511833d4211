"""The resolution of JPEG 2000 files, which Pillow reads and does not write."""

from __future__ import annotations

import struct
from fractions import Fraction

__all__ = ["with_resolution"]

_METRE = 39.3700787  # inches


def with_resolution(data: bytes, dpi: tuple[float, float]) -> bytes:
    """Puts a resolution into the header of a JP2 file.

    Args:
        data: the file; one that is a codestream alone is returned as it is.
        dpi: pixels an inch, (x, y).
    """
    at = data.find(b"jp2h") - 4
    if data[4:8] != b"jP  " or at < 0:
        return data
    (size,) = struct.unpack_from(">I", data, at)
    parts = [Fraction(each * _METRE / 1000).limit_denominator(65535) for each in dpi]
    if any(part.numerator > 65535 for part in parts):
        return data
    x, y = parts
    captured = struct.pack(">HHHHBB", y.numerator, y.denominator, x.numerator, x.denominator, 3, 3)
    box = struct.pack(">I4sI4s", 26, b"res ", 18, b"resc") + captured
    head = data[:at] + struct.pack(">I", size + len(box)) + data[at + 4 : at + size]
    return head + box + data[at + size :]

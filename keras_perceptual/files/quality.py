"""The quality of a lossy file, by how coarsely it was quantised."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, TypeVar

from PIL import JpegImagePlugin

from keras_perceptual.files.av1 import avif_quantiser
from keras_perceptual.files.hevc import heic_quantiser
from keras_perceptual.system.quiet import quiet_warnings

__all__ = ["QUALITIES", "avif_quality", "heic_quality", "jpeg_quality", "webp_quality"]

_MIDDLE = 3688  # sum of the table of brightness at quality 50, annex K.1 of the JPEG standard
_HEADER = 4096  # bytes of a frame of WebP that have all that is read of it
_COARSEST = 127  # index of a quantiser of WebP

_Found = TypeVar("_Found")


def jpeg_quality(file: BinaryIO) -> int | None:
    """Returns the quality, 1 to 100, at which libjpeg has a table as coarse as the file's.

    Args:
        file: a JPEG, open at its beginning.

    Returns:
        The quality, or None where the header cannot be read.
    """
    share = _read(_coarseness, file)
    if share is None:
        return None
    return max(1, round(50 / share if share > 1 else 100 - 50 * share))


def webp_quality(file: BinaryIO) -> int | None:
    """Returns the quality, 0 to 100, at which libwebp quantises as coarsely as the file.

    Args:
        file: a WebP, open at its beginning.

    Returns:
        The quality, of the first frame, or None where nothing is lost or the header cannot be read.
    """
    index = _read(_quantiser, file)
    if index is None:
        return None
    # libwebp takes the cube root of a line with a kink at quality 75.
    linear = (1 - index / _COARSEST) ** 3
    return round(150 * linear if linear < 0.5 else 50 * (1 + linear))


def avif_quality(file: BinaryIO) -> int | None:
    """Returns the quality, 0 to 100, at which libavif quantises as coarsely as the file.

    Args:
        file: an AVIF.

    Returns:
        The quality, or None where nothing is lost or the header cannot be read.
    """
    index = _read(avif_quantiser, file)
    # Two lines go through what libavif's table has, to 3.
    return round(100 - index / 2.96 if index < 148 else (255 - index) / 2.14) if index else None


def heic_quality(file: BinaryIO) -> int | None:
    """Returns the quality, 0 to 94, at which x265 quantises as coarsely as the file, by libheif.

    Args:
        file: a HEIC.

    Returns:
        The quality, or None where nothing is lost or the header cannot be read.
    """
    parameter = _read(heic_quantiser, file)
    # A level of quality is half a step of x265's constant rate, which lies 3 above the parameter.
    return None if parameter is None else min(max(0, 94 - 2 * parameter), 94)


QUALITIES: dict[str, Callable[[BinaryIO], int | None]] = {
    "JPEG": jpeg_quality,
    "WebP": webp_quality,
    "AVIF": avif_quality,
    "HEIC": heic_quality,
}


def _read(find: Callable[[BinaryIO], _Found | None], file: BinaryIO) -> _Found | None:
    """Returns what a file's header says, or None where it cannot be read."""
    try:
        return find(file)
    except Exception:  # whatever is wrong, the decoder says it better
        return None


def _coarseness(file: BinaryIO) -> float:
    """Returns how coarse a JPEG's table of brightness is, times that of quality 50."""
    with quiet_warnings():
        tables = JpegImagePlugin.JpegImageFile(file).quantization
    return sum(tables[min(tables)]) / _MIDDLE


def _frame(file: BinaryIO) -> bytes | None:
    """Returns how the first lossy frame of a WebP begins."""
    file.seek(12)
    while len(header := file.read(8)) == 8:
        kind, size = header[:4], int.from_bytes(header[4:], "little")
        if kind == b"VP8 ":
            return file.read(min(size, _HEADER))
        if kind == b"VP8L":
            return None
        file.seek(16 if kind == b"ANMF" else size + size % 2, 1)
    return None


def _quantiser(file: BinaryIO) -> float | None:
    """Returns the mean index of the quantisers of a WebP's first frame, if it is lossy.

    Source: RFC 6386, sections 9.1 to 9.6 and 19.2.
    """
    frame = _frame(file)
    if frame is None:
        return None
    if frame[3:6] != b"\x9d\x01\x2a":
        raise ValueError("no key frame")
    bits = _Bits(frame[10:])
    bits.number(2)  # colours, clamping
    total, absolute = 0, 0
    if bits.number(1):  # segments
        with_map, with_values = bits.number(1), bits.number(1)
        if with_values:
            absolute = bits.number(1)
            total = sum(bits.signed(7) for _ in range(4))
            for _ in range(4):  # the loop filter's strengths
                bits.signed(6)
        if with_map:
            for _ in range(3):
                bits.number(8 * bits.number(1))
    bits.number(10)  # the loop filter
    if bits.number(1) and bits.number(1):
        for _ in range(8):
            bits.signed(6)
    bits.number(2)  # partitions
    base = 0 if absolute else bits.number(7)
    return base + total / 4


class _Bits:
    """Numbers of WebP's arithmetic code, where 0 is as likely as 1 (RFC 6386, section 7)."""

    def __init__(self, data: bytes) -> None:
        self._data = iter(data[2:])
        self._value, self._range, self._shifts = int.from_bytes(data[:2], "big"), 255, 0

    def number(self, count: int) -> int:
        """Returns the next number of so many bits."""
        number = 0
        for _ in range(count):
            split = (self._range + 1) // 2
            one = self._value >= split << 8
            self._value -= (split << 8) * one
            self._range = self._range - split if one else split
            while self._range < 128:
                self._value, self._range = self._value << 1, self._range << 1
                self._shifts += 1
                if self._shifts % 8 == 0:
                    self._value |= next(self._data)
            number = 2 * number + one
        return number

    def signed(self, count: int) -> int:
        """Returns the next number that may be left out, and then has a sign."""
        if not self.number(1):
            return 0
        number = self.number(count)
        return -number if self.number(1) else number

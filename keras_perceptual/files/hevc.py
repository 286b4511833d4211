"""How coarsely a HEIC was quantised: its parameter sets, and the head of its first slice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from keras_perceptual.files.bits import Bits
from keras_perceptual.files.boxes import boxes, first_picture

__all__ = ["heic_quantiser"]

_HEAD = 4096  # bytes of a picture that have all that is read of it
_SEQUENCE, _PICTURE = 33, 34  # kinds of units, of parameters
_SLICES, _ALONE = range(32), (19, 20)  # of slices, and those of a picture that needs no other
_LAYERS = 8


def heic_quantiser(file: BinaryIO) -> int | None:
    """Returns the quantisation parameter of a picture's first slice, 51 at the most.

    Args:
        file: a HEIC.

    Returns:
        The parameter, or None where blocks may have lost nothing.

    Raises:
        ValueError: if it is of a kind that is not read here.
        IndexError, KeyError: if it is damaged.

    Source: ITU-T H.265, sections 7.3.1 to 7.3.6; ISO/IEC 14496-15, section 8.3.3.
    """
    properties, picture = first_picture(file, b"hvc1", _HEAD)
    inside = list(boxes(dict(boxes(properties))[b"ipco"]))
    configuration = next((body for kind, body in inside if kind == b"hvcC"), b"")
    units = dict(_parameters(configuration))
    sequence, parameters = _sequence(units[_SEQUENCE]), _picture(units[_PICTURE])
    if parameters.lossless:
        return None
    return parameters.quantiser + _change(
        _first_slice(picture, 1 + (configuration[21] & 3)), sequence, parameters
    )


class _Sequence(NamedTuple):
    """What is read of the parameters of a sequence."""

    coloured: bool  # colours are coded with brightness
    separate: bool  # or each in slices of its own
    offsets: bool  # samples may be shifted after the decoding


class _Picture(NamedTuple):
    """What is read of the parameters of a picture."""

    quantiser: int
    lossless: bool  # blocks may be
    reserved: int  # bits of a slice's head
    shown: int  # bits that say whether


def _parameters(configuration: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields the kinds and bodies of the units in the box that configures a decoder."""
    bits = Bits(configuration)
    bits.skip(8 * 22)
    for _ in range(bits.number(8)):
        bits.skip(8)
        for _ in range(bits.number(16)):
            yield _unit(bits.take(bits.number(16)))


def _unit(data: bytes) -> tuple[int, bytes]:
    """Returns the kind of a unit, and its body without the bytes that tell it from a start."""
    return data[0] >> 1 & 63, data[2:].replace(b"\0\0\3", b"\0\0")


def _first_slice(picture: bytes, width: int) -> bytes:
    """Returns the first slice of a picture; before each unit stands its size."""
    bits = Bits(picture)
    while True:
        kind, body = _unit(bits.take(bits.number(8 * width)))
        if kind in _ALONE:
            return body
        if kind in _SLICES:
            raise ValueError("begins with a picture that needs others")


def _sequence(body: bytes) -> _Sequence:
    bits = Bits(body)
    bits.skip(4)
    layers = bits.number(3)
    bits.skip(1 + 96)  # the profile and level
    told = [(bits.number(1), bits.number(1)) for _ in range(layers)]
    bits.skip(2 * (_LAYERS - layers) if layers else 0)
    for profile, level in told:
        bits.skip(88 * profile + 8 * level)
    bits.golomb()
    colours = bits.golomb()
    separate = colours == 3 and bits.number(1) == 1
    _pass(bits, 2)  # width and height
    _pass(bits, 4 * bits.number(1))  # what is cropped
    _pass(bits, 3)  # depths, order
    _pass(bits, 3 * (1 + layers if bits.number(1) else 1))
    _pass(bits, 6)  # sides of blocks
    if bits.number(1) and bits.number(1):
        _pass_scaling(bits)
    bits.skip(1)
    return _Sequence(colours > 0 and not separate, separate, bits.number(1) == 1)


def _pass_scaling(bits: Bits) -> None:
    """Passes over how frequencies are scaled (section 7.3.4)."""
    for size in range(4):
        for _ in range(2 if size == 3 else 6):
            if not bits.number(1):
                _pass(bits, 1)
            else:
                _pass(bits, (size > 1) + min(64, 16 << 2 * size))


def _picture(body: bytes) -> _Picture:
    bits = Bits(body)
    _pass(bits, 2)
    bits.skip(1)
    shown, reserved = bits.number(1), bits.number(3)
    bits.skip(2)
    _pass(bits, 2)
    quantiser = 26 + bits.signed_golomb()
    bits.skip(2)
    _pass(bits, bits.number(1))  # how deep a block may change it
    _pass(bits, 2)  # of colours
    bits.skip(3)
    return _Picture(quantiser, bits.number(1) == 1, reserved, shown)


def _change(body: bytes, sequence: _Sequence, picture: _Picture) -> int:
    """Returns by how much a slice's parameter differs from its picture's."""
    bits = Bits(body)
    if not bits.number(1):
        raise ValueError("does not begin with the first slice")
    bits.skip(1)
    _pass(bits, 1)
    bits.skip(picture.reserved)
    _pass(bits, 1)  # what it is predicted from
    bits.skip(picture.shown + 2 * sequence.separate)
    bits.skip(sequence.offsets * (1 + sequence.coloured))
    return bits.signed_golomb()


def _pass(bits: Bits, count: int) -> None:
    for _ in range(count):
        bits.golomb()

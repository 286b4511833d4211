"""Image files with faults: bits, bytes, numbers, cuts, and what they consist of."""

from __future__ import annotations

import random
import struct
import zlib

from tests.files.samples import samples
from tests.files.structure import extremes, structure


def mutate(name: str, seed: int) -> bytes:
    """Returns a sample with a few faults, always the same for a seed."""
    draw = random.Random(f"{name} {seed}")
    data = bytearray(samples()[name])
    how = draw.random()
    if how < 0.5:
        data = _restructured(data, draw)
    for _ in range(0 if how < 0.35 else draw.choice((0, 1, 1, 2, 4, 8))):
        if not data:
            break
        # Headers are short, and where most goes wrong.
        at = draw.randrange(min(len(data), draw.choice((40, 200, len(data)))))
        fault = draw.randrange(8)
        if fault == 0:
            data[at] ^= 1 << draw.randrange(8)
        elif fault == 1:
            data[at] = draw.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF))
        elif fault == 2:
            data[at] = draw.randrange(256)
        elif fault == 3:
            number = draw.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, len(data), 65536))
            data[at : at + 4] = struct.pack(draw.choice("<>") + "I", number)
        elif fault == 4:
            del data[at : at + draw.randrange(1, 40)]
        elif fault == 5:
            data[at:at] = data[at : at + draw.randrange(1, 40)]
        elif fault == 6:
            data[at : at + 16] = draw.randbytes(16)
        elif draw.random() < 0.5:
            del data[at:]
    if data.startswith(b"\x89PNG") and draw.random() < 0.8:
        data = _with_sums(data)
    return bytes(data)


def _restructured(data: bytearray, draw: random.Random) -> bytearray:
    """Changes what a file consists of: numbers, parts, data that ends early and is closed well."""
    found = structure(bytes(data))
    action = draw.randrange(4)
    if action < 2 and found.numbers:
        for at, size, order in draw.sample(found.numbers, min(len(found.numbers), action + 1)):
            value = draw.choice([*extremes(size, len(data))])
            data[at : at + size] = value.to_bytes(size, "little" if order == "<" else "big")
    elif action == 2 and found.data:
        start, stop = draw.choice(found.data)
        cut = draw.randrange(start, stop)
        data = data[:cut] + (found.end if draw.random() < 0.5 else data[stop:])
    elif found.parts:
        pieces = [data[start:stop] for start, stop in found.parts]
        first, second = draw.randrange(len(pieces)), draw.randrange(len(pieces))
        start, stop = found.parts[first]
        other = draw.choice((b"", pieces[second], pieces[first] * draw.choice((2, 3, 200))))
        data[start:stop] = other
    return data


def _with_sums(data: bytearray) -> bytearray:
    """Mends the checksums of a PNG, so that what is wrong is seen by more than their check."""
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            break
        data[end : end + 4] = struct.pack(">I", zlib.crc32(data[at + 4 : end]))
        at = end + 4
    return data

"""Image files with faults: bits, bytes, numbers, cuts, chunks."""

from __future__ import annotations

import random
import struct
import zlib

from tests.files.samples import samples


def mutate(name: str, seed: int) -> bytes:
    """Returns a sample with a few faults, always the same for a seed."""
    draw = random.Random(f"{name} {seed}")
    data = bytearray(samples()[name])
    if draw.random() < 0.3:
        data = _shuffled(data, draw)
    for _ in range(draw.choice((0, 1, 1, 2, 4, 8))):
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


def _shuffled(data: bytearray, draw: random.Random) -> bytearray:
    """Swaps, doubles or drops chunks of a PNG or WebP, or pieces of another file."""
    if data.startswith(b"\x89PNG"):
        start, pieces, at = 8, [], 8
        while at < len(data):
            end = at + 12 + int.from_bytes(data[at : at + 4], "big")
            pieces.append(data[at:end])
            at = end
    elif data.startswith(b"RIFF"):
        start, pieces, at = 12, [], 12
        while at < len(data):
            size = int.from_bytes(data[at + 4 : at + 8], "little")
            pieces.append(data[at : at + 8 + size + size % 2])
            at += 8 + size + size % 2
    else:
        start, step = draw.randrange(20), max(1, len(data) // 8)
        pieces = [data[at : at + step] for at in range(start, len(data), step)]
    if pieces:
        first, second = draw.randrange(len(pieces)), draw.randrange(len(pieces))
        action = draw.randrange(3)
        if action == 0:
            pieces[first], pieces[second] = pieces[second], pieces[first]
        elif action == 1:
            pieces.insert(first, pieces[second])
        else:
            del pieces[first]
    return data[:start] + b"".join(pieces)


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

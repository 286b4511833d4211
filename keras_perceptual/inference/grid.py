"""How an image is cut into tiles, and what each of them sees around it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from keras_perceptual.pixels.transparency import CELL, REACH, fill_transparent

__all__ = ["ALIGNED", "MARGIN", "Span", "Tile", "choose", "needed", "seen", "spans"]

MARGIN = 4  # mirrored LR pixels around an image, so that zero padding inside it does not show
SMALLEST = 32  # LR pixels a side of a tile, however little memory there is
ALIGNED = 4  # tiles begin at multiples of it, as the strides of style generators need


class Tile(NamedTuple):
    """LR pixels of a tile, without what it sees around it."""

    height: int
    width: int


class Span(NamedTuple):
    """A tile along one side of an image.

    Args:
        start: the first pixel of the result, in LR pixels of the image.
        stop: the one after the last.
        first: what it sees, in LR pixels of the image with a margin on all sides.
        last: the one after that.
    """

    start: int
    stop: int
    first: int
    last: int


def choose(height: int, width: int, area: float, around: int) -> Tile:
    """Chooses the tiles of an image: those that see the fewest pixels twice.

    Args:
        height: of the LR image.
        width: the same.
        area: LR pixels that can be run at once.
        around: LR pixels to each side that a tile sees.

    Returns:
        Tiles of about equal size, of `SMALLEST` pixels a side at least.
    """

    def grid(across: int) -> tuple[float, Tile]:
        """Returns the pixels that all tiles see, and one of them."""
        columns = aligned(math.ceil(width / across))
        fitting = max(SMALLEST, int(area / (columns + 2 * around)) - 2 * around)
        down = math.ceil(height / fitting)
        rows = aligned(math.ceil(height / down))
        return down * (rows + 2 * around) * across * (columns + 2 * around), Tile(rows, columns)

    side = max(SMALLEST, int(math.sqrt(area)) - 2 * around)
    return min(map(grid, range(1, math.ceil(width / side) + 1)))[1]


def spans(length: int, size: int, around: int) -> list[Span]:
    """Cuts a side of an image into tiles.

    All see equally many pixels: an engine takes longer for another size than the one before.

    Args:
        length: of the side, in LR pixels.
        size: of a tile; the last has what is left.
        around: pixels to each side of it that it sees, where there are any.
    """
    whole = length + 2 * MARGIN
    if size >= length:
        return [Span(0, length, 0, whole)]
    around = max(around, MARGIN)
    window = size + 2 * around
    window = min(window + (whole - window) % ALIGNED, whole)
    starts = range(0, length, size)
    firsts = [min(max(0, start + MARGIN - around), whole - window) for start in starts]
    return [
        Span(start, min(start + size, length), first, first + window)
        for start, first in zip(starts, firsts, strict=True)
    ]


def needed(span: Span, length: int, alpha: bool) -> tuple[int, int]:
    """Returns the first pixel of an image that a tile needs, and the one after the last.

    With opacity, hidden colours are found in cells of a grid farther around.
    """
    first, last = max(0, span.first - MARGIN), min(length, span.last - MARGIN)
    if alpha:
        first, last = max(0, first - REACH) // CELL * CELL, min(length, last + REACH)
    return first, last


def seen(rows: np.ndarray, top: int, height: int, down: Span, across: Span) -> np.ndarray:
    """Returns what a tile sees.

    Args:
        rows: `[n, W, 3 or 4]` of the image.
        top: the first of them.
        height: of the image.
        down: the tile from top to bottom.
        across: and from left to right.

    Returns:
        `[h, w, 3 or 4]` of the same type; hidden pixels have the colours around them.
    """
    width, alpha = rows.shape[1], rows.shape[2] == 4
    (y0, y1), (x0, x1) = needed(down, height, alpha), needed(across, width, alpha)
    part = rows[y0 - top : y1 - top, x0:x1]
    if alpha:
        part = np.dstack([fill_transparent(part[..., :3], part[..., 3]), part[..., 3]])
    inside, pads = [], []
    for span, length, start in ((down, height, y0), (across, width, x0)):
        first, last = needed(span, length, alpha=False)
        inside.append(slice(first - start, last - start))
        pads.append((max(0, MARGIN - span.first), max(0, span.last - MARGIN - length)))
    return np.pad(part[tuple(inside)], (*pads, (0, 0)), "symmetric")


def aligned(pixels: int) -> int:
    """Returns the next multiple of `ALIGNED`."""
    return -(-pixels // ALIGNED) * ALIGNED

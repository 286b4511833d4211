"""How an image is cut into tiles, and what each of them sees around it."""

from __future__ import annotations

import itertools
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
        length: of that side of the image.
    """

    start: int
    stop: int
    first: int
    last: int
    length: int

    @property
    def mirrored(self) -> tuple[int, int]:
        """Mirrored pixels that it sees before the image and after it."""
        return max(0, MARGIN - self.first), max(0, self.last - MARGIN - self.length)

    @property
    def image(self) -> slice:
        """What of that it sees is not mirrored."""
        before, after = self.mirrored
        return slice(before, self.last - self.first - after)

    @property
    def inside(self) -> slice:
        """What of that it sees is the tile itself."""
        return slice(self.start + MARGIN - self.first, self.stop + MARGIN - self.first)


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
        tile = Tile(aligned(math.ceil(height / math.ceil(height / fitting))), columns)
        sides = (spans(*each, around) for each in zip((height, width), tile, strict=True))
        return math.prod(len(side) * side[0].last for side in sides), tile

    side = max(SMALLEST, int(math.sqrt(area)) - 2 * around)
    return min(map(grid, range(1, math.ceil(width / side) + 1)))[1]


def spans(length: int, size: int, around: int) -> list[Span]:
    """Cuts a side of an image into tiles.

    All see equally many pixels: an engine takes longer for another size than the one before. So
    those at the ends, which see nothing beyond, are larger.

    Args:
        length: of the side, in LR pixels.
        size: of a tile at the most, but for those at the ends.
        around: pixels to each side of it that it sees, where there are any.
    """
    whole = length + 2 * MARGIN
    shared = 2 * max(around, MARGIN)  # by neighbours
    if size >= length or shared >= whole:
        return [Span(0, length, 0, whole, length)]
    step = aligned(math.ceil((whole - shared) / math.ceil(length / size)))
    window = min(step + shared + (whole - step - shared) % ALIGNED, whole)
    firsts = [min(first, whole - window) for first in range(0, whole - window + step, step)]
    starts = [0, *(first + shared // 2 - MARGIN for first in firsts[1:]), length]
    return [
        Span(start, stop, first, first + window, length)
        for (start, stop), first in zip(itertools.pairwise(starts), firsts, strict=True)
    ]


def needed(span: Span, alpha: bool) -> tuple[int, int]:
    """Returns the first pixel of an image that a tile needs, and the one after the last.

    With opacity, hidden colours are found in cells of a grid farther around.
    """
    first, last = max(0, span.first - MARGIN), min(span.length, span.last - MARGIN)
    if alpha:
        first, last = max(0, first - REACH) // CELL * CELL, min(span.length, last + REACH)
    return first, last


def seen(rows: np.ndarray, top: int, down: Span, across: Span) -> np.ndarray:
    """Returns what a tile sees.

    Args:
        rows: `[n, W, 3 or 4]` of the image.
        top: the first of them.
        down: the tile from top to bottom.
        across: and from left to right.

    Returns:
        `[h, w, 3 or 4]` of the same type; hidden pixels have the colours around them.
    """
    alpha = rows.shape[2] == 4
    (y0, y1), (x0, x1) = needed(down, alpha), needed(across, alpha)
    part = rows[y0 - top : y1 - top, x0:x1]
    if alpha:
        part = np.dstack([fill_transparent(part[..., :3], part[..., 3]), part[..., 3]])
    inside = []
    for span, start in ((down, y0), (across, x0)):
        first, last = needed(span, alpha=False)
        inside.append(slice(first - start, last - start))
    return np.pad(part[tuple(inside)], (down.mirrored, across.mirrored, (0, 0)), "symmetric")


def aligned(pixels: int) -> int:
    """Returns the next multiple of `ALIGNED`."""
    return -(-pixels // ALIGNED) * ALIGNED

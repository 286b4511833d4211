"""The blocks that codes such as JPEG cut a picture into, by what is left of high frequencies."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

__all__ = ["cut", "dct", "grids"]

_BUSY = 2.0  # a block's highest frequencies are above, or it is smooth at any offset
_CELLS = 12.0  # cells of a drawing differ by so many times what they do inside, others by less
_SAME, _ALIKE = 0.3, 0.65  # in a drawing, of a block's steps that are 0, and of blocks with as many
_CHANCE, _CHANCE_OF_BOTH = 0.9, 0.5  # in clean images it comes to 0.7, where two grids agree to 0.4
_AHEAD, _AHEAD_OF_BOTH = 0.01, 0.15  # of the next offset; the latter is a share of what stands out
_MOST_FOUR = 2.0  # times as far as those of 8 stand out blocks of 4 that are not a WebP's


class _Code(NamedTuple):
    """Blocks that a code cuts a picture into, and what it leaves of their high frequencies.

    Args:
        side: of a block.
        high: u + v of the coefficients that are high, from here on.
        small: levels below which one is small.
    """

    side: int
    high: int
    small: float


_JPEG, _WEBP = _Code(8, 5, 1.0), _Code(4, 3, 3.0)


@cache
def dct(side: int) -> np.ndarray:
    """Returns the matrix of a DCT of so many pixels."""
    index = np.arange(side)
    matrix = np.sqrt(2 / side) * np.cos((2 * index + 1) * index[:, None] * np.pi / (2 * side))
    matrix[0] /= np.sqrt(2)
    return matrix.astype(np.float32)


def cut(planes: np.ndarray, side: int) -> np.ndarray:
    """Returns the whole blocks of `[H, W, C]`, `[N, C, side, side]`."""
    height, width = (length // side for length in planes.shape[:2])
    blocks = planes[: height * side, : width * side].reshape(height, side, width, side, -1)
    return blocks.transpose(0, 2, 4, 1, 3).reshape(height * width, -1, side, side)


def grids(lumas: list[np.ndarray]) -> tuple[float, float, float]:
    """Finds how far the grids of blocks stand out.

    Args:
        lumas: brightness of parts of a picture in levels, `[H, W]` each, that begin at multiples of
            a block; of 16 pixels a side at least.

    Returns:
        (of a JPEG; of a WebP; of both where they are one), as `Condition` has them.
    """
    eight, four = (_isolation(lumas, code) for code in (_JPEG, _WEBP))
    return _one(eight), _one(four), _both(eight, four)


class _Grid(NamedTuple):
    """What was found of a code's grid.

    Args:
        apart: how far its offset has more small coefficients than others have; of a drawing 0.
        ahead: how far it has more than the next. Enlarged pixels make several stand out.
        chances: `apart` as a multiple of what it is by chance.
        offset: rows and columns of the picture before its first block.
    """

    apart: float
    ahead: float
    chances: float
    offset: tuple[int, int]


def _isolation(lumas: list[np.ndarray], code: _Code) -> _Grid:
    """Finds the grid of a code's blocks."""
    small, busy = np.sum([_grid(luma, code) for luma in lumas], axis=0)
    usual = np.median(busy)
    # A block of which no high coefficient is left is busy at all offsets but its own. A few blocks
    # less than usual are chance.
    least = np.maximum(busy, max(usual - np.sqrt(usual), 1))
    shares = (small + least - busy) / least
    second, first = np.sort(shares.ravel())[-2:]
    apart = float(first - np.median(shares))
    chances = apart * float(np.sqrt(usual)) if usual >= 8 else 0.0
    y, x = divmod(int(shares.argmax()), code.side)
    if chances > _CHANCE_OF_BOTH and _drawn([luma[y:, x:] for luma in lumas], code.side):
        apart = chances = 0.0
    return _Grid(apart, float(first - second), chances, (y, x))


def _one(grid: _Grid) -> float:
    """Returns how far a grid stands out by itself."""
    return grid.apart if grid.ahead > _AHEAD and grid.chances > _CHANCE else 0.0


def _both(eight: _Grid, four: _Grid) -> float:
    """Returns how far the grids of blocks of 8 and of 4 stand out together."""
    if four.offset != tuple(place % _WEBP.side for place in eight.offset):
        return 0.0
    ahead = all(grid.ahead > _AHEAD_OF_BOTH * grid.apart for grid in (eight, four))
    sure = min(eight.chances, four.chances) > _CHANCE_OF_BOTH
    alike = four.apart < _MOST_FOUR * eight.apart
    return min(eight.apart, four.apart) if ahead and sure and alike else 0.0


def _grid(luma: np.ndarray, code: _Code) -> tuple[np.ndarray, np.ndarray]:
    """Counts, of blocks that begin at each offset, high coefficients that are near 0.

    A code leaves many of them at 0, in blocks of its own grid only.

    Returns:
        (shares of small coefficients, summed over blocks; number of blocks), `[side, side]` each.
    """
    side, matrix = code.side, dct(code.side)
    height, width = (length - side + 1 for length in luma.shape)
    down = matrix @ np.stack([luma[y : y + height] for y in range(side)], axis=1)  # [height, u, W]
    largest, near_0 = np.zeros((height, width), np.float32), np.zeros((height, width), np.uint8)
    count = 0
    for u in range(side):
        beside = np.stack([down[:, u, x : x + width] for x in range(side)], axis=1)
        high = np.abs(matrix[max(code.high - u, 0) :] @ beside)  # [height, v, width]
        np.maximum(largest, high.max(axis=1), out=largest)
        near_0 += (high < code.small).sum(axis=1, dtype=np.uint8)
        count += high.shape[1]
    busy = largest > _BUSY
    small = near_0 / count * busy
    height, width = (length // side * side for length in busy.shape)
    shape = (height // side, side, width // side, side)
    by_offset = (each[:height, :width].reshape(shape).sum((0, 2)) for each in (small, busy))
    return tuple(by_offset)


def _drawn(lumas: list[np.ndarray], side: int) -> bool:
    """Says whether blocks are parts of a drawing, such as the cells of reduced pixel art.

    They differ from each other and hardly inside, or are mostly of one level each. A code leaves
    flat blocks too, but in what is not flat it puts waves all over.
    """
    steps = [
        np.abs(np.diff(each, axis=axis)).swapaxes(0, axis) for each in lumas for axis in (0, 1)
    ]
    by_place = [sum(each[place::side].mean() for each in steps) for place in range(side)]
    blocks = np.concatenate([cut(each[..., None], side)[:, 0] for each in lumas])
    same = np.minimum(*((np.diff(blocks, axis=axis) == 0).mean((1, 2)) for axis in (1, 2)))
    same = same[same < 1]
    return (
        max(by_place) > _CELLS * min(by_place)
        or not len(same)
        or float((same >= _SAME).mean()) > _ALIKE
    )

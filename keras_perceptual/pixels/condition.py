"""What a picture went through, as far as its pixels tell: blocks and noise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from keras_perceptual.pixels.levels import YCBCR, as_levels
from keras_perceptual.pixels.rows import Take

__all__ = ["Condition", "inspect"]

_SIDE = 128  # pixels a side of the squares that are looked at, a multiple of a JPEG block's
_ACROSS = 3  # as many squares at most a row, and rows of them
_BLOCK = 8

_BUSY = 2.0  # a block's highest frequencies are above, or it is smooth at any offset
_CELLS = 12.0  # cells of a drawing differ by so many times what they do inside, others by less
_SAME, _ALIKE = 0.3, 0.65  # in a drawing, of a block's steps that are 0, and of blocks with as many
_CHANCE, _CHANCE_OF_BOTH = 0.9, 0.5  # in clean images it comes to 0.7, where two grids agree to 0.4
_AHEAD, _AHEAD_OF_BOTH = 0.01, 0.15  # of the next offset; the latter is a share of what stands out
_MOST_FOUR = 2.0  # times as far as those of 8 stand out blocks of 4 that are not a WebP's
_ENOUGH = 128  # blocks; in fewer there may be texture and nothing else
_MOST_NOISE = 60.0  # levels; what has more is a pattern
_GROUND, _LINES = 16, 64  # alike pixels of a block with drawn lines, and the levels it spans
_FEWEST_SHADES = 32  # of 4096 pixels; what has fewer is drawn


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


_JPEG, _WEBP = _Code(_BLOCK, 5, 1.0), _Code(4, 3, 3.0)


def _dct(side: int) -> np.ndarray:
    """Returns the matrix of a DCT of so many pixels."""
    index = np.arange(side)
    matrix = np.sqrt(2 / side) * np.cos((2 * index + 1) * index[:, None] * np.pi / (2 * side))
    matrix[0] /= np.sqrt(2)
    return matrix.astype(np.float32)


# The DCT of a block, and parts of its coefficients by u + v.
_DCT = _dct(_BLOCK)
_INDEX = np.arange(_BLOCK)
_SUM = _INDEX[:, None] + _INDEX
_MIDDLE = (_SUM >= 3) & (_SUM <= 6)
_CORNER = (_INDEX[:, None] >= 6) & (_INDEX >= 6)


class Condition(NamedTuple):
    """What is known of a picture.

    Args:
        blocks: how far the grid of JPEG blocks stands out, 0 to 1: of pictures that never were a
            JPEG below 0.06, of quality 97 about 0.15, 90 0.4, 75 0.6.
        noise: of brightness, its standard deviation in levels; less where it may be texture.
        colour_noise: the same of Cb or Cr, whichever has more.
        quality: 0 to 100, of a file that was quantised, by how coarsely; None of others.
        form: "JPEG", "WebP", "AVIF" or "HEIC", what it is the quality of.
        webp_blocks: how far the grid of WebP's blocks stands out: of pictures that never were one
            below 0.06, of quality 90 about 0.08, 80 0.2, 40 0.3.
        both_blocks: the lesser of these where both grids are one, as in frames of a film, an AVIF
            or a HEIC, whose blocks are of several sizes: of H.264 of rate 23 about 0.1, HEVC of 28
            and HEIC of 40 0.05; else 0.
    """

    blocks: float = 0.0
    noise: float = 0.0
    colour_noise: float = 0.0
    quality: int | None = None
    form: str = "JPEG"
    webp_blocks: float = 0.0
    both_blocks: float = 0.0


def inspect(take: Take, height: int, width: int) -> Condition:
    """Looks at squares all over a picture.

    Args:
        take: gives its rows, `[n, W, 3 or 4]`, uint8 or uint16.
        height: of the picture.
        width: the same.

    Returns:
        Its condition.
    """
    if min(height, width) < 2 * _BLOCK:
        return Condition()
    squares = []
    top = 0
    for down in _parts(height):
        while top < down.start:
            top += len(take(min(down.start - top, _SIDE)))
        rows = take(down.stop - down.start)
        top = down.stop
        squares += [as_levels(rows[:, across, :3]) @ YCBCR.T for across in _parts(width)]
    lumas = [planes[..., 0] for planes in squares]
    noise = _noise(np.concatenate([_cut(planes, _BLOCK) for planes in squares]))
    eight, four = (_isolation(lumas, code) for code in (_JPEG, _WEBP))
    both = _both(eight, four)
    return Condition(_one(eight), *noise, webp_blocks=_one(four), both_blocks=both)


def _parts(length: int) -> list[slice]:
    """Returns what is looked at of an axis: parts that begin at multiples of a block, or all."""
    count = min(_ACROSS, length // _SIDE)
    if count < 2:
        return [slice(0, min(length, 2 * _SIDE))]
    step = (length - _SIDE) / (count - 1)
    starts = (int(i * step) // _BLOCK * _BLOCK for i in range(count))
    return [slice(start, start + _SIDE) for start in starts]


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
    side, dct = code.side, _dct(code.side)
    height, width = (length - side + 1 for length in luma.shape)
    down = dct @ np.stack([luma[y : y + height] for y in range(side)], axis=1)  # [height, u, W]
    largest, near_0 = np.zeros((height, width), np.float32), np.zeros((height, width), np.uint8)
    count = 0
    for u in range(side):
        beside = np.stack([down[:, u, x : x + width] for x in range(side)], axis=1)
        high = np.abs(dct[max(code.high - u, 0) :] @ beside)  # [height, v, width]
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
    blocks = np.concatenate([_cut(each[..., None], side)[:, 0] for each in lumas])
    same = np.minimum(*((np.diff(blocks, axis=axis) == 0).mean((1, 2)) for axis in (1, 2)))
    same = same[same < 1]
    return (
        max(by_place) > _CELLS * min(by_place)
        or not len(same)
        or float((same >= _SAME).mean()) > _ALIKE
    )


def _cut(planes: np.ndarray, side: int) -> np.ndarray:
    """Returns the whole blocks of `[H, W, C]`, `[N, C, side, side]`."""
    height, width = (length // side for length in planes.shape[:2])
    blocks = planes[: height * side, : width * side].reshape(height, side, width, side, -1)
    return blocks.transpose(0, 2, 4, 1, 3).reshape(height * width, -1, side, side)


def _noise(blocks: np.ndarray) -> tuple[float, float]:
    """Estimates noise of brightness and of colour where there is least else.

    White noise is as strong in the highest frequencies as below; texture is weaker there, so what
    is weaker counts less. Drawn blocks do not count, where most pixels are as bright as the next,
    or lines lie on a ground of one level: noise leaves neither.
    """
    means = blocks[:, 0].mean(axis=(-2, -1))
    seen = blocks[(means > 10) & (means < 245)]  # what is black or white has lost its noise
    levels = np.sort(seen[:, 0].reshape(len(seen), _BLOCK**2))
    ground = (levels[:, _GROUND - 1 :] == levels[:, : 1 - _GROUND]).any(axis=-1)
    lined = ground & (levels[:, -1] - levels[:, 0] > _LINES)
    drawn = lined | ((np.diff(seen[:, 0], axis=-1) == 0).mean(axis=(-2, -1)) > 0.5)
    shades = np.unique(seen[:: len(seen) // 64 + 1, 0])
    if len(seen) < 4 or len(shades) < _FEWEST_SHADES:
        return 0.0, 0.0
    if drawn.mean() > 0.5 or lined.mean() > 0.25:
        return 0.0, 0.0
    found = []
    for plane in np.moveaxis(_DCT @ seen[~drawn] @ _DCT.T, 1, 0):
        energy = (plane[:, _SUM >= 3] ** 2).mean(axis=-1)
        smoothest = plane[np.argsort(energy)[: max(4, len(energy) // 10)]]
        high, middle = (np.sqrt((smoothest[:, part] ** 2).mean()) for part in (_CORNER, _MIDDLE))
        found.append(high * min(1.0, high / (middle + 0.05)) ** 2)
    sure = min(1.0, len(seen) / _ENOUGH)
    light, colour = sure * float(found[0]), sure * float(max(found[1:]))
    return (light, colour) if light < _MOST_NOISE else (0.0, 0.0)

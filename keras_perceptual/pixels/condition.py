"""What a picture went through, as far as its pixels tell: JPEG blocks and noise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from keras_perceptual.pixels.levels import YCBCR, as_levels
from keras_perceptual.pixels.rows import Take

__all__ = ["Condition", "inspect"]

_SIDE = 128  # pixels a side of the squares that are looked at, a multiple of a JPEG block's
_ACROSS = 3  # as many squares at most a row, and rows of them
_BLOCK = 8

_CHANCE = 0.9  # in clean images it comes to 0.7
_ENOUGH = 128  # blocks; in fewer there may be texture and nothing else
_MOST_NOISE = 60.0  # levels; what has more is a pattern
_GROUND, _LINES = 16, 64  # alike pixels of a block with drawn lines, and the levels it spans
_FEWEST_SHADES = 32  # of 4096 pixels; what has fewer is drawn
_ALIKE, _CELLS = 0.3, 0.65  # of a block's neighbours, and of the blocks that have as many

# The DCT of a block, and parts of its coefficients by u + v.
_INDEX = np.arange(_BLOCK)
_DCT = 0.5 * np.cos((2 * _INDEX + 1) * _INDEX[:, None] * np.pi / 16).astype(np.float32)
_DCT[0] /= np.sqrt(2)
_SUM = _INDEX[:, None] + _INDEX
_HIGH = 5  # u + v from here on
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
    """

    blocks: float = 0.0
    noise: float = 0.0
    colour_noise: float = 0.0
    quality: int | None = None
    form: str = "JPEG"


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
    small, busy = (np.zeros((_BLOCK, _BLOCK)) for _ in range(2))
    squares = []
    top = 0
    for down in _parts(height):
        while top < down.start:
            top += len(take(min(down.start - top, _SIDE)))
        rows = take(down.stop - down.start)
        top = down.stop
        for across in _parts(width):
            planes = as_levels(rows[:, across, :3]) @ YCBCR.T
            for total, found in zip((small, busy), _grid(planes[..., 0]), strict=True):
                total += found
            squares.append(planes)
    apart, (y, x) = _isolation(small, busy)
    if apart and _cells(np.concatenate([_blocks(planes[y:, x:]) for planes in squares])):
        apart = 0.0
    return Condition(apart, *_noise(np.concatenate([_blocks(planes) for planes in squares])))


def _parts(length: int) -> list[slice]:
    """Returns what is looked at of an axis: parts that begin at multiples of a block, or all."""
    count = min(_ACROSS, length // _SIDE)
    if count < 2:
        return [slice(0, min(length, 2 * _SIDE))]
    step = (length - _SIDE) / (count - 1)
    starts = (int(i * step) // _BLOCK * _BLOCK for i in range(count))
    return [slice(start, start + _SIDE) for start in starts]


def _grid(luma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts, of blocks that begin at each of 8x8 offsets, high coefficients that are near 0.

    JPEG leaves many of them at 0, in blocks of its own grid only.

    Returns:
        (shares of small coefficients, summed over blocks; number of blocks), `[8, 8]` each.
    """
    height, width = (side - _BLOCK + 1 for side in luma.shape)
    down = _DCT @ np.stack([luma[y : y + height] for y in range(_BLOCK)], axis=1)  # [H - 7, 8, W]
    largest, near_0 = np.zeros((height, width), np.float32), np.zeros((height, width), np.uint8)
    for u in range(_BLOCK):
        beside = np.stack([down[:, u, x : x + width] for x in range(_BLOCK)], axis=1)
        high = np.abs(_DCT[max(_HIGH - u, 0) :] @ beside)  # [H - 7, v, W - 7]
        np.maximum(largest, high.max(axis=1), out=largest)
        near_0 += (high < 1).sum(axis=1, dtype=np.uint8)
    busy = largest > 2  # the others are small at any offset
    small = near_0 / (_SUM >= _HIGH).sum() * busy
    height, width = (side // _BLOCK * _BLOCK for side in busy.shape)
    shape = (height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    by_offset = (each[:height, :width].reshape(shape).sum((0, 2)) for each in (small, busy))
    return tuple(by_offset)


def _isolation(small: np.ndarray, busy: np.ndarray) -> tuple[float, tuple[int, int]]:
    """Returns how far one offset has more small coefficients than others have, and which."""
    usual = np.median(busy)
    # A block of which JPEG left no high coefficient is busy at all offsets but its own. A few
    # blocks less than usual are chance.
    least = np.maximum(busy, max(usual - np.sqrt(usual), 1))
    shares = (small + least - busy) / least
    second, first = np.sort(shares.ravel())[-2:]
    apart = float(first - np.median(shares))
    # Enlarged pixels make several offsets stand out, JPEG one. Of few blocks chance makes one.
    alone = usual >= 8 and first - second > 0.01 and apart > _CHANCE / np.sqrt(usual)
    y, x = divmod(int(shares.argmax()), _BLOCK)
    return apart if alone else 0.0, (y, x)


def _cells(blocks: np.ndarray) -> bool:
    """Says whether blocks are cells of a drawing, such as pixel art: mostly of one level each.

    JPEG leaves blocks that are flat, but in what is not it puts waves all over.
    """
    least = np.minimum(*((np.diff(blocks[:, 0], axis=axis) == 0).mean((1, 2)) for axis in (1, 2)))
    return not (least < 1).any() or float((least[least < 1] >= _ALIKE).mean()) > _CELLS


def _blocks(planes: np.ndarray) -> np.ndarray:
    """Returns the blocks of `[H, W, 3]` planes, `[N, 3, 8, 8]`."""
    height, width = (side // _BLOCK * _BLOCK for side in planes.shape[:2])
    shape = (height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK, 3)
    blocks = planes[:height, :width].reshape(shape).transpose(0, 2, 4, 1, 3)
    return blocks.reshape(-1, 3, _BLOCK, _BLOCK)


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

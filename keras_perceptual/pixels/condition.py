"""What a picture went through, as far as its pixels tell: blocks and noise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from keras_perceptual.pixels.blocks import cut, dct, grids
from keras_perceptual.pixels.levels import YCBCR, as_levels
from keras_perceptual.pixels.rows import Take

__all__ = ["Condition", "inspect"]

_SIDE = 128  # pixels a side of the squares that are looked at, a multiple of a JPEG block's
_ACROSS = 3  # as many squares at most a row, and rows of them
_BLOCK = 8
_ENOUGH = 128  # blocks; in fewer there may be texture and nothing else
_MOST_NOISE = 60.0  # levels; what has more is a pattern
_GROUND, _LINES = 16, 64  # alike pixels of a block with drawn lines, and the levels it spans
_FEWEST_SHADES = 32  # of 4096 pixels; what has fewer is drawn

# The DCT of a block, and parts of its coefficients by u + v.
_DCT = dct(_BLOCK)
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
    blocks, webp_blocks, both_blocks = grids([planes[..., 0] for planes in squares])
    noise = _noise(np.concatenate([cut(planes, _BLOCK) for planes in squares]))
    return Condition(blocks, *noise, webp_blocks=webp_blocks, both_blocks=both_blocks)


def _parts(length: int) -> list[slice]:
    """Returns what is looked at of an axis: parts that begin at multiples of a block, or all."""
    count = min(_ACROSS, length // _SIDE)
    if count < 2:
        return [slice(0, min(length, 2 * _SIDE))]
    step = (length - _SIDE) / (count - 1)
    starts = (int(i * step) // _BLOCK * _BLOCK for i in range(count))
    return [slice(start, start + _SIDE) for start in starts]


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

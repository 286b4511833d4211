"""Colours of transparent pixels: hidden ones take on those around them."""

from __future__ import annotations

import numpy as np

__all__ = ["CELL", "LEVELS", "REACH", "fill_transparent"]

LEVELS = 4
CELL = 2**LEVELS
# A hidden pixel's colour comes from its own cell of 16x16 pixels and the eight around it.
REACH = 2 * CELL


def fill_transparent(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Gives fully transparent pixels the colours that lie nearest around them.

    A pyramid of opacity-weighted means is built up to cells of 16x16 pixels; those without any
    colour take on that of the cells beside them; on the way down each level fills what the finer
    one lacks. Farther away hidden pixels become black, where nothing that shows can see them.
    The result is the same for a part of an image that begins at a multiple of 16 pixels and
    reaches `REACH` pixels beyond what is used of it.

    Args:
        pixels: `[H, W, 3]` of unsigned integers.
        alpha: `[H, W]` of the same type.

    Returns:
        `[H, W, 3]`, the same as `pixels` wherever alpha is not 0.
    """
    if alpha.all():
        return pixels
    weight = alpha[..., None].astype(np.float32) / np.iinfo(alpha.dtype).max
    height, width = alpha.shape
    pad = ((0, -height % CELL), (0, -width % CELL), (0, 0))
    filled = _pull_push(np.pad(pixels * weight, pad), np.pad(weight, pad), LEVELS)
    filled = np.rint(filled[:height, :width]).astype(pixels.dtype)
    return np.where(alpha[..., None] == 0, filled, pixels)


def _pull_push(colour: np.ndarray, weight: np.ndarray, levels: int) -> np.ndarray:
    known = weight > 0
    if levels == 0:
        around = _sum_around(colour) / np.maximum(_sum_around(weight), 1e-6)
    else:
        coarse = _pull_push(_halve(colour), _halve(weight), levels - 1)
        around = coarse.repeat(2, 0).repeat(2, 1)
    return np.where(known, colour / np.where(known, weight, 1), around)


def _halve(x: np.ndarray) -> np.ndarray:
    return x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]


def _sum_around(x: np.ndarray) -> np.ndarray:
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]

"""Colours of transparent pixels: hidden ones take on those around them."""

from __future__ import annotations

import numpy as np

__all__ = ["CELL", "LEVELS", "REACH", "TRUSTED", "fill_transparent"]

LEVELS = 4
CELL = 2**LEVELS
# A hidden pixel's colour comes from its own cell of 16x16 pixels and the eight around it, and how
# much each of their pixels counts from less than half a cell around that.
REACH = 3 * CELL
TRUSTED = 0.5  # share of the opacity around it from which on a pixel keeps its colour
_LEAST = 1e-12  # where nothing is, instead of 0


def fill_transparent(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Gives pixels that hardly show, or not at all, the colours that lie nearest around them.

    How far a pixel's colour is trusted goes by its opacity, compared with that of the 12x12 pixels
    around it: wholly from half of theirs on, not at all where it is 0. So a picture that is
    everywhere as transparent stays as it is.

    A pyramid of means, weighted by opacity and trust, is built up to cells of 16x16 pixels; those
    without any colour take on that of the cells beside them; on the way down each level fills what
    the finer one lacks, as far as that is not trusted. Farther away hidden pixels become black,
    where nothing that shows can see them. The result is the same for a part of an image that begins
    at a multiple of 16 pixels and reaches `REACH` pixels beyond what is used of it.

    Args:
        pixels: `[H, W, 3]` of unsigned integers.
        alpha: `[H, W]` of the same type.

    Returns:
        `[H, W, 3]`, the same as `pixels` wherever they are trusted.
    """
    most = np.iinfo(alpha.dtype).max
    if (alpha == most).all():
        return pixels
    height, width = alpha.shape
    pad = ((0, -height % CELL), (0, -width % CELL), (0, 0))
    weight = np.pad(alpha[..., None].astype(np.float32) / most, pad)
    trust = _trust(weight)
    colour = np.pad(pixels.astype(np.float32), pad) * weight * trust
    filled = _pull_push(colour, weight * trust, weight, LEVELS)
    return np.rint(filled[:height, :width]).astype(pixels.dtype)


def _trust(weight: np.ndarray) -> np.ndarray:
    total, squares = (_sum_around(_halve(_halve(each))) for each in (weight, weight**2))
    near = _double(_double(squares / np.maximum(total, _LEAST)))
    return np.minimum(1, weight / np.maximum(TRUSTED * near, _LEAST))


def _pull_push(
    colour: np.ndarray, trusted: np.ndarray, weight: np.ndarray, levels: int
) -> np.ndarray:
    if levels == 0:
        around = _sum_around(colour) / np.maximum(_sum_around(trusted), _LEAST)
    else:
        coarse = _pull_push(_halve(colour), _halve(trusted), _halve(weight), levels - 1)
        around = _double(coarse)
    own, share = colour / np.maximum(trusted, _LEAST), trusted / np.maximum(weight, _LEAST)
    return own * share + around * (1 - share)


def _halve(x: np.ndarray) -> np.ndarray:
    return x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]


def _double(x: np.ndarray) -> np.ndarray:
    return x.repeat(2, 0).repeat(2, 1)


def _sum_around(x: np.ndarray) -> np.ndarray:
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]

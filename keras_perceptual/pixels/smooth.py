"""Where an image is smooth, so that bicubic interpolation has all there is to know."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["Smooth", "smooth"]


class Smooth(NamedTuple):
    """What counts as smooth.

    Args:
        radius: pixels to each side that must be smooth too, at least 2.
        most: levels that a third difference has at most, besides half of the first one: a wave of
            9 pixels has that. Cubic convolution is exact where it is 0; rounding makes up to 4 of
            that. At 0 little passes but flat colours, and no waves.
    """

    radius: int
    most: int


def smooth(image: np.ndarray, how: Smooth) -> np.ndarray:
    """Finds pixels in whose surroundings rows and columns are smooth.

    Args:
        image: `[H, W, C]`, uint8 or uint16.
        how: what counts as that.

    Returns:
        `[H, W]` bool.
    """
    down = _smooth_columns(image, how)
    return down & _smooth_columns(image.swapaxes(0, 1), how).T if down.any() else down


def _smooth_columns(image: np.ndarray, how: Smooth) -> np.ndarray:
    """Returns where all columns up to the radius away are smooth."""
    around, deep = (how.radius, how.radius), image.dtype == np.uint16
    most = how.most * (257 if deep else 1)
    flags = np.ones((len(image) + 2 * how.radius - 3, image.shape[1]), bool)
    for c in range(image.shape[2]):
        column = image[..., c].astype(np.int32 if deep else np.int16)
        # Beyond its ends a column goes on as it would turned about them: a slope as the same slope.
        a = np.pad(column, (around, (0, 0)), "reflect", reflect_type="odd")
        first = a[2:-1] - a[1:-2]
        limit = most + np.abs(first) // 2 if most else 0
        flags &= np.abs(a[3:] - a[:-3] - 3 * first) <= limit
        if not flags.any():
            break
    even = np.pad(_all_of(flags, 2 * how.radius - 2), ((0, 0), around), constant_values=True)
    return _all_of(even.T, 2 * how.radius + 1).T


def _all_of(flags: np.ndarray, count: int) -> np.ndarray:
    """Returns whether `count` flags of a column are all set, from each that begins so many."""
    length = 1
    while length < count:
        step = min(length, count - length)
        flags = flags[: len(flags) - step] & flags[step:]
        length += step
    return flags

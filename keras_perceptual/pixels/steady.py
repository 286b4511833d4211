"""Frames without the noise that differs from one to the next."""

from __future__ import annotations

import numpy as np

from keras_perceptual.pixels.levels import as_integers, as_levels
from keras_perceptual.pixels.motion import overlap

__all__ = ["moved", "steadied"]

SHARE = 0.15  # of a new frame, where nothing changes
SAME, OTHER = 2.0, 4.0  # times the usual difference: up to one it is noise, from the other not
LEAST = 0.75  # levels that the usual difference counts as at least
REACH = 2  # pixels around one that are looked at to tell noise from change


def steadied(before: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Returns a frame that follows another: where they differ by no more than noise, mostly that.

    Args:
        before: `[H, W, 3]` uint16, what this returned for the last frame.
        image: `[H, W, 3]` uint8 or uint16, the next frame.

    Returns:
        `[H, W, 3]` uint16.
    """
    old = as_levels(before)
    new = as_levels(image) - old
    different = _around(np.abs(new).mean(axis=-1))
    usual = max(float(np.median(different)), LEAST)
    share = (different / usual - SAME) / (OTHER - SAME)
    old += np.clip(share, SHARE, 1.0)[..., None] * new
    return as_integers(old, np.uint16)


def moved(before: np.ndarray, image: np.ndarray, down: int, right: int) -> np.ndarray:
    """Returns a frame where a camera's movement puts it, and the next one where it was not.

    Args:
        before: `[H, W, 3]` uint16.
        image: `[H, W, 3]` uint8 or uint16, the next frame.
        down: pixels that the scene moved.
        right: the same.
    """
    result = as_integers(as_levels(image), np.uint16)
    if found := overlap(image.shape, down, right):
        now, then = found
        result[now] = before[then]
    return result


def _around(values: np.ndarray) -> np.ndarray:
    """Returns the mean of each value and those around it."""
    for axis in (0, 1):
        padded = np.pad(values, [(REACH, REACH) if i == axis else (0, 0) for i in (0, 1)], "edge")
        parts = np.lib.stride_tricks.sliding_window_view(padded, 2 * REACH + 1, axis=axis)
        values = parts.mean(axis=-1)
    return values

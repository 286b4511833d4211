"""Where an image is of one colour."""

from __future__ import annotations

import numpy as np

__all__ = ["flat"]


def flat(image: np.ndarray, radius: int) -> np.ndarray:
    """Finds pixels in whose surroundings all are exactly alike.

    Args:
        image: `[H, W, C]` of integers.
        radius: pixels to each side that must be like it; what lies beyond the image is.

    Returns:
        `[H, W]` bool.
    """
    across = _all_of(_padded(_same(image, 1), radius, 1), 2 * radius, 1)
    if not across.any():
        return across
    rows = _all_of(_padded(across, radius, 0), 2 * radius + 1, 0)
    return rows & _all_of(_padded(_same(image, 0), radius, 0), 2 * radius, 0)


def _same(image: np.ndarray, axis: int) -> np.ndarray:
    """Returns whether each pixel is like the next one along an axis."""
    image = np.moveaxis(image, axis, 0)
    same = [image[1:, :, c] == image[:-1, :, c] for c in range(image.shape[2])]
    return np.moveaxis(np.logical_and.reduce(same), 0, axis)


def _padded(flags: np.ndarray, radius: int, axis: int) -> np.ndarray:
    ends = [(radius, radius) if i == axis else (0, 0) for i in range(2)]
    return np.pad(flags, ends, constant_values=True)  # beyond the ends nothing differs


def _all_of(flags: np.ndarray, count: int, axis: int) -> np.ndarray:
    """Returns whether `count` flags in a row are all set, for each row that begins inside."""
    flags, length = np.moveaxis(flags, axis, 0), 1
    while length < count:
        step = min(length, count - length)
        flags = flags[: len(flags) - step] & flags[step:]
        length += step
    return np.moveaxis(flags, 0, axis)

"""The shift of colour and contrast that a network adds, measured on gray patches; its inverse."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

__all__ = ["IDENTITY", "Affine", "measured"]

PATCHES = np.arange(16, 256, 32, dtype=np.float32)  # grays that a shift does not make clip
SIDE = 16  # LR pixels a side of a patch
CONTRAST = 0.8, 1.25  # what is beyond is no shift
LEAST = 0.75  # levels that count


class Affine(NamedTuple):
    """A change of levels: those of each channel times a gain, and an offset added.

    Args:
        gain: `[3]` float32.
        offset: `[3]` float32, in levels.
    """

    gain: np.ndarray
    offset: np.ndarray

    def __call__(self, levels: np.ndarray) -> np.ndarray:
        """Returns `[..., 3]` float32 levels changed, neither rounded nor clipped."""
        changed = levels * self.gain
        changed += self.offset
        return changed


IDENTITY = Affine(np.ones(3, np.float32), np.zeros(3, np.float32))


def measured(run: Callable[[np.ndarray], np.ndarray], least: float = LEAST) -> Affine:
    """Measures what takes a network's shift of colour and contrast out of its output.

    The network sees a chart of gray patches. What it makes of a flat patch is its own shift and
    nothing else. In a photograph, a drawing or a page of text, overshoot at edges and black and
    white that clip would pass for a shift of contrast.

    Args:
        run: from `[1, H, W, 3]` float32 levels to `[1, scale H, scale W, 3]`.
        least: levels that count.

    Returns:
        The inverse of the shift, the straight line of each channel through the patches. It is
        `IDENTITY` where it would move no level by more than `least`, where it would make a patch
        worse by more than 0.75, or where contrast changes by more than a quarter.
    """
    chart = np.repeat(PATCHES, SIDE)[None, None, :, None]
    sr = run(np.ascontiguousarray(np.broadcast_to(chart, (1, SIDE, chart.size, 3))))[0]
    side = len(sr)
    middle = slice(side // 4, side - side // 4)
    patches = sr.reshape(side, len(PATCHES), side, 3)[middle, :, middle]
    seen = patches.mean((0, 2), dtype=np.float64)
    steps = PATCHES - PATCHES.mean()
    contrast = steps @ seen / (steps @ steps)
    low, high = CONTRAST
    if not np.all((contrast > low) & (contrast < high)):
        return IDENTITY
    inverse = Affine(1 / contrast, PATCHES.mean() - seen.mean(0) / contrast)
    ends = np.array([[0.0], [255.0]])
    before, after = (np.abs(each - PATCHES[:, None]) for each in (seen, inverse(seen)))
    if np.abs(inverse(ends) - ends).max() <= least or np.any(after > before + LEAST):
        return IDENTITY
    return Affine(*(each.astype(np.float32) for each in inverse))

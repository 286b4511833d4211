"""Levels of pixels: 8 and 16 bits as 0..255 and back, and luma."""

from __future__ import annotations

import numpy as np

__all__ = ["YCBCR", "as_integers", "as_levels", "luma"]

# Rows of Y, Cb and Cr of full range, as JPEG has them (ITU-R BT.601).
YCBCR = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)


def as_levels(pixels: np.ndarray) -> np.ndarray:
    """Returns uint8 or uint16 pixels as float32 in 0..255."""
    pixels32 = pixels.astype(np.float32)
    return pixels32 / 257 if pixels.dtype == np.uint16 else pixels32


def as_integers(levels: np.ndarray, dtype: type[np.unsignedinteger]) -> np.ndarray:
    """Returns levels, float32 in about 0..255, rounded to `dtype`; overwrites them."""
    most = np.iinfo(dtype).max
    if dtype == np.uint16:
        levels *= 257
    levels += 0.5  # cut off afterwards, which is several times as fast as rounding
    return np.clip(levels, 0, most + 0.5, out=levels).astype(dtype)


def luma(image: np.ndarray) -> np.ndarray:
    """Returns the Y of MATLAB's `rgb2ycbcr` for RGB pixels in 0..255.

    Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255 (ITU-R BT.601), unrounded.

    Args:
        image: `[..., 3]` RGB in 0..255.

    Returns:
        `[...]` float64 in 16..235.
    """
    return 16.0 + np.asarray(image, np.float64) @ np.array([65.481, 128.553, 24.966]) / 255.0

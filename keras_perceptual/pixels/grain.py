"""Grain: faint smooth noise that a style generator is given something to paint by.

A network gives equal pixels equal answers, so a cloudless sky or a black door, which is one colour,
is painted as one colour, and a wrong one. With grain no part of a picture is flat, and a network
that was trained with it turns it into strokes. It depends on nothing but the place of a pixel:
tiles fit together, and a video taken from a tripod does not shimmer.
"""

from __future__ import annotations

import numpy as np

__all__ = ["GRAIN", "grain", "grained", "headroom", "waves"]

GRAIN = 8.0  # standard deviation in levels
WAVES = 32
LENGTHS = (12.0, 160.0)  # pixels of the shortest and the longest wave


def waves() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the waves that grain is the sum of.

    Returns:
        Radians a pixel downwards `[32]` and to the right `[32]`, and phases of red, green and
        blue `[32, 3]`.
    """
    rng = np.random.default_rng(0)
    lengths = np.geomspace(*LENGTHS, WAVES)
    angles = rng.uniform(0, np.pi, WAVES)
    down, right = (2 * np.pi / lengths * turn(angles) for turn in (np.sin, np.cos))
    return down, right, rng.uniform(0, 2 * np.pi, (WAVES, 3))


def grain(height: int, width: int, top: int = 0, left: int = 0) -> np.ndarray:
    """Returns a part of the endless grain, of standard deviation 1.

    The sum of cos(a y + b x + c) over waves, which is that of cos(a y) cos(b x + c) and
    -sin(a y) sin(b x + c): a product of two small matrices.

    Args:
        height: of the part, in pixels.
        width: the same.
        top: its first row.
        left: its first column.

    Returns:
        `[height, width, 3]` float32.
    """
    down, right, phases = waves()
    y = np.arange(top, top + height)[:, None] * down
    x = (np.arange(left, left + width)[:, None] * right)[..., None] + phases
    rows = np.concatenate([np.cos(y), -np.sin(y)], axis=1)
    columns = np.concatenate([np.cos(x), np.sin(x)], axis=1) * np.sqrt(2 / WAVES)
    flat = columns.transpose(1, 0, 2).reshape(2 * WAVES, -1)
    return (rows.astype(np.float32) @ flat.astype(np.float32)).reshape(height, width, 3)


def grained(pixels: np.ndarray, levels: float = GRAIN, top: int = 0, left: int = 0) -> np.ndarray:
    """Returns a picture with grain.

    Its contrast is reduced a little, so that black and white have grain like any other colour.

    Args:
        pixels: `[H, W, 3 or 4]` uint8 or uint16; opacity is left as it is.
        levels: standard deviation of the grain, of 255.
        top: its first row, for a part of a picture.
        left: its first column.

    Returns:
        The same shape and type.
    """
    if not levels:
        return pixels
    most = np.iinfo(pixels.dtype).max
    unit, room = most / 255, headroom(levels)
    colours = pixels[..., :3] * np.float32(1 - 2 * room / 255) + np.float32(room * unit)
    height, width = pixels.shape[:2]
    colours += grain(height, width, top, left) * np.float32(levels * unit)
    result = pixels.copy()
    result[..., :3] = np.clip(colours, 0, most).round()
    return result


def headroom(levels: float) -> float:
    """Returns by how many levels black becomes lighter, and white darker, to have grain."""
    return min(2 * levels, 127.5)

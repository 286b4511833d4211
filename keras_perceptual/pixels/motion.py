"""What changes from frame to frame: cuts, and how far the camera moved."""

from __future__ import annotations

import numpy as np

from keras_perceptual.pixels.levels import luma

__all__ = ["change", "displacement", "glimpse", "overlap", "reduction"]

WIDEST = 240  # pixels of a glimpse's longer side
FINE = 18.0  # how fast weights fall with the square of the frequency in waves a pixel
SURE = 0.1  # of a peak of correlation, for it to be a movement
COUNTS = 0.5  # levels of difference that count
MOST = 1.5  # times as many cells that a movement explains as those that it does not
LEFT = 0.92  # of the difference that it leaves at the most
CELLS = 12  # rows and columns of the grid that cuts are told by


def glimpse(image: np.ndarray) -> np.ndarray:
    """Returns the luma of an image reduced to at most 240 pixels a side.

    Args:
        image: `[H, W, 3 or 4]` uint8 or uint16.

    Returns:
        `[h, w]` float32 in 16..235, means of squares of pixels.
    """
    squares = reduction(image.shape)
    steps = [min(squares, side) for side in image.shape[:2]]
    rows, columns = (side // step for side, step in zip(image.shape, steps, strict=False))
    whole = image[: rows * steps[0], : columns * steps[1], :3]
    means = whole.reshape(rows, steps[0], columns, steps[1], 3).mean((1, 3), dtype=np.float32)
    return luma(means / 257 if image.dtype == np.uint16 else means).astype(np.float32)


def reduction(shape: tuple[int, ...]) -> int:
    """Returns the pixels a side of an image that are one of its glimpse."""
    return -(-max(shape[:2]) // WIDEST)


def change(before: np.ndarray, after: np.ndarray) -> float:
    """Returns the levels by which cells of a grid differ in their means, in the mean of all."""
    return float(np.abs(_cells(before) - _cells(after)).mean())


def _cells(seen: np.ndarray) -> np.ndarray:
    rows = np.array_split(seen, min(CELLS, seen.shape[0]), axis=0)
    return np.array(
        [[c.mean() for c in np.array_split(r, min(CELLS, seen.shape[1]), axis=1)] for r in rows]
    )


def displacement(before: np.ndarray, after: np.ndarray) -> tuple[float, float] | None:
    """Returns how far a scene moved down and to the right, in pixels of the glimpses.

    By phase correlation: the product of spectra has the shift in its phase, and its inverse a peak
    there.

    Returns:
        (down, right), to about a tenth of a pixel; None if there is no such movement.

    Source: Kuglin and Hines, "The phase correlation image alignment method", 1975.
    """
    height, width = before.shape
    if min(height, width) < 16:
        return None
    window = np.outer(np.hanning(height), np.hanning(width))
    first, second = (np.fft.rfft2((each - each.mean()) * window) for each in (before, after))
    cross = second * np.conj(first)
    size = np.abs(cross)
    if size.max() < 1e-3:
        return None
    # Fine detail, where noise is, says less.
    down, right = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
    weights = np.exp(-FINE * (down**2 + right**2))
    peaks = np.fft.irfft2(cross / (size + 1e-6 * size.max()) * weights, s=before.shape)
    highest = np.fft.irfft2(weights, s=before.shape).max()
    y, x = (int(i) for i in np.unravel_index(peaks.argmax(), peaks.shape))
    if peaks[y, x] < SURE * highest:
        return None
    found = _between(peaks[:, x], y), _between(peaks[y], x)
    return found if _explains(before, after, found) else (0.0, 0.0)


def _explains(before: np.ndarray, after: np.ndarray, moved: tuple[float, float]) -> bool:
    """Says whether more of a scene moved so than stood still: one thing that moves is no camera."""
    down, right = (round(each) for each in moved)
    if down == right == 0:
        return True
    found = overlap(before.shape, down, right)
    if found is None:
        return False
    now, then = found
    moving, standing = (np.abs(after[now] - before[place]) for place in (then, now))
    if moving.mean() > LEFT * standing.mean():
        return False
    better = _cells(standing) - _cells(moving)
    return int((better > COUNTS).sum()) > MOST * int((better < -COUNTS).sum())


def overlap(
    shape: tuple[int, ...], down: int, right: int
) -> tuple[tuple[slice, ...], tuple[slice, ...]] | None:
    """Returns where an image that moved holds what it held before.

    Args:
        shape: of the image, height and width first.
        down: pixels that it moved.
        right: the same.

    Returns:
        (rows and columns of it now, those before); None if nothing of it is left.
    """
    axes = list(zip(shape, (down, right), strict=False))
    if any(abs(by) >= side for side, by in axes):
        return None
    ends = [(max(0, by), min(side, side + by), by) for side, by in axes]
    now, before = (
        tuple(slice(first - back * by, last - back * by) for first, last, by in ends)
        for back in (0, 1)
    )
    return now, before


def _between(line: np.ndarray, place: int) -> float:
    """Returns where the peak at a place of a cyclic line is, between its neighbours."""
    length = len(line)
    left, middle, right = (line[(place + i) % length] for i in (-1, 0, 1))
    bend = left - 2 * middle + right
    signed = place - length if place > length // 2 else place
    return signed + (0.5 * (left - right) / bend if bend else 0.0)

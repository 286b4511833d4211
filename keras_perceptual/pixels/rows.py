"""Images as streams of rows, from the top."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

__all__ = ["RowReader", "Take", "cropped", "windows"]

# Returns the next `count` rows of an image, `[count, W, C]`.
Take = Callable[[int], np.ndarray]


class RowReader:
    """Makes a `Take` of an array, or of an iterable of arrays of rows."""

    def __init__(self, rows: np.ndarray | Iterable[np.ndarray]) -> None:
        self._parts = iter([rows] if isinstance(rows, np.ndarray) else rows)
        self._held: np.ndarray | None = None

    def __call__(self, count: int) -> np.ndarray:
        parts: list[np.ndarray] = []
        while count:
            if self._held is None or not len(self._held):
                self._held = next(self._parts)
            parts.append(self._held[:count])
            self._held = self._held[count:]
            count -= len(parts[-1])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def cropped(take: Take, crop: tuple[int, int, int, int]) -> Take:
    """Returns a `Take` of a part of the image that another one gives.

    Args:
        take: gives the rows of the whole.
        crop: (x, y, width, height) of the part, in pixels, inside the image.
    """
    x, y, width, _ = crop
    above = y

    def rows(count: int) -> np.ndarray:
        nonlocal above
        while above:
            above -= len(take(min(above, 64)))
        return take(count)[:, x : x + width]

    return rows


def windows(take: Take, ranges: Iterable[tuple[int, int]]) -> Iterator[np.ndarray]:
    """Gives parts of an image that overlap.

    Args:
        take: gives the image's rows.
        ranges: the first row of each part and the one after its last. The first part begins at
            0, and neither end goes back from part to part.

    Yields:
        `[last - first, W, C]`.
    """
    held: np.ndarray | None = None
    top = fed = 0
    for first, last in ranges:
        parts = [] if held is None else [held[first - top :]]
        if last > fed:
            parts.append(take(last - fed))
        held = parts[0] if len(parts) == 1 else np.concatenate(parts)
        top, fed = first, last
        yield held

"""Images as streams of rows, from the top: a block with its surroundings at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

__all__ = ["Block", "RowReader", "Take", "blocks", "cropped"]

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


class Block(NamedTuple):
    """Some rows of an image and what lies above and below them."""

    start: int  # the first row, counted from the image's top
    stop: int
    rows: np.ndarray  # `[above + stop - start + below, W, C]`
    above: int


def blocks(take: Take, height: int, size: int, reach: int) -> Iterator[Block]:
    """Cuts an image into blocks of rows.

    Args:
        take: gives the image's rows.
        height: of the image.
        size: rows of a block; the last has what is left.
        reach: rows wanted above and below, where the image has them.
    """
    held: np.ndarray | None = None
    top = fed = 0
    for start in range(0, height, size):
        stop = min(start + size, height)
        first, last = max(0, start - reach), min(height, stop + reach)
        fresh = take(last - fed) if last > fed else None
        kept = None if held is None else held[first - top :]
        parts = [part for part in (kept, fresh) if part is not None]
        held = parts[0] if len(parts) == 1 else np.concatenate(parts)
        top, fed = first, last
        yield Block(start, stop, held, start - first)

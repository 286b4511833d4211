"""One picture on its way: through the passes, to its size, its levels counted before and after."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import numpy as np

from keras_perceptual.inference.request import CHUNK, Request
from keras_perceptual.inference.tiling import Pass
from keras_perceptual.pixels.histograms import histogram, matching_table
from keras_perceptual.pixels.levels import as_integers, as_levels
from keras_perceptual.pixels.resampling import RowResizer
from keras_perceptual.pixels.rows import RowReader, Take

__all__ = ["Enlargement"]


class Enlargement:
    """A `Pipeline` that enlarges.

    Args:
        request: the picture and its new size.
        passes: models it goes through, one after the other; none is a copy.
        match: whether to count levels, for `table`.
        budget: bytes that tiles may take.
    """

    def __init__(
        self, request: Request, passes: Sequence[Pass], *, match: bool, budget: int
    ) -> None:
        self._request, self._passes = request, passes
        self._match, self._budget = match, budget
        levels = np.iinfo(request.dtype).max + 1
        self._before, self._after = (np.zeros((3, levels), np.int64) for _ in range(2))

    def __iter__(self) -> Iterator[np.ndarray]:
        with ExitStack() as held:
            for each in set(self._passes):
                held.enter_context(each.image())
            for rows in self._enlarged():
                self._count(self._after, rows)
                yield rows

    def table(self) -> np.ndarray | None:
        """Returns the `[3, L]` look-up that matches the histograms, once all rows have come."""
        if not self._before.any():
            return None
        return matching_table(self._after, self._before)

    def _count(self, counts: np.ndarray, rows: np.ndarray) -> None:
        if self._match:
            for top in range(0, len(rows), CHUNK):
                part = rows[top : top + CHUNK]
                seen = part[part[..., 3] > 0] if part.shape[2] == 4 else part
                counts += histogram(seen[..., :3])

    def _counted(self, count: int) -> np.ndarray:
        rows = self._request.take(count)
        self._count(self._before, rows)
        return rows

    def _enlarged(self) -> Iterator[np.ndarray]:
        request = self._request
        height, width, _ = request.shape
        scale = math.prod(each.scale for each in self._passes)
        exact = request.size == (height * scale, width * scale)
        take: Take = self._counted
        rows: Iterator[np.ndarray] = (
            self._counted(min(CHUNK, height - top)) for top in range(0, height, CHUNK)
        )
        for i, each in enumerate(self._passes):
            rows = each.rows(
                take,
                height,
                width,
                alpha=request.alpha,
                dtype=request.dtype if exact else np.uint16,
                budget=self._budget // len(self._passes),
                # Passes take turns; the last one does most of the work.
                progress=request.progress if i == len(self._passes) - 1 else None,
            )
            take, height, width = RowReader(rows), height * each.scale, width * each.scale
        return rows if exact else self._reduced(rows, height, width)

    def _reduced(self, rows: Iterator[np.ndarray], height: int, width: int) -> Iterator[np.ndarray]:
        resizer = RowResizer(height, width, self._request.size)
        for part in rows:
            for top in range(0, len(part), CHUNK):
                levels = resizer.feed(as_levels(part[top : top + CHUNK]))
                yield as_integers(levels, self._request.dtype)

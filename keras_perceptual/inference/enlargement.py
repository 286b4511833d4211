"""One image on its way: through the passes, to its size, its levels counted before and after."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from keras_perceptual.inference.tiling import Pass
from keras_perceptual.pixels.histograms import histogram, look_up, matching_table
from keras_perceptual.pixels.levels import as_integers, as_levels
from keras_perceptual.pixels.resampling import RowResizer
from keras_perceptual.pixels.rows import RowReader, Take

__all__ = ["CHUNK", "Enlargement", "Progress", "check_image"]

CHUNK = 64  # rows that are reduced at a time

Progress = Callable[[float], None]


def check_image(image: np.ndarray) -> None:
    """Raises ValueError unless an image is `[H, W, 3 or 4]` uint8 or uint16 and not empty."""
    known = image.dtype in (np.uint8, np.uint16)
    if image.ndim != 3 or image.shape[2] not in (3, 4) or not known or image.size == 0:
        raise ValueError(
            "expected a non-empty [H, W, 3 or 4] uint8 or uint16 image, "
            f"received {image.dtype} {image.shape}"
        )


class Enlargement:
    """An image on its way: iterating gives the rows of the result, from the top.

    Args:
        passes: models it goes through, one after the other; none is a copy.
        take: gives LR rows, `[n, W, 3]`, or 4 with opacity, uint8 or uint16.
        shape: (height, width, channels) of the LR image.
        dtype: of its rows and those of the result.
        size: (height, width) of the result.
        match: whether to count levels, for `table`.
        budget: bytes that tiles may take.
        progress: called with the share done, up to 1.
    """

    def __init__(
        self,
        passes: Sequence[Pass],
        take: Take,
        shape: tuple[int, int, int],
        dtype: type[np.unsignedinteger],
        size: tuple[int, int],
        *,
        match: bool,
        budget: int,
        progress: Progress | None = None,
    ) -> None:
        self._passes, self._take, self._shape = passes, take, shape
        self._dtype, self._size, self._match = dtype, size, match
        self._budget, self._progress = budget, progress
        levels = np.iinfo(dtype).max + 1
        self._before, self._after = (np.zeros((3, levels), np.int64) for _ in range(2))

    def __iter__(self) -> Iterator[np.ndarray]:
        for rows in self._enlarged():
            self._count(self._after, rows)
            yield rows

    def array(self) -> np.ndarray:
        """Returns the whole result, `[height, width, 3 or 4]`, its histograms matched."""
        whole = np.empty((*self._size, self._shape[2]), self._dtype)
        top = 0
        for rows in self:
            whole[top : top + len(rows)] = rows
            top += len(rows)
        table = self.table()
        if table is not None:
            whole[..., :3] = look_up(table, whole[..., :3])
        return whole

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
        rows = self._take(count)
        self._count(self._before, rows)
        return rows

    def _enlarged(self) -> Iterator[np.ndarray]:
        height, width, channels = self._shape
        scale = math.prod(each.scale for each in self._passes)
        exact = self._size == (height * scale, width * scale)
        take: Take = self._counted
        rows: Iterator[np.ndarray] = (
            self._counted(min(CHUNK, height - top)) for top in range(0, height, CHUNK)
        )
        for i, each in enumerate(self._passes):
            rows = each.rows(
                take,
                height,
                width,
                alpha=channels == 4,
                dtype=self._dtype if exact else np.uint16,
                budget=self._budget // len(self._passes),
                # Passes take turns; the last one does most of the work.
                progress=self._progress if i == len(self._passes) - 1 else None,
            )
            take, height, width = RowReader(rows), height * each.scale, width * each.scale
        return rows if exact else self._reduced(rows, height, width)

    def _reduced(self, rows: Iterator[np.ndarray], height: int, width: int) -> Iterator[np.ndarray]:
        resizer = RowResizer(height, width, self._size)
        for part in rows:
            for top in range(0, len(part), CHUNK):
                yield as_integers(resizer.feed(as_levels(part[top : top + CHUNK])), self._dtype)

"""What is asked of a model for one picture, and what it gives: rows, from the top."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from keras_perceptual.pixels.condition import Condition, inspect
from keras_perceptual.pixels.histograms import look_up
from keras_perceptual.pixels.rows import RowReader, Take

__all__ = ["CHUNK", "Choice", "Pipeline", "Progress", "Request", "gathered"]

CHUNK = 64  # rows that are handled at a time where a tile does not say

Progress = Callable[[float], None]


class Choice(NamedTuple):
    """What was decided for a picture.

    Args:
        model: the name of the model that it goes through, or of two.
        restore: how much of its damage is taken out, 0 to 1.
        reason: what it shows that led to this, or nothing.
    """

    model: str
    restore: float
    reason: str


@dataclass(frozen=True)
class Request:
    """A picture, and the size it is to get.

    Args:
        take: gives its rows, `[n, W, 3]`, or 4 with opacity, uint8 or uint16.
        shape: its (height, width, channels).
        dtype: of its rows and those of the result.
        size: (height, width) of the result.
        progress: called with the fraction that is done, 0 to 1.
        inspect: looks at the picture before it is taken.
        chosen: called with what was decided.
    """

    take: Take
    shape: tuple[int, int, int]
    dtype: type[np.unsignedinteger]
    size: tuple[int, int]
    progress: Progress | None = None
    inspect: Callable[[], Condition] = Condition
    chosen: Callable[[Choice], None] | None = None

    @classmethod
    def of(
        cls,
        image: np.ndarray,
        size: tuple[int, int],
        progress: Progress | None = None,
        chosen: Callable[[Choice], None] | None = None,
    ) -> Request:
        """Returns the request for an array.

        Raises:
            ValueError: unless it is `[H, W, 3 or 4]` uint8 or uint16 and not empty, and the size
                is of a pixel at least.
        """
        known = image.dtype in (np.uint8, np.uint16)
        if image.ndim != 3 or image.shape[2] not in (3, 4) or not known or image.size == 0:
            raise ValueError(
                "expected a non-empty [H, W, 3 or 4] uint8 or uint16 image, "
                f"received {image.dtype} {image.shape}"
            )
        if min(size) < 1:
            raise ValueError(f"expected a size of at least 1x1, received {size[0]}x{size[1]}")
        height, width, channels = image.shape
        shape = (height, width, channels)

        def look() -> Condition:
            return inspect(RowReader(image), height, width)

        return cls(RowReader(image), shape, image.dtype.type, size, progress, look, chosen)

    @property
    def alpha(self) -> bool:
        """Whether the picture has opacity."""
        return self.shape[2] == 4


class Pipeline(Protocol):
    """A picture on its way through a model."""

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yields the rows of the result from the top, as many at a time as come."""
        ...

    def table(self) -> np.ndarray | None:
        """Returns the new level of each old one of each channel, `[3, L]`, once all rows came.

        None leaves the levels as they are.
        """
        ...


def gathered(pipeline: Pipeline, request: Request) -> np.ndarray:
    """Returns the whole result, `[height, width, 3 or 4]`, its levels looked up."""
    parts = iter(pipeline)
    whole = next(parts)
    if (top := len(whole)) < request.size[0]:
        first, whole = whole, np.empty((*request.size, request.shape[2]), request.dtype)
        whole[:top] = first
    for rows in parts:
        whole[top : top + len(rows)] = rows
        top += len(rows)
    table = pipeline.table()
    if table is not None:
        whole[..., :3] = look_up(table, whole[..., :3])
    return whole

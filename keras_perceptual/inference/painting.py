"""One image on its way to a painting: measured as a whole, painted in tiles.

Instance normalisation makes every pixel depend on the mean and variance of the whole image. An
image that fits into memory is painted at once. A larger one is first kept in a file; windows
spread over it, at full size, are painted together for the statistics they have in common; then
every tile is painted with these. All tiles share one set of numbers, so there are no seams.
"""

from __future__ import annotations

import itertools
import math
import tempfile
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from keras_perceptual.inference.request import CHUNK, Request
from keras_perceptual.inference.style_engines import StyleEngine
from keras_perceptual.inference.tiling import Pass
from keras_perceptual.pixels.grain import grained
from keras_perceptual.pixels.histograms import mix
from keras_perceptual.pixels.levels import as_integers, as_levels
from keras_perceptual.pixels.resampling import RowResizer
from keras_perceptual.pixels.rows import RowReader, Take
from keras_perceptual.pixels.transparency import fill_transparent

__all__ = ["Painter", "Painting", "windows_of"]

WINDOWS = 4  # in each direction, that stand for an image
LARGEST, LEAST = 256, 32  # pixels a side of one


class Painter:
    """A style engine and a style, as an `Engine`.

    Args:
        engine: of the generator.
        style: `[1, styles]`, the weight of each style.
        statistics: those of an image, to paint parts of it; without them each input has its own.
    """

    def __init__(
        self, engine: StyleEngine, style: np.ndarray, statistics: np.ndarray | None = None
    ) -> None:
        self.path: Path = engine.path
        self._engine, self._style, self._statistics = engine, style, statistics

    def run(self, lr: np.ndarray) -> np.ndarray:
        if self._statistics is None:
            return self._engine.paint(lr, self._style)[0]
        return self._engine.tile(lr, self._style, self._statistics)

    def measured(self, windows: np.ndarray) -> Painter:
        """Returns the same with the statistics that windows of an image have in common.

        Args:
            windows: `[N, H, W, 3]` float32.
        """
        return self.held(self.measure(windows))

    def measure(self, windows: np.ndarray) -> np.ndarray:
        """Returns the statistics that windows of an image have in common, `[K]` float32."""
        return self._engine.paint(windows, self._style)[1]

    def held(self, statistics: np.ndarray) -> Painter:
        """Returns the same with statistics."""
        return Painter(self._engine, self._style, statistics)


class Painting:
    """A `Pipeline` that paints.

    Args:
        request: the picture, and the size it is resized to before it is painted.
        painter: of the style.
        tiles: a pass of it with any statistics.
        strength: 0..1, from the picture to its painting.
        preserve_colour: whether to take brightness alone from the painting.
        grain: that the network is given to paint by, in levels.
        budget: bytes that tiles may take.
        held: the painter with statistics that are known already; None measures the picture's.
        place: the (row, column) of the grain that the picture begins at.
    """

    def __init__(
        self,
        request: Request,
        painter: Painter,
        tiles: Pass,
        *,
        strength: float,
        preserve_colour: bool,
        grain: float,
        budget: int,
        held: Painter | None = None,
        place: tuple[int, int] = (0, 0),
    ) -> None:
        self._held, self._place = held, place
        self._request, self._painter, self._tiles = request, painter, tiles
        self._strength, self._preserve_colour = strength, preserve_colour
        self._grain, self._budget = grain, budget

    def __iter__(self) -> Iterator[np.ndarray]:
        request, tiles = self._request, self._tiles
        height, width = request.size
        take = RowReader(self._resized()) if request.shape[:2] != request.size else request.take
        if self._held:
            yield from self._painted(take, tiles.with_engine(self._held))
            return
        if tiles.tile(height, width, self._budget) == request.size:
            yield from self._painted(take, tiles.with_engine(self._painter))
            return
        with tempfile.TemporaryFile() as file:
            image = self._kept(take, file)
            windows = windows_of(image, self._grain, tiles.pixels(self._budget))
            take = RowReader(image[top : top + CHUNK] for top in range(0, height, CHUNK))
            yield from self._painted(take, tiles.with_engine(self._painter.measured(windows)))

    def table(self) -> None:
        """Paintings have levels of their own."""

    def _painted(self, take: Take, tiles: Pass) -> Iterator[np.ndarray]:
        request = self._request
        height, width = request.size
        originals = _Remembered(take)
        rows = tiles.rows(
            _grained(originals, self._grain, *self._place),
            height,
            width,
            alpha=request.alpha,
            dtype=request.dtype,
            budget=self._budget,
            progress=request.progress,
        )
        for painted in rows:
            original = originals.recall(len(painted))
            if self._strength < 1 or self._preserve_colour:
                levels = as_levels(original[..., :3]), as_levels(painted[..., :3])
                mixed = mix(*levels, self._strength, self._preserve_colour)
                painted[..., :3] = as_integers(mixed, request.dtype)
            yield painted

    def _resized(self) -> Iterator[np.ndarray]:
        request = self._request
        height, width, _ = request.shape
        resizer = RowResizer(height, width, request.size)
        for top in range(0, height, CHUNK):
            part = request.take(min(CHUNK, height - top))
            yield as_integers(resizer.feed(as_levels(part)), request.dtype)

    def _kept(self, take: Take, file: IO[bytes]) -> np.ndarray:
        """Writes the picture's rows to a file and returns it as an array in that file."""
        height, width = self._request.size
        for top in range(0, height, CHUNK):
            take(min(CHUNK, height - top)).tofile(file)
        file.flush()
        shape = (height, width, self._request.shape[2])
        return np.memmap(file, self._request.dtype, "r", shape=shape)


class _Remembered:
    """A `Take` whose rows can be had once more, from the top."""

    def __init__(self, take: Take) -> None:
        self._inner = take
        self._parts: deque[np.ndarray] = deque()
        self._again = RowReader(self._parts.popleft() for _ in itertools.count())

    def __call__(self, count: int) -> np.ndarray:
        rows = self._inner(count)
        self._parts.append(rows)
        return rows

    def recall(self, count: int) -> np.ndarray:
        return self._again(count)


def _grained(take: Take, levels: float, top: int, left: int) -> Take:
    """Returns a `Take` of the rows that another gives, from the top of an image, with grain."""
    below = top

    def rows(count: int) -> np.ndarray:
        nonlocal below
        below += count
        return grained(take(count), levels, below - count, left)

    return rows


def windows_of(image: np.ndarray, grain: float, pixels: float) -> np.ndarray:
    """Returns windows spread evenly over an image, for statistics.

    Args:
        image: `[H, W, 3 or 4]` uint8 or uint16.
        grain: that they get, in levels.
        pixels: of all of them together, about.

    Returns:
        `[N, h, w, 3]` float32 levels.
    """
    largest = min(LARGEST, max(LEAST, int(math.sqrt(pixels) / WINDOWS)))
    sides = [min(largest, side) for side in image.shape[:2]]
    starts = [
        np.unique(np.linspace(0, whole - side, WINDOWS).astype(int))
        for whole, side in zip(image.shape, sides, strict=False)
    ]
    found = []
    for top in starts[0]:
        for left in starts[1]:
            window = image[top : top + sides[0], left : left + sides[1]]
            window = grained(np.array(window), grain, top, left)
            if window.shape[2] == 4:
                window = fill_transparent(window[..., :3], window[..., 3])
            found.append(as_levels(window))
    return np.stack(found)

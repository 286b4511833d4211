"""One pass of one model over an image of any size, in tiles that memory allows."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, nullcontext

import numpy as np

from keras_perceptual.errors import EngineError
from keras_perceptual.inference.cores import Cores
from keras_perceptual.inference.engines import Engine
from keras_perceptual.inference.grid import (
    ALIGNED,
    MARGIN,
    Span,
    Tile,
    aligned,
    choose,
    needed,
    seen,
    spans,
)
from keras_perceptual.inference.levels import run_either
from keras_perceptual.inference.strip import Strip
from keras_perceptual.pixels.levels import as_integers, as_levels
from keras_perceptual.pixels.resampling import enlarged_pixels, imresize
from keras_perceptual.pixels.rows import Take, windows
from keras_perceptual.pixels.smooth import Smooth, smooth
from keras_perceptual.system import memory
from keras_perceptual.system.ahead import ahead

__all__ = ["Pass", "default_budget"]

WHOLE = 128  # LR pixels a side up to which an image is never cut
PROBE = 96  # LR pixels a side of what is run to see how far a generator sees
COSTS = (32, 64)  # and what memory it takes
AT_ONCE = 4096  # LR pixels that are interpolated at once
SWIFT = 90_000  # LR pixels at once from which 8 bits take longer for each: caches are full
LEAST_COST = 1500.0  # bytes a LR pixel, where memory that lay free hides what it takes


def default_budget() -> int:
    """Returns the default budget of tiles in bytes: half of the free memory, at most 1 GiB."""
    return min(2**30, memory.available() // 2)


class Pass:
    """An engine, how far its pixels see, and what memory they take.

    Args:
        engine: of a generator.
        name: of the model, for messages.
        costs: LR pixels a side of two images that are run to see what memory it takes.
        least_cost: bytes a LR pixel that it takes in any case.
        smooth: what bicubic interpolation makes instead; nothing by default.

    Raises:
        EngineError: if the engine does not give RGB images of a whole multiple of the input.
    """

    def __init__(
        self,
        engine: Engine,
        name: str,
        costs: tuple[int, int] = COSTS,
        least_cost: float = LEAST_COST,
        smooth: Smooth | None = None,
    ) -> None:
        self.engine = engine
        self._cores: Cores | None = None
        self.name = name
        self.smooth = smooth
        self._lock = threading.Lock()  # an engine has one set of buffers
        self._reach: int | None = None
        probe = np.zeros((1, 8, 8, 3), np.float32)
        shape = engine.run(probe).shape
        self.scale = shape[1] // 8 if len(shape) == 4 else 0
        if self.scale < 1 or shape != (1, 8 * self.scale, 8 * self.scale, 3):
            raise EngineError(
                f"{name}: expected a generator of RGB images, received {shape} from {probe.shape}"
            )
        self._cost = self._measure_cost(costs, least_cost)  # now, while no other image takes memory

    def with_engine(self, engine: Engine, cores: Cores | None = None) -> Pass:
        """Returns a pass of another engine that sees as far and takes as much memory.

        Args:
            engine: the other one.
            cores: where small images are run that come together.
        """
        other = copy.copy(self)
        other.engine, other._cores = engine, cores
        return other

    def image(self) -> AbstractContextManager[None]:
        """Says that an image is on its way, which may go through here more than once."""
        return self._cores.image() if self._cores else nullcontext()

    @property
    def reach(self) -> int:
        """LR pixels to each side that an output pixel sees, measured, up to a multiple of 4.

        Raises:
            EngineError: if it sees too far for tiles to be alike.
        """
        if self._reach is None:
            seen = self._seen(PROBE)
            if seen is None:
                seen = self._seen(3 * PROBE)
            self._reach = None if seen is None else aligned(seen)
        if self._reach is None:
            raise EngineError(
                f"{self.name}: sees the whole image at once, which cannot be cut into tiles for "
                "it; give it more memory or a smaller image"
            )
        return self._reach

    def _seen(self, side: int) -> int | None:
        """Returns how far a change in the middle of an image of a side is seen."""
        lr = np.random.default_rng(0).uniform(0, 255, (1, side, side, 3)).astype(np.float32)
        # Pixels at every place that strides tell apart; more in a larger image, to be seen there.
        start = aligned(side // 2)
        stop = start + ALIGNED * (side // PROBE)
        lr[:, start:stop, start:stop] = 0
        other = lr.copy()
        other[:, start:stop, start:stop] = 255
        changed = (np.abs(self._run(lr) - self._run(other)) > 1e-3).any(axis=-1)
        lines = np.concatenate([np.flatnonzero(changed.any(axis=axis)) for axis in (0, 1)])
        seen = lines // self.scale
        first, last = int(seen.min(initial=start)), int(seen.max(initial=stop - 1))
        return max(start - first, last - stop + 1) if first and last < side - 1 else None

    def _run(self, lr: np.ndarray) -> np.ndarray:
        if self._cores and self._cores.take(lr[..., 0].size):
            return self._cores.run(lr)[0]
        with self._lock:
            return run_either(self.engine, lr)[0]

    def _measure_cost(self, sides: tuple[int, int], least: float) -> float:
        """Returns the bytes that a tile takes for each of its LR pixels."""
        held = []
        for side in sides:
            self._run(np.zeros((1, side, side, 3), np.float32))
            held.append(memory.resident())
        measured = (held[1] - held[0]) / (sides[1] ** 2 - sides[0] ** 2)
        # Its result and the float copies of that are there in any case.
        return max(measured, least) + 3 * 4 * 3 * self.scale**2

    def pixels(self, budget: int) -> float:
        """Returns how many LR pixels can be run at once in a budget of bytes."""
        return 0.85 * budget / self._cost

    def tile(self, height: int, width: int, budget: int) -> Tile:
        """Chooses the tiles of an image.

        Args:
            height: of the LR image.
            width: the same.
            budget: bytes that a tile may take.

        Returns:
            All of the image, or tiles of about equal size.
        """
        area = self.pixels(budget)
        if getattr(self.engine, "run_levels", None):
            area = min(area, SWIFT)
        fits = (height + 2 * MARGIN) * (width + 2 * MARGIN) <= area
        if fits or max(height, width) <= WHOLE:
            return Tile(height, width)
        return choose(height, width, area, self._around)

    @property
    def _around(self) -> int:
        return max(self.reach, self.smooth.radius if self.smooth else 0)

    def rows(
        self,
        take: Take,
        height: int,
        width: int,
        *,
        alpha: bool,
        dtype: type[np.unsignedinteger],
        budget: int,
        progress: Callable[[float], None] | None = None,
    ) -> Iterator[np.ndarray]:
        """Enlarges an image while its rows come in.

        The engine runs one tile while the one before is rounded, put in its place and handed on.

        Args:
            take: gives LR rows, `[n, W, 3]`, or `[n, W, 4]` with opacity, uint8 or uint16.
            height: of the LR image.
            width: the same.
            alpha: whether there is opacity; it is enlarged by bicubic interpolation.
            dtype: of the result, uint8 or uint16.
            budget: bytes of memory to use.
            progress: called with the fraction that is done, 0 to 1, after each tile.

        Yields:
            SR rows, `[scale n, scale W, 3 or 4]`.
        """
        tile = self.tile(height, width, budget)
        around = 0 if tile == (height, width) else self._around
        bands, columns = spans(height, tile.height, around), spans(width, tile.width, around)
        strip = Strip(width * self.scale, 3 + alpha, dtype, int(0.15 * budget))
        runs = self._run_tiles(take, bands, columns, alpha)
        done = 0.0

        def report() -> None:
            if progress:
                progress(done)

        with closing(ahead(runs, report)) as tiles:
            if tile == (height, width):
                window, sr = next(tiles)
                done = 1.0
                report()
                yield self._cut(window, sr, bands[0], columns[0], dtype)
                return
            for down in bands:
                strip.begin((down.stop - down.start) * self.scale)
                for across in columns:
                    window, sr = next(tiles)
                    strip.put(across.start * self.scale, self._cut(window, sr, down, across, dtype))
                    pixels = down.start * width + (down.stop - down.start) * across.stop
                    done = pixels / (height * width)
                    report()
                yield from strip.rows()

    def _run_tiles(
        self, take: Take, bands: list[Span], columns: list[Span], alpha: bool
    ) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
        """Yields what each tile sees, and what the engine makes of it."""
        ranges = [needed(band, alpha) for band in bands]
        for down, (top, _), rows in zip(bands, ranges, windows(take, ranges), strict=True):
            for across in columns:
                window = seen(rows, top, down, across)
                yield window, self._run(window[None, ..., :3])

    def _cut(
        self,
        window: np.ndarray,
        sr: np.ndarray,
        down: Span,
        across: Span,
        dtype: type[np.unsignedinteger],
    ) -> np.ndarray:
        """Returns a tile of the result, `[scale h, scale w, 3 or 4]`, without what it saw."""
        inside = down.inside, across.inside
        enlarged = tuple(slice(self.scale * s.start, self.scale * s.stop) for s in inside)
        tile = sr[enlarged] if sr.dtype == dtype else _rounded(sr[enlarged], dtype)
        if self.smooth:
            image, found = (down.image, across.image), np.zeros(window.shape[:2], bool)
            found[image] = smooth(window[image][..., :3], self.smooth)
            around = tuple(slice(s.start - MARGIN, s.stop + MARGIN) for s in inside)
            _interpolate(window[around][..., :3], found[inside], tile)
        if window.shape[2] == 3:
            return tile
        opacity = imresize(as_levels(window[..., 3]), self.scale)[enlarged]
        return np.dstack([tile, as_integers(opacity, dtype)])


def _interpolate(lr: np.ndarray, where: np.ndarray, sr: np.ndarray) -> None:
    """Puts bicubic interpolation into a result.

    Args:
        lr: `[h, w, 3]` of an image, `MARGIN` pixels more on each side than what is enlarged.
        where: `[h - 2 MARGIN, w - 2 MARGIN]`, the pixels that are to be interpolated.
        sr: all of them enlarged; it is changed.
    """
    scale = len(sr) // len(where)
    rows, columns = np.nonzero(where)
    levels = as_levels(lr) if rows.size else lr
    for start in range(0, rows.size, AT_ONCE):
        y, x = rows[start : start + AT_ONCE], columns[start : start + AT_ONCE]
        pixels = enlarged_pixels(levels, y + MARGIN, x + MARGIN, scale)
        made = as_integers(pixels, sr.dtype.type)
        for v, u in np.ndindex(scale, scale):
            sr[scale * y + v, scale * x + u] = made[v, u].T


def _rounded(sr: np.ndarray, dtype: type[np.unsignedinteger]) -> np.ndarray:
    return as_integers(as_levels(sr) if sr.dtype == np.uint8 else sr, dtype)

"""One pass of one model over an image of any size, in tiles that memory allows."""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from keras_perceptual.errors import EngineError
from keras_perceptual.inference.engines import Engine
from keras_perceptual.pixels.flat import flat
from keras_perceptual.pixels.levels import as_integers, as_levels
from keras_perceptual.pixels.resampling import imresize
from keras_perceptual.pixels.rows import Take, blocks
from keras_perceptual.pixels.transparency import CELL, REACH, fill_transparent
from keras_perceptual.system import memory

__all__ = ["Pass", "Tile", "default_budget"]

MARGIN = 4  # mirrored LR pixels around an image, so that zero padding inside it does not show
SMALLEST = 32  # LR pixels a side of a tile, however little memory there is
WHOLE = 128  # LR pixels a side up to which an image is never cut
ALIGNED = 4  # tiles begin at multiples of it, as the strides of style generators need
PROBE = 96  # LR pixels a side of what is run to see how far a generator sees
COSTS = (32, 64)  # and what memory it takes
LEAST_COST = 1500.0  # bytes a LR pixel, where memory that lay free hides what it takes


def default_budget() -> int:
    """Returns the default budget of tiles in bytes: half of the free memory, at most 1 GiB."""
    return min(2**30, memory.available() // 2)


class Tile(NamedTuple):
    """LR pixels of a tile, without what it sees around it."""

    height: int
    width: int


class Pass:
    """An engine, how far its pixels see, and what memory they take.

    Args:
        engine: of a generator.
        name: of the model, for messages.
        costs: LR pixels a side of two images that are run to see what memory it takes.
        least_cost: bytes a LR pixel that it takes in any case.
        flat: LR pixels to each side of one that is to stay exactly as it is, where all of them are
            alike; 0 leaves everything to the engine.

    Raises:
        EngineError: if the engine does not give RGB images of a whole multiple of the input.
    """

    def __init__(
        self,
        engine: Engine,
        name: str,
        costs: tuple[int, int] = COSTS,
        least_cost: float = LEAST_COST,
        flat: int = 0,
    ) -> None:
        self.engine = engine
        self.name = name
        self.flat = flat
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

    def with_engine(self, engine: Engine) -> Pass:
        """Returns a pass of another engine that sees as far and takes as much memory."""
        other = copy.copy(self)
        other.engine = engine
        return other

    @property
    def reach(self) -> int:
        """LR pixels to each side that an output pixel sees, measured, and two more or a few.

        Raises:
            EngineError: if it sees too far for tiles to be alike.
        """
        if self._reach is None:
            seen = self._seen(PROBE) or self._seen(3 * PROBE)
            self._reach = seen and _aligned(seen)
        if self._reach is None:
            raise EngineError(
                f"{self.name}: sees the whole image at once, which cannot be cut into tiles for "
                "it; give it more memory or a smaller image"
            )
        return self._reach

    def _seen(self, side: int) -> int | None:
        """Returns how far a change in the middle of an image of a side is seen, and two more."""
        lr = np.random.default_rng(0).uniform(0, 255, (1, side, side, 3)).astype(np.float32)
        half = side // 64  # more of a larger image, so that the change is seen
        middle = slice(side // 2 - half, side // 2 + half + 1)
        lr[:, middle, middle] = 0
        other = lr.copy()
        other[:, middle, middle] = 255
        changed = np.abs(self._run(lr) - self._run(other)).max(axis=-1) > 1e-3
        seen_from = np.argwhere(changed) // self.scale - side // 2
        far = int(np.abs(seen_from).max(initial=half))
        return far - half + 2 if far < side // 2 - 2 else None

    def _run(self, lr: np.ndarray) -> np.ndarray:
        with self._lock:
            return self.engine.run(lr)[0]

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

    def tile(self, height: int, width: int, budget: int, row_bytes: int) -> Tile:
        """Chooses the tiles of an image.

        Args:
            height: of the LR image.
            width: the same.
            budget: bytes that a tile and the rows of its result may take.
            row_bytes: that the result takes for each of its rows.

        Returns:
            All of the image, or tiles of about equal size.
        """
        if max(height, width) <= WHOLE:
            return Tile(height, width)
        area = self.pixels(budget)
        if (height + 2 * MARGIN) * (width + 2 * MARGIN) <= area:
            return Tile(height, width)
        side = max(SMALLEST, int(math.sqrt(area)) - 2 * self.reach)
        across = math.ceil(width / side)
        tile_width = _aligned(math.ceil(width / across))
        if across == 1:
            side = max(SMALLEST, int(area / (width + 2 * MARGIN)) - 2 * self.reach)
        rows = min(side, max(SMALLEST, int(0.15 * budget / (row_bytes * self.scale))))
        rows = math.ceil(height / math.ceil(height / rows))
        return Tile(_aligned(rows), tile_width)

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
        scale, channels = self.scale, 3 + alpha
        row_bytes = width * scale * channels * np.dtype(dtype).itemsize
        tile = self.tile(height, width, budget, row_bytes)
        whole = tile == (height, width)
        seen = 0 if whole else max(self.reach, self.flat)
        if alpha and not whole:  # hidden colours are alike in cells of a grid
            tile = Tile(-(-tile.height // CELL) * CELL, tile.width)
            seen_above = -(-(seen + REACH) // CELL) * CELL
        else:
            seen_above = seen
        # Windows are equally wide: an engine takes a tenth longer for another size than before.
        around = max(seen, MARGIN)
        padded = width + 2 * MARGIN
        window = tile.width + 2 * around
        window = min(window + (padded - window) % ALIGNED, padded)
        for block in blocks(take, height, tile.height, seen_above):
            pixels, out_rows = block.rows, block.stop - block.start
            out = np.empty((out_rows * scale, width * scale, channels), dtype)
            if alpha:
                out[..., 3] = self._opacity(block.rows[..., 3], block.above, out.shape[0], dtype)
                pixels = fill_transparent(block.rows[..., :3], block.rows[..., 3])
            above = min(block.above, seen)
            below = min(len(pixels) - block.above - out_rows, seen)
            pixels = pixels[block.above - above : block.above + out_rows + below]
            edges = MARGIN * (block.start == above), MARGIN * (block.stop + below == height)
            lr = pixels
            pixels = np.pad(pixels, (edges, (MARGIN, MARGIN), (0, 0)), "symmetric")
            top = (edges[0] + above) * scale
            for left in range(0, width, tile.width):
                right = min(left + tile.width, width)
                first = min(max(0, left + MARGIN - around), pixels.shape[1] - window)
                sr = self._run(as_levels(pixels[:, first : first + window])[None])
                across = slice((left + MARGIN - first) * scale, (right + MARGIN - first) * scale)
                sr = sr[top : top + out.shape[0], across]
                out[:, left * scale : right * scale, :3] = as_integers(sr, dtype)
                if progress:
                    done = block.start * width + out_rows * right
                    progress(done / (height * width))
            if self.flat:
                self._keep_flat(out[..., :3], lr, above)
            yield out

    def _keep_flat(self, out: np.ndarray, lr: np.ndarray, above: int) -> None:
        """Gives flat parts of LR rows, of which some lie above the result, their exact colour."""
        count = len(out) // self.scale
        y, x = np.nonzero(flat(lr, self.flat)[above : above + count])
        colours = as_integers(as_levels(lr[above + y, x]), out.dtype.type)
        for dy, dx in np.ndindex(self.scale, self.scale):
            out[self.scale * y + dy, self.scale * x + dx] = colours

    def _opacity(
        self, alpha: np.ndarray, above: int, height: int, dtype: type[np.unsignedinteger]
    ) -> np.ndarray:
        enlarged = imresize(as_levels(alpha), self.scale)
        return as_integers(enlarged[above * self.scale :][:height], dtype)


def _aligned(pixels: int) -> int:
    return -(-pixels // ALIGNED) * ALIGNED

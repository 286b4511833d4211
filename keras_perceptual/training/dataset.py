"""Folders of photographs to batches of (lr, hr)."""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from keras_perceptual.errors import DataError, ImageError
from keras_perceptual.files import images
from keras_perceptual.pixels.grain import grained
from keras_perceptual.training.degradations import Damage, lr_of
from keras_perceptual.training.workers import pool

__all__ = ["MOST_PIXELS", "Patches", "split"]

# Of a photograph; several are decoded at once, at up to 15 bytes a pixel.
MOST_PIXELS = 64_000_000

Cut = list[tuple[np.ndarray, np.ndarray]]  # the patches of a photograph, as (lr, hr)

logger = logging.getLogger(__name__)


def split(paths: list[Path], most: int = 8) -> tuple[list[Path], list[Path]]:
    """Sets a few photographs aside for validation.

    They are the same whatever a run's seed, so that a run that starts from another's model is
    validated on photographs that neither has seen.

    Args:
        paths: photographs.
        most: the largest number to set aside; at most a tenth is, and one at least.

    Returns:
        (training, validation); both hold the one photograph where there is only one.
    """
    if len(paths) < 2:
        return paths, paths
    count = min(most, max(1, len(paths) // 10))
    held = set(np.random.default_rng(0).permutation(len(paths))[:count].tolist())
    return (
        [path for i, path in enumerate(paths) if i not in held],
        [path for i, path in enumerate(paths) if i in held],
    )


class Patches:
    """An endless stream of (lr, hr) batches, a pure function of the seed and the batch's number.

    Photographs are visited in an order shuffled anew each time round, `PHOTOGRAPHS` at a time
    (a chunk); every chunk gives `patches` random patches of each of its photographs, turned,
    mirrored and shuffled. No state passes from chunk to chunk, so any step of a run can be gone
    on from, and at most a few chunks of patches are ever in memory.

    Args:
        paths: photographs, in any format of `formats.FORMATS`; those of more than `MOST_PIXELS` are
            left out as broken ones are.
        batch_size: patches a batch.
        patch_size: side of an HR patch in pixels, a multiple of `scale`.
        patches: cut from a photograph each time it is decoded.
        scale: HR size over LR size.
        blur: standard deviation of the blur before the reduction, in HR pixels.
        shrink: smallest factor by which a photograph is reduced at random first.
        clipping: largest share of the levels that is made black, and white, in half of the
            photographs.
        grain: standard deviation in levels of the grain that is added to LR patches.
        damage: what LR patches went through, if they are not to be clean.
        seed: of everything that is drawn.
        workers: that decode, as `workers.pool` takes it.
        part: (which, of how many) parts of the photographs are decoded here; the others' patches
            come from `gather`.
        gather: takes an array and returns those of all parts, `[parts, ...]`, in their order.

    Raises:
        DataError: while iterating, when no photograph can be used.
    """

    PHOTOGRAPHS = 32

    def __init__(
        self,
        paths: list[Path],
        *,
        batch_size: int,
        patch_size: int,
        scale: int,
        patches: int = 8,
        blur: float = 0.0,
        shrink: float = 1.0,
        clipping: float = 0.0,
        grain: float = 0.0,
        damage: Damage | None = None,
        seed: int = 0,
        workers: int = 2,
        part: tuple[int, int] = (0, 1),
        gather: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        if not paths:
            raise DataError("expected at least one photograph, found none")
        self.paths = list(paths)
        self.batch_size, self.patch_size, self.scale = batch_size, patch_size, scale
        self.patches = patches
        self.blur, self.shrink, self.clipping = blur, shrink, clipping
        self.grain, self.damage = grain, damage
        self.seed, self.workers = seed, workers
        self._part, self._gather = part, gather
        self.broken: set[Path] = set()
        self.too_small: set[Path] = set()
        self._order = lru_cache(2)(self._shuffled_paths)

    def batches(self, start: int = 0) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
        """Yields batches for ever, from number `start` on. Closing it ends the workers.

        Yields:
            lr: `[N, patch_size / scale, patch_size / scale, 3]` uint8, which is a quarter of the
                bytes on the way to a GPU.
            hr: `[N, patch_size, patch_size, 3]` uint8.
        """
        skip = start * self.batch_size
        per_chunk = self.PHOTOGRAPHS * self.patches
        patches = self._patches(skip // per_chunk)
        patches = itertools.islice(patches, skip % per_chunk, None)
        while True:
            lr, hr = zip(*itertools.islice(patches, self.batch_size), strict=True)
            yield np.stack(lr), np.stack(hr)

    def __getstate__(self) -> dict:
        return {
            name: value for name, value in vars(self).items() if name not in ("_order", "_gather")
        }

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state, _gather=None, _order=lru_cache(2)(self._shuffled_paths))

    def _patches(self, chunk: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields patches from chunk number `chunk` on, decoding the next ones meanwhile."""
        with pool(self.workers) as workers:
            ahead: deque[list[Future]] = deque()
            try:
                for number in itertools.count(chunk):
                    first = number * self.PHOTOGRAPHS
                    which, parts = self._part
                    mine = range(which, self.PHOTOGRAPHS, parts)
                    ahead.append([workers.submit(self._cut, first + i) for i in mine])
                    if len(ahead) == 2:
                        yield from self._shuffled(ahead.popleft(), number - 1)
            finally:
                for future in itertools.chain.from_iterable(ahead):
                    future.cancel()

    def _shuffled(
        self, futures: list[Future], number: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        chunk = self._gathered([self._used(future.result()) for future in futures])
        per_photograph = [patches for patches in chunk if patches]
        position = (number + 1) * self.PHOTOGRAPHS
        for tried in range(2 * len(self.paths)):  # at least one whole turn
            if per_photograph:
                break
            if patches := self._used(self._cut(position + tried)):
                per_photograph.append(patches)
        if not per_photograph:
            raise DataError(
                f"expected photographs of at least {self.patch_size} pixels a side, received "
                f"{len(self.paths)} files: {len(self.broken)} broken, "
                f"{len(self.too_small)} too small"
            )
        # Photographs that could not be used leave their places to the others.
        flat = list(itertools.chain.from_iterable(per_photograph))
        order = np.arange(self.PHOTOGRAPHS * self.patches) % len(flat)
        np.random.default_rng((self.seed, 1, number)).shuffle(order)
        return (flat[i] for i in order)

    def _gathered(self, mine: list[Cut]) -> list[Cut]:
        """Returns the patches of a chunk's photographs, of those that others decoded too."""
        parts = self._part[1]
        if self._gather is None or parts == 1:
            return mine
        most = -(-self.PHOTOGRAPHS // parts)
        small, large = self.patch_size // self.scale, self.patch_size
        usable = np.zeros(most, np.uint8)
        lr = np.zeros((most, self.patches, small, small, 3), np.uint8)
        hr = np.zeros((most, self.patches, large, large, 3), np.uint8)
        for i, patches in enumerate(mine):
            if patches:
                usable[i] = 1
                lr[i], hr[i] = map(np.stack, zip(*patches, strict=True))
        usable, lr, hr = map(self._gather, (usable, lr, hr))
        turns = (divmod(i, parts)[::-1] for i in range(self.PHOTOGRAPHS))
        return [
            list(zip(lr[turn], hr[turn], strict=True)) if usable[turn] else [] for turn in turns
        ]

    def _shuffled_paths(self, turn: int) -> np.ndarray:
        return np.random.default_rng((self.seed, 0, turn)).permutation(len(self.paths))

    def _cut(self, position: int) -> Cut | _Unusable:
        """Cuts patches from the photograph at a position of the endless shuffled sequence."""
        turn, index = divmod(position, len(self.paths))
        path = self.paths[self._order(turn)[index]]
        rng = np.random.default_rng((self.seed, 2, position))
        if path in self.broken or path in self.too_small:
            return []
        try:
            hr = images.read(path, most_pixels=MOST_PIXELS).pixels
        except ImageError as error:
            return _Unusable(path, str(error))
        side = min(hr.shape[:2])
        if side < self.patch_size:
            return _Unusable(path)
        factor = rng.uniform(max(self.shrink, self.patch_size / side), 1.0)
        if self.shrink < 1:
            size = [max(self.patch_size, round(s * factor)) for s in hr.shape[1::-1]]
            hr = np.asarray(Image.fromarray(hr).resize(size, Image.Resampling.BICUBIC))
        if self.clipping and rng.integers(2):
            black, white = 255 * rng.uniform(0, self.clipping, 2)
            levels = (np.arange(256) - black) * (255 / (255 - black - white))
            hr = np.clip(levels, 0, 255).round().astype(np.uint8)[hr]
        return [self._patch(hr, rng) for _ in range(self.patches)]

    def _patch(self, hr: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        # A margin of whole LR pixels keeps the patch's borders free of the image's own.
        size, margin = self.patch_size, (8 if self.damage else 2) * self.scale
        top, left = (int(rng.integers(0, side - size + 1)) for side in hr.shape[:2])
        before_y, before_x = (min(margin, o // self.scale * self.scale) for o in (top, left))
        after_y, after_x = (
            min(margin, (side - offset - size) // self.scale * self.scale)
            for side, offset in zip(hr.shape, (top, left), strict=False)
        )
        wide = hr[top - before_y : top + size + after_y, left - before_x : left + size + after_x]
        lr = lr_of(wide, self.scale, self.blur, self.damage, rng)
        inner = size // self.scale
        y, x = before_y // self.scale, before_x // self.scale
        lr = lr[y : y + inner, x : x + inner]
        hr = hr[top : top + size, left : left + size]
        turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
        lr, hr = np.rot90(lr, turns), np.rot90(hr, turns)
        if mirrored:
            lr, hr = lr[:, ::-1], hr[:, ::-1]
        if self.grain:
            lr = grained(lr, self.grain, *rng.integers(0, 2**16, 2))
        # Copies, not views: a view keeps its whole photograph in memory.
        return lr.copy(), hr.copy()

    def _used(self, cut: Cut | _Unusable) -> Cut:
        """Returns patches as they are; of a photograph that has none, remembers that."""
        if not isinstance(cut, _Unusable):
            return cut
        skipped = self.broken if cut.why else self.too_small
        if cut.why and cut.path not in skipped:
            logger.warning("skipping a photograph: %s", cut.why)
        skipped.add(cut.path)
        return []


@dataclass(frozen=True)
class _Unusable:
    """A photograph that no patch can be cut from: broken for a reason, or too small."""

    path: Path
    why: str = ""

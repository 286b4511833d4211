"""`Upscaler`: pictures through an engine, in tiles, with the post-process."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from keras_perceptual import formats, images, zoo
from keras_perceptual.engines import Blend, Engine, EngineError, open_engine
from keras_perceptual.postprocess import match_histograms
from keras_perceptual.resampling import imresize, to_uint8

__all__ = ["Upscaler", "default_model"]

TILE = 512
OVERLAP = 32  # LR pixels; the shipped generators see 16 to each side
MARGIN = 8  # mirrored LR pixels around an image, lest the generators' zero padding show


def default_model(scale: int) -> str:
    """Returns the model that a scale gets when none is named: the one trained on features.

    Raises:
        ZooError: if no shipped model has that scale.
    """
    name = f"x{scale}-feature"
    if name not in zoo.names(scale):
        scales = sorted({zoo.card(n)["scale"] for n in zoo.names()})
        raise zoo.ZooError(f"expected a scale of {scales}, received {scale}")
    return name


class Upscaler:
    """Enlarges pictures with one model. Several threads may share one.

    Args:
        model: name of a shipped model, or path of a model file.
        engine: `auto`, `litert`, `keras` or `saved_model`, as `engines.open_engine` takes them.
        histogram_match: whether to give the result the distribution of levels of its input, as
            the paper does.
        threads: processor cores to use; all by default.
        fidelity: share, 0 to 1, of the weights of the shipped model of the same scale that was
            trained on pixels: from sharp to faithful.

    Attributes:
        name: of the model.
        path: its file.
        scale: HR size over LR size.

    Raises:
        ValueError: if `fidelity` is out of its range.
        ZooError: if there is no such model.
        EngineError: if the model's file cannot be loaded or is no generator, or has another
            architecture than what `fidelity` would blend into it.
    """

    def __init__(
        self,
        model: str | os.PathLike = "x4-feature",
        engine: str = "auto",
        histogram_match: bool = True,
        threads: int | None = None,
        fidelity: float = 0.0,
    ) -> None:
        if not 0 <= fidelity <= 1:
            raise ValueError(f"expected a fidelity of 0 to 1, received {fidelity}")
        path = Path(model)
        shipped = os.fspath(model) in zoo.names()
        if not shipped and not path.suffix and not path.exists():
            zoo.folder(os.fspath(model))  # raises, and names those that ship
        source = zoo.folder(os.fspath(model)) if shipped else path
        self._lock = threading.Lock()  # an engine has one set of buffers
        self._engine: Engine = open_engine(source, engine, threads)
        self.path = self._engine.path
        self.name = os.fspath(model) if shipped else path.stem
        self.histogram_match = histogram_match
        self.scale = self._measure_scale()
        if fidelity:
            faithful = Blend(zoo.folder(f"x{self.scale}-pixel"), fidelity)
            self._engine = open_engine(source, engine, threads, faithful)
            self.name += f", fidelity {fidelity:g}"

    def _measure_scale(self) -> int:
        probe = np.zeros((1, 8, 8, 3), np.float32)
        shape = self._engine.run(probe).shape
        scale = shape[1] // 8 if len(shape) == 4 else 0
        if scale < 1 or shape != (1, 8 * scale, 8 * scale, 3):
            raise EngineError(
                f"{self.name}: expected a generator of RGB images, received {shape} from "
                f"{probe.shape}"
            )
        return scale

    def upscale(
        self, lr: np.ndarray, progress: Callable[[float], None] | None = None
    ) -> np.ndarray:
        """Enlarges an image.

        Args:
            lr: `[H, W, 3]` uint8 RGB.
            progress: called with the share done, up to 1, after each tile.

        Returns:
            sr: `[scale H, scale W, 3]` uint8 RGB.

        Raises:
            ValueError: if `lr` is anything else.
        """
        if lr.ndim != 3 or lr.shape[2] != 3 or lr.dtype != np.uint8 or lr.size == 0:
            raise ValueError(
                f"expected a non-empty [H, W, 3] uint8 image, received {lr.dtype} {lr.shape}"
            )
        around = np.pad(lr, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), "symmetric")
        sr = np.empty((lr.shape[0] * self.scale, lr.shape[1] * self.scale, 3), np.uint8)
        tiles = list(_tiles(*lr.shape[:2]))
        for number, (rows, columns) in enumerate(tiles, 1):
            outer_rows, inner_rows = _around(rows, around.shape[0])
            outer_columns, inner_columns = _around(columns, around.shape[1])
            tile = around[outer_rows, outer_columns][None].astype(np.float32)
            with self._lock:
                enlarged = to_uint8(self._engine.run(tile)[0])
            sr[self._enlarged(rows), self._enlarged(columns)] = enlarged[
                self._enlarged(inner_rows), self._enlarged(inner_columns)
            ]
            if progress:
                progress(number / len(tiles))
        return match_histograms(sr, lr) if self.histogram_match else sr

    def _enlarged(self, part: slice) -> slice:
        return slice(part.start * self.scale, part.stop * self.scale)

    def upscale_picture(
        self, picture: images.Picture, progress: Callable[[float], None] | None = None
    ) -> images.Picture:
        """Enlarges a picture, its opacity with it.

        Colours under full transparency, which nobody saw, first take on those around them, so
        that no fringe of them shows at the new edges.

        Args:
            picture: as `images.read` gives it.
            progress: as for `upscale`.

        Returns:
            The picture at `scale` times its size.
        """
        if picture.alpha is None:
            return picture.with_pixels(self.upscale(picture.pixels, progress))
        pixels = images.fill_transparent(picture.pixels, picture.alpha)
        alpha = to_uint8(imresize(picture.alpha.astype(np.float32), self.scale))
        return picture.with_pixels(self.upscale(pixels, progress), alpha)

    def upscale_file(
        self,
        source: str | os.PathLike,
        target: str | os.PathLike,
        progress: Callable[[float], None] | None = None,
    ) -> images.Picture:
        """Enlarges an image file.

        Args:
            source: the file to read.
            target: the file to write, in the format of its ending.
            progress: as for `upscale`.

        Returns:
            The picture that was written.

        Raises:
            ImageError: if either file cannot be read or written, or both are the same.
        """
        formats.of(target)  # raises now rather than after the work
        picture = images.read(source)
        if Path(target).exists() and os.path.samefile(source, target):
            raise images.ImageError(f"{target}: is the input; name another output")
        result = self.upscale_picture(picture, progress)
        images.write(target, result)
        return result


def _tiles(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            yield (
                slice(top, min(top + TILE, height)),
                slice(left, min(left + TILE, width)),
            )


def _around(part: slice, side: int) -> tuple[slice, slice]:
    """Returns the part with its overlap within the image and margin, and where it lies inside."""
    first, last = part.start + MARGIN, part.stop + MARGIN
    start, stop = max(0, first - OVERLAP), min(side, last + OVERLAP)
    return slice(start, stop), slice(first - start, last - start)

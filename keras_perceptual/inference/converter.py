"""`Converter`: what enlarging and painting have in common."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from keras_perceptual.errors import FilmError
from keras_perceptual.files.video.containers import is_film
from keras_perceptual.inference.conversion import Conversion
from keras_perceptual.inference.film import FilmConversion, Shown
from keras_perceptual.inference.request import Choice, Pipeline, Progress, Request, gathered
from keras_perceptual.inference.sequence import Alike, Sequence, State
from keras_perceptual.system.forks import Undivided

__all__ = ["LARGEST_SCALE", "Converter"]

LARGEST_SCALE = 16
# An idle network may be forked; libvips waits for its threads for ever once it had some.
_NETWORK = Undivided("this process was forked while a thread ran a network, which is still locked")
_FILES = Undivided("this process was forked after files were opened, by libvips", lasting=True)


class Converter(ABC):
    """Enlarges or paints pictures, in arrays and in files.

    Attributes:
        name: of the model, or of several.
        path: the file of the model, the last of several.
        scale: output size over input size.
        memory: bytes that it may take, of tiles and of decoding, or None.
        threads: processor cores that it uses, or None for all.
        paints: whether it gives pictures colours of its own.
    """

    name: str
    path: Path
    scale: float
    memory: int | None
    threads: int | None
    paints = False
    _early = True  # whether the levels of rows are final when they come

    @abstractmethod
    def _pipeline(self, request: Request) -> Pipeline:
        """Returns a picture on its way."""

    def _sequence(self, state: State) -> Sequence:
        """Returns what takes the frames of an animation or a film.

        Args:
            state: of another one that stopped before; empty at the beginning.
        """
        return Alike(self._pipeline)

    @abstractmethod
    def _settings(self) -> dict[str, Any]:
        """Returns what a result depends on, beside what it is made of."""

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Returns the (height, width) that an image gets."""
        return max(1, round(height * self.scale)), max(1, round(width * self.scale))

    def convert(
        self,
        image: np.ndarray,
        progress: Progress | None = None,
        size: tuple[int, int] | None = None,
        chosen: Callable[[Choice], None] | None = None,
    ) -> np.ndarray:
        """Enlarges or paints an image.

        Args:
            image: `[H, W, 3]` RGB, or `[H, W, 4]` with opacity, uint8 or uint16.
            progress: called with the fraction that is done, 0 to 1, after each tile.
            size: (height, width) of the result in pixels, instead of `scale` times its own.
            chosen: called with what was decided for the picture.

        Returns:
            `[h, w, 3 or 4]` RGB of the same type.

        Raises:
            ValueError: if `image` is anything else.
            EngineError: in a process that was forked while another thread was in here.
        """
        request = Request.of(image, size or self.size(*image.shape[:2]), progress, chosen)
        with _NETWORK:
            return gathered(self._pipeline(request), request)

    def convert_file(
        self,
        source: str | os.PathLike | bytes,
        target: str | os.PathLike | BinaryIO,
        progress: Progress | None = None,
        *,
        size: Callable[[int, int], tuple[int, int]] | None = None,
        crop: tuple[int, int, int, int] | None = None,
        frames: bool = False,
        quality: int | None = 95,
        strip_metadata: bool = False,
        chosen: Callable[[Choice], None] | None = None,
        ending: str | None = None,
        codec: str | None = None,
        start: float | None = None,
        end: float | None = None,
        resume: bool = False,
        noted: Callable[[str], None] | None = None,
    ) -> tuple[int, int]:
        """Enlarges or paints an image file, or a film.

        Memory grows with the tile and not with the image, as far as the formats allow;
        docs/formats.md says what becomes of each, docs/video.md what becomes of films.

        Args:
            source: the file to read, or its bytes; a film by the ending of its name.
            target: the file to write, in the format of its ending, or a binary stream.
            progress: as for `convert`; of a film, with a `FilmProgress` after each frame.
            size: from the image's (height, width) to the result's, instead of `scale` times.
            crop: (x, y, width, height) in pixels of the part to take.
            frames: whether to take all frames of an animation instead of the first.
            quality: 1 to 100, of formats that lose something; None loses nothing.
            strip_metadata: whether to leave EXIF and XMP out.
            chosen: called with what was decided for the picture, once it was looked at.
            ending: such as `.png`, of the format of what goes to a stream, by default the source's.
            codec: of a film: `h264`, `hevc`, `av1`, `vp9`, `ffv1` or `prores`, by default its
                container's usual one.
            start: seconds of a film from which it is taken.
            end: seconds of a film at which it ends.
            resume: whether to go on with a film where a run stopped that was to make the same.
            noted: called with a line on each thing about a film that is worth knowing.

        Returns:
            (height, width) of what was written.

        Raises:
            ImageError: if either file cannot be read or written, they are the same, the crop lies
                outside, or the result is too large for the format.
            EngineError: if the model cannot run on it, or in a process that was forked after
                another file.
            ValueError: if a model cannot reach the size.
        """
        if is_film(source) and not isinstance(source, bytes):
            if not isinstance(target, str | os.PathLike):
                raise FilmError(f"{source}: films are written to files, not to streams")
            film = self._film(
                size, crop, start, end, chosen,
                codec=codec, quality=quality, resume=resume, strip_metadata=strip_metadata,
                noted=noted,
            )  # fmt: skip
            with _FILES, _NETWORK:
                return film.run(source, target, progress)
        conversion = Conversion(
            self._sequence,
            self._pipeline,
            size or self.size,
            crop,
            frames,
            quality,
            strip_metadata,
            chosen,
            ending,
            self.memory,
            early=self._early,
        )
        with _FILES, _NETWORK:
            return conversion.run(source, target, progress)

    def frames(
        self,
        source: str | os.PathLike,
        *,
        size: Callable[[int, int], tuple[int, int]] | None = None,
        crop: tuple[int, int, int, int] | None = None,
        start: float | None = None,
        end: float | None = None,
        chosen: Callable[[Choice], None] | None = None,
    ) -> Iterator[Shown]:
        """Enlarges or paints the frames of a film, one by one.

        Args:
            source: the film.
            size: from a frame's (height, width) to the result's, instead of `scale` times.
            crop: (x, y, width, height) in pixels of the part to take.
            start: seconds of the film from which it is taken.
            end: seconds at which it ends.
            chosen: called with what was decided for the film.

        Yields:
            (pixels, time): `[h, w, 3 or 4]` RGB and seconds from `start`. Closing the iterator ends
            the work.

        Raises:
            FilmError: if the film cannot be read, or the crop lies outside.
            EngineError: as for `convert_file`.
        """
        with _FILES, _NETWORK:
            yield from self._film(size, crop, start, end, chosen).frames(source)

    def _film(
        self,
        size: Callable[[int, int], tuple[int, int]] | None,
        crop: tuple[int, int, int, int] | None,
        start: float | None,
        end: float | None,
        chosen: Callable[[Choice], None] | None,
        **more: Any,
    ) -> FilmConversion:
        return FilmConversion(
            self._sequence,
            size or self.size,
            self._settings(),
            crop,
            start=start,
            end=end,
            chosen=chosen,
            colour=self.paints,
            threads=self.threads,
            **more,
        )

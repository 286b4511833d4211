"""One image file into another: what is read, cut out, carried over and written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from keras_perceptual.errors import ImageError
from keras_perceptual.files import formats
from keras_perceptual.files.animations import read_frames, write_frames
from keras_perceptual.files.decoded import check_memory
from keras_perceptual.files.formats import Format
from keras_perceptual.files.metadata import Metadata
from keras_perceptual.files.sink import Sink
from keras_perceptual.files.source import Source, open_source
from keras_perceptual.inference.request import Choice, Pipeline, Progress, Request, gathered
from keras_perceptual.inference.restoration import condition_of
from keras_perceptual.inference.sequence import Sequence, State
from keras_perceptual.pixels.rows import cropped

__all__ = ["Conversion"]

_FRAME_COST = 16  # bytes of memory a pixel of a frame that is made and written


@dataclass(frozen=True)
class Conversion:
    """How image files become others.

    Args:
        sequence: from a state, empty here, to what takes the frames of an animation.
        pipeline: from what is asked for to the picture on its way.
        size: from a picture's (height, width) to the result's.
        crop: (x, y, width, height) in pixels of the part to take; None takes all.
        frames: whether to take all frames of an animation instead of the first.
        quality: 1 to 100, of formats that lose something; None loses nothing.
        strip_metadata: whether to leave EXIF and XMP out.
        chosen: called with what was decided for the picture.
        ending: such as `.png`, of the format of what goes to a stream, by default the source's.
        memory: bytes that decoding may take where a format needs the whole picture.
        early: whether the levels of rows are final when they come, and no pipeline has a table.
    """

    sequence: Callable[[State], Sequence]
    pipeline: Callable[[Request], Pipeline]
    size: Callable[[int, int], tuple[int, int]]
    crop: tuple[int, int, int, int] | None = None
    frames: bool = False
    quality: int | None = 95
    strip_metadata: bool = False
    chosen: Callable[[Choice], None] | None = None
    ending: str | None = None
    memory: int | None = None
    early: bool = True

    def run(
        self,
        source: str | os.PathLike | bytes,
        target: str | os.PathLike | BinaryIO,
        progress: Progress | None = None,
    ) -> tuple[int, int]:
        """Reads one file and writes the other, all of it or nothing.

        Args:
            source: the file to read, or its bytes.
            target: the file to write, in the format of its ending, or a binary stream.
            progress: called with the fraction that is done, 0 to 1.

        Returns:
            (height, width) of what was written.

        Raises:
            ImageError: if either file cannot be read or written, they are the same, the crop lies
                outside, the result is too large for the format, or not animated where all frames
                are asked for.
        """
        to = Path(target) if isinstance(target, str | os.PathLike) else target
        named = to if isinstance(to, Path) else self.ending and f"stdout{self.ending}"
        form = formats.of(named) if named else None  # raises before any work
        if isinstance(to, Path) and not isinstance(source, bytes) and _same(Path(source), to):
            raise ImageError(f"{to}: is the input; name another output")
        with open_source(source, memory=self.memory) as opened:
            form = form or opened.format
            if not (self.frames and opened.frames > 1 and opened.format.animated):
                return self._picture(opened, to, form, progress)
        return self._animation(source, opened, to, form, progress)

    def _picture(
        self, source: Source, target: Path | BinaryIO, form: Format, progress: Progress | None
    ) -> tuple[int, int]:
        _, _, width, height = self._part(source.name, source.width, source.height)
        size = self.size(height, width)
        kind = np.uint16 if source.bits == 16 else np.uint8
        with Sink(
            target if isinstance(target, Path) else None,
            form,
            *size,
            bits=source.bits,
            gray=source.gray,
            alpha=source.alpha,
            metadata=self._kept(source.metadata),
            quality=self.quality,
            early=self.early,
        ) as sink:
            take = cropped(source.take, self.crop) if self.crop else source.take
            shape = (height, width, 3 + source.alpha)
            look = partial(condition_of, source)
            pipeline = self.pipeline(Request(take, shape, kind, size, progress, look, self.chosen))
            for rows in pipeline:
                sink.append(rows)
            alive = partial(progress, 1.0) if progress else None  # may end it, until the end
            if isinstance(target, Path):
                sink.finish(pipeline.table(), alive)
            else:
                sink.finish_into(target, pipeline.table(), alive)
        return size

    def _animation(
        self,
        source: str | os.PathLike | bytes,
        opened: Source,
        target: Path | BinaryIO,
        form: Format,
        progress: Progress | None,
    ) -> tuple[int, int]:
        """Takes an animation frame by frame; the paper's matching is of each frame alone.

        What the first one shows, and the header, decide for all.
        """
        animation = read_frames(source, memory=self.memory)
        x, y, width, height = self._part(animation.name, animation.width, animation.height)
        size = self.size(height, width)
        frame = f"a frame of {size[1]}x{size[0]}"
        check_memory(animation.name, frame, size[0] * size[1] * _FRAME_COST, self.memory)

        def enlarged() -> Iterator[np.ndarray]:
            sequence = self.sequence({})
            for number, frame in enumerate(animation):
                request = Request.of(frame[y : y + height, x : x + width], size)
                if number == 0:
                    look = cache(partial(condition_of, opened, request.inspect))
                chosen = None if number else self.chosen
                request = replace(request, inspect=look, chosen=chosen)
                yield gathered(sequence.pipeline(request), request)
                if progress:
                    progress((number + 1) / len(animation))

        write_frames(
            target,
            form,
            enlarged(),
            animation.durations,
            loop=animation.loop,
            metadata=self._kept(animation.metadata),
            quality=self.quality,
        )
        return size

    def _part(self, name: str, width: int, height: int) -> tuple[int, int, int, int]:
        """Returns (x, y, width, height) of what is taken of a picture."""
        x, y, across, down = self.crop or (0, 0, width, height)
        if min(across, down) < 1 or x + across > width or y + down > height:
            raise ImageError(
                f"{name}: expected a crop inside {width}x{height} pixels, "
                f"received {across}x{down} at {x},{y}"
            )
        return x, y, across, down

    def _kept(self, metadata: Metadata) -> Metadata:
        return replace(metadata, exif=b"", xmp=None) if self.strip_metadata else metadata


def _same(source: Path, target: Path) -> bool:
    return os.path.exists(source) and os.path.exists(target) and os.path.samefile(source, target)

"""Frames to a segment: a piece of a film that is coded by itself and begins with a key frame."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from keras_perceptual.errors import FilmError
from keras_perceptual.files.video.codecs import CODECS, Layout, layout, pixel_format
from keras_perceptual.files.video.colour import Colour, FromRGB
from keras_perceptual.files.video.containers import failure, pyav
from keras_perceptual.system.priority import same_priority

__all__ = ["SEGMENT", "Coding", "Encoder"]

SEGMENT = "matroska"  # it holds all codecs
# A segment's times are the numbers of its frames, in the ticks that Matroska has.
_NUMBERED = Fraction(1, 1000)


@dataclass(frozen=True)
class Coding:
    """How a film is coded.

    Args:
        name: of the film that is written, for messages.
        codec: one of `CODECS`.
        quality: 1 to 100; None loses nothing.
        width: in pixels.
        height: the same.
        rate: frames a second, which the encoder shares its bits out by.
        wants: what the pixel format should hold.
        colour: what its numbers are to stand for.
        aspect: of a pixel, width over height.
        reorders: whether frames may be stored in another order than they are shown in.
        threads: of the encoder.
    """

    name: str
    codec: str
    quality: int | None
    width: int
    height: int
    rate: Fraction
    wants: Layout
    colour: Colour
    aspect: Fraction | None
    reorders: bool = True
    threads: int = 2


class Encoder:
    """Codes the frames of one segment. To be used in a `with` statement.

    Args:
        path: the file to write.
        coding: how.

    Raises:
        FilmError: if the encoder does not take such frames.
    """

    def __init__(self, path: Path, coding: Coding) -> None:
        self._av = pyav(coding.name)
        self._coding = coding
        codec = CODECS[coding.codec]
        if min(self._size) < codec.least:
            raise FilmError(
                f"{coding.name}: {coding.codec} takes frames of at least "
                f"{codec.least}x{codec.least}, received {coding.width}x{coding.height}"
            )
        self._form = pixel_format(codec, coding.wants)
        self._from_rgb = FromRGB(coding.colour, self._form)
        has = layout(self._av.VideoFormat(self._form, 2, 2))
        # Where chroma has half the pixels, the last column or row is repeated.
        steps = (has.across, has.down) if codec.whole else (1, 1)
        self._lacking = [-side % step for side, step in zip(self._size, steps, strict=True)]
        self._count = 0
        options = codec.settings(coding.quality, coding.name)
        self._container = self._av.open(str(path), "w", format=SEGMENT)
        try:
            self._stream = self._opened(codec.encoder, options)
            with same_priority():
                self._container.start_encoding()
        except (self._av.FFmpegError, OSError, ValueError) as error:
            self._container.close()
            raise FilmError(
                f"{coding.name}: {codec.encoder} takes no frames of {coding.width}x{coding.height} "
                f"in {self._form}: {failure(error)}"
            ) from None

    @property
    def _size(self) -> tuple[int, int]:
        return self._coding.width, self._coding.height

    def _opened(self, encoder: str, options: dict[str, str]) -> Any:
        coding, colour = self._coding, self._from_rgb.colour
        rate = coding.rate.limit_denominator(1001)
        stream = self._container.add_stream(encoder, rate=rate, options=options)
        stream.width, stream.height = (
            side + more for side, more in zip(self._size, self._lacking, strict=True)
        )
        stream.pix_fmt = self._form
        context = stream.codec_context
        context.time_base = self._tick = 1 / rate
        context.colorspace, context.color_range = colour.matrix, colour.range
        context.color_primaries, context.color_trc = colour.primaries, colour.transfer
        context.thread_count = coding.threads
        context.thread_type = "AUTO"
        if coding.aspect:
            context.sample_aspect_ratio = coding.aspect
        if not coding.reorders:
            context.max_b_frames = 0
        return stream

    def write(self, pixels: np.ndarray) -> None:
        """Codes the next frame, `[height, width, 3 or 4]` uint8 or uint16."""
        if pixels.shape[2] == 4 and not self._coding.wants.alpha:
            pixels = pixels[..., :3]
        across, down = self._lacking
        if across or down:
            pixels = np.pad(pixels, ((0, down), (0, across), (0, 0)), "edge")
        frame = self._from_rgb(pixels)
        frame.pts, frame.time_base = self._count, self._tick
        self._count += 1
        self._mux(frame)

    def _mux(self, frame: Any) -> None:
        try:
            for packet in self._stream.encode(frame):
                packet.time_base = _NUMBERED
                self._container.mux(packet)
        except (self._av.FFmpegError, OSError) as error:
            raise FilmError(f"{self._coding.name}: cannot be written: {failure(error)}") from None

    def __enter__(self) -> Encoder:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None and self._count:
                self._mux(None)
        finally:
            self._container.close()

"""What a film is, and its frames, upright and in RGB, with their times."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from keras_perceptual.errors import FilmError
from keras_perceptual.files.video.codecs import Layout, layout
from keras_perceptual.files.video.colour import Colour, ToRGB, colour_of
from keras_perceptual.files.video.containers import COVER
from keras_perceptual.files.video.decoding import decoded, decoded_from, open_input

__all__ = ["Film", "Frame", "open_film"]

_LACKING = Fraction(1, 2)  # seconds that a film's end may lie before what its header says


class Frame(NamedTuple):
    """A frame of a film.

    Args:
        pixels: `[height, width, 3]` RGB, or 4 with opacity, uint8, or uint16 beyond 8 bits.
        pts: when it is shown, in ticks of the film.
        duration: how long, in ticks; 0 where the file does not say.
    """

    pixels: np.ndarray
    pts: int
    duration: int


@dataclass(frozen=True)
class Film:
    """A film in a file.

    Args:
        name: the path as given.
        stream: number of its stream in the file.
        width: in pixels, upright.
        height: the same.
        tick: seconds.
        begin: of the first frame, in ticks.
        rate: frames a second, on average.
        length: number of frames, as far as the file says; 0 where it does not.
        seconds: how long it is, as far as the file says.
        has: what its pixel format holds.
        colour: what its numbers stand for.
        aspect: of a pixel, upright: width over height; None where the file does not say.
        turn: quarter turns to the left that make it upright.
        mirrored: whether it is mirrored from left to right after that.
    """

    name: str
    stream: int
    width: int
    height: int
    tick: Fraction
    begin: int
    rate: Fraction
    length: int
    seconds: Fraction
    has: Layout
    colour: Colour
    aspect: Fraction | None
    turn: int = 0
    mirrored: bool = False

    def frames(
        self,
        after: int | None = None,
        start: Fraction | None = None,
        end: Fraction | None = None,
        told: list[str] | None = None,
    ) -> Iterator[Frame]:
        """Decodes frames.

        Args:
            after: ticks; only frames that come later, if given.
            start: seconds from the film's beginning, of the first frame.
            end: the same, of the first one that is left out.
            told: gets a line on each thing that is wrong with the film and was passed over.

        Raises:
            FilmError: if nothing of the film can be decoded.
        """
        first = self.begin if start is None else self.begin + -(-start // self.tick)
        if after is not None:
            first = max(first, after + 1)
        last = None if end is None else self.begin + end / self.tick
        damaged: list[str] = []
        shown: int | None = None
        # One behind: how long a frame is shown is known when the next one comes.
        waiting: Frame | None = None
        for frame in self._decoded(first, damaged):
            shown = frame.pts
            if waiting is not None:
                yield waiting._replace(duration=shown - waiting.pts)
                waiting = None
            if last is not None and shown >= last:
                break
            if shown >= first:
                waiting = frame
        else:
            if waiting is not None:
                yield waiting._replace(duration=self._last_duration(waiting))
            self._tell_of_end(shown, told)
        if damaged and told is not None:
            told.append(f"{len(damaged)} damaged parts were left out: {damaged[0]}")

    def _decoded(self, first: int, damaged: list[str]) -> Iterator[Frame]:
        frames = decoded_from(self.name, self.stream, self.begin, self.tick, first, damaged)
        with closing(frames):
            yield from _timed(self, frames, ToRGB(self.colour, self.has), first)

    def _last_duration(self, frame: Frame) -> int:
        usual = 1 / self.rate / self.tick
        left = self.begin + self.seconds / self.tick - frame.pts
        return round(left if 0 < left < 10 * usual else frame.duration or usual)

    def _tell_of_end(self, shown: int | None, told: list[str] | None) -> None:
        if told is None or shown is None or not self.seconds:
            return
        lasted = (shown - self.begin) * self.tick + 1 / self.rate
        if lasted < self.seconds - max(_LACKING, 3 / self.rate):
            told.append(f"breaks off after {float(lasted):.2f} of {float(self.seconds):.2f} s")


def open_film(name: str) -> Film:
    """Reads what a film is, and decodes its first frame.

    Raises:
        FilmError: if it cannot be read, has no pictures, is interlaced or of high dynamic range.
    """
    with open_input(name) as container:
        stream = _main_stream(container, name)
        damaged: list[str] = []
        with closing(decoded(container, stream, damaged)) as frames:
            frame = next(frames, None)
        if frame is None:
            why = damaged[0] if damaged else "it has none"
            raise FilmError(f"{name}: expected frames that can be decoded: {why}")
        return _described(name, container, stream, frame)


def _main_stream(container: Any, name: str) -> Any:
    covers = {s.index for s in container.streams.video if s.disposition & COVER}
    films = [each for each in container.streams.video if each.index not in covers]
    if not films:
        raise FilmError(f"{name}: expected a film, found no pictures in it")
    best = max(films, key=lambda each: (each.width or 0) * (each.height or 0))
    if best.codec_context is None:
        raise FilmError(f"{name}: there is no decoder for its pictures")
    return best


def _described(name: str, container: Any, stream: Any, frame: Any) -> Film:
    if frame.interlaced_frame:
        raise FilmError(
            f"{name}: is interlaced: each frame is of two moments; deinterlace it first, for "
            "example with ffmpeg -vf bwdif"
        )
    turn, mirrored = _orientation(name, frame)
    aspect = stream.sample_aspect_ratio
    across, down = frame.width, frame.height
    if turn % 2:
        across, down = down, across
        aspect = aspect and 1 / aspect
    tick = stream.time_base
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    seconds = Fraction(0)
    if stream.duration:
        seconds = stream.duration * tick
    elif container.duration:
        seconds = Fraction(container.duration, 1_000_000)
    begin = _time(frame)
    return Film(
        name,
        stream.index,
        across,
        down,
        tick,
        0 if begin is None else begin,
        rate,
        stream.frames or round(seconds * rate),
        seconds,
        layout(frame.format),
        colour_of(name, frame),
        aspect or None,
        turn,
        mirrored,
    )


def _orientation(name: str, frame: Any) -> tuple[int, bool]:
    """Returns the quarter turns to the left, and whether to mirror then, that make it upright."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return 0, False
    values = struct.unpack("=9i", bytes(matrix))
    a, b, c, d = (round(values[i] / 65536) for i in (0, 1, 3, 4))
    exact = {abs(a), abs(b)} == {0, 1} and abs(a) == abs(d) and abs(b) == abs(c)
    if not exact:
        raise FilmError(f"{name}: expected a film turned by quarters, received {frame.rotation}°")
    # x' = a x + c y and y' = b x + d y, with y downwards; mirrored where it turns the other way.
    mirrored = a * d - b * c < 0
    if mirrored:
        a, c = -a, -c  # what is left is a turn, before it is mirrored
    return {(1, 0): 0, (0, -1): 1, (-1, 0): 2, (0, 1): 3}[a, b], mirrored


def _time(frame: Any) -> int | None:
    return frame.pts if frame.pts is not None else frame.dts


def _timed(film: Film, frames: Iterator[Any], to_rgb: ToRGB, first: int) -> Iterator[Frame]:
    """Yields frames in RGB, with times that grow; those before `first` are not converted."""
    usual = max(1, round(1 / film.rate / film.tick))
    before: int | None = None
    for frame in frames:
        pts = _time(frame)
        if pts is None:
            pts = film.begin if before is None else before + usual
        if before is not None and pts <= before:
            pts = before + 1
        before = pts
        if pts < first:
            yield Frame(np.empty(0), pts, 0)
            continue
        pixels = to_rgb(frame)
        if film.turn:
            pixels = np.rot90(pixels, film.turn)
        if film.mirrored:
            pixels = pixels[:, ::-1]
        expected = (film.height, film.width)
        if pixels.shape[:2] != expected:
            raise FilmError(
                f"{film.name}: changes its size from {film.width}x{film.height} to "
                f"{pixels.shape[1]}x{pixels.shape[0]}, which one film cannot"
            )
        yield Frame(pixels, pts, frame.duration or 0)

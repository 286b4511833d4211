"""One film into another: decoded, run and coded at the same time, segment by segment."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_perceptual.errors import FilmError
from keras_perceptual.files.video.codecs import chosen_codec
from keras_perceptual.files.video.containers import container_of, pyav
from keras_perceptual.files.video.encoder import Coding, Encoder
from keras_perceptual.files.video.joiner import join
from keras_perceptual.files.video.parts import Parts, open_parts
from keras_perceptual.files.video.reader import Film, Frame, open_film
from keras_perceptual.inference.request import Choice, Progress, Request, gathered
from keras_perceptual.inference.sequence import Sequence, State
from keras_perceptual.pixels.condition import Condition, inspect
from keras_perceptual.pixels.rows import RowReader
from keras_perceptual.system.ahead import ahead
from keras_perceptual.system.processor import cores

__all__ = ["FilmConversion", "FilmProgress", "Shown"]

LENGTH = 120  # frames of a segment
LOOKS = 5  # frames all over a film that are looked at to decide on it


class FilmProgress(float):
    """The fraction of a film that is done, as a number that also knows its frames.

    Attributes:
        frames: that are done.
        total: of them, as far as the file says; else 0.
    """

    frames: int
    total: int

    def __new__(cls, frames: int, total: int) -> FilmProgress:
        made = super().__new__(cls, min(1.0, frames / total) if total else 0.0)
        made.frames, made.total = frames, total
        return made


class Shown(NamedTuple):
    """A frame of a result.

    Args:
        pixels: `[h, w, 3]` RGB, or 4 with opacity, uint8, or uint16 of a film of more than 8 bits.
        time: seconds from the beginning of what was taken.
    """

    pixels: np.ndarray
    time: Fraction


@dataclass(frozen=True)
class FilmConversion:
    """How films become others.

    Args:
        sequence: from a state, empty at first, to what takes the frames.
        size: from a frame's (height, width) to the result's.
        settings: what the result depends on, of what JSON has.
        crop: (x, y, width, height) in pixels of the part to take; None takes all.
        codec: one of `codecs.CODECS`; None takes the container's usual one.
        quality: 1 to 100; None loses nothing.
        start: seconds of the film from which it is taken.
        end: seconds at which it ends.
        resume: whether to go on with what a run left that was stopped.
        colour: whether gray films may get colour.
        strip_metadata: whether to leave titles and the like out.
        chosen: called with what was decided for the film.
        noted: called with a line on each thing that is worth knowing.
        threads: processor cores to use; all by default.
    """

    sequence: Callable[[State], Sequence]
    size: Callable[[int, int], tuple[int, int]]
    settings: dict[str, Any]
    crop: tuple[int, int, int, int] | None = None
    codec: str | None = None
    quality: int | None = 95
    start: float | Fraction | None = None
    end: float | Fraction | None = None
    resume: bool = False
    colour: bool = False
    strip_metadata: bool = False
    chosen: Callable[[Choice], None] | None = None
    noted: Callable[[str], None] | None = None
    threads: int | None = None

    def run(
        self, source: str | os.PathLike, target: str | os.PathLike, progress: Progress | None = None
    ) -> tuple[int, int]:
        """Reads one film and writes the other, all of it or nothing.

        Args:
            source: the file to read.
            target: the file to write.
            progress: called with a `FilmProgress` after each frame.

        Returns:
            (height, width) of what was written.

        Raises:
            FilmError: if either cannot be read or written, they are the same, the crop lies
                outside, nothing lies between `start` and `end`, or what was begun is of another
                film or other settings.
        """
        to = Path(target)
        kind = container_of(to)
        if to.exists() and os.path.exists(source) and os.path.samefile(source, to):
            raise FilmError(f"{to}: is the input; name another output")
        film = open_film(os.fspath(source))
        size = self.size(*self._part(film)[2:])
        codec = chosen_codec(str(to), self.codec, kind, film.has.alpha)
        coding = Coding(
            str(to),
            codec,
            self.quality,
            *size[::-1],
            film.rate,
            film.has._replace(gray=film.has.gray and not self.colour),
            film.colour,
            film.aspect,
            kind.reorders,
            cores(self.threads),
        )
        start, end = self._span
        notes: list[str] = []
        with open_parts(to, self._plan(film, coding), self.resume) as parts:
            self._make(film, size, coding, parts, notes, progress)
            if not parts.finished:
                raise FilmError(f"{film.name}: expected frames between --start and --end")
            if progress:
                progress(FilmProgress(1, 1))  # may end it, until the end
            lost = join(to, film, parts.finished, coding, start, end, self.strip_metadata)
        for note in (*notes, *(f"left out, {to.suffix} has no place for it: {n}" for n in lost)):
            if self.noted:
                self.noted(note)
        return size

    def frames(self, source: str | os.PathLike) -> Iterator[Shown]:
        """Yields the frames of the result, one by one, and writes nothing."""
        film = open_film(os.fspath(source))
        size = self.size(*self._part(film)[2:])
        start, end = self._span
        origin = film.begin * film.tick + (start or 0)
        inspected = cache(lambda: _condition(film))
        with closing(ahead(film.frames(None, start, end))) as decoded:
            for frame, _ in self._made(film, size, decoded, {}, inspected, 0):
                yield Shown(frame.pixels, frame.pts * film.tick - origin)

    @property
    def _span(self) -> tuple[Fraction | None, Fraction | None]:
        start, end = (
            None if each is None else Fraction(each).limit_denominator(1_000_000)
            for each in (self.start, self.end)
        )
        return start, end

    def _part(self, film: Film) -> tuple[int, int, int, int]:
        """Returns (x, y, height, width) of what is taken of each frame."""
        x, y, across, down = self.crop or (0, 0, film.width, film.height)
        if min(across, down) < 1 or x + across > film.width or y + down > film.height:
            raise FilmError(
                f"{film.name}: expected a crop inside {film.width}x{film.height} pixels, "
                f"received {across}x{down} at {x},{y}"
            )
        return x, y, down, across

    def _plan(self, film: Film, coding: Coding) -> dict[str, Any]:
        status = os.stat(film.name)
        described = [repr(each) for each in (replace(coding, name="", threads=1), film.tick)]
        return {
            "source": [Path(film.name).name, status.st_size, status.st_mtime_ns],
            "coding": described,
            "settings": self.settings,
            "part": [repr(each) for each in (self.crop, *self._span)],
            "ffmpeg": {k: list(v) for k, v in pyav(film.name).library_versions.items()},
        }

    def _make(
        self,
        film: Film,
        size: tuple[int, int],
        coding: Coding,
        parts: Parts,
        notes: list[str],
        progress: Progress | None,
    ) -> None:
        """Makes the segments that are not there yet."""
        told = parts.plan.get("told", {})

        @cache
        def inspected() -> Condition:
            found = Condition(*told["condition"]) if "condition" in told else _condition(film)
            told["condition"] = list(found)
            return found

        start, end = self._span
        done = sum(len(part.times) for part in parts.finished)
        total = _total(film, start, end)
        state = parts.finished[-1].state if parts.finished else {}
        parts.begin(told)
        with closing(ahead(film.frames(parts.last, start, end, notes))) as decoded:
            made = self._made(film, size, decoded, state, inspected, done)
            with closing(made):
                for first in made:
                    if len(parts.finished) == 0:
                        parts.begin(told)
                    segment = itertools.chain([first], itertools.islice(made, LENGTH - 1))
                    times: list[tuple[int, int]] = []
                    with Encoder(parts.next_path, coding) as encoder:
                        for frame, after in segment:
                            encoder.write(frame.pixels)
                            times.append((frame.pts, frame.duration))
                            state = after
                            done += 1
                            if progress:
                                progress(FilmProgress(done, total))
                    parts.finish(times, state)

    def _made(
        self,
        film: Film,
        size: tuple[int, int],
        decoded: Iterable[Frame],
        state: State,
        inspected: Callable[[], Condition],
        done: int,
    ) -> Generator[tuple[Frame, State], None, None]:
        """Yields frames of the result, and at the end of each segment what comes after it."""
        sequence = self.sequence(state)
        x, y, height, width = self._part(film)
        workers = cores(self.threads) + 1  # one more, to round while the others run the network
        running: deque[tuple[Frame, Future, State]] = deque()

        def finished() -> tuple[Frame, State]:
            frame, future, after = running.popleft()
            return frame._replace(pixels=future.result()), after

        with ThreadPoolExecutor(workers, "film") as pool:
            try:
                for number, frame in enumerate(decoded, done):
                    request = Request.of(
                        frame.pixels[y : y + height, x : x + width],
                        size,
                        chosen=self.chosen if number == done else None,
                    )
                    request = replace(request, inspect=inspected)
                    pipeline = sequence.pipeline(request)
                    after = sequence.state() if number % LENGTH == LENGTH - 1 else {}
                    running.append((frame, pool.submit(gathered, pipeline, request), after))
                    if len(running) >= workers:
                        yield finished()
                while running:
                    yield finished()
            finally:
                for _, future, _ in running:
                    future.cancel()


def _total(film: Film, start: Fraction | None, end: Fraction | None) -> int:
    """Returns how many frames there are to make, as far as the file says."""
    if start is None and end is None:
        return film.length
    last = film.seconds if end is None else min(end, film.seconds or end)
    return max(0, round((last - (start or 0)) * film.rate))


def _condition(film: Film) -> Condition:
    """Looks at frames all over a film: what half of them have is what it has."""
    seen = []
    for place in range(LOOKS):
        start = film.seconds * place / LOOKS
        for frame in itertools.islice(film.frames(start=start), 1):
            pixels = frame.pixels
            found = inspect(RowReader(pixels), *pixels.shape[:2])
            seen.append((found.blocks, found.noise, found.colour_noise, found.both_blocks))
    blocks, noise, colour_noise, both_blocks = np.median(seen, axis=0).tolist()
    return Condition(blocks, noise, colour_noise, both_blocks=both_blocks)

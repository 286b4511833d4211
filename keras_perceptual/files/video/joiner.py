"""Segments and what else belongs to a film, put into one file; nothing is coded again."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

from keras_perceptual.errors import FilmError
from keras_perceptual.files.video.codecs import CODECS
from keras_perceptual.files.video.containers import COVER, Container, container_of, failure, pyav
from keras_perceptual.files.video.decoding import open_input
from keras_perceptual.files.video.encoder import SEGMENT, Coding
from keras_perceptual.files.video.parts import Part
from keras_perceptual.files.video.reader import Film
from keras_perceptual.system.atomic import atomic_path

__all__ = ["decoding_times", "join"]

# What FFmpeg finds out itself, or would no longer be true.
_OWN = {
    "major_brand", "minor_version", "compatible_brands", "encoder", "rotate", "duration",
    "BPS", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES", "DURATION",
}  # fmt: skip


def decoding_times(shown: list[int], usual: int) -> list[int]:
    """Returns when frames are to be decoded.

    An encoder gives times of its own to a segment, which do not fit those of the segment before.
    The times that frames are shown at, in order and as late as frames are stored out of order, do.

    Args:
        shown: when each frame is shown, in the order in which they are stored.
        usual: between two frames; in the same ticks.

    Returns:
        As many; each is later than the one before and not later than the frame is shown.
    """
    ordered = sorted(shown)
    place = {pts: i for i, pts in enumerate(ordered)}
    delay = max((i - place[pts] for i, pts in enumerate(shown)), default=0)
    before = [ordered[0] - (delay - i) * usual for i in range(delay)] if shown else []
    return (before + ordered)[: len(shown)]


def join(
    target: Path,
    film: Film,
    parts: list[Part],
    coding: Coding,
    start: Fraction | None = None,
    end: Fraction | None = None,
    strip_metadata: bool = False,
) -> list[str]:
    """Writes the film, all of it or nothing.

    Args:
        target: the file to write.
        film: where sound, subtitles, chapters and metadata come from.
        parts: the segments, in order.
        coding: of them.
        start: seconds of the film that the segments begin at, and
        end: those that they end at, by which the rest is cut too.
        strip_metadata: whether to leave titles and the like out.

    Returns:
        A line on each stream that this kind of file cannot hold.

    Raises:
        FilmError: if it cannot be written.
    """
    av = pyav(film.name)
    kind = container_of(target)
    try:
        with atomic_path(target) as beside, ExitStack() as stack:
            source = stack.enter_context(open_input(film.name))
            output = stack.enter_context(
                av.open(str(beside), "w", format=kind.name, container_options=dict(kind.options))
            )
            return _Joining(film, source, output, kind, start, end, strip_metadata).run(
                parts, coding
            )
    except (av.FFmpegError, OSError, ValueError) as error:
        raise FilmError(f"{target}: cannot be written: {failure(error)}") from error


class _Joining:
    def __init__(
        self,
        film: Film,
        source: Any,
        output: Any,
        kind: Container,
        start: Fraction | None,
        end: Fraction | None,
        strip_metadata: bool,
    ) -> None:
        self._film, self._source, self._output, self._kind = film, source, output, kind
        origin = film.begin * film.tick
        # Seconds of the source's clock that are taken, and what becomes 0.
        self._first = origin + start if start is not None else None
        self._last = origin + end if end is not None else None
        self._shift = self._first or Fraction(0)
        self._strip = strip_metadata
        self._streams: dict[int, Any] = {}
        self._lost: list[str] = []

    def run(self, parts: list[Part], coding: Coding) -> list[str]:
        with pyav(self._film.name).open(str(parts[0].path), format=SEGMENT) as first:
            for stream in self._source.streams:
                if stream.index == self._film.stream:
                    video = self._video(first.streams.video[0], coding)
                else:
                    self._copy_stream(stream)
        if not self._strip:
            self._output.metadata.update(_kept(self._source.metadata))
        self._output.set_chapters(self._chapters())
        for packet in heapq.merge(self._pictures(parts, video), self._others(), key=_when):
            self._output.mux(packet)
        return self._lost

    def _video(self, segment: Any, coding: Coding) -> Any:
        film = self._film
        video = self._output.add_stream_from_template(segment, opaque=True)
        video.time_base = 1 / coding.rate if self._kind.even else film.tick
        self._even = self._kind.even and coding.rate
        if coding.aspect:
            video.codec_context.sample_aspect_ratio = coding.aspect
            # PyAV gives it to the codec; Matroska and AVI ask the stream, or read the codec's own.
            stored = self._kind.name in ("mp4", "mov") or coding.codec in ("h264", "hevc")
            if coding.aspect != 1 and not stored:
                self._lost.append(
                    f"pixels of {coding.aspect.numerator}:{coding.aspect.denominator}"
                )
        self._extradata = segment.codec_context.extradata
        tag = CODECS[coding.codec].tag
        if tag and self._kind.name in ("mp4", "mov"):
            video.codec_context.codec_tag = tag
        source = self._source.streams[film.stream]
        video.metadata.update(_kept(source.metadata))
        video.disposition = source.disposition
        return video

    def _copy_stream(self, stream: Any) -> None:
        copy = None
        with suppress(ValueError, pyav(self._film.name).FFmpegError):
            if stream.type in self._kind.holds:
                copy = self._output.add_stream_from_template(stream, opaque=True)
        if copy is None:
            # QuickTime has its chapters as a stream too, which is written anew.
            if stream.type != "data" or stream.name != "bin_data":
                self._lost.append(f"{stream.type} {stream.name or ''}".rstrip())
            return
        copy.time_base = stream.time_base
        copy.metadata.update(_kept(stream.metadata))
        copy.disposition = stream.disposition
        self._streams[stream.index] = copy

    def _chapters(self) -> list[dict[str, Any]]:
        chapters = []
        for each in self._source.chapters():
            tick = each["time_base"]
            begin, stop = each["start"] * tick, each["end"] * tick
            if self._last is not None:
                stop = min(stop, self._last)
            begin = max(begin, self._first or begin)
            if begin < stop:
                span = (round((t - self._shift) / tick) for t in (begin, stop))
                chapters.append({**each, **dict(zip(("start", "end"), span, strict=True))})
        return chapters

    def _pictures(self, parts: list[Part], video: Any) -> Iterator[Any]:
        """Yields the packets of all segments."""
        stored = [pts for part in parts for pts in self._stored(part)]
        usual = max(1, round(1 / self._film.rate / self._film.tick))
        decoded = iter(decoding_times(stored, usual))
        shift = round(self._shift / self._film.tick)
        for part in parts:
            for packet, number in self._packets(part):
                pts, duration = part.times[number]
                packet.stream = video
                packet.time_base = self._film.tick
                packet.pts, packet.dts = pts - shift, next(decoded) - shift
                packet.duration = duration or usual
                if self._even:
                    self._number(packet)
                yield packet

    def _number(self, packet: Any) -> None:
        """Gives a packet the numbers that AVI has instead of times."""
        numbers = [t * self._film.tick * self._even for t in (packet.pts, packet.dts)]
        if any(abs(n - round(n)) > Fraction(1, 20) for n in numbers):
            raise FilmError(
                f"{self._film.name}: has frames at uneven times, which AVI cannot have; "
                "write a .mkv or .mp4"
            )
        packet.time_base = 1 / self._even
        packet.pts, packet.dts = map(round, numbers)
        packet.duration = 1

    def _stored(self, part: Part) -> list[int]:
        return [part.times[number][0] for _, number in self._packets(part)]

    def _packets(self, part: Part) -> Iterator[tuple[Any, int]]:
        """Yields packets and the numbers of their frames, in the order of storage."""
        with pyav(self._film.name).open(str(part.path), format=SEGMENT) as container:
            stream = container.streams.video[0]
            if stream.codec_context.extradata != self._extradata:
                raise FilmError(
                    f"{self._film.name}: its segments were coded by different versions of the "
                    "encoder; without --resume it begins anew"
                )
            for packet in container.demux(stream):
                if packet.size:
                    number = round(packet.pts * packet.time_base * 1000)
                    for stored in self._as_kept(packet, stream):
                        yield stored, number

    def _as_kept(self, packet: Any, stream: Any) -> list[Any]:
        """Returns a packet as the kind of file has it: AVI wants H.264 with start codes."""
        if not self._kind.even or stream.name != "h264":
            return [packet]
        av = pyav(self._film.name)
        return av.bitstream.BitStreamFilterContext("h264_mp4toannexb", stream).filter(packet)

    def _others(self) -> Iterator[Any]:
        """Yields the packets of what is copied, as they are."""
        if not self._streams:
            return
        streams = [self._source.streams[index] for index in self._streams]
        if self._first is not None and self._first > 1:
            self._source.seek(int((self._first - 1) * 1_000_000), backward=True)
        for packet in self._source.demux(*streams):
            if not packet.size:
                continue
            stream = self._source.streams[packet.stream_index]
            tick = packet.time_base or stream.time_base
            time = packet.pts if packet.pts is not None else packet.dts
            cover = bool(stream.disposition & COVER)
            if time is not None and not cover:
                if (
                    self._first is not None
                    and (time + (packet.duration or 0)) * tick <= self._first
                ):
                    continue
                if self._last is not None and time * tick >= self._last:
                    continue
                shift = round(self._shift / tick)
                packet.pts = None if packet.pts is None else packet.pts - shift
                packet.dts = None if packet.dts is None else packet.dts - shift
            packet.stream = self._streams[packet.stream_index]
            yield packet


def _when(packet: Any) -> float:
    time = packet.dts if packet.dts is not None else packet.pts
    return float(time * packet.time_base) if time is not None else -1.0


def _kept(metadata: dict[str, str]) -> dict[str, str]:
    return {
        k: v for k, v in metadata.items() if k.removesuffix("-eng") not in _OWN and k[:1] != "_"
    }

"""Frames of a file as FFmpeg decodes them, from anywhere in it."""

from __future__ import annotations

from collections.abc import Generator
from fractions import Fraction
from pathlib import Path
from typing import Any

from keras_perceptual.errors import FilmError, image_errors
from keras_perceptual.files.video.containers import failure, pyav

__all__ = ["decoded", "decoded_from", "open_input"]

_BEFORE = 2  # seconds before a frame from which decoding begins: what comes first may be broken
_Frames = Generator[Any, None, None]


def open_input(name: str) -> Any:
    """Opens a film's file with PyAV.

    Raises:
        FilmError: if it is missing or is no film, or PyAV is not installed.
    """
    av = pyav(name)
    if Path(name).is_dir():
        raise FilmError(f"{name}: is a folder, expected a film")
    try:
        return av.open(name, "r", metadata_errors="replace")
    except FileNotFoundError:
        raise FilmError(f"{name}: no such file") from None
    except (av.FFmpegError, OSError, ValueError, RuntimeError) as error:
        raise FilmError(f"{name}: cannot be read as a film: {failure(error)}") from None


def decoded(container: Any, stream: Any, damaged: list[str]) -> _Frames:
    """Decodes a stream and passes over what cannot be decoded.

    Args:
        container: PyAV's, of the file.
        stream: of it.
        damaged: gets a line on each thing that was passed over.
    """
    av = pyav("films")
    stream.thread_type = "AUTO"
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.FFmpegError, OSError) as error:
            damaged.append(failure(error))
            packet = None
        try:
            yield from stream.decode(packet)
        except av.EOFError:
            return
        except (av.FFmpegError, OSError) as error:
            damaged.append(failure(error))
        if packet is None or packet.size == 0:
            return


def decoded_from(
    name: str, number: int, begin: int, tick: Fraction, first: int, damaged: list[str]
) -> _Frames:
    """Yields frames of a file, from a place or somewhat before.

    Args:
        name: the path.
        number: of the stream.
        begin: of its first frame, in ticks.
        tick: seconds.
        first: of the first frame that is wanted, in ticks.
        damaged: gets a line on each thing that was passed over.

    Raises:
        FilmError: if the file cannot be read.
    """
    with image_errors(name, "cannot be read"), open_input(name) as container:
        target = int(first - _BEFORE / tick)
        if target > begin:
            frames = _sought(container, container.streams[number], target, first, damaged)
            if frames is not None:
                yield from frames
                return
    with image_errors(name, "cannot be read"), open_input(name) as container:
        yield from decoded(container, container.streams[number], damaged)


def _sought(
    container: Any, stream: Any, target: int, first: int, damaged: list[str]
) -> _Frames | None:
    """Returns frames from before `first` on; None where the file does not lead there."""
    av = pyav("films")
    try:
        container.seek(target, stream=stream, backward=True)
        frames = decoded(container, stream, damaged)
        frame = next(frames, None)
    except (av.FFmpegError, OSError):
        return None
    if frame is None or frame.pts is None or frame.pts > first:
        damaged.clear()
        return None

    def all_of_them() -> _Frames:
        yield frame
        yield from frames

    return all_of_them()

"""Kinds of film files, by their endings, and the package that reads and writes them."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from keras_perceptual.errors import FilmError, reason

__all__ = [
    "CONTAINERS",
    "COVER",
    "READABLE",
    "Container",
    "container_of",
    "ending_for",
    "failure",
    "is_film",
    "pyav",
]


class Container(NamedTuple):
    """A kind of file.

    Args:
        name: FFmpeg's.
        codecs: what it may hold of `codecs.CODECS`; the first is the usual one.
        alpha: the one for films with opacity, or nothing.
        reorders: whether frames may be stored in another order than they are shown in.
        even: whether it has one frame rate and no times.
        holds: kinds of streams that are copied into it.
        options: of FFmpeg's writer.
    """

    name: str
    codecs: tuple[str, ...]
    alpha: str = ""
    reorders: bool = True
    even: bool = False
    holds: tuple[str, ...] = ("audio", "subtitle", "video")
    options: tuple[tuple[str, str], ...] = ()


COVER = 1 << 10  # FFmpeg's disposition of a picture that stands for the file
_OLDEST = 18  # of PyAV
# The index at the beginning, so that a film plays while it is fetched.
_FAST = (("movflags", "+faststart"),)
# Times as they are, also of sound that begins before the first frame.
_AS_IT_IS = (("avoid_negative_ts", "disabled"),)
_MP4 = Container("mp4", ("h264", "hevc", "av1", "vp9"), options=_FAST)
CONTAINERS = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": Container("mov", ("h264", "hevc", "prores"), "prores", options=_FAST),
    ".mkv": Container(
        "matroska",
        ("h264", "hevc", "av1", "vp9", "ffv1", "prores"),
        "ffv1",
        holds=("audio", "subtitle", "video", "attachment"),
        options=_AS_IT_IS,
    ),
    ".webm": Container("webm", ("vp9", "av1"), "vp9", options=_AS_IT_IS),
    ".avi": Container("avi", ("h264", "ffv1"), "ffv1", reorders=False, even=True, holds=("audio",)),
}
# What is read and not written becomes Matroska, which holds nearly any sound and subtitles.
READABLE = {
    *CONTAINERS, ".3gp", ".asf", ".flv", ".m2ts", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts",
    ".vob", ".wmv", ".y4m",
}  # fmt: skip


def is_film(path: object) -> bool:
    """Says whether a path has a film's ending."""
    return isinstance(path, str | os.PathLike) and Path(path).suffix.lower() in READABLE


def ending_for(path: str | os.PathLike) -> str:
    """Returns the ending of what a film becomes: its own, if such files can be written."""
    own = Path(path).suffix
    return own if own.lower() in CONTAINERS else ".mkv"


def container_of(path: str | os.PathLike) -> Container:
    """Returns the kind of a file to write.

    Raises:
        FilmError: if films are not written with that ending.
    """
    ending = Path(path).suffix.lower()
    if ending not in CONTAINERS:
        raise FilmError(f"{path}: expected an ending of {', '.join(CONTAINERS)} for a film")
    return CONTAINERS[ending]


def pyav(name: str) -> ModuleType:
    """Returns PyAV.

    Args:
        name: of the film that it is needed for.

    Raises:
        FilmError: if it is not installed, or too old.
    """
    try:
        import av
    except ImportError as error:
        raise FilmError(f"{name}: films need a package of their own: pip install av") from error
    if int(av.__version__.partition(".")[0]) < _OLDEST:
        raise FilmError(
            f"{name}: films need av {_OLDEST} or later, found {av.__version__}; pip install -U av"
        )
    return av


def failure(error: Exception) -> str:
    """Returns what one of PyAV's exceptions says, without numbers and paths."""
    return str(getattr(error, "strerror", None) or reason(error))

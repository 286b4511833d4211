"""All exception classes, and messages of one line."""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Iterator

__all__ = [
    "BlendError",
    "Cancelled",
    "ClusterError",
    "DataError",
    "EngineError",
    "ExportError",
    "FilmError",
    "ImageError",
    "ImageSizeError",
    "LPIPSError",
    "LossNetworkError",
    "OnnxError",
    "PerceptualError",
    "TrainingError",
    "ZooError",
    "damage",
    "first_line",
    "image_errors",
    "one_line",
    "reason",
]


class PerceptualError(Exception):
    """What cannot be done, in one line for people: what was expected, found, and helps."""


class ImageError(PerceptualError):
    """A file that cannot be read as an image, or written as one."""


class ImageSizeError(ImageError):
    """A picture that is larger than is allowed, or than memory is."""


class FilmError(ImageError):
    """A film that cannot be read, or written."""


class ZooError(PerceptualError):
    """A model that does not ship."""


class EngineError(PerceptualError):
    """A model file that cannot be loaded or run."""


class OnnxError(EngineError):
    """A model that ONNX has no equal of, or packages or devices that are not there."""


class BlendError(PerceptualError):
    """Two models whose weights do not correspond."""


class LossNetworkError(PerceptualError):
    """Weights of a loss network that cannot be had or do not fit."""


class LPIPSError(PerceptualError):
    """LPIPS weights that cannot be had or do not fit."""


class DataError(PerceptualError):
    """A folder that holds no photograph to train on."""


class TrainingError(PerceptualError):
    """A run that cannot start or go on."""


class ClusterError(PerceptualError):
    """Several machines, or several processes, that cannot begin or go on together."""


class ExportError(PerceptualError):
    """An export that cannot be made, or that differs from its model."""


class Cancelled(BaseException):
    """Work that was given up on purpose: not an error, and nothing to be caught as one."""


def first_line(error: Exception) -> str:
    """Returns the first line of an exception's message, or its name if it has none."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


@contextlib.contextmanager
def image_errors(name: str, what: str) -> Iterator[None]:
    """Turns whatever goes wrong inside into an ImageError of one line that begins with a name.

    Codecs raise nearly anything on broken files; what they raised is kept as the cause.

    Args:
        name: of the file.
        what: failed, such as `cannot be read`.
    """
    try:
        yield
    except ImageError:
        raise
    except FileNotFoundError as error:
        told = "no such file" if what == "cannot be read" else f"{what}: no such folder"
        raise ImageError(f"{name}: {told}") from error
    except IsADirectoryError as error:
        raise ImageError(f"{name}: is a folder, expected an image file") from error
    except MemoryError as error:
        raise ImageError(f"{name}: {what}: not enough memory") from error
    except Exception as error:
        told = damage(error) if what == "cannot be read" else reason(error)
        raise ImageError(f"{name}: {what}: {told}") from error


def reason(error: Exception) -> str:
    """Returns what an exception says to people, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if hasattr(error, "detail"):  # libvips: "part: what it says" in each line; or nothing
        lines = [line.partition(": ")[2] or line for line in str(error.detail).splitlines()]
        told = [line for line in lines if line and not _BESIDE.match(line)]
        return told[-1] if told else _DAMAGED
    return first_line(error)


_DAMAGED = "it breaks off or is damaged"
_BESIDE = re.compile(r"unable to|bad seek| ?\(")  # libvips: what follows from what went wrong
# What says nothing to those who did not write the decoder: some of its messages, and Python's.
_INSIDE = re.compile(
    r"(libpng|fread)? ?read error|(en|de)coder error|broken data stream|cannot load this image"
    r"|not enough image data|unexpected end of file|unrecognized data stream contents",
    re.IGNORECASE,
)
_PYTHON = (
    ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, UnicodeError,
    struct.error,
)  # fmt: skip


def damage(error: Exception) -> str:
    """Returns what an exception says of a file that cannot be read, in one line."""
    told = reason(error)
    inside = isinstance(error, _PYTHON) or _INSIDE.match(told) or told == type(error).__name__
    return _DAMAGED if inside else told


def one_line(text: str) -> str:
    """Returns a text with what a file's name may hold and a line may not as backslashed codes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)

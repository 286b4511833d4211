"""What goes wrong, in one line for people."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

__all__ = ["ImageError", "first_line", "image_errors", "one_line", "reason"]


class ImageError(Exception):
    """A file that cannot be read as an image, or written as one."""


def first_line(error: Exception) -> str:
    """Returns the first line of an exception's message, or its name if it has none."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


@contextlib.contextmanager
def image_errors(name: str, what: str) -> Iterator[None]:
    """Turns whatever goes wrong inside into an ImageError of one line that begins with a name.

    Codecs raise nearly anything on files broken with skill.

    Args:
        name: of the file.
        what: failed, such as `cannot be read`.
    """
    try:
        yield
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise ImageError(f"{name}: is a folder, expected an image file") from None
    except MemoryError:
        raise ImageError(f"{name}: {what}: not enough memory") from None
    except Exception as error:
        raise ImageError(f"{name}: {what}: {reason(error)}") from None


def reason(error: Exception) -> str:
    """Returns what an exception says to people, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if hasattr(error, "detail"):  # libvips: "part: what it says" in each line; or nothing
        lines = [line.partition(": ")[2] or line for line in str(error.detail).splitlines()]
        told = [line for line in lines if line and not line.startswith("unable to open")]
        return told[-1] if told else "damaged or cut short"
    return first_line(error)


def one_line(text: str) -> str:
    """Returns a text with what a file's name may hold and a line may not as backslashed codes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)

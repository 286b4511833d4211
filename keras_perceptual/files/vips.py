"""libvips as it is used here: one thread a file, no cache of operations, quiet."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, BinaryIO

os.environ.setdefault("VIPS_CONCURRENCY", "1")  # rows come in order, one reader a file

import pyvips
import pyvips.vimage

__all__ = ["Guarded", "forget_errors", "pyvips", "stream"]

pyvips.cache_set_max(0)


def _text(message: Any) -> str:
    return pyvips.ffi.string(message).decode(errors="replace") if message else ""


# pyvips takes texts for UTF-8, fails where they quote the bytes of a damaged file, and then has
# that message stand before all later ones.
for _module in (pyvips, pyvips.error, pyvips.vimage):
    _module._to_string = _text


def forget_errors() -> None:
    """Clears what libvips has noted, so that the next error tells of itself alone."""
    pyvips.vips_lib.vips_error_clear()


class Guarded:
    """Makes callbacks for libvips, through which no exception passes, and keeps the first one."""

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __call__(self, act: Callable, failed: Any = -1) -> Callable:
        """Returns the callback of a function; it returns `failed` where that raises."""

        def guarded(*arguments: Any) -> Any:
            try:
                return act(*arguments)
            except BaseException as error:
                self.error = self.error or error
                return failed

        return guarded


def stream(file: BinaryIO) -> pyvips.Source:
    """Returns what libvips reads a file through.

    By its own means it maps files into memory, and a file that another program shortens meanwhile
    then kills the process.

    Args:
        file: open, and not closed while libvips reads.
    """
    guarded, source = Guarded(), pyvips.SourceCustom()
    source.on_read(guarded(file.read, None))
    source.on_seek(guarded(file.seek))
    return source

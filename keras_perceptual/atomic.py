"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["atomic_path", "folder_above", "scratch_file"]


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Gives a path beside `path` to write to, and renames it to `path` if all went well.

    A reader therefore never sees half a file, whenever the writer is killed. Each call has a path
    of its own, so that of several writers the last one's file stands, whole.
    """
    path = Path(path)
    beside = path.with_name(f".{secrets.token_hex(6)}.{path.name[-40:]}")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


@contextlib.contextmanager
def scratch_file(folder: str | os.PathLike) -> Iterator[tuple[BinaryIO, str]]:
    """Gives a hidden file for the time of a `with` statement, and a path that opens it.

    Where the system has files without names, not even `kill -9` leaves it behind.

    Args:
        folder: on whose disk it lies.
    """
    if os.path.isdir("/dev/fd"):
        with tempfile.TemporaryFile(dir=os.fspath(folder)) as file:
            yield file, f"/dev/fd/{file.fileno()}"
    else:
        descriptor, name = tempfile.mkstemp(prefix=".", dir=folder)
        try:
            with open(descriptor, "w+b") as file:
                yield file, name
        finally:
            os.unlink(name)


def folder_above(path: str | os.PathLike) -> Path:
    """Returns the nearest folder above a path that is there."""
    above = Path(path).absolute().parent
    while not above.exists() and above != above.parent:
        above = above.parent
    return above

"""Files that are complete or not there, also when the program that writes them is killed."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["atomic_file", "atomic_path", "folder_above", "scratch_file"]

_OPENED = "/proc/self/fd"  # Linux: the open files by their numbers


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Gives a path beside `path` to write to, and renames it to `path` if all went well.

    A reader therefore never sees half a file. Each call has a path of its own, so that of several
    writers the last one's file stands, whole.
    """
    path = Path(path)
    beside = path.with_name(f".{secrets.token_hex(6)}.{path.name[-40:]}")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Gives a file to write and to read that becomes `path` if all went well.

    Where the system has files without names, not even `kill -9` leaves anything behind.
    """
    path = Path(path)
    descriptor = _nameless(path.parent)
    if descriptor is None:
        with atomic_path(path) as beside, open(beside, "w+b") as file:
            yield file
        return
    with open(descriptor, "w+b") as file, atomic_path(path) as beside:
        yield file
        file.flush()
        folder = os.open(_OPENED, os.O_RDONLY)
        try:
            os.link(str(descriptor), beside, src_dir_fd=folder)
        finally:
            os.close(folder)


def _nameless(folder: Path) -> int | None:
    """Opens a file without a name; None where the system or the disk has none."""
    if not hasattr(os, "O_TMPFILE") or not os.path.isdir(_OPENED):
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o666)
    except OSError:
        return None


@contextlib.contextmanager
def scratch_file(folder: str | os.PathLike) -> Iterator[tuple[BinaryIO, str]]:
    """Gives a hidden file for the time of a `with` statement, and a path that opens it.

    Where the system has files without names, not even `kill -9` leaves it behind.

    Args:
        folder: on whose disk it lies.

    Yields:
        (file, path); nothing is buffered, and a `write` may do less than it is asked.
    """
    if os.path.isdir("/dev/fd"):
        with tempfile.TemporaryFile(dir=os.fspath(folder), buffering=0) as file:
            yield file, f"/dev/fd/{file.fileno()}"
    else:
        descriptor, name = tempfile.mkstemp(prefix=".", dir=folder)
        try:
            with open(descriptor, "w+b", buffering=0) as file:
                yield file, name
        finally:
            os.unlink(name)


def folder_above(path: str | os.PathLike) -> Path:
    """Returns the nearest folder above a path that is there."""
    above = Path(path).absolute().parent
    while not above.exists() and above != above.parent:
        above = above.parent
    return above

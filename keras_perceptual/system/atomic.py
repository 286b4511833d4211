"""Files that are complete or not there, also when the program that writes them is killed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows: leftovers stay
    fcntl = None

__all__ = [
    "atomic_file",
    "atomic_path",
    "check_target",
    "folder_above",
    "hidden_folder",
    "locked",
    "scratch_file",
]

_OPENED = "/proc/self/fd"  # Linux: the open files by their numbers
# Names of files and folders that are not complete.
_FILE, _FOLDER = re.compile(r"\.[0-9a-f]{12}\..+"), re.compile(r"\.writing-[0-9a-z_]{8,12}")
_cleared: set[Path] = set()  # folders


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Gives the path of an empty file to write to, and renames it to `path` if all went well.

    A reader therefore never sees half a file. Each call has a path of its own, so that of several
    writers the last one's file stands, whole. Where `path` is a link, what it points to is
    replaced; a file that is replaced hands on its permissions.

    Raises:
        OSError: if `path` is no file, or one that may not be written to.
    """
    path = check_target(path)
    beside = _beside(path)
    _clear(path.parent)
    with _owned(beside, lambda: beside.touch(exist_ok=False)):
        try:
            yield beside
            _hand_on_mode(path, beside)
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Gives a file to write and to read that becomes `path` if all went well.

    Where the system has files without names, not even `kill -9` leaves anything behind. What it
    leaves elsewhere, the next that writes to the folder removes.

    Raises:
        OSError: as `atomic_path`.
    """
    path = check_target(path)
    descriptor = _nameless(path.parent)
    if descriptor is None:
        with atomic_path(path) as beside, open(beside, "r+b") as file:
            yield file
        return
    _clear(path.parent)
    beside = _beside(path)
    with open(descriptor, "w+b") as file:
        yield file
        file.flush()
        _lock(descriptor, 0)
        folder = os.open(_OPENED, os.O_RDONLY)
        try:
            os.link(str(descriptor), beside, src_dir_fd=folder)
            _hand_on_mode(path, beside)
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
            os.close(folder)


@contextlib.contextmanager
def hidden_folder(folder: Path) -> Iterator[Path]:
    """Makes a hidden folder inside another, and removes it at the end unless it was renamed.

    What `kill -9` leaves of it, the next call removes.
    """
    _clear(folder)
    hidden = folder / f".writing-{os.urandom(6).hex()}"
    with _owned(hidden, hidden.mkdir):
        try:
            yield hidden
        finally:
            shutil.rmtree(hidden, ignore_errors=True)


def check_target(path: str | os.PathLike) -> Path:
    """Returns the file that a path or link stands for, whether it is there yet or not.

    Raises:
        OSError: if it is no file, or one that may not be written to.
    """
    path = Path(os.path.realpath(path)) if os.path.islink(path) else Path(path)
    try:
        mode = os.stat(path).st_mode
    except OSError:  # nothing is there, or nothing can be said
        return path
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(None, "it is a folder")
    if not stat.S_ISREG(mode):
        raise OSError(None, "expected a file, found a pipe or a device; - stands for stdout")
    if not mode & 0o222 or not os.access(path, os.W_OK):  # 0o222: root may write to all
        raise PermissionError(None, "it is write-protected")
    return path


def _hand_on_mode(path: Path, beside: Path) -> None:
    """Gives a new file the permissions of the one that it replaces."""
    with contextlib.suppress(FileNotFoundError):
        os.chmod(beside, stat.S_IMODE(os.stat(path).st_mode))


def _beside(path: Path) -> Path:
    return path.with_name(f".{os.urandom(6).hex()}.{path.name[-40:]}")


@contextlib.contextmanager
def _owned(path: Path, make: Callable[[], None]) -> Iterator[None]:
    """Makes a file or folder and locks it, so that nobody takes it for a leftover."""
    while True:
        make()
        if fcntl is None:
            yield
            return
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDONLY)
            _lock(descriptor, 0)
            if path.exists():  # else somebody removed it before it was locked
                break
            os.close(descriptor)
    try:
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(path: str | os.PathLike) -> Iterator[bool]:
    """Locks a file, which is made if need be, as long as a `with` statement or its process lives.

    Yields:
        Whether nobody else has it; True where the system has no such locks.
    """
    with open(path, "ab") as file:
        yield fcntl is None or _lock(file.fileno(), fcntl.LOCK_NB)


def _lock(descriptor: int, how: int) -> bool:
    """Locks a file as long as its process lives; returns whether that is so."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | how)
    except OSError:  # somebody has it, or the disk has no locks: nothing is removed there
        return False
    return True


def _clear(folder: Path) -> None:
    """Removes what killed processes left in a folder, once for each process and folder."""
    if fcntl is None or folder in _cleared:
        return
    _cleared.add(folder)
    with contextlib.suppress(OSError):
        for entry in [*os.scandir(folder)]:
            with contextlib.suppress(OSError):
                if _FILE.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    _remove(entry.path, os.unlink)
                elif _FOLDER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                    _remove(entry.path, shutil.rmtree)


def _remove(path: str, how: Callable[[str], None]) -> None:
    """Removes what nobody owns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if _lock(descriptor, fcntl.LOCK_NB):
            how(path)
    finally:
        os.close(descriptor)


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

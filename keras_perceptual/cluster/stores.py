"""Folders, and buckets through fsspec: what lies there, and files that are whole or not there."""

from __future__ import annotations

import os
import posixpath
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from keras_perceptual.errors import ClusterError, ImageError, one_line, reason
from keras_perceptual.files import images
from keras_perceptual.system.atomic import atomic_path

__all__ = ["Store", "is_url"]

Returned = TypeVar("Returned")

_WAITS = (0.5, 1, 2, 4, 8, 16)  # seconds between tries, beside the store's own
# What another try does not mend.
_LASTING = (
    FileNotFoundError, IsADirectoryError, NotADirectoryError, NotImplementedError, PermissionError,
    TypeError, ValueError,
)  # fmt: skip
# Where a file appears when all of it is there. Elsewhere it grows under its name.
_WHOLE = {"abfs", "abfss", "az", "gcs", "gs", "oci", "s3", "s3a"}


def is_url(place: str | os.PathLike) -> bool:
    """Returns whether a place is one that fsspec opens, and no folder of this machine."""
    return "://" in os.fspath(place)


class Store:
    """A folder, or a URL that stands for one, such as `s3://bucket/in`.

    Files are named by their paths below it, with `/`. Whatever is written is there whole or not at
    all. What fails in a store and may pass is tried again, with growing waits.

    Args:
        place: the folder or URL.

    Raises:
        ClusterError: if the URL is of a kind that is not known, or that needs a package.
    """

    def __init__(self, place: str) -> None:
        self.place = place.rstrip("/") or "/"
        self._fs: Any = None
        if not is_url(place):
            return
        try:
            import fsspec

            # A list of all names is as long as the bucket, and soon an old one.
            self._fs, root = fsspec.url_to_fs(place, use_listings_cache=False)
        except ImportError as error:
            raise ClusterError(
                f"{place}: URLs need packages of their own: pip install fsspec, and s3fs for s3:// "
                f"({reason(error)})"
            ) from error
        except ValueError as error:
            raise ClusterError(f"{place}: cannot be opened: {reason(error)}") from error
        self._root = root.rstrip("/")
        if posixpath.basename(self._root) in ("", ".."):
            raise ClusterError(f"{place}: expected a bucket, and a folder in it if you like")

    def path(self, name: str) -> str:
        """Returns the path or URL of a file."""
        return posixpath.join(self.place, name) if self._fs else os.path.join(self.place, name)

    def images(self, recursive: bool, failed: Callable[[str], None]) -> list[str]:
        """Lists the images by their endings, hidden ones left out, as people count.

        Args:
            recursive: whether to look in folders inside.
            failed: called with a line for each folder inside that cannot be listed.

        Raises:
            ImageError: if it cannot be listed.
        """
        if self._fs is None:
            found = images.list_images(self.place, recursive, failed)
            return [path.relative_to(self.place).as_posix() for path in found]
        names = [name for name in self._list(None if recursive else 1) if images.is_image(name)]
        return sorted(names, key=_order)

    def files(self) -> set[str]:
        """Returns the names of all files; none where there is no such place yet.

        Raises:
            ImageError: if it cannot be listed.
        """
        if self._fs:
            return set(self._list(None))
        return {
            Path(root, name).relative_to(self.place).as_posix()
            for root, _, names in os.walk(self.place)
            for name in names
        }

    def _list(self, depth: int | None) -> list[str]:
        try:
            found = self._try(self._fs.find, self._root, maxdepth=depth)
        except FileNotFoundError:
            return []
        except Exception as error:  # each store raises its own
            raise ImageError(f"{self.place}: cannot be listed: {reason(error)}") from error
        return [path[len(self._root) + 1 :] for path in found if path != self._root]

    def fetch(self, name: str, folder: Path) -> Path:
        """Returns a file of this machine with the content of a file.

        Args:
            name: of the file.
            folder: to copy it to, from a URL; a file of a folder is its own.

        Raises:
            ImageError: if it cannot be fetched.
        """
        if self._fs is None:
            return Path(self.place, name)
        copy = folder / posixpath.basename(name)
        try:
            self._try(self._fs.get_file, self._key(name), os.fspath(copy))
        except Exception as error:
            raise ImageError(f"{self.path(name)}: cannot be fetched: {_said(error)}") from error
        return copy

    def put(self, path: Path, name: str) -> None:
        """Makes a file of what lies in another on this machine.

        Raises:
            ImageError: if it cannot be stored; nothing of it is there then.
        """
        try:
            self._try(self._put, path, self._key(name))
        except Exception as error:
            raise ImageError(f"{self.path(name)}: cannot be stored: {_said(error)}") from error

    def _put(self, path: Path, key: str) -> None:
        # Not `with open(key, "wb")`: s3fs and pyarrow publish the half if what is inside fails.
        if _WHOLE.intersection(_protocols(self._fs)):
            self._fs.put_file(os.fspath(path), key)
            return
        folder, name = posixpath.split(key)
        self._fs.makedirs(folder, exist_ok=True)
        beside = posixpath.join(folder, f".{os.urandom(6).hex()}.{name[-40:]}")
        try:
            self._fs.put_file(os.fspath(path), beside)
            self._fs.mv(beside, key)
        finally:
            if self._fs.exists(beside):
                self._fs.rm_file(beside)

    def read(self, name: str) -> bytes | None:
        """Returns the content of a small file, or None if it is not there.

        Raises:
            ClusterError: if that cannot be told.
        """
        try:
            if self._fs is None:
                return Path(self.place, name).read_bytes()
            return self._try(self._fs.cat_file, self._key(name))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except Exception as error:
            raise ClusterError(f"{self.path(name)}: cannot be read: {reason(error)}") from error

    def write(self, name: str, content: bytes, folder: Path) -> None:
        """Writes a small file.

        Args:
            name: of the file.
            content: of it.
            folder: on this machine, for the way there.

        Raises:
            ClusterError: if it cannot be written.
        """
        try:
            if self._fs:
                copy = folder / posixpath.basename(name)
                copy.write_bytes(content)
                self._try(self._put, copy, self._key(name))
                return
            path = Path(self.place, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as beside:
                beside.write_bytes(content)
        except Exception as error:
            raise ClusterError(f"{self.path(name)}: cannot be written: {reason(error)}") from error

    def _key(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _try(self, action: Callable[..., Returned], *arguments: Any, **named: Any) -> Returned:
        """Calls a function, again after a wait where what fails may pass."""
        for wait in (*_WAITS, None):
            try:
                return action(*arguments, **named)
            except _LASTING:
                raise
            except Exception as error:
                if wait is None or "Credential" in type(error).__name__:
                    raise
                time.sleep(wait * random.uniform(0.5, 1.5))  # or all come again at once
        raise AssertionError


def _order(name: str) -> list[tuple[bool, list[str | int]]]:
    """Returns what names are sorted by, as `list_images` does it: files come before folders."""
    *folders, last = name.split("/")
    return [*((True, images.natural(folder)) for folder in folders), (False, images.natural(last))]


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def _said(error: Exception) -> str:
    return "no such file" if isinstance(error, FileNotFoundError) else one_line(reason(error))

"""Rows of pixels to image files, complete or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from keras_perceptual.errors import ImageError, image_errors
from keras_perceptual.files import formats
from keras_perceptual.files.decoded import check_memory
from keras_perceptual.files.encoders import COSTS, encode
from keras_perceptual.files.flow import Flow, raw_tiff
from keras_perceptual.files.formats import Format
from keras_perceptual.files.metadata import Metadata
from keras_perceptual.files.vips import pyvips
from keras_perceptual.system.atomic import atomic_file, check_target, folder_above, scratch_file

__all__ = ["BUDGET", "EARLY", "EIGHT_BITS", "Sink"]

BUDGET = 256 * 2**20
EARLY = 2**24  # bytes of pixels from which a thread of its own pays for encoding

# The level of 256 that is nearest to each of 65536.
EIGHT_BITS = np.rint(np.arange(65536) / 257).astype(np.uint8)


class Sink:
    """Gathers an image from the top and encodes it. To be used in a `with` statement.

    Args:
        target: the file to write, or None for `finish_into`; folders that are missing are made, an
            existing file is replaced.
        form: the format to write.
        height: of the image, in pixels.
        width: of the image, in pixels.
        bits: 8 or 16 a channel, of the rows; 16 become 8 where the format has no 16.
        gray: whether to write one channel, the mean of the three.
        alpha: whether the rows have opacity; the picture lies on white where the format has none.
        metadata: carried over as far as the format has a place for it.
        quality: 1 to 100, of lossy formats; None loses nothing.
        budget: bytes of pixels up to which they are kept in memory; more go to a hidden file on
            the target's disk.
        early: whether to encode a large image while rows come in, where libvips writes the format:
            they must not change any more then, and `finish` takes no table.

    Raises:
        ImageError: if the format does not hold the size, encoding it takes more memory than is
            free, the folder cannot be written to, or its disk has no room for the pixels.
    """

    def __init__(
        self,
        target: Path | None,
        form: Format,
        height: int,
        width: int,
        *,
        bits: int = 8,
        gray: bool = False,
        alpha: bool = False,
        metadata: Metadata | None = None,
        quality: int | None = 95,
        budget: int = BUDGET,
        early: bool = False,
    ) -> None:
        self.target, self.form, self.height, self.width = target, form, height, width
        self.bits, self.gray, self.alpha = bits, gray, alpha
        self.metadata, self.quality = metadata or Metadata(), quality
        self.name = "stdout" if target is None else os.fspath(target)
        formats.check(form, width, height, self.name)
        formats.check_quality(form, quality, self.name)
        cost = height * width * COSTS.get(form.name, 0)
        check_memory(self.name, f"encoding {width}x{height} as {form.name}", cost, sys.maxsize)
        self._bands = (1 if gray else 3) + alpha
        self._top = 0
        self._held = contextlib.ExitStack()
        self._array: np.ndarray | None = None
        self._flow: Flow | None = None
        with image_errors(self.name, "cannot be written"):
            folder = Path(tempfile.gettempdir()) if target is None else folder_above(target)
            if target is not None:
                _check_target(target, folder)
            size = height * width * self._bands * bits // 8
            early = early and size >= EARLY and not form.codec
            if early and target is not None and target.parent.is_dir():
                self._flow = Flow(self._head(), size, self._encoded)
                return
            if size <= budget:
                dtype = np.uint16 if bits == 16 else np.uint8
                self._array = np.empty((height, width, self._bands), dtype)
            else:
                self._spool(folder, size)

    def _spool(self, folder: Path, size: int) -> None:
        """Opens the hidden file, once it is clear that the disk has room for it."""
        free = shutil.disk_usage(folder).free
        if size > free:
            raise ImageError(
                f"{self.name}: needs {size / 1e9:.1f} GB of disk space for its pixels, "
                f"{free / 1e9:.1f} GB are free in {folder}"
            )
        with contextlib.ExitStack() as held:
            self._file, self._path = held.enter_context(scratch_file(folder))
            self._write(self._head())
            self._held = held.pop_all()

    def _head(self) -> bytes:
        return raw_tiff(self.height, self.width, self._bands, self.bits)

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, *_: object) -> None:
        if self._flow:
            self._flow.stop()
        self._array = None
        self._held.close()

    def append(self, rows: np.ndarray) -> None:
        """Adds the next rows.

        Args:
            rows: `[n, width, 3]`, or 4 with opacity, uint8 or uint16 as `bits` says.

        Raises:
            ImageError: if the disk is full.
            ValueError: if the rows are of another kind, or too many.
        """
        dtype = np.uint16 if self.bits == 16 else np.uint8
        shape = (rows.shape[0], self.width, 3 + self.alpha)
        if rows.shape != shape or rows.dtype != dtype or self._top + len(rows) > self.height:
            raise ValueError(
                f"expected rows of {np.dtype(dtype)} {shape} up to {self.height}, received "
                f"{rows.dtype} {rows.shape} from {self._top}"
            )
        if self.gray:
            mean = np.rint(rows[..., :3].mean(axis=2, keepdims=True, dtype=np.float32))
            rows = np.concatenate([mean.astype(dtype), rows[..., 3:]], axis=2)
        with image_errors(self.name, "cannot be written"):
            if self._flow:
                self._flow.append(rows)
            elif self._array is not None:
                self._array[self._top : self._top + len(rows)] = rows
            else:
                self._write(np.ascontiguousarray(rows).data)
        self._top += len(rows)

    def _write(self, data: bytes | memoryview) -> None:
        left = memoryview(data).cast("B")
        while left:
            left = left[self._file.write(left) :]

    def finish(
        self, table: np.ndarray | None = None, alive: Callable[[], None] | None = None
    ) -> None:
        """Encodes the image into its file: all of it, or nothing.

        Args:
            table: `[3, 256]`, or 65536 for 16 bits, the new level of each old one of each channel;
                of a gray image, their mean is taken. None leaves the levels as they are.
            alive: called again and again while the file is written; what it raises ends that.

        Raises:
            ImageError: if writing fails, for a full disk for example.
            ValueError: if rows are missing.
        """
        if self.target is None:
            raise ValueError("expected a target, received None; use finish_into")
        self._check_whole()
        with image_errors(self.name, "cannot be written"):
            if self._flow:
                self._flow.finish(alive)
            else:
                self._encoded(self._source(), table=table, alive=alive)

    def _encoded(
        self,
        image: pyvips.Image,
        whole: Callable[[], None] | None = None,
        table: np.ndarray | None = None,
        alive: Callable[[], None] | None = None,
    ) -> None:
        """Encodes pixels into the target; `whole` is called before that gets its name."""
        target = Path(cast(Path, self.target))
        image = self._image(image, table)
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(target) as file:
            encode(image, self.form, self.metadata, self.quality, _watched(file, alive))
            if whole:
                whole()

    def finish_into(
        self,
        stream: BinaryIO,
        table: np.ndarray | None = None,
        alive: Callable[[], None] | None = None,
    ) -> None:
        """Encodes the image for a stream that cannot seek, such as standard output.

        Nothing is written to it unless all has been encoded, to a temporary file. Other arguments
        and errors are those of `finish`.

        Args:
            stream: where the bytes of the file go.
        """
        self._check_whole()
        with image_errors(self.name, "cannot be written"), tempfile.TemporaryFile() as file:
            watched = _watched(file, alive)
            image = self._image(self._source(), table)
            encode(image, self.form, self.metadata, self.quality, watched)
            file.seek(0)
            shutil.copyfileobj(file, stream, 2**20)
            stream.flush()

    def _check_whole(self) -> None:
        if self._top != self.height:
            raise ValueError(f"expected {self.height} rows, received {self._top}")

    def _source(self) -> pyvips.Image:
        """Returns what was gathered."""
        if self._array is not None:
            kind = "ushort" if self.bits == 16 else "uchar"
            return pyvips.Image.new_from_memory(
                self._array, self.width, self.height, self._bands, kind
            )
        source = pyvips.Source.new_from_file(self._path)
        return pyvips.Image.tiffload_source(source, access="sequential", fail_on="error")

    def _image(self, image: pyvips.Image, table: np.ndarray | None) -> pyvips.Image:
        """Returns the image as the format holds it, computed as it is read."""
        space = {8: ("b-w", "srgb"), 16: ("grey16", "rgb16")}[self.bits][not self.gray]
        image = image.copy(interpretation=space)
        reduced = self.bits == 16 and not self.form.sixteen_bit
        if table is not None or reduced:
            image = _look_up(image, self._tables(table, reduced))
        if reduced:
            image = image.copy(interpretation="b-w" if self.gray else "srgb")
        if self.alpha and not self.form.alpha:
            image = image.flatten(background=255 if image.format == "uchar" else 65535)
        return image

    def _tables(self, table: np.ndarray | None, reduced: bool) -> np.ndarray:
        """Returns `[bands, levels]`, the new level of each old one of each band."""
        dtype = np.uint16 if self.bits == 16 else np.uint8
        same = np.arange(2**self.bits, dtype=dtype)
        colours = np.tile(same, (3, 1)) if table is None else table.astype(dtype)
        if self.gray:
            colours = np.rint(colours.mean(axis=0, keepdims=True)).astype(dtype)
        tables = np.concatenate([colours, same[None]]) if self.alpha else colours
        return EIGHT_BITS[tables] if reduced else tables


class _Watched:
    """A file that calls a function before each write."""

    def __init__(self, file: BinaryIO, alive: Callable[[], None]) -> None:
        self._file, self._alive = file, alive

    def write(self, data: bytes) -> int:
        self._alive()
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _watched(file: BinaryIO, alive: Callable[[], None] | None) -> BinaryIO:
    return cast(BinaryIO, _Watched(file, alive)) if alive else file


def _check_target(target: Path, folder: Path) -> None:
    """Refuses what could not be written in the end."""
    check_target(target)
    if not folder.is_dir():
        raise NotADirectoryError(None, f"{folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(None, f"{folder} may not be written to")


def _look_up(image: pyvips.Image, tables: np.ndarray) -> pyvips.Image:
    kind = "ushort" if tables.dtype == np.uint16 else "uchar"
    bands, levels = tables.shape
    data = np.ascontiguousarray(tables.T)
    return image.maplut(pyvips.Image.new_from_memory(data, levels, 1, bands, kind))

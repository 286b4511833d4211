"""An image that is encoded while its rows come in."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable

import numpy as np
from PIL.ExifTags import Base
from PIL.TiffTags import LONG, LONG8, SHORT

from keras_perceptual.files import tags
from keras_perceptual.files.vips import Guarded, pyvips
from keras_perceptual.system.ahead import WAIT

__all__ = ["Flow", "raw_tiff"]

MOST = 2**22  # bytes that may wait to be encoded while more are made


class Flow:
    """Runs an encoder in a thread and gives it rows, from the top. What it raises is raised here.

    Args:
        head: of a file whose pixels come after it, as `raw_tiff` returns it.
        size: bytes of the pixels in all.
        encode: encodes an image that is read once, from the top, then calls its second argument,
            and after that makes the file whole.
    """

    def __init__(
        self,
        head: bytes,
        size: int,
        encode: Callable[[pyvips.Image, Callable[[], None]], None],
    ) -> None:
        self._head, self._size, self._encode = head, len(head) + size, encode
        self._place = 0  # where libvips reads
        self._parts: deque[memoryview] = deque()
        self._first = len(head)  # what of the file comes next
        self._changed = threading.Condition()
        self._whole = self._stopped = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="encoder", daemon=True)
        self._thread.start()

    def append(self, rows: np.ndarray) -> None:
        """Adds rows, which must not change any more, and waits until most are encoded."""
        data = np.ascontiguousarray(rows).data.cast("B")
        with self._changed:
            self._parts.append(data)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting <= MOST or self._error)
            if self._error:
                raise self._error

    @property
    def _waiting(self) -> int:
        """Bytes that came and were not read yet."""
        return sum(map(len, self._parts))

    def finish(self, alive: Callable[[], None] | None = None) -> None:
        """Waits until the file is whole, once all rows are there.

        Args:
            alive: called again and again meanwhile; what it raises ends the wait.
        """
        if alive:
            alive()
        with self._changed:
            self._whole = True
            self._changed.notify_all()
        while self._thread.is_alive():
            self._thread.join(WAIT)
            if alive:
                alive()
        if self._error:
            raise self._error

    def stop(self) -> None:
        """Ends it, without a file if that is not whole yet."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        guarded, source = Guarded(), pyvips.SourceCustom()
        source.on_read(guarded(self._read, None))
        source.on_seek(guarded(self._seek))
        try:
            image = pyvips.Image.tiffload_source(source, access="sequential", fail_on="error")
            self._encode(image, self._await_whole)
        except BaseException as error:
            with self._changed:
                self._error = guarded.error or error
                self._changed.notify_all()

    def _await_whole(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._whole or self._stopped)
        if self._stopped:
            raise InterruptedError("stopped before it was whole")

    def _seek(self, offset: int, origin: int) -> int:
        self._place = offset + {0: 0, 1: self._place, 2: self._size}[origin]
        return self._place

    def _read(self, count: int) -> bytes:
        """Gives what comes next, or of the head, to which libvips goes back."""
        if self._place >= self._size:
            return b""
        if self._place < len(self._head):
            taken = self._head[self._place : self._place + count]
        elif self._place != self._first:
            raise ValueError(f"expected to go on at {self._first}, received {self._place}")
        else:
            taken = self._next(count)
            self._first += len(taken)
        self._place += len(taken)
        return taken

    def _next(self, count: int) -> bytes:
        with self._changed:
            self._changed.wait_for(lambda: self._parts or self._stopped)
            if self._stopped:
                raise InterruptedError("stopped before all rows came")
            part = self._parts.popleft()
            if len(part) > count:
                self._parts.appendleft(part[count:])
            taken = bytes(part[:count])
            self._changed.notify_all()
        return taken


def raw_tiff(height: int, width: int, channels: int, bits: int) -> bytes:
    """Returns the head of a TIFF whose uncompressed pixels come after it, from the top.

    libvips streams one, where it maps raw bytes into memory as a whole.

    Args:
        height: of the image, in pixels.
        width: the same.
        channels: 1 or 3, or one more with opacity.
        bits: 8 or 16 of each.
    """
    line = width * channels * bits // 8
    rows = max(1, min(height, 2**20 // line))
    strips = -(-height // rows)
    directory = tags.Directory("<" if sys.byteorder == "little" else ">")
    colours = tags.PHOTOMETRIC["BlackIsZero" if channels < 3 else "RGB"]
    directory.put(Base.ImageWidth, LONG, width)
    directory.put(Base.ImageLength, LONG, height)
    directory.put(Base.BitsPerSample, SHORT, *[bits] * channels)
    directory.put(Base.Compression, SHORT, tags.UNCOMPRESSED)
    directory.put(Base.PhotometricInterpretation, SHORT, colours)
    directory.put(Base.StripOffsets, LONG8, *[0] * strips)
    directory.put(Base.SamplesPerPixel, SHORT, channels)
    directory.put(Base.RowsPerStrip, LONG, rows)
    last = height - (strips - 1) * rows
    directory.put(Base.StripByteCounts, LONG8, *[rows * line] * (strips - 1), last * line)
    if channels in (2, 4):
        directory.put(Base.ExtraSamples, SHORT, tags.OPACITY)
    first = len(tags.start(directory))
    offsets = (first + strip * rows * line for strip in range(strips))
    directory.put(Base.StripOffsets, LONG8, *offsets)
    return tags.start(directory)

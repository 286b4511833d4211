"""Rows of a result, put together from tiles beside each other."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import numpy as np

__all__ = ["Strip"]

AT_ONCE = 2**24  # bytes of rows that are read back from a file at a time


class Strip:
    """Takes tiles, gives rows.

    Args:
        width: of the rows, in pixels.
        channels: of a pixel.
        dtype: uint8 or uint16.
        most: bytes to hold in memory; what is larger, of a very wide image, lies in a file.
    """

    def __init__(
        self, width: int, channels: int, dtype: type[np.unsignedinteger], most: int
    ) -> None:
        self._width, self._channels, self._dtype, self._most = width, channels, dtype, most
        self._row = width * channels * np.dtype(dtype).itemsize

    def begin(self, height: int) -> None:
        """Forgets all and awaits the tiles of the next rows."""
        self._file = None
        if height * self._row <= self._most:
            self._rows = np.empty((height, self._width, self._channels), self._dtype)
        else:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed once it is read

    def put(self, left: int, tile: np.ndarray) -> None:
        """Puts a tile of all rows in its place.

        Args:
            left: its first column.
            tile: `[height, w, channels]`.
        """
        if self._file is None:
            self._rows[:, left : left + tile.shape[1]] = tile
            return
        offset = left * self._channels * tile.itemsize
        for y, row in enumerate(tile):
            self._file.seek(y * self._row + offset)
            self._file.write(row.tobytes())

    def rows(self) -> Iterator[np.ndarray]:
        """Yields `[n, width, channels]` from the top."""
        if self._file is None:
            yield self._rows
            return
        count = max(1, AT_ONCE // self._row)
        self._file.seek(0)
        while rows := self._file.read(count * self._row):
            pixels = np.frombuffer(rows, self._dtype)
            yield pixels.reshape(-1, self._width, self._channels)
        self._file.close()

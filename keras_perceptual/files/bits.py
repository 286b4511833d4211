"""Numbers of so many bits each, one after the other."""

from __future__ import annotations

__all__ = ["Bits"]


class Bits:
    """Reads numbers from bytes, their highest bits first.

    Args:
        data: the bytes.
    """

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def number(self, count: int) -> int:
        """Returns the next number.

        Raises:
            IndexError: if the data end before.
        """
        number = 0
        for at in range(self._at, self._at + count):
            number = 2 * number + (self._data[at >> 3] >> (7 - at % 8) & 1)
        self._at += count
        return number

    def take(self, count: int) -> bytes:
        """Returns the next bytes, from a whole one on; of those at the end fewer."""
        start = self._at >> 3
        self._at += 8 * count
        return self._data[start : start + count]

    def skip(self, count: int) -> None:
        """Passes over so many bits."""
        self._at += count

    def golomb(self) -> int:
        """Returns the next number in exponential Golomb code, as often 0 as all others."""
        zeros = 0
        while not self.number(1):
            zeros += 1
        return (1 << zeros) - 1 + self.number(zeros)

    def signed_golomb(self) -> int:
        """Returns the next of those that count 0, 1, -1, 2, -2 and so on."""
        number = self.golomb()
        return (number + 1) // 2 if number % 2 else -(number // 2)

"""Work that does not survive a fork: the child has its locks, and none of its threads."""

from __future__ import annotations

import os
import threading

from keras_perceptual.errors import EngineError

__all__ = ["Undivided"]


class Undivided:
    """A `with` block of work; in a child that was forked meanwhile it raises instead of hanging.

    Args:
        why: what an error says of it.
        lasting: whether it leaves threads behind that later work waits for.

    Raises:
        EngineError: in a child of a fork that came between, when the block is entered.
    """

    def __init__(self, why: str, lasting: bool = False) -> None:
        self._why, self._lasting = why, lasting
        self._lock, self._inside, self._begun, self._lost = threading.Lock(), 0, False, False
        if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
            os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        self._lost |= self._inside > 0 or (self._lasting and self._begun)
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if self._lost:
            raise EngineError(f"{self._why}; start processes by multiprocessing's method spawn")
        with self._lock:
            self._inside += 1
            self._begun = True

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1

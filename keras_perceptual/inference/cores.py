"""Small images beside each other, each on a core of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from keras_perceptual.inference.engines import Engine
from keras_perceptual.inference.levels import run_either

__all__ = ["SMALL", "Cores"]

SMALL = 400**2  # LR pixels up to which an image is run on one core, if others come with it


class Cores:
    """Engines of one model on one core each.

    Cores that share an image wait for each other, and all of them for what only one can do.

    Args:
        open_one: opens an engine on one core.
        count: of cores.
    """

    def __init__(self, open_one: Callable[[], Engine], count: int) -> None:
        self._open_one = open_one
        self._idle: queue.LifoQueue[Engine | None] = queue.LifoQueue()
        for _ in range(count):
            self._idle.put(None)  # opened when it is first needed
        self._lock = threading.Lock()
        self._images = 0

    @contextmanager
    def image(self) -> Iterator[None]:
        """Says that an image is on its way."""
        with self._lock:
            self._images += 1
        try:
            yield
        finally:
            with self._lock:
                self._images -= 1

    def take(self, pixels: int) -> bool:
        """Says whether to run so many LR pixels here and not on all cores together."""
        return self._images > 1 and pixels <= SMALL

    def run(self, lr: np.ndarray) -> np.ndarray:
        """Does what `run_either` does, on the next core that is free."""
        engine = self._idle.get()
        try:
            engine = engine or self._open_one()
            return run_either(engine, lr)
        finally:
            self._idle.put(engine)

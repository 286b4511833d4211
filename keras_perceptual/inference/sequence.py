"""Frames that belong together: of an animation, or of a film."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from keras_perceptual.inference.request import Pipeline, Request

__all__ = ["Alike", "Sequence", "State"]

State = dict[str, np.ndarray]


class Sequence(Protocol):
    """Takes frames one after the other, and remembers what the next one needs to know."""

    def pipeline(self, request: Request) -> Pipeline:
        """Returns the next frame on its way; the frames' pipelines may then run beside each other.

        Args:
            request: the frame.
        """
        ...

    def state(self) -> State:
        """Returns what it remembers, from which another one goes on."""
        ...


class Alike:
    """A `Sequence` that treats each frame by itself.

    Args:
        pipeline: from a frame to what is on its way.
    """

    def __init__(self, pipeline: Callable[[Request], Pipeline]) -> None:
        self._pipeline = pipeline

    def pipeline(self, request: Request) -> Pipeline:
        return self._pipeline(request)

    def state(self) -> State:
        return {}

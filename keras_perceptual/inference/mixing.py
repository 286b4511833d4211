"""Two engines mixed."""

from __future__ import annotations

import numpy as np

from keras_perceptual.inference.engines import Engine

__all__ = ["MixedEngine"]


class MixedEngine:
    """Runs two generators of one scale and mixes what they make, pixel by pixel.

    Args:
        first: one.
        second: the other; their architectures may differ.
        share: of the second, 0..1.
    """

    def __init__(self, first: Engine, second: Engine, share: float) -> None:
        self.path = first.path
        self._first, self._second, self._share = first, second, np.float32(share)

    def run(self, lr: np.ndarray) -> np.ndarray:
        first, second = (np.clip(e.run(lr), 0, 255) for e in (self._first, self._second))
        return first + self._share * (second - first)

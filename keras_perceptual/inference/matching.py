"""An engine whose colours and contrast are those of its input."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keras_perceptual.inference.engines import Engine
from keras_perceptual.pixels.affine import IDENTITY, Affine, measured

__all__ = ["MatchedEngine", "matched"]


class MatchedEngine:
    """Takes a network's shift of colour and contrast out of what its engine gives.

    Args:
        engine: of the generator.
        affine: the inverse of the shift.
    """

    def __init__(self, engine: Engine, affine: Affine) -> None:
        self.path: Path = engine.path
        self._engine, self._affine = engine, affine

    def run(self, lr: np.ndarray) -> np.ndarray:
        return self._affine(self._engine.run(lr))


def matched(engine: Engine) -> Engine:
    """Returns an engine without the shift that is measured on it; itself where there is none."""
    affine = measured(engine.run)
    return engine if affine is IDENTITY else MatchedEngine(engine, affine)

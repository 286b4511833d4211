"""What an engine gives, held against what it was given: files of others may hold any network."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_perceptual.errors import EngineError, first_line

__all__ = ["checked"]


def checked(run: Callable[[Any, np.ndarray], Any]) -> Callable[[Any, np.ndarray], np.ndarray]:
    """Decorates an engine's `run`, so that it gives pictures of one scale or an EngineError.

    Args:
        run: from `lr` `[N, H, W, 3]` to whatever the network makes of it.

    Returns:
        The same to `[N, scale H, scale W, 3]` float32, finite numbers all of them. The scale is
        that of the first run.
    """

    @functools.wraps(run)
    def checked_run(engine: Any, lr: np.ndarray) -> np.ndarray:
        try:
            sr = np.asarray(run(engine, lr), np.float32)
        except Exception as error:  # each runtime raises its own
            raise EngineError(f"the model cannot run on {lr.shape}: {first_line(error)}") from None
        scale = vars(engine).setdefault("_scale", sr.shape[1] // lr.shape[1] if sr.ndim > 1 else 0)
        count, height, width, channels = lr.shape
        if scale < 1 or sr.shape != (count, scale * height, scale * width, channels):
            raise EngineError(
                f"{engine.path.stem}: expected a generator of RGB images, received {sr.shape} "
                f"from {lr.shape}"
            )
        if not np.isfinite(sr.sum()):
            raise EngineError(f"{engine.path.stem}: makes numbers that are not finite")
        return sr

    return checked_run

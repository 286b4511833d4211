"""Networks that take levels and give levels, where nothing turns them into other numbers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_perceptual.errors import EngineError, first_line
from keras_perceptual.pixels.levels import as_levels

__all__ = ["LEVELS", "level_runner", "run_either"]

LEVELS = 1.0, -128  # 0..255 as int8: what 1 stands for, and the integer that stands for 0

_SIGN = np.uint8(0x80)  # between 0..255 and -128..127


def level_runner(signature: Any, name: str) -> Callable[[np.ndarray], np.ndarray] | None:
    """Returns what runs a signature on levels.

    Args:
        signature: LiteRT's runner of `upscale`.
        name: of the model, for messages.

    Returns:
        From `[N, H, W, 3]` uint8 to the same larger; None for a signature of other numbers. It
        raises EngineError if the network cannot run, or makes no pictures.
    """
    (given,), (made,) = (d() for d in (signature.get_input_details, signature.get_output_details))
    ends = signature.get_input_details()[given], signature.get_output_details()[made]
    if any(e["dtype"] is not np.int8 or e["quantization"] != LEVELS for e in ends):
        return None

    def run(lr: np.ndarray, scale: int = 0) -> np.ndarray:
        count, height, width, channels = lr.shape
        try:
            sr = signature(**{given: (lr ^ _SIGN).view(np.int8)})[made]
        except (ValueError, RuntimeError) as error:
            raise EngineError(f"the model cannot run on {lr.shape}: {first_line(error)}") from None
        scale = scale or (sr.shape[1] // height if sr.ndim == 4 else 0)
        levels = sr.view(np.uint8)
        if levels.ndim == 4:  # a network of blocks of pixels makes all of the last block
            levels = levels[:, : scale * height, : scale * width]
        if scale < 1 or levels.shape != (count, scale * height, scale * width, channels):
            raise EngineError(
                f"{name}: expected a generator of RGB images, received {sr.shape} from {lr.shape}"
            )
        return np.bitwise_xor(levels, _SIGN, out=levels)

    scale = run(np.zeros((1, 8, 8, 3), np.uint8)).shape[1] // 8
    return functools.partial(run, scale=scale)


def run_either(engine: Any, lr: np.ndarray) -> np.ndarray:
    """Runs an engine on pixels as they are, where it takes them, or as float32 levels.

    Args:
        engine: an `Engine`.
        lr: `[N, H, W, 3]` uint8 or uint16, or float32 levels.

    Returns:
        `[N, scale H, scale W, 3]` uint8 if these went in, else float32 levels.
    """
    if lr.dtype == np.uint8 and getattr(engine, "run_levels", None):
        return engine.run_levels(lr)
    return engine.run(lr if lr.dtype == np.float32 else as_levels(lr))

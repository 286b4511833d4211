"""Networks that take levels and give levels, where nothing turns them into other numbers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_perceptual.errors import EngineError, first_line

__all__ = ["level_runner", "run_either", "takes_levels"]

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
    if any(e["dtype"] is not np.int8 or e["quantization"] != (1.0, -128) for e in ends):
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


def takes_levels(engine: Any) -> bool:
    """Says whether an engine has `run_levels`."""
    return getattr(engine, "run_levels", None) is not None


def run_either(engine: Any, lr: np.ndarray) -> np.ndarray:
    """Runs an engine on float32 levels, or on uint8 ones where it takes them.

    Returns:
        `[N, scale H, scale W, 3]` of the same type.
    """
    return engine.run_levels(lr) if lr.dtype == np.uint8 else engine.run(lr)

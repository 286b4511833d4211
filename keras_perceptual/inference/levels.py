"""Networks that take levels and give levels, where nothing turns them into other numbers."""

from __future__ import annotations

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
        raises EngineError if the network cannot run, or makes no pictures. The network has even
        sides only.
    """
    (given,), (made,) = (d() for d in (signature.get_input_details, signature.get_output_details))
    ends = signature.get_input_details()[given], signature.get_output_details()[made]
    if any(e["dtype"] is not np.int8 or e["quantization"] != (1.0, -128) for e in ends):
        return None

    def run(lr: np.ndarray) -> np.ndarray:
        count, height, width, channels = lr.shape
        even = np.pad(lr ^ _SIGN, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), "edge")
        try:
            sr = signature(**{given: even.view(np.int8)})[made]
        except (ValueError, RuntimeError) as error:
            raise EngineError(f"the model cannot run on {lr.shape}: {first_line(error)}") from None
        scale = sr.shape[1] // even.shape[1] if sr.ndim > 1 else 0
        if sr.shape != (count, scale * even.shape[1], scale * even.shape[2], channels):
            raise EngineError(
                f"{name}: expected a generator of RGB images, received {sr.shape} from {even.shape}"
            )
        levels = sr.view(np.uint8)[:, : scale * height, : scale * width]
        return np.bitwise_xor(levels, _SIGN, out=levels)

    return run


def takes_levels(engine: Any) -> bool:
    """Says whether an engine has `run_levels`."""
    return getattr(engine, "run_levels", None) is not None


def run_either(engine: Any, lr: np.ndarray) -> np.ndarray:
    """Runs an engine on float32 levels, or on uint8 ones where it takes them.

    Returns:
        `[N, scale H, scale W, 3]` of the same type.
    """
    return engine.run_levels(lr) if lr.dtype == np.uint8 else engine.run(lr)

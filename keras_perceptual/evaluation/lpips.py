"""LPIPS: learned perceptual image patch similarity, version 0.1 with AlexNet."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from keras import ops

from keras_perceptual.errors import LPIPSError
from keras_perceptual.evaluation.metrics import LPIPS_VARIABLE

__all__ = ["LPIPS", "LPIPSError"]

_SHIFT = np.array([-0.030, -0.088, -0.188], np.float32)
_SCALE = np.array([0.458, 0.448, 0.450], np.float32)


class LPIPS:
    """Measures the distance of two images as people see it; 0 for equal ones.

    Args:
        weights: an .npz with `convN_kernel` (HWIO) and `convN_bias` for N in 1..5 and the linear
            heads `linK` for K in 0..4; without it the environment variable
            `KERAS_PERCEPTUAL_LPIPS` names one.

    Raises:
        LPIPSError: if there is no such file or it lacks an array.

    Source: Zhang et al., "The unreasonable effectiveness of deep features as a perceptual
    metric", 2018.
    """

    def __init__(self, weights: str | os.PathLike | None = None) -> None:
        path = Path(weights or os.environ.get(LPIPS_VARIABLE, ""))
        try:
            with np.load(path, allow_pickle=False) as arrays:
                self._convs = [
                    (arrays[f"conv{i}_kernel"], arrays[f"conv{i}_bias"]) for i in range(1, 6)
                ]
                self._heads = [arrays[f"lin{i}"] for i in range(5)]
        except (OSError, KeyError, ValueError) as error:
            raise LPIPSError(f"{path}: expected LPIPS weights: {error}") from None

    def __call__(self, sr: np.ndarray, hr: np.ndarray) -> float:
        """Returns the distance.

        Args:
            sr: `[H, W, 3]` RGB in 0..255, at least 32 pixels a side.
            hr: of the same shape.
        """
        distance = 0.0
        pairs = zip(self._features(sr), self._features(hr), self._heads, strict=True)
        for a, b, head in pairs:
            distance += float(ops.mean(ops.sum(ops.square(a - b) * head, axis=-1)))
        return distance

    def _features(self, image: np.ndarray) -> list:
        x = (image.astype(np.float32) / 127.5 - 1 - _SHIFT) / _SCALE
        x = ops.convert_to_tensor(x[None])
        taps = []
        for i, (kernel, bias) in enumerate(self._convs):
            if i in (1, 2):
                x = ops.max_pool(x, 3, 2, "valid")
            pad = kernel.shape[0] // 2 if i else 2
            x = ops.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
            x = ops.relu(ops.conv(x, kernel, 1 if i else 4, "valid") + bias)
            taps.append(x / (ops.sqrt(ops.sum(ops.square(x), axis=-1, keepdims=True)) + 1e-10))
        return taps

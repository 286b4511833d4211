"""Losses in `keras.ops`, and their weighted sum over a loss network.

Images are `[N, H, W, 3]` in 0..255; every loss is a scalar, the mean over the batch. Style
reconstruction (section 3.2, equations 3 and 4) belongs here beside feature reconstruction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

__all__ = [
    "PerceptualLoss",
    "feature_reconstruction",
    "phase_bias",
    "pixel_absolute",
    "pixel_squared",
    "total_variation",
]


def feature_reconstruction(hr_features, sr_features):
    """Feature reconstruction: ||phi(sr) - phi(hr)||^2 / (C H W), the paper's equation 2.

    Args:
        hr_features: `[N, H, W, C]`, the loss network's features of the ground truth.
        sr_features: the same of the generated image.

    Returns:
        A float32 scalar.
    """
    return _mean_square(sr_features, hr_features)


def pixel_squared(hr, sr):
    """Squared pixel loss: ||sr - hr||^2 / (C H W), the paper's section 3.2."""
    return _mean_square(sr, hr)


def pixel_absolute(hr, sr):
    """Absolute pixel loss: sum |sr - hr| / (C H W).

    Source: Zhao et al., "Loss functions for image restoration with neural networks", 2016.
    """
    return ops.mean(ops.abs(ops.cast(sr, "float32") - ops.cast(hr, "float32")))


def total_variation(sr):
    """Anisotropic total variation, squared, over the pixels that have a neighbour.

    mean (sr[y+1,x] - sr[y,x])^2 + mean (sr[y,x+1] - sr[y,x])^2

    Args:
        sr: `[N, H, W, C]` with H and W of at least 2.

    Returns:
        A float32 scalar.

    Source: the paper's section 3.2, after Mahendran and Vedaldi 2015 with beta = 2.
    """
    sr = ops.cast(sr, "float32")
    down = ops.mean(ops.square(sr[:, 1:] - sr[:, :-1]))
    right = ops.mean(ops.square(sr[:, :, 1:] - sr[:, :, :-1]))
    return down + right


def phase_bias(hr: Any, sr: Any, scale: int, window: int = 4) -> Any:
    """How much each sub-pixel position errs on average over a window.

    With e = sr - hr and p one of the scale^2 positions inside an LR pixel, the mean over windows
    and positions of (mean of e at p over the window)^2. Positions that err each their own way show
    as a weave, positions that err alike as a wrong colour; texture averages out.

    Args:
        hr: `[N, scale h, scale w, C]`.
        sr: of the same shape.
        scale: the generator's scale.
        window: side of the window in LR pixels.

    Returns:
        A float32 scalar.
    """
    error = ops.cast(sr, "float32") - ops.cast(hr, "float32")
    batch, height, width, channels = ops.shape(error)
    window = min(window, height // scale, width // scale)
    down, across = height // (scale * window), width // (scale * window)
    error = error[:, : down * window * scale, : across * window * scale]
    shape = (batch, down, window, scale, across, window, scale, channels)
    by_phase = ops.mean(ops.reshape(error, shape), axis=(2, 5))
    return ops.mean(ops.square(by_phase))


def _mean_square(a, b):
    return ops.mean(ops.square(ops.cast(a, "float32") - ops.cast(b, "float32")))


class PerceptualLoss:
    """A weighted sum of losses, by name.

    A plain object on purpose: a Keras model that holds one does not take the loss network for a
    part of itself, so neither checkpoints nor gradients carry it.

    Args:
        weights: loss name to weight. Names are `pixel_absolute`, `pixel_squared`,
            `total_variation`, `phase_bias` and `feature:LAYER` for any output of the loss network.
        scale: the generator's scale, for `phase_bias`.
        loss_network: a model from `[N, H, W, 3]` to a dict of features by layer name; needed
            only for `feature:` losses.

    Raises:
        ValueError: for a name that is none of these, or a layer that the network lacks.
    """

    def __init__(
        self,
        weights: Mapping[str, float],
        scale: int,
        loss_network: keras.Model | None = None,
    ) -> None:
        self._pixel = {
            "pixel_absolute": pixel_absolute,
            "pixel_squared": pixel_squared,
            "phase_bias": lambda hr, sr: phase_bias(hr, sr, scale),
            "total_variation": lambda hr, sr: total_variation(sr),
        }
        outputs = [] if loss_network is None else list(loss_network.output)
        known = [*self._pixel, *(f"feature:{layer}" for layer in outputs)]
        unknown = [name for name in weights if name not in known]
        if unknown or not weights:
            raise ValueError(f"expected losses among {known}, received {unknown or 'none'}")
        self.weights = dict(weights)
        self.loss_network = loss_network

    def __call__(self, hr: Any, sr: Any) -> dict[str, Any]:
        """Returns the unweighted losses by name, each a float32 scalar."""
        terms = {n: self._pixel[n](hr, sr) for n in self.weights if n in self._pixel}
        layers = [n.partition(":")[2] for n in self.weights if n.startswith("feature:")]
        if layers and self.loss_network is not None:
            hr_features = self.loss_network(hr, training=False)
            sr_features = self.loss_network(sr, training=False)
            for layer in layers:
                terms[f"feature:{layer}"] = feature_reconstruction(
                    ops.stop_gradient(hr_features[layer]), sr_features[layer]
                )
        return terms

    def total(self, terms: Mapping[str, Any]) -> Any:
        """Returns the weighted sum of what the call returned."""
        return sum(self.weights[name] * value for name, value in terms.items())

"""Losses in `keras.ops`, and their weighted sum over a loss network.

Images are `[N, H, W, 3]` in 0..255; every loss is a scalar, the mean over the batch.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

__all__ = [
    "PerceptualLoss",
    "feature_reconstruction",
    "gram_matrix",
    "layer_of",
    "palette",
    "palette_distance",
    "phase_bias",
    "pixel_absolute",
    "pixel_squared",
    "style_reconstruction",
    "total_variation",
]

_STYLE = re.compile(r"(style:[^/]+|palette)(?:/([1-9]\d*))?")

# Directions of colour space: the axes, face diagonals and space diagonals of the cube.
_DIRECTIONS = np.array(
    [d for d in itertools.product((-1, 0, 1), repeat=3) if d > (0, 0, 0)], np.float32
)
_DIRECTIONS /= np.linalg.norm(_DIRECTIONS, axis=1, keepdims=True)
_QUANTILES = 4096


def feature_reconstruction(hr_features, sr_features):
    """Feature reconstruction: ||phi(sr) - phi(hr)||^2 / (C H W), the paper's equation 2.

    Args:
        hr_features: `[N, H, W, C]`, the loss network's features of the ground truth.
        sr_features: the same of the generated image.

    Returns:
        A float32 scalar.
    """
    return _mean_square(sr_features, hr_features)


def gram_matrix(features):
    """How strongly channels occur together: G[c, d] = sum over pixels of f[c] f[d] / (C H W).

    Args:
        features: `[N, H, W, C]`.

    Returns:
        `[N, C, C]` float32.

    Source: the paper's equation 3.
    """
    features = ops.cast(features, "float32")
    batch, height, width, channels = ops.shape(features)
    flat = ops.reshape(features, (batch, height * width, channels))
    total = ops.matmul(ops.transpose(flat, (0, 2, 1)), flat)
    return total / ops.cast(channels * height * width, "float32")


def style_reconstruction(style_gram, sr_features):
    """Style reconstruction: ||G(sr) - G(style)||_F^2 / ||G(style)||_F^2.

    The paper's equation 4, made relative: 0 is the style, 1 about what an image without
    features has. Every painting and every layer then counts alike, where the equation itself
    varies by orders of magnitude and would want weights for each painting.

    Args:
        style_gram: `[N, C, C]`, or one for all, the Gram matrix of the style image.
        sr_features: `[N, H, W, C]`, the loss network's features of the generated image.

    Returns:
        A float32 scalar.
    """
    off = ops.sum(ops.square(gram_matrix(sr_features) - style_gram), axis=(-2, -1))
    return ops.mean(off / ops.sum(ops.square(style_gram), axis=(-2, -1)))


def palette(images):
    """Which colours images have, and how many pixels of each.

    Args:
        images: `[N, H, W, 3]`.

    Returns:
        `[N, 13, 4096]` float32, the quantiles of the pixels projected on 13 directions of colour
        space.
    """
    images = ops.convert_to_numpy(images)
    colours = images.reshape(len(images), -1, 3) @ _DIRECTIONS.T
    levels = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    found = np.quantile(colours, levels, axis=1, method="inverted_cdf")
    return found.transpose(1, 2, 0).astype(np.float32)


def palette_distance(style_palette, sr):
    """Sliced Wasserstein distance of colours, squared and relative to the style's variance.

    The mean over directions of colour space of ||sort(sr . d) - sort(style . d)||^2 / (H W), over
    the mean of the variance of style . d: 0 for the painting's colours wherever they stand, 1 for a
    gray like its mean. Gram matrices are mostly of the mean, and leave colours pale.

    Args:
        style_palette: `[N, 13, 4096]`, or one for all, the `palette` of the style image.
        sr: `[N, H, W, 3]`, the generated image.

    Returns:
        A float32 scalar.

    Source: Heitz et al., "A sliced Wasserstein loss for neural texture synthesis", 2021, here of
    pixels.
    """
    batch, height, width, _ = ops.shape(sr)
    count = height * width
    colours = ops.matmul(ops.reshape(ops.cast(sr, "float32"), (batch, count, 3)), _DIRECTIONS.T)
    ordered = ops.sort(ops.transpose(colours, (0, 2, 1)), axis=-1)
    rank = (ops.cast(ops.arange(count), "float32") + 0.5) / ops.cast(count, "float32")
    quantile = ops.minimum(ops.cast(rank * _QUANTILES, "int32"), _QUANTILES - 1)
    wanted = ops.take(style_palette, quantile, axis=-1)
    off = ops.mean(ops.square(ordered - wanted), axis=(-2, -1))
    variance = ops.mean(ops.var(style_palette, axis=-1), axis=-1)
    return ops.mean(off / ops.maximum(variance, 1.0))  # of a painting of one colour it is 0


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
            `total_variation`, `phase_bias`, `palette`, and `feature:LAYER` and `style:LAYER` for
            any output of the loss network; `style:LAYER/K` and `palette/K` are of images reduced
            by K, whose strokes are K times as large.
        scale: the generator's scale, for `phase_bias`.
        loss_network: a model from `[N, H, W, 3]` to a dict of features by layer name; needed
            only for `feature:` and `style:` losses.
        paintings: style images `[H, W, 3]` in 0..255, needed only for `style:` and `palette`.

    Raises:
        ValueError: for a name that is none of these, or a layer that the network lacks.
    """

    def __init__(
        self,
        weights: Mapping[str, float],
        scale: int,
        loss_network: keras.Model | None = None,
        paintings: Sequence[np.ndarray] = (),
    ) -> None:
        self._pixel = {
            "pixel_absolute": pixel_absolute,
            "pixel_squared": pixel_squared,
            "phase_bias": lambda hr, sr: phase_bias(hr, sr, scale),
            "total_variation": lambda hr, sr: total_variation(sr),
        }
        outputs = [] if loss_network is None else list(loss_network.output)
        known = [*self._pixel, *(f"feature:{layer}" for layer in outputs)]
        if paintings:
            known += ["palette", *(f"style:{layer}" for layer in outputs)]
        unknown = [name for name in weights if _STYLE.sub(r"\1", name) not in known]
        if unknown or not weights:
            raise ValueError(f"expected losses among {known}, received {unknown or 'none'}")
        self.weights = dict(weights)
        self.paintings = len(paintings)
        self.loss_network = loss_network
        self._features = [name for name in weights if name.startswith("feature:")]
        # Of each loss of style, by how much it reduces the image.
        self._styles = {n: int(match[2] or 1) for n in weights if (match := _STYLE.fullmatch(n))}
        # And what it compares with, [paintings, ...].
        self._targets: dict[str, np.ndarray] = {}
        each = [self._seen(image[None].astype(np.float32)) for image in paintings]
        for name, reduction in self._styles.items():
            statistic = gram_matrix if layer_of(name) else palette
            found = [statistic(seen[reduction][layer_of(name)]) for seen in each]
            self._targets[name] = np.concatenate([ops.convert_to_numpy(one) for one in found])

    def __call__(self, hr: Any, sr: Any, style: Any = None) -> dict[str, Any]:
        """Returns the unweighted losses by name, each a float32 scalar.

        Args:
            hr: what the result should show, `[N, H, W, 3]`.
            sr: the result, of the same shape.
            style: `[N, paintings]`, the weight of each painting; not needed for one.
        """
        terms = {n: self._pixel[n](hr, sr) for n in self.weights if n in self._pixel}
        seen = self._seen(sr)
        if self._features:
            hr_features = self._look(hr)
        for name in self._features:
            layer = layer_of(name)
            terms[name] = feature_reconstruction(
                ops.stop_gradient(hr_features[layer]), seen[1][layer]
            )
        for name, reduction in self._styles.items():
            target = self._targets[name]
            if style is not None:
                target = ops.einsum("ns,scd->ncd", ops.cast(style, "float32"), target)
            distance = style_reconstruction if layer_of(name) else palette_distance
            terms[name] = distance(target, seen[reduction][layer_of(name)])
        return terms

    def total(self, terms: Mapping[str, Any]) -> Any:
        """Returns the weighted sum of what the call returned."""
        return sum(self.weights[name] * value for name, value in terms.items())

    def _seen(self, images: Any) -> dict[int, dict[str, Any]]:
        """Returns images and their features at each size that a loss wants, by its reduction.

        The image itself is at "", the layer of losses that are of none.
        """
        reductions = {*self._styles.values(), *(1 for _ in self._features)}
        sizes = {k: images if k == 1 else ops.average_pool(images, k, k) for k in reductions}
        return {k: {"": size, **self._look(size)} for k, size in sizes.items()}

    def _look(self, images: Any) -> dict[str, Any]:
        return self.loss_network(images, training=False) if self.loss_network else {}


def layer_of(name: str) -> str:
    """Returns the layer of the loss network that a loss by this name is of, or nothing."""
    return name.partition(":")[2].partition("/")[0]

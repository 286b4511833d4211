"""`PerceptualLoss`: a weighted sum of terms, over a loss network."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_perceptual.losses.terms import (
    chroma,
    feature_reconstruction,
    gram_matrix,
    luma_absolute,
    luma_squared,
    palette,
    palette_distance,
    phase_bias,
    pixel_absolute,
    pixel_squared,
    style_reconstruction,
    texture_reconstruction,
    total_variation,
)
from keras_perceptual.losses.vgg import LINEAR

__all__ = ["PerceptualLoss", "check_names", "layer_of"]

_PIXEL = {
    "chroma": lambda hr, sr, scale: chroma(hr, sr),
    "luma_absolute": lambda hr, sr, scale: luma_absolute(hr, sr),
    "luma_squared": lambda hr, sr, scale: luma_squared(hr, sr),
    "pixel_absolute": lambda hr, sr, scale: pixel_absolute(hr, sr),
    "pixel_squared": lambda hr, sr, scale: pixel_squared(hr, sr),
    "phase_bias": phase_bias,
    "total_variation": lambda hr, sr, scale: total_variation(sr),
}
# By kind, from features and the side of a window in them.
_FEATURES = {
    "feature": lambda hr, sr, window: feature_reconstruction(hr, sr),
    "texture": texture_reconstruction,
}
TEXTURE = 16  # pixels of the image a side that a texture is compared over
_STYLE = re.compile(r"(style:[^/]+|palette)(?:/([1-9]\d*))?")


class PerceptualLoss:
    """A weighted sum of losses, by name.

    A plain object on purpose: a Keras model that holds one does not take the loss network for a
    part of itself, so neither checkpoints nor gradients carry it.

    Args:
        weights: loss name to weight. Names are `pixel_absolute`, `pixel_squared`,
            `luma_absolute`, `luma_squared`, `chroma`, `total_variation`, `phase_bias`, `palette`,
            and `feature:LAYER`, `texture:LAYER` and `style:LAYER` for any output of the loss
            network; `style:LAYER/K` and `palette/K` are of images reduced by K, whose strokes are K
            times as large.
        scale: the generator's scale, for `phase_bias`.
        loss_network: a model from `[N, H, W, 3]` to a dict of features by layer name; needed
            only for losses of features.
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
        check_names(weights, list(loss_network.output) if loss_network else [], bool(paintings))
        self.weights = dict(weights)
        self.scale, self.paintings = scale, len(paintings)
        self.loss_network = loss_network
        self._features = [name for name in weights if name.partition(":")[0] in _FEATURES]
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
        terms = {n: _PIXEL[n](hr, sr, self.scale) for n in self.weights if n in _PIXEL}
        seen = self._seen(sr)
        if self._features:
            hr_features = self._look(hr)
        for name in self._features:
            layer = layer_of(name)
            wanted, got = ops.stop_gradient(hr_features[layer]), seen[1][layer]
            window = max(TEXTURE * ops.shape(got)[1] // ops.shape(sr)[1], 1)
            terms[name] = _FEATURES[name.partition(":")[0]](wanted, got, window)
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


def check_names(names: Collection[str], layers: Sequence[str], styled: bool) -> None:
    """Checks that each name is one of a loss.

    Args:
        names: as the weights of `PerceptualLoss` have them; one at least.
        layers: those of the loss network.
        styled: whether there is a painting to compare with.

    Raises:
        ValueError: if one is not; it names those there are.
    """
    kinds = (*_FEATURES, *(["style"] if styled else []))
    known = [*_PIXEL, *(["palette"] if styled else [])]
    of_layers = [f"{kind}:{layer}" for kind in kinds for layer in layers]
    unknown = [n for n in names if _STYLE.sub(r"\1", n) not in (*known, *of_layers)]
    if unknown or not names:
        known += [f"{kind}:LAYER" for kind in kinds if layers]
        if layers and any(":" in name for name in unknown):
            plain = [layer for layer in layers if not layer.endswith(LINEAR)]
            known += [f"with LAYER among {', '.join(plain)}"]
            if len(plain) < len(layers):
                known += [f"or one of them with {LINEAR} after it"]
        raise ValueError(
            f"expected losses among {', '.join(known)}; received {', '.join(unknown) or 'none'}"
        )


def layer_of(name: str) -> str:
    """Returns the layer of the loss network that a loss by this name is of, or nothing."""
    return name.partition(":")[2].partition("/")[0]

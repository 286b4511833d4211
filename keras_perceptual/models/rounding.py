"""Rounding to 8 bits inside a network, with a gradient: what quantisation-aware training needs."""

from __future__ import annotations

import re
from typing import Any

import keras
from keras import ops

__all__ = ["BLOCKS", "convolved", "rounded", "shown", "stepped"]

BLOCKS = r"block\d+_conv\d+"  # the convolutions of residual blocks, by the names of their layers
BEYOND = 8.0  # levels past black and white, from where on a difference does not count


def stepped(x: Any, step: Any) -> Any:
    """Rounds to multiples of a step; the gradient is that of no rounding.

    Source: Jacob et al., "Quantization and training of neural networks for efficient
    integer-arithmetic-only inference", 2018, section 3; of the step, Esser et al., "Learned step
    size quantization", 2020.
    """
    x = x / step
    return (x + ops.stop_gradient(ops.round(x) - x)) * step


def shown(sr: Any) -> Any:
    """Returns a result in float32 without what nobody sees of it: far beyond black and white."""
    return ops.clip(ops.cast(sr, "float32"), -BEYOND, 255 + BEYOND)


def convolved(layer: keras.layers.Conv2D, inputs: Any) -> Any:
    """Returns what a convolution gives whose weights are in 8 bits, each filter with its step."""
    widest = ops.stop_gradient(ops.max(ops.abs(layer.kernel), axis=(0, 1, 2)))
    kernel = stepped(layer.kernel, ops.maximum(widest, 1e-6) / 127)
    return layer.activation(ops.conv(inputs, kernel, padding=layer.padding) + layer.bias)


def rounded(generator: keras.Model, layers: str = BLOCKS) -> keras.Model:
    """Returns a generator of the same weights, some of whose convolutions round as 8 bits do.

    They round their weights, what they take and what they give. The 256 steps of an activation are
    spread over the extremes of each image, in the mean of a batch: the rarest are cut off.

    Args:
        generator: a functional model of `Conv2D` layers; the result shares its layers.
        layers: regular expression that finds the convolutions by their whole names.

    Raises:
        ValueError: if no convolution has such a name.
    """
    found = [layer for layer in generator.layers if re.fullmatch(layers, layer.name)]
    if not found:
        raise ValueError("rounding: expected a generator with residual blocks, found none in it")

    def copied(layer: keras.Layer) -> keras.Layer:
        return _Rounded(layer) if layer in found else layer

    return keras.models.clone_model(generator, clone_function=copied)


class _Rounded(keras.layers.Layer):
    """A convolution of another layer's weights that rounds as 8 bits do."""

    def __init__(self, convolution: keras.layers.Conv2D) -> None:
        super().__init__(name=convolution.name)
        self.convolution = convolution

    def build(self, input_shape):
        self.built = True  # its weights are there

    def call(self, inputs):
        return _activation(convolved(self.convolution, _activation(inputs)))


def _activation(x):
    """Rounds to 256 steps from the least to the largest value."""
    high = ops.maximum(ops.mean(ops.max(x, axis=(1, 2, 3))), 1e-6)
    low = ops.minimum(ops.mean(ops.min(x, axis=(1, 2, 3))), 0.0)
    return stepped(ops.clip(x, low, high), (high - low) / 255)

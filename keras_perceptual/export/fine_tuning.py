"""A generator taught to be in 8 bits: its weights are moved until it gives what it gave before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np
from keras import layers, ops

__all__ = ["Convolution8", "Ranges", "fine_tuned"]

STEPS = 300
LEARNING_RATE = 2e-5

# Of a convolution: the lowest and highest level of what it takes, and of what it gives.
Ranges = tuple[tuple[float, float], tuple[float, float]]


def fine_tuned(
    generator: keras.Model, ranges: Mapping[str, Ranges], batches: Iterable[np.ndarray]
) -> keras.Model:
    """Returns a copy of a generator that differs less from it in 8 bits.

    It is run as it will be in 8 bits, all numbers rounded to their steps, and trained to give what
    the generator gives in float32; gradients pass the rounding as if it were not there.

    Args:
        generator: from `lr` to `sr`; it stays as it is.
        ranges: of the convolutions that will be in 8 bits, by the names of their layers.
        batches: `[N, H, W, 3]` float32 LR images in 0..255, one for each step of training.

    Returns:
        The copy, in float32, of the same layers.

    Source: Jacob et al., "Quantization and training of neural networks for efficient
    integer-arithmetic-only inference", 2018, section 3; the loss is Hinton et al., "Distilling the
    knowledge in a neural network", 2015, with levels in place of classes.
    """

    def eight(layer: layers.Layer) -> layers.Layer:
        if layer.name not in ranges:
            return type(layer).from_config(layer.get_config())
        return Convolution8(*ranges[layer.name], **layer.get_config())

    student = keras.models.clone_model(generator, clone_function=eight)
    student.set_weights(generator.get_weights())
    batches = list(batches)
    steps = max(1, len(batches))
    student.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)),
        loss="mean_squared_error",
    )
    for lr in batches:
        student.train_on_batch(lr, generator.predict_on_batch(lr))
    copy = keras.models.clone_model(generator)
    copy.set_weights(student.get_weights())
    return copy


class Convolution8(layers.Conv2D):
    """A convolution that rounds as LiteRT does in static int8.

    Weights have steps by output channel, symmetric about 0; what goes in and out has 256 steps
    over a range, one of which is 0.

    Args:
        taken: the range of what goes in.
        given: of what comes out, after the activation.
        **config: as `Conv2D` has it.
    """

    def __init__(
        self, taken: tuple[float, float], given: tuple[float, float], **config: Any
    ) -> None:
        super().__init__(**config)
        self.taken, self.given = taken, given

    def call(self, inputs: Any) -> Any:
        step = ops.max(ops.abs(self.kernel), axis=(0, 1, 2)) / 127
        kernel = _straight(self.kernel, ops.round(self.kernel / step) * step)
        outputs = ops.conv(_rounded(inputs, *self.taken), kernel, padding="same") + self.bias
        return _rounded(self.activation(outputs), *self.given)


def _rounded(x: Any, low: float, high: float) -> Any:
    """Returns what 256 steps over a range make of `x`."""
    low, high = min(low, 0.0), max(high, 0.0)
    step = (high - low) / 255
    zero = round(low / step) * step
    inside = ops.clip(x, zero, zero + 255 * step)
    return _straight(inside, ops.round(inside / step) * step)


def _straight(x: Any, rounded: Any) -> Any:
    """Returns `rounded`, with the gradient of `x`."""
    return x + ops.stop_gradient(rounded - x)

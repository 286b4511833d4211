"""Instance normalisation, conditional on a style, whose statistics can be read and set.

A network with instance normalisation is a function of the whole image: each normalisation uses
the mean and the variance of all its pixels. To paint an image in tiles, the statistics are
recorded on pixels that stand for the whole, and given to every tile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras
from keras import ops

__all__ = ["InstanceNormalization", "given_statistics", "recorded_statistics"]


class _Reader:
    """Takes a vector apart, from its front."""

    def __init__(self, vector: Any) -> None:
        self._vector, self._read = vector, 0

    def take(self, count: int) -> Any:
        self._read += count
        return self._vector[self._read - count : self._read]


# What the layers called just now write their statistics to, or read them from.
_recorded: ContextVar[list | None] = ContextVar("recorded", default=None)
_given: ContextVar[_Reader | None] = ContextVar("given", default=None)


@contextmanager
def recorded_statistics() -> Iterator[list]:
    """Lets every `InstanceNormalization` called meanwhile take its batch for one image.

    Yields:
        A list, which gets a vector `[2 C]` of each call: means and variances over the batch,
        height and width.
    """
    record: list = []
    token = _recorded.set(record)
    try:
        yield record
    finally:
        _recorded.reset(token)


@contextmanager
def given_statistics(statistics: Any) -> Iterator[None]:
    """Lets every `InstanceNormalization` called meanwhile use what was recorded before.

    Args:
        statistics: `[K]`, the vectors of the same calls in the same order, joined.
    """
    token = _given.set(_Reader(statistics))
    try:
        yield
    finally:
        _given.reset(token)


@keras.saving.register_keras_serializable(package="keras_perceptual")
class InstanceNormalization(keras.layers.Layer):
    """Normalises each channel of each image, then scales and shifts it as a style says.

    y = gamma_s (x - mean(x)) / sqrt(var(x) + epsilon) + beta_s

    with the mean and the variance over the pixels of one image, and gamma_s and beta_s the
    mixture of the styles' own that the weights `style` name.

    Args:
        styles: number of styles.
        epsilon: added to the variance.

    Call arguments:
        inputs: `[N, H, W, C]`.
        style: `[N, styles]`, the weight of each style, of sum 1; not needed for one.

    Returns:
        `[N, H, W, C]` in the layer's compute dtype; statistics are float32 in any case.

    Source: Ulyanov et al., "Instance normalization: the missing ingredient for fast stylization",
    2016; Dumoulin et al., "A learned representation for artistic style", 2017, equation 5.
    """

    def __init__(self, styles: int = 1, epsilon: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.styles, self.epsilon = styles, epsilon

    def build(self, inputs_shape, style_shape=None):
        shape = (self.styles, inputs_shape[-1])
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones")
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros")

    def call(self, inputs, style=None):
        x = ops.cast(inputs, "float32")
        mean, variance = self._statistics(x)
        gamma, beta = (ops.cast(w, "float32") for w in (self.gamma, self.beta))
        if style is not None:
            style = ops.cast(style, "float32")
            gamma, beta = ops.matmul(style, gamma), ops.matmul(style, beta)
        gamma, beta = (ops.expand_dims(w, (1, 2)) for w in (gamma, beta))
        factor = gamma * ops.rsqrt(variance + self.epsilon)
        return ops.cast(x * factor + (beta - mean * factor), self.compute_dtype)

    def _statistics(self, x):
        """Returns mean and variance, broadcastable to `x`."""
        given, record, shape = _given.get(), _recorded.get(), (1, 1, 1, x.shape[-1])
        if given is not None:
            return tuple(ops.reshape(given.take(shape[-1]), shape) for _ in range(2))
        axes = (1, 2) if record is None else (0, 1, 2)
        mean, variance = ops.moments(x, axes, keepdims=True)
        if record is not None:
            record.append(ops.concatenate([ops.reshape(m, (-1,)) for m in (mean, variance)]))
        return mean, variance

    def compute_output_shape(self, inputs_shape, style_shape=None):
        return inputs_shape

    def get_config(self):
        return {**super().get_config(), "styles": self.styles, "epsilon": self.epsilon}

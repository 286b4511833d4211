"""The post-process as layers: what takes a network's shift out, and the paper's exact matching."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_perceptual.pixels.affine import measured

__all__ = ["AffineMatching", "HistogramMatching"]

LEVELS = 256


@keras.saving.register_keras_serializable(package="keras_perceptual")
class AffineMatching(keras.layers.Layer):
    """Takes a network's shift of colour and contrast out of its output.

    A gain and an offset of each channel, which do not depend on the image.

    Args:
        gain: of red, green and blue.
        offset: of the same, in levels.

    Call arguments:
        image: `[N, H, W, 3]` in about 0..255.

    Returns:
        `[N, H, W, 3]` float32, neither rounded nor clipped.
    """

    def __init__(
        self,
        gain: Sequence[float] = (1.0, 1.0, 1.0),
        offset: Sequence[float] = (0.0, 0.0, 0.0),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.gain, self.offset = list(gain), list(offset)

    @classmethod
    def of(cls, generator: keras.Model) -> AffineMatching:
        """Returns the layer for a generator, its shift measured as `affine.measured` does."""
        affine = measured(lambda lr: ops.convert_to_numpy(generator(lr)), least=0.0)
        return cls(affine.gain.tolist(), affine.offset.tolist())

    def call(self, image):
        gain, offset = (ops.array(each, "float32") for each in (self.gain, self.offset))
        return ops.cast(image, "float32") * gain + offset

    def compute_output_shape(self, image_shape):
        return image_shape

    def get_config(self):
        return {**super().get_config(), "gain": self.gain, "offset": self.offset}


@keras.saving.register_keras_serializable(package="keras_perceptual")
class HistogramMatching(keras.layers.Layer):
    """Gives every channel of an image the distribution of levels of a reference.

    The same as `histograms.match_histograms`, for a batch of different images at once. Both
    images are rounded to 256 levels first. Work and memory are linear in pixels; what is not is
    a table of 256 x 256 per channel. Made of operators that LiteRT has built in.

    Call arguments:
        image: `[N, H, W, C]` in 0..255.
        reference: `[N, h, w, C]` in 0..255.

    Returns:
        `[N, H, W, C]` float32 whole levels in 0..255.

    Source: the paper's section 4.2; np.interp's definition of the interpolation.
    """

    def call(self, image, reference):
        image, reference = _levels(image), _levels(reference)
        batch, channels = ops.shape(image)[0], image.shape[-1]
        # Histogram number n * C + c, for image n and channel c, as [N, 1, 1, C].
        numbers = ops.reshape(ops.arange(batch * channels), (batch, 1, 1, channels))
        image, reference = image + LEVELS * numbers, reference + LEVELS * numbers
        table = _matching_table(
            _quantiles(image, batch * channels), _quantiles(reference, batch * channels)
        )
        return ops.take(ops.reshape(table, (-1,)), image)

    def compute_output_shape(self, image_shape, reference_shape):
        return image_shape


def _levels(image):
    image = ops.cast(image, "float32")
    return ops.cast(ops.round(ops.clip(image, 0, LEVELS - 1)), "int32")


def _quantiles(levels, histograms):
    """Cumulative distributions `[histograms, 256]` of levels offset by 256 a histogram."""
    flat = ops.reshape(levels, (-1,))
    # Whole numbers: float32 would stop counting at 2^24 pixels.
    counts = ops.segment_sum(ops.ones_like(flat), flat, num_segments=histograms * LEVELS)
    cumulative = ops.cumsum(ops.reshape(counts, (-1, LEVELS)), axis=1)
    return ops.cast(cumulative, "float32") / ops.cast(cumulative[:, -1:], "float32")


def _matching_table(source, reference):
    """Returns np.interp(source, quantiles, levels) over the levels that the reference has.

    Among those levels, `above` is the first whose quantile is larger than the source's, and
    `below` the one before it; a level that the reference lacks repeats the quantile before.
    """
    ascending = ops.expand_dims(reference, 1)  # [histograms, 1, 256]
    above = _count(ascending <= ops.expand_dims(source, 2))
    last = ops.maximum(above - 1, 0)
    low = ops.take_along_axis(reference, last, axis=1)
    high = ops.take_along_axis(reference, ops.minimum(above, LEVELS - 1), axis=1)
    below = _count(ascending < ops.expand_dims(low, 2))
    span = high - low
    share = ops.where(span > 0, (source - low) / ops.where(span > 0, span, 1.0), 0.0)
    lower, upper = ops.cast(below, "float32"), ops.cast(above, "float32")
    between = lower + share * (upper - lower)
    # Below the reference's first level there is nothing to interpolate from.
    first = ops.logical_or(above == 0, low == 0)
    return ops.round(ops.where(first, upper, between))


def _count(flags):
    return ops.sum(ops.cast(flags, "int32"), axis=2)

"""Layers that Keras lacks, registered so that saved models load in safe mode."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_perceptual.pixels.levels import luma
from keras_perceptual.pixels.resampling import imresize

__all__ = [
    "BicubicUpsampling",
    "Crop",
    "DepthToSpace",
    "Luma",
    "ReflectionPadding",
]


def _depth_to_space(inputs, scale):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf  # Keras before 3.15 has no depth_to_space of its own

        return tf.nn.depth_to_space(inputs, scale)
    batch, height, width, depth = ops.shape(inputs)
    channels = depth // scale**2
    blocks = ops.reshape(inputs, (batch, height, width, scale, scale, channels))
    rows = ops.transpose(blocks, (0, 1, 3, 2, 4, 5))
    return ops.reshape(rows, (batch, height * scale, width * scale, channels))


@keras.saving.register_keras_serializable(package="keras_perceptual")
class DepthToSpace(keras.layers.Layer):
    """Rearranges channels into pixels: the sub-pixel half of a sub-pixel convolution.

    Channel `(dy * scale + dx) * C + c` of the input becomes channel `c` of the pixel at offset
    `(dy, dx)` in a block of scale x scale, so that LiteRT takes it as one DEPTH_TO_SPACE.

    Args:
        scale: side of the block, at least 2.

    Call arguments:
        inputs: `[N, H, W, scale^2 C]`.

    Returns:
        `[N, scale H, scale W, C]`.

    Source: Shi et al., "Real-time single image and video super-resolution using an efficient
    sub-pixel convolutional neural network", 2016, equation 4.
    """

    def __init__(self, scale: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if scale < 2:
            raise ValueError(f"expected a scale of at least 2, received {scale}")
        self.scale = scale

    def call(self, inputs):
        return _depth_to_space(inputs, self.scale)

    def compute_output_shape(self, input_shape):
        batch, height, width, depth = input_shape
        if depth % self.scale**2:
            raise ValueError(
                f"expected channels in a multiple of {self.scale**2}, received {depth}"
            )
        return (
            batch,
            None if height is None else height * self.scale,
            None if width is None else width * self.scale,
            depth // self.scale**2,
        )

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


@keras.saving.register_keras_serializable(package="keras_perceptual")
class BicubicUpsampling(keras.layers.Layer):
    """Enlarges images as `resampling.imresize` does: a fixed convolution and DEPTH_TO_SPACE.

    Resizes of `keras.ops` and TensorFlow have another kernel, and LiteRT has no bicubic one.

    Args:
        scale: an integer of at least 2.

    Call arguments:
        inputs: `[N, H, W, C]`.

    Returns:
        `[N, scale H, scale W, C]`, neither rounded nor clipped.
    """

    REACH = 2  # pixels to each side that a cubic kernel sees

    def __init__(self, scale: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs):
        taps, channels = 2 * self.REACH + 1, inputs.shape[-1]
        # The middle rows of the matrix that resizes an axis.
        matrix = imresize(np.eye(9, dtype=np.float32), size=(9 * self.scale, 9))
        kernel = matrix[4 * self.scale : 5 * self.scale, 4 - self.REACH : 5 + self.REACH]
        both = np.einsum("py,qx,cd->yxcpqd", kernel, kernel, np.eye(channels, dtype=np.float32))
        both = both.reshape(taps, taps, channels, self.scale**2 * channels)
        x = ops.cast(inputs, "float32")
        for axis in (1, 2):
            x = ops.take(x, self._mirrored(ops.shape(x)[axis]), axis=axis)
        return _depth_to_space(ops.conv(x, both, padding="valid"), self.scale)

    def _mirrored(self, length):
        """Returns the indices of an axis and what lies beside it, edge pixels repeated."""
        indices = ops.arange(-self.REACH, length + self.REACH) % (2 * length)
        return ops.minimum(indices, 2 * length - 1 - indices)

    def compute_output_shape(self, input_shape):
        batch, *sides, channels = input_shape
        return (batch, *(side and side * self.scale for side in sides), channels)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


@keras.saving.register_keras_serializable(package="keras_perceptual")
class Luma(keras.layers.Layer):
    """The Y of an RGB image, as `metrics.luma` has it.

    Call arguments:
        inputs: `[N, H, W, 3]` in 0..255.

    Returns:
        `[N, H, W, 1]` in 16..235.
    """

    def call(self, inputs):
        inputs = ops.cast(inputs, "float32")
        weights = ops.convert_to_tensor(luma(np.eye(3)) - 16.0, "float32")
        return 16.0 + ops.sum(inputs * weights, axis=-1, keepdims=True)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 1)


@keras.saving.register_keras_serializable(package="keras_perceptual")
class ReflectionPadding(keras.layers.Layer):
    """Mirrors an image around its edge pixels, however small it is.

    Args:
        size: pixels beyond every side.
        multiple: what height and width come to be a multiple of, by more pixels below and to
            the right; `2 * size` must be one.

    Call arguments:
        inputs: `[N, H, W, C]`.

    Returns:
        `[N, H + 2 size + below, W + 2 size + right, C]`.
    """

    def __init__(self, size: int, multiple: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size, self.multiple = size, multiple

    def call(self, inputs):
        x = inputs
        for axis in (1, 2):
            length = ops.shape(x)[axis]
            period = ops.maximum(2 * length - 2, 1)
            indices = ops.arange(-self.size, self._padded(length) - self.size) % period
            x = ops.take(x, ops.minimum(indices, period - indices), axis=axis)
        return x

    def _padded(self, length):
        return length + 2 * self.size + -length % self.multiple

    def compute_output_shape(self, input_shape):
        batch, *sides, channels = input_shape
        return (batch, *(side and self._padded(side) for side in sides), channels)

    def get_config(self):
        return {**super().get_config(), "size": self.size, "multiple": self.multiple}


@keras.saving.register_keras_serializable(package="keras_perceptual")
class Crop(keras.layers.Layer):
    """Cuts images to the size of others.

    Args:
        offset: pixels that are cut off above and to the left; the rest is cut below and to the
            right.

    Call arguments:
        inputs: `[N, H, W, C]`.
        like: `[N, h, w, c]`, with h + offset and w + offset no larger than H and W.

    Returns:
        `[N, h, w, C]`.
    """

    def __init__(self, offset: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.offset = offset

    def call(self, inputs, like):
        height, width = ops.shape(like)[1:3]
        first = self.offset
        return inputs[:, first : first + height, first : first + width]

    def compute_output_shape(self, inputs_shape, like_shape):
        return (*like_shape[:3], inputs_shape[-1])

    def get_config(self):
        return {**super().get_config(), "offset": self.offset}

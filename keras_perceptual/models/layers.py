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
    "Repetition",
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
class Repetition(keras.layers.Layer):
    """Repeats pixels as channels, of which `DepthToSpace` makes the image enlarged by repetition.

    A fixed convolution: LiteRT copies what it concatenates pixel by pixel, three bytes at a time.

    Args:
        scale: how often each pixel is repeated to each side.
        fold: side of the blocks of pixels that become one.

    Call arguments:
        inputs: `[N, H, W, C]`; what lacks of a block below and to the right is zero.

    Returns:
        `[N, H / fold, W / fold, (fold scale)^2 C]`, both rounded up, as `DepthToSpace(fold scale)`
        takes them.
    """

    def __init__(self, scale: int, fold: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale, self.fold = scale, fold

    def call(self, inputs):
        channels = inputs.shape[-1]
        # Which pixel of a block (rows) each one of the enlarged block (columns) repeats.
        which = np.repeat(np.eye(self.fold, dtype=np.float32), self.scale, axis=1)
        kernel = np.einsum("yp,xq,cd->yxcpqd", which, which, np.eye(channels, dtype=np.float32))
        kernel = kernel.reshape(self.fold, self.fold, channels, -1)
        return ops.conv(inputs, kernel, strides=self.fold, padding="same")

    def compute_output_shape(self, input_shape):
        batch, *sides, channels = input_shape
        blocks = (side and -(-side // self.fold) for side in sides)
        return (batch, *blocks, (self.fold * self.scale) ** 2 * channels)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale, "fold": self.fold}


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
    """Cuts images to the size of others, or to a multiple of it.

    Args:
        offset: pixels that are cut off above and to the left; the rest is cut below and to the
            right.
        scale: the multiple.

    Call arguments:
        inputs: `[N, H, W, C]`.
        like: `[N, h, w, c]`, with scale h + offset and scale w + offset no larger than H and W.

    Returns:
        `[N, scale h, scale w, C]`.
    """

    def __init__(self, offset: int = 0, scale: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.offset, self.scale = offset, scale

    def call(self, inputs, like):
        height, width = (self.scale * side for side in ops.shape(like)[1:3])
        first = self.offset
        return inputs[:, first : first + height, first : first + width]

    def compute_output_shape(self, inputs_shape, like_shape):
        batch, *sides, _ = like_shape
        return (batch, *(side and self.scale * side for side in sides), inputs_shape[-1])

    def get_config(self):
        return {**super().get_config(), "offset": self.offset, "scale": self.scale}

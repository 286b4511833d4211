"""Layers that Keras lacks, registered so that saved models load in safe mode."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

__all__ = ["DepthToSpace"]


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
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf  # Keras before 3.15 has no depth_to_space of its own

            return tf.nn.depth_to_space(inputs, self.scale)
        batch, height, width, depth = ops.shape(inputs)
        scale, channels = self.scale, depth // self.scale**2
        blocks = ops.reshape(inputs, (batch, height, width, scale, scale, channels))
        rows = ops.transpose(blocks, (0, 1, 3, 2, 4, 5))
        return ops.reshape(rows, (batch, height * scale, width * scale, channels))

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

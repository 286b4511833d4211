"""Generators as LiteRT runs them best: the same function of the same weights."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from keras_perceptual.models.layers import ReflectionPadding

__all__ = ["BlockConv2D", "lowered"]

WIDE = 9  # pixels a side of a kernel from which blocks are faster
BLOCK = 2


def lowered(generator: keras.Model) -> keras.Model:
    """Returns a generator with its wide convolutions computed in blocks.

    LiteRT keeps a pointer for every weight of a kernel at every pixel, 648 bytes a pixel at
    9x9, and computes 16 or 32 channels even where an image has 3. In blocks of 2x2 pixels it
    keeps a thirteenth of the pointers and computes 12 channels.

    Args:
        generator: a functional model.

    Returns:
        A model of its own, with the same inputs, outputs and weights; the same model if nothing
        makes the sizes of its images even, or it has no wide convolution.
    """
    even = any(
        isinstance(layer, ReflectionPadding) and layer.multiple % BLOCK == 0
        for layer in generator.layers
    )
    wide = {
        layer.name
        for layer in generator.layers
        if type(layer) is keras.layers.Conv2D
        and min(layer.kernel_size) >= WIDE
        and (layer.strides, layer.padding) == ((1, 1), "same")
    }
    if not (even and wide):
        return generator

    def clone(layer: keras.Layer) -> keras.Layer:
        if layer.name in wide:
            return BlockConv2D(layer)
        return type(layer).from_config(layer.get_config())

    twin = keras.models.clone_model(generator, clone_function=clone)
    for layer in twin.layers:
        if layer.name not in wide:
            layer.set_weights(generator.get_layer(layer.name).get_weights())
    return twin


class BlockConv2D(keras.layers.Layer):
    """A convolution of stride 1 and padding `same`, computed in blocks of 2x2 pixels.

    What 2x2 pixels of the output see are (k + 1) x (k + 1) pixels of the input, a whole number
    of blocks for a k of 5, 9 or 13. So the convolution of pixels is one of blocks, whose kernel
    holds each weight at the four places that it has relative to the four pixels.

    Args:
        convolution: what is computed.

    Call arguments:
        inputs: `[N, H, W, C]` with even H and W.

    Returns:
        `[N, H, W, filters]`.
    """

    def __init__(self, convolution: keras.layers.Conv2D) -> None:
        super().__init__(name=convolution.name)
        self.activation = convolution.activation
        kernel, bias = convolution.get_weights()
        self.kernel = self._constant(block_kernel(kernel))
        self.bias = self._constant(np.tile(bias, BLOCK**2))

    def _constant(self, values):
        initial = keras.initializers.Constant(values)
        return self.add_weight(shape=values.shape, initializer=initial, trainable=False)

    def call(self, inputs):
        blocks = tf.nn.space_to_depth(inputs, BLOCK)
        blocks = tf.nn.conv2d(blocks, self.kernel, 1, "SAME") + self.bias
        return self.activation(tf.nn.depth_to_space(blocks, BLOCK))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:3], self.bias.shape[0] // BLOCK**2)


def block_kernel(kernel: np.ndarray) -> np.ndarray:
    """Returns the kernel over blocks of 2x2 pixels that does what a kernel does over pixels.

    Args:
        kernel: `[k, k, C, filters]`.

    Returns:
        `[s, s, 4 C, 4 filters]` with s = (k + 1) / 2, in DEPTH_TO_SPACE's order of channels.
    """
    size, _, channels, filters = kernel.shape
    span = (size + BLOCK - 1) // BLOCK
    placed = np.zeros((BLOCK, BLOCK, span * BLOCK, span * BLOCK, channels, filters), kernel.dtype)
    for y, x in np.ndindex(BLOCK, BLOCK):
        placed[y, x, y : y + size, x : x + size] = kernel
    placed = placed.reshape(BLOCK, BLOCK, span, BLOCK, span, BLOCK, channels, filters)
    placed = placed.transpose(2, 4, 3, 5, 6, 0, 1, 7)
    return placed.reshape(span, span, BLOCK**2 * channels, BLOCK**2 * filters)

"""Generators of super-resolution: one functional Keras model builder each."""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import layers

from keras_perceptual.models.convolution import conv, normal
from keras_perceptual.models.layers import (
    BicubicUpsampling,
    Crop,
    DepthToSpace,
    Luma,
    Repetition,
)

__all__ = ["johnson", "plain", "srcnn", "subpixel"]


def johnson(scale: int = 4, channels: int = 64, blocks: int = 4) -> keras.Model:
    """The paper's super-resolution network.

    Args:
        scale: 2, 4 or 8.
        channels: filters of every inner convolution.
        blocks: number of residual blocks.

    Returns:
        A functional model from `lr` to `sr`.

    Raises:
        ValueError: if `scale` is none of 2, 4, 8.

    Source: Johnson et al. 2016, section 3.1 and table 2 of its supplement: zero padding, batch
    normalisation and ReLU after every convolution outside the residual blocks but the last.
    """
    if scale not in (2, 4, 8):
        raise ValueError(f"expected a scale of 2, 4 or 8 for johnson, received {scale}")

    def normalised(x, name):
        x = layers.BatchNormalization(name=f"{name}_norm")(x)
        return layers.ReLU(name=f"{name}_relu")(x)

    lr = keras.Input((None, None, 3), name="lr")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="to_unit")(lr)
    x = normalised(conv(x, channels, 9, "head"), "head")
    for i in range(blocks):
        y = normalised(conv(x, channels, 3, f"block{i}_conv0"), f"block{i}_conv0")
        y = conv(y, channels, 3, f"block{i}_conv1")
        y = layers.BatchNormalization(name=f"block{i}_conv1_norm")(y)
        x = layers.Add(name=f"block{i}_add")([x, y])
    for i in range(int(math.log2(scale))):
        x = layers.Conv2DTranspose(
            channels,
            3,
            strides=2,
            padding="same",
            kernel_initializer=normal(x, 3, 2.0),
            name=f"up{i}",
        )(x)
        x = normalised(x, f"up{i}")
    x = conv(x, 3, 9, "tail", gain=1.0, activation="tanh")
    sr = layers.Rescaling(127.5, offset=127.5, name="sr", dtype="float32")(x)
    return keras.Model(lr, sr, name=f"johnson_x{scale}")


def subpixel(scale: int = 4, channels: int = 48, blocks: int = 7) -> keras.Model:
    """A residual network that works at LR size and ends in one sub-pixel convolution.

    Its output is the input enlarged by repetition plus what the network adds, so colours stay,
    and a network of zeros is the identity. No batch normalisation: results do not depend on
    the batch, and the ranges that make up a picture's contrast pass through.

    Args:
        scale: any integer of at least 2.
        channels: filters of every inner convolution.
        blocks: number of residual blocks.

    Returns:
        A functional model from `lr` to `sr`.

    Raises:
        ValueError: if `scale` is below 2.

    Source: the residual block of Lim et al. 2017 (EDSR), the upsampling of Shi et al. 2016
    (ESPCN), the long skip of Du et al. 2021 (ABPN).
    """
    if scale < 2:
        raise ValueError(f"expected a scale of at least 2 for subpixel, received {scale}")

    lr = keras.Input((None, None, 3), name="lr")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="to_unit")(lr)
    x = head = conv(x, channels, 3, "head", gain=1.0)
    for i in range(blocks):
        # Small last convolutions make every block begin near the identity: large learning rates
        # then work without normalisation.
        y = conv(x, channels, 3, f"block{i}_conv0", activation="relu")
        y = conv(y, channels, 3, f"block{i}_conv1", gain=0.1)
        x = layers.Add(name=f"block{i}_add")([x, y])
    x = layers.Add(name="body_add")([x, head])
    x = conv(x, 3 * scale**2, 3, "tail", gain=0.1)
    # From here on in float32 also under mixed precision: half of it cannot hold 256 levels.
    x = layers.Rescaling(127.5, name="to_levels", dtype="float32")(x)
    repeated = layers.Concatenate(name="repeat", dtype="float32")([lr] * scale**2)
    x = layers.Add(name="skip_add", dtype="float32")([x, repeated])
    sr = DepthToSpace(scale, name="sr", dtype="float32")(x)
    return keras.Model(lr, sr, name=f"subpixel_x{scale}")


def plain(scale: int = 4, channels: int = 64, blocks: int = 4) -> keras.Model:
    """Convolutions in a row on blocks of 2x2 LR pixels, and a sub-pixel one: for films.

    As `subpixel`, but without residual blocks: in 8 bits additions take as long as convolutions of
    few channels, and this has only the one of the repeated input. Four times as many channels at a
    quarter of the places are as many multiplications, of which a processor does more than twice
    as many a second. So that it still trains like a residual network, every inner convolution
    begins as the identity plus noise.

    Args:
        scale: any integer of at least 2.
        channels: filters of every inner convolution; multiples of 16 fill registers.
        blocks: number of convolutions between the first and the last.

    Returns:
        A functional model from `lr` to `sr`. Its layer `whole` has the same before it is cut to the
        size of `lr`: an odd one ends with half a block.

    Raises:
        ValueError: if `scale` is below 2.

    Source: the plain body and the long skip of Du et al. 2021 (ABPN); blocks of pixels at the
    beginning as Shi et al. 2016 at the end (ESPCN); beginning at the identity as Ding et al. 2021
    (RepVGG), whose branches are here one kernel from the beginning.
    """
    if scale < 2:
        raise ValueError(f"expected a scale of at least 2 for plain, received {scale}")

    lr = keras.Input((None, None, 3), name="lr")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="to_unit")(lr)
    x = conv(x, channels, 4, "head", strides=2, activation="relu")
    for i in range(blocks):
        x = conv(x, channels, 3, f"block{i}_conv", gain=0.5, activation="relu")
    x = conv(x, 3 * (2 * scale) ** 2, 3, "tail", gain=0.1)
    x = layers.Rescaling(127.5, name="to_levels", dtype="float32")(x)
    repeated = Repetition(scale, 2, name="repeat", dtype="float32")(lr)
    x = layers.Add(name="skip_add", dtype="float32")([x, repeated])
    x = DepthToSpace(2 * scale, name="whole", dtype="float32")(x)
    sr = Crop(scale=scale, name="sr", dtype="float32")(x, lr)
    model = keras.Model(lr, sr, name=f"plain_x{scale}")
    for i in range(blocks):
        kernel, bias = model.get_layer(f"block{i}_conv").get_weights()
        kernel[1, 1] += np.eye(channels, dtype=kernel.dtype)
        model.get_layer(f"block{i}_conv").set_weights([kernel, bias])
    return model


def srcnn(scale: int = 4, channels: int = 64, blocks: int = 1) -> keras.Model:
    """The first convolutional network for super-resolution, which the paper compares itself with.

    Works on the luma of the bicubic enlargement, at HR size. Unlike the original it adds what it
    computes to that luma, and pads with zeros; colours are those of the enlargement.

    Args:
        scale: any integer of at least 2.
        channels: filters of the first convolution, twice those of the others.
        blocks: number of 5x5 convolutions between the first and the last.

    Returns:
        A functional model from `lr` to `sr`.

    Raises:
        ValueError: if `scale` is below 2.

    Source: Dong et al., "Image super-resolution using deep convolutional networks", 2015, in its
    form 9-5-5.
    """
    lr = keras.Input((None, None, 3), name="lr")
    bicubic = BicubicUpsampling(scale, name="bicubic", dtype="float32")(lr)
    x = Luma(name="luma")(bicubic)
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="to_unit")(x)
    x = conv(x, channels, 9, "head", activation="relu")
    for i in range(blocks):
        x = conv(x, channels // 2, 5, f"map{i}", activation="relu")
    x = conv(x, 1, 5, "tail", gain=0.01)
    # One of luma is 255 / 219 of red, green and blue each; added to all three by broadcasting.
    x = layers.Rescaling(127.5 * 255 / 219, name="to_levels", dtype="float32")(x)
    sr = layers.Add(name="sr", dtype="float32")([bicubic, x])
    return keras.Model(lr, sr, name=f"srcnn_x{scale}")

"""Generators: one functional Keras model builder each.

Every generator takes `lr` `[N, H, W, 3]` float32 RGB in 0..255, of any height and width, and
returns `sr` `[N, scale H, scale W, 3]` in the same range (`subpixel` may overshoot it a little).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import keras
from keras import layers

from keras_perceptual.layers import DepthToSpace

__all__ = ["GENERATORS", "build", "johnson", "subpixel"]


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
    x = layers.Conv2D(channels, 9, padding="same", name="head")(x)
    x = normalised(x, "head")
    for i in range(blocks):
        y = layers.Conv2D(channels, 3, padding="same", name=f"block{i}_conv0")(x)
        y = normalised(y, f"block{i}_conv0")
        y = layers.Conv2D(channels, 3, padding="same", name=f"block{i}_conv1")(y)
        y = layers.BatchNormalization(name=f"block{i}_conv1_norm")(y)
        x = layers.Add(name=f"block{i}_add")([x, y])
    for i in range(int(math.log2(scale))):
        x = layers.Conv2DTranspose(channels, 3, strides=2, padding="same", name=f"up{i}")(x)
        x = normalised(x, f"up{i}")
    x = layers.Conv2D(3, 9, padding="same", activation="tanh", name="tail")(x)
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

    def conv(x, filters, name, gain=2.0, activation=None):
        # He's variance, which is gain 2. Small last convolutions make every block begin near the
        # identity: large learning rates then work without normalisation. (VarianceScaling itself
        # is saved with arguments that older versions of Keras do not know.)
        deviation = math.sqrt(gain / (9 * x.shape[-1]))
        return layers.Conv2D(
            filters,
            3,
            padding="same",
            activation=activation,
            kernel_initializer=keras.initializers.RandomNormal(stddev=deviation),
            name=name,
        )(x)

    lr = keras.Input((None, None, 3), name="lr")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="to_unit")(lr)
    x = head = conv(x, channels, "head", gain=1.0)
    for i in range(blocks):
        y = conv(x, channels, f"block{i}_conv0", activation="relu")
        y = conv(y, channels, f"block{i}_conv1", gain=0.1)
        x = layers.Add(name=f"block{i}_add")([x, y])
    x = layers.Add(name="body_add")([x, head])
    x = conv(x, 3 * scale**2, "tail", gain=0.1)
    # From here on in float32 also under mixed precision: half of it cannot hold 256 levels.
    x = layers.Rescaling(127.5, name="to_levels", dtype="float32")(x)
    repeated = layers.Concatenate(name="repeat", dtype="float32")([lr] * scale**2)
    x = layers.Add(name="skip_add", dtype="float32")([x, repeated])
    sr = DepthToSpace(scale, name="sr", dtype="float32")(x)
    return keras.Model(lr, sr, name=f"subpixel_x{scale}")


GENERATORS: dict[str, Callable[..., keras.Model]] = {"johnson": johnson, "subpixel": subpixel}


def build(generator: str, **config: int) -> keras.Model:
    """Builds a generator by its name.

    Args:
        generator: a key of `GENERATORS`.
        **config: the builder's own arguments.

    Returns:
        The functional model.

    Raises:
        ValueError: if there is no such generator.
    """
    if generator not in GENERATORS:
        raise ValueError(f"expected a generator of {sorted(GENERATORS)}, received {generator!r}")
    return GENERATORS[generator](**config)

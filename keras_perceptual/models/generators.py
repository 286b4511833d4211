"""Generators: one functional Keras model builder each, and a count of what it computes.

Every generator takes `lr` `[N, H, W, 3]` float32 RGB in 0..255, of any height and width, and
returns `sr` `[N, scale H, scale W, 3]` in the same range (`johnson` within it, the others may
overshoot it a little).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_perceptual.models.layers import (
    BicubicUpsampling,
    Crop,
    DepthToSpace,
    Luma,
    ReflectionPadding,
)
from keras_perceptual.models.normalization import InstanceNormalization

__all__ = [
    "GENERATORS",
    "build",
    "in_style",
    "johnson",
    "multiply_adds",
    "srcnn",
    "style",
    "subpixel",
]


def _normal(x: Any, size: int, gain: float) -> keras.initializers.Initializer:
    """Returns normal weights of variance gain / fan-in: He's for gain 2, LeCun's for 1.

    (VarianceScaling itself is saved with arguments that older versions of Keras do not know.)
    """
    return keras.initializers.RandomNormal(stddev=math.sqrt(gain / (size**2 * x.shape[-1])))


def _conv(
    x: Any,
    filters: int,
    size: int,
    name: str,
    gain: float = 2.0,
    activation: str | None = None,
    strides: int = 1,
    padding: str = "same",
) -> Any:
    return layers.Conv2D(
        filters,
        size,
        strides,
        padding=padding,
        activation=activation,
        kernel_initializer=_normal(x, size, gain),
        name=name,
    )(x)


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
    x = normalised(_conv(x, channels, 9, "head"), "head")
    for i in range(blocks):
        y = normalised(_conv(x, channels, 3, f"block{i}_conv0"), f"block{i}_conv0")
        y = _conv(y, channels, 3, f"block{i}_conv1")
        y = layers.BatchNormalization(name=f"block{i}_conv1_norm")(y)
        x = layers.Add(name=f"block{i}_add")([x, y])
    for i in range(int(math.log2(scale))):
        x = layers.Conv2DTranspose(
            channels,
            3,
            strides=2,
            padding="same",
            kernel_initializer=_normal(x, 3, 2.0),
            name=f"up{i}",
        )(x)
        x = normalised(x, f"up{i}")
    x = _conv(x, 3, 9, "tail", gain=1.0, activation="tanh")
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
    x = head = _conv(x, channels, 3, "head", gain=1.0)
    for i in range(blocks):
        # Small last convolutions make every block begin near the identity: large learning rates
        # then work without normalisation.
        y = _conv(x, channels, 3, f"block{i}_conv0", activation="relu")
        y = _conv(y, channels, 3, f"block{i}_conv1", gain=0.1)
        x = layers.Add(name=f"block{i}_add")([x, y])
    x = layers.Add(name="body_add")([x, head])
    x = _conv(x, 3 * scale**2, 3, "tail", gain=0.1)
    # From here on in float32 also under mixed precision: half of it cannot hold 256 levels.
    x = layers.Rescaling(127.5, name="to_levels", dtype="float32")(x)
    repeated = layers.Concatenate(name="repeat", dtype="float32")([lr] * scale**2)
    x = layers.Add(name="skip_add", dtype="float32")([x, repeated])
    sr = DepthToSpace(scale, name="sr", dtype="float32")(x)
    return keras.Model(lr, sr, name=f"subpixel_x{scale}")


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
    x = _conv(x, channels, 9, "head", activation="relu")
    for i in range(blocks):
        x = _conv(x, channels // 2, 5, f"map{i}", activation="relu")
    x = _conv(x, 1, 5, "tail", gain=0.01)
    # One of luma is 255 / 219 of red, green and blue each; added to all three by broadcasting.
    x = layers.Rescaling(127.5 * 255 / 219, name="to_levels", dtype="float32")(x)
    sr = layers.Add(name="sr", dtype="float32")([bicubic, x])
    return keras.Model(lr, sr, name=f"srcnn_x{scale}")


def style(
    scale: int = 1,
    channels: int = 32,
    blocks: int = 5,
    styles: int = 1,
    normalization: str = "instance",
) -> keras.Model:
    """The paper's style transfer network, for one style or several.

    The result has the input's size exactly. Every upsampling repeats pixels before it convolves,
    where the paper's convolutions of stride 1/2 leave a checkerboard.

    Args:
        scale: must be 1.
        channels: filters of the first convolution; 2 and 4 times as many further in.
        blocks: number of residual blocks.
        styles: number of styles that it paints.
        normalization: `instance`, or the paper's `batch`, which has one style only.

    Returns:
        A functional model from `lr` to `sr`; of several styles from `lr` and `style`
        `[N, styles]`, the weight of each style in the mixture, of sum 1.

    Raises:
        ValueError: for another scale or normalisation, or several styles in batch normalisation.

    Source: Johnson et al. 2016, section 3.1 and table 1 of its supplement; Odena et al.,
    "Deconvolution and checkerboard artifacts", 2016; Dumoulin et al. 2017.
    """
    if scale != 1:
        raise ValueError(f"expected a scale of 1 for style, received {scale}")
    if normalization not in ("instance", "batch"):
        raise ValueError(f"expected a normalization instance or batch, received {normalization!r}")
    if styles < 1 or (styles > 1 and normalization == "batch"):
        raise ValueError(f"expected one style, or more in instance, received {styles}")
    lr = keras.Input((None, None, 3), name="lr")
    weights = keras.Input((styles,), name="style") if styles > 1 else None

    def normalised(x, name):
        if normalization == "batch":
            return layers.BatchNormalization(name=f"{name}_norm")(x)
        layer = InstanceNormalization(styles, name=f"{name}_norm")
        return layer(x) if weights is None else layer(x, style=weights)

    def active(x, name):
        return layers.ReLU(name=f"{name}_relu")(normalised(x, name))

    # Each block takes 2 pixels of a quarter of the size off every side. The 8 pixels more are cut
    # off at the end: the zeros around the last convolutions show in them, as a frame.
    x = ReflectionPadding(8 * blocks + 8, multiple=4, name="pad")(lr)
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="to_unit")(x)
    x = active(_conv(x, channels, 9, "head"), "head")
    for i in range(2):
        x = active(_conv(x, channels * 2 ** (i + 1), 3, f"down{i}", strides=2), f"down{i}")
    for i in range(blocks):
        name, filters = f"block{i}", x.shape[-1]
        y = active(_conv(x, filters, 3, f"{name}_conv0", padding="valid"), f"{name}_conv0")
        y = _conv(y, filters, 3, f"{name}_conv1", padding="valid")
        y = normalised(y, f"{name}_conv1")
        x = layers.Add(name=f"{name}_add")([layers.Cropping2D(2, name=f"{name}_crop")(x), y])
    for i in range(2):
        x = layers.Concatenate(name=f"up{i}_repeat")([x] * 4)
        x = DepthToSpace(2, name=f"up{i}_nearest")(x)
        x = active(_conv(x, channels * 2 ** (1 - i), 3, f"up{i}"), f"up{i}")
    # Flat parts of an image would add up over 81 pixels to where tanh has no gradient, and stay
    # black; so the first outputs are gray, and black is reached before tanh is flat.
    x = _conv(x, 3, 9, "tail", gain=0.01, activation="tanh")
    x = layers.Rescaling(150.0, offset=127.5, name="to_levels", dtype="float32")(x)
    sr = Crop(8, name="sr", dtype="float32")(x, lr)
    return keras.Model(lr if weights is None else [lr, weights], sr, name="style")


def in_style(generator: keras.Model, weights: Sequence[float]) -> keras.Model:
    """Makes a generator of one style out of one of several.

    Args:
        generator: as `style` builds it, with instance normalisation.
        weights: of each of its styles in the mixture, of sum 1.

    Returns:
        A functional model from `lr` to `sr`.

    Raises:
        ValueError: if there are not as many weights as styles.
    """
    norms = [each for each in generator.layers if isinstance(each, InstanceNormalization)]
    if not norms or len(weights) != norms[0].styles:
        raise ValueError(
            f"expected {norms[0].styles if norms else 'no'} style weights, received {len(weights)}"
        )
    blocks = sum(each.name.endswith("_add") for each in generator.layers)
    mixed = style(channels=generator.get_layer("head").filters, blocks=blocks)
    for layer in mixed.layers:
        values = generator.get_layer(layer.name).get_weights()
        if isinstance(layer, InstanceNormalization):
            values = [np.dot(weights, each)[None] for each in values]
        layer.set_weights(values)
    return mixed


GENERATORS: dict[str, Callable[..., keras.Model]] = {
    "johnson": johnson,
    "srcnn": srcnn,
    "style": style,
    "subpixel": subpixel,
}


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


def multiply_adds(generator: keras.Model, height: int, width: int) -> int:
    """Counts what a generator's convolutions compute for one LR image.

    Args:
        generator: a model from `lr` to `sr`.
        height: of the LR image, in pixels.
        width: the same.

    Returns:
        The number of multiplications, each with its addition.
    """
    convolutions = [layer for layer in generator.layers if hasattr(layer, "kernel")]
    outputs = keras.Model(generator.input, [layer.output for layer in convolutions])
    shapes = outputs.compute_output_shape((1, height, width, 3))
    total = 0
    for layer, shape in zip(convolutions, shapes, strict=True):
        # Every weight is used once a pixel: of the output, or of a transposed one's input.
        transposed = isinstance(layer, layers.Conv2DTranspose)
        pixels = math.prod(shape[1:3]) // (math.prod(layer.strides) if transposed else 1)
        total += math.prod(layer.kernel.shape) * pixels
    return total

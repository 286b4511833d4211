"""The generator of style transfer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import keras
import numpy as np
from keras import layers

from keras_perceptual.models.convolution import conv
from keras_perceptual.models.describing import describe
from keras_perceptual.models.layers import Crop, DepthToSpace, ReflectionPadding
from keras_perceptual.models.normalization import InstanceNormalization

__all__ = ["in_style", "style"]


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
    x = active(conv(x, channels, 9, "head"), "head")
    for i in range(2):
        x = active(conv(x, channels * 2 ** (i + 1), 3, f"down{i}", strides=2), f"down{i}")
    for i in range(blocks):
        name, filters = f"block{i}", x.shape[-1]
        y = active(conv(x, filters, 3, f"{name}_conv0", padding="valid"), f"{name}_conv0")
        y = conv(y, filters, 3, f"{name}_conv1", padding="valid")
        y = normalised(y, f"{name}_conv1")
        x = layers.Add(name=f"{name}_add")([layers.Cropping2D(2, name=f"{name}_crop")(x), y])
    for i in range(2):
        x = layers.Concatenate(name=f"up{i}_repeat")([x] * 4)
        x = DepthToSpace(2, name=f"up{i}_nearest")(x)
        x = active(conv(x, channels * 2 ** (1 - i), 3, f"up{i}"), f"up{i}")
    # Flat parts of an image would add up over 81 pixels to where tanh has no gradient, and stay
    # black; so the first outputs are gray, and black is reached before tanh is flat.
    x = conv(x, 3, 9, "tail", gain=0.01, activation="tanh")
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
    about = describe(generator).descriptor
    mixed = style(channels=about.channels, blocks=about.blocks)
    for layer in mixed.layers:
        values = generator.get_layer(layer.name).get_weights()
        if isinstance(layer, InstanceNormalization):
            values = [np.dot(weights, each)[None] for each in values]
        layer.set_weights(values)
    name = about.styles[int(np.argmax(weights))] if max(weights) == 1 else "mixture"
    return describe(mixed, replace(about, styles=(name,)))

"""Networks that say how real an image looks, from patches of it or pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops

__all__ = ["DISCRIMINATORS", "SpectralConv2D", "discriminator", "unet_discriminator"]


def discriminator(channels: int = 48) -> keras.Model:
    """Builds a network that says of each patch of an image how real it looks.

    Args:
        channels: filters of the first convolution.

    Returns:
        A functional model from `[N, H, W, 3]` RGB in 0..255 to logits `[N, H/8, W/8, 1]`, each of
        which sees 33x33 pixels.

    Source: the patches of Isola et al. 2017 (pix2pix), without normalisation.
    """
    image = keras.Input((None, None, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="to_unit")(image)
    for i, filters in enumerate((channels, 2 * channels, 4 * channels)):
        x = layers.Conv2D(filters, 5 if i == 0 else 3, 2, padding="same", name=f"down{i}")(x)
        x = layers.LeakyReLU(0.2, name=f"down{i}_relu")(x)
    x = layers.Conv2D(4 * channels, 3, padding="same", name="body")(x)
    x = layers.LeakyReLU(0.2, name="body_relu")(x)
    logits = layers.Conv2D(1, 1, name="logits", dtype="float32")(x)
    return keras.Model(image, logits, name="discriminator")


def unet_discriminator(channels: int = 32) -> keras.Model:
    """Builds a network that says of each pixel how real it looks, with an eye for what is around.

    All convolutions but the first and the last have spectral normalisation.

    Args:
        channels: filters of the first convolution.

    Returns:
        A functional model from `[N, H, W, 3]` RGB in 0..255 to logits `[N, H, W, 1]`; height and
        width are multiples of 8.

    Source: Wang et al., "Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure
    Synthetic Data", 2021, section 3.3. There it has 64 channels and enlarges before the three
    convolutions on the way up, not after, which makes them four times as expensive.
    """
    image = keras.Input((None, None, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="to_unit")(image)
    x = layers.Conv2D(channels, 3, padding="same", name="head")(x)
    x = layers.LeakyReLU(0.2, name="head_relu")(x)
    skips = []
    for i in range(3):
        skips.append(x)
        x = SpectralConv2D(2 * x.shape[-1], 4, 2, name=f"down{i}")(x)
        x = layers.LeakyReLU(0.2, name=f"down{i}_relu")(x)
    for i, skip in enumerate(reversed(skips)):
        x = SpectralConv2D(skip.shape[-1], 3, name=f"up{i}")(x)
        x = layers.LeakyReLU(0.2, name=f"up{i}_relu")(x)
        x = layers.UpSampling2D(interpolation="bilinear", name=f"up{i}_resize")(x)
        x = layers.Add(name=f"up{i}_skip")([x, skip])
    for i in range(2):
        x = SpectralConv2D(channels, 3, name=f"body{i}")(x)
        x = layers.LeakyReLU(0.2, name=f"body{i}_relu")(x)
    logits = layers.Conv2D(1, 3, padding="same", name="logits", dtype="float32")(x)
    return keras.Model(image, logits, name="unet_discriminator")


class SpectralConv2D(layers.Layer):
    """A convolution without bias whose kernel, as a matrix, has the spectral norm 1.

    The kernel that is trained is divided by its largest singular value, which a step of power
    iteration follows in each call with `training=True`. `keras.layers.SpectralNormalization`
    overwrites the kernel instead: its gradient takes no notice of the division, and JAX keeps
    nothing of it.

    Args:
        filters: number of output channels.
        size: side of the kernel in pixels.
        stride: of the convolution, which is padded to the input's size over it.

    Source: Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018,
    algorithm 1, with the matrix `[size * size * inputs, filters]`.
    """

    def __init__(self, filters: int, size: int, stride: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters, self.size, self.stride = filters, size, stride

    def build(self, input_shape):
        shape = (self.size, self.size, input_shape[-1], self.filters)
        self.kernel = self.add_weight(shape, "glorot_uniform", name="kernel", autocast=False)
        self.direction = self.add_weight(
            (self.filters, 1), "random_normal", trainable=False, name="direction", autocast=False
        )

    def normalized_kernel(self, training: bool = False) -> Any:
        """Returns the kernel over its largest singular value, in float32.

        Args:
            training: whether the singular vector that was found is kept to go on from.
        """
        matrix = ops.reshape(self.kernel, (-1, self.filters))
        fixed = ops.stop_gradient(matrix)
        left = ops.normalize(ops.matmul(fixed, self.direction), axis=0)
        right = ops.normalize(ops.matmul(ops.transpose(fixed), left), axis=0)
        if training:
            self.direction.assign(right)
        norm = ops.matmul(ops.transpose(left), ops.matmul(matrix, right))
        return self.kernel / ops.reshape(norm, ())

    def call(self, inputs, training=False):
        kernel = ops.cast(self.normalized_kernel(training), self.compute_dtype)
        return ops.conv(inputs, kernel, strides=self.stride, padding="same")


DISCRIMINATORS: dict[str, Callable[..., keras.Model]] = {
    "patches": discriminator,
    "unet": unet_discriminator,
}

"""The adversary: a discriminator of patches, and what it and the generator each minimise."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

__all__ = ["discriminator", "relativistic", "versus"]


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


def relativistic(more: Any, less: Any) -> Any:
    """How far one kind of image fails to look more real than the other does on average.

    mean softplus(-(more - mean less)) + mean softplus(less - mean more)

    The discriminator minimises it of (HR, SR), the generator of (SR, HR).

    Args:
        more: logits of those that should look more real.
        less: logits of the others.

    Returns:
        A float32 scalar.

    Source: Jolicoeur-Martineau, "The relativistic discriminator: a key element missing from
    standard GAN", 2018, equation 8.
    """
    ahead = ops.mean(ops.softplus(ops.mean(less) - more))
    return ahead + ops.mean(ops.softplus(less - ops.mean(more)))


def versus(network: keras.Model, hr: Any, sr: Any) -> tuple[Any, Any]:
    """Returns the generator's loss and the discriminator's, to be minimised in one sum.

    The gradient of the first does not reach the discriminator, nor that of the second the
    generator, so one optimiser serves both.

    Args:
        network: the discriminator.
        hr: `[N, H, W, 3]` in 0..255.
        sr: of the same shape, as the generator made it.
    """
    real = network(hr, training=True)
    frozen = [ops.stop_gradient(variable.value) for variable in network.trainable_variables]
    seen, _ = network.stateless_call(frozen, [], sr)
    fake = network(ops.stop_gradient(sr), training=True)
    return relativistic(seen, ops.stop_gradient(real)), relativistic(real, fake)

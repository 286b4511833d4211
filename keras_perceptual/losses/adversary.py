"""The adversary: what a discriminator and the generator each minimise."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

__all__ = ["relativistic", "versus"]


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
    state = [variable.value for variable in network.non_trainable_variables]
    seen, _ = network.stateless_call(frozen, state, sr)
    fake = network(ops.stop_gradient(sr), training=True)
    return relativistic(seen, ops.stop_gradient(real)), relativistic(real, fake)

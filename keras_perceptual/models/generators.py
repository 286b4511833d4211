"""The generators by name, and a count of what they compute.

Every generator takes `lr` `[N, H, W, 3]` float32 RGB in 0..255, of any height and width, and
returns `sr` `[N, scale H, scale W, 3]` in the same range (`johnson` within it, the others may
overshoot it a little).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from keras_perceptual.models.describing import describe
from keras_perceptual.models.style import style
from keras_perceptual.models.upscaling import johnson, plain, srcnn, subpixel
from keras_perceptual.zoo.descriptor import ModelDescriptor

__all__ = ["GENERATORS", "build", "multiply_adds"]

GENERATORS: dict[str, Callable[..., keras.Model]] = {
    "johnson": johnson,
    "plain": plain,
    "srcnn": srcnn,
    "style": style,
    "subpixel": subpixel,
}


def build(descriptor: ModelDescriptor) -> keras.Model:
    """Builds what a descriptor says, with random weights.

    Args:
        descriptor: its generator is a key of `GENERATORS`; what it leaves open is the builder's.

    Returns:
        The functional model, with its `descriptor`.

    Raises:
        ValueError: if there is no such generator, or it has no such scale.
    """
    if descriptor.generator not in GENERATORS:
        raise ValueError(
            f"expected a generator of {sorted(GENERATORS)}, received {descriptor.generator!r}"
        )
    config: dict[str, Any] = {name: getattr(descriptor, name) for name in ("channels", "blocks")}
    if descriptor.task == "style":
        config["styles"] = len(descriptor.styles)
        config["normalization"] = descriptor.normalization
    given = {name: value for name, value in config.items() if value}
    model = GENERATORS[descriptor.generator](descriptor.scale, **given)
    return describe(model, descriptor)


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

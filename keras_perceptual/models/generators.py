"""The generators by name, and a count of what they compute.

Every generator takes `lr` `[N, H, W, 3]` float32 RGB in 0..255, of any height and width, and
returns `sr` `[N, scale H, scale W, 3]` in the same range (`johnson` within it, the others may
overshoot it a little).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import keras
from keras import layers

from keras_perceptual.models.style import style
from keras_perceptual.models.upscaling import johnson, srcnn, subpixel

__all__ = ["GENERATORS", "build", "multiply_adds"]

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

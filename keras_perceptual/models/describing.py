"""Descriptors of Keras models."""

from __future__ import annotations

import keras

from keras_perceptual.errors import ZooError
from keras_perceptual.models.normalization import InstanceNormalization
from keras_perceptual.zoo.descriptor import ModelDescriptor

__all__ = ["describe"]


def describe(generator: keras.Model, descriptor: ModelDescriptor | None = None) -> keras.Model:
    """Gives a model its `descriptor`, and returns it.

    Args:
        generator: any model from `lr`, or `lr` and `style`, to `sr`.
        descriptor: what it is; without one, in files of others or of before there were any, it is
            made out from the model, the only place where that is done.

    Raises:
        ZooError: if it makes no RGB images of a whole multiple of the input.
    """
    descriptor = descriptor or getattr(generator, "descriptor", None)
    if descriptor is None:
        norms = [each for each in generator.layers if isinstance(each, InstanceNormalization)]
        shapes = [(1, 8, 8, 3), *((1, more.shape[1]) for more in generator.inputs[1:])]
        size = generator.compute_output_shape(shapes if len(shapes) > 1 else shapes[0])
        if len(size) != 4 or size != (1, size[1], size[1], 3) or size[1] % 8:
            raise ZooError(f"{generator.name}: expected a generator of RGB images, received {size}")
        if size[1] == 8:
            count = norms[0].styles if norms else 1
            descriptor = ModelDescriptor(
                "style",
                styles=tuple(f"#{i + 1}" for i in range(count)),
                channels=generator.get_layer("head").filters if norms else 0,
                blocks=sum(each.name.endswith("_add") for each in generator.layers),
                normalization="instance" if norms else "batch",
            )
        else:
            descriptor = ModelDescriptor("upscale", size[1] // 8)
    generator.descriptor = descriptor
    return generator

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_perceptual.export.lowering import BlockConv2D, block_kernel, lowered
from keras_perceptual.models.layers import ReflectionPadding
from keras_perceptual.models.style import style
from keras_perceptual.models.upscaling import johnson


@pytest.mark.parametrize("size", [9, 13])
def test_blocks_compute_the_same(rng, size):
    convolution = keras.layers.Conv2D(
        5, size, padding="same", activation="tanh", bias_initializer="random_normal"
    )
    image = rng.normal(0, 1, (2, 14, 22, 3)).astype(np.float32)
    expected = np.asarray(convolution(image))
    assert np.allclose(BlockConv2D(convolution)(image), expected, atol=1e-5)


def test_every_weight_has_four_places(rng):
    kernel = rng.normal(0, 1, (9, 9, 3, 2))
    blocks = block_kernel(kernel)
    assert blocks.shape == (5, 5, 12, 8)
    assert np.count_nonzero(blocks) == 4 * kernel.size
    assert blocks.sum() == pytest.approx(4 * kernel.sum())


@pytest.mark.parametrize("styles", [1, 3])
def test_a_lowered_generator_is_the_same_function(rng, styles):
    keras.utils.set_random_seed(0)
    generator = style(channels=4, blocks=1, styles=styles)
    inputs = [rng.uniform(0, 255, (2, 17, 30, 3)).astype(np.float32)]
    if styles > 1:
        inputs.append(np.full((2, styles), 1 / styles, np.float32))
    twin = lowered(generator)
    assert sum(isinstance(layer, BlockConv2D) for layer in twin.layers) == 2
    assert [each.name for each in twin.inputs] == [each.name for each in generator.inputs]
    expected = np.asarray(generator(inputs if styles > 1 else inputs[0]))
    assert np.abs(np.asarray(twin(inputs if styles > 1 else inputs[0])) - expected).max() < 1e-2


def test_what_may_be_odd_is_left_alone():
    generator = johnson(channels=4, blocks=1)
    assert lowered(generator) is generator
    x = keras.Input((None, None, 3))
    odd = keras.Model(x, keras.layers.Conv2D(3, 9, padding="same")(ReflectionPadding(1)(x)))
    assert lowered(odd) is odd

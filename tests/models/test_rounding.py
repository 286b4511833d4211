"""Rounding to 8 bits inside a network."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from keras_perceptual.models.rounding import rounded, stepped
from keras_perceptual.models.upscaling import srcnn, subpixel


def test_it_rounds_to_steps_whose_gradient_is_that_of_none():
    x = np.array([-0.6, 0.2, 0.9, 7.4], np.float32)
    assert np.asarray(stepped(x, 0.5)) == pytest.approx([-0.5, 0.0, 1.0, 7.5])
    layer = keras.layers.Dense(1, use_bias=False)
    layer.build((None, 4))
    lr = keras.Input((4,))
    model = keras.Model(lr, layer(lr))
    model.compile(
        keras.optimizers.SGD(1.0), lambda _, y: ops.mean(stepped(y, 0.5)), jit_compile=False
    )
    before = layer.get_weights()[0]
    model.train_on_batch(x[None], np.zeros((1, 1), np.float32))
    assert before - layer.get_weights()[0] == pytest.approx(x[:, None], abs=1e-6)


def test_blocks_round_what_they_take_and_give_and_their_weights(rng):
    keras.utils.set_random_seed(0)
    generator = subpixel(2, channels=4, blocks=2)
    result = rounded(generator)
    assert {id(v) for v in result.variables} == {id(v) for v in generator.variables}
    names = [f"block{block}_conv{number}" for block in range(2) for number in range(2)]
    convolutions = [result.get_layer(name) for name in names]
    ends = [each for layer in convolutions for each in (layer.input, layer.output)]
    lr = rng.uniform(0, 255, (3, 16, 16, 3)).astype(np.float32)
    values = [np.asarray(each) for each in keras.Model(result.input, ends)(lr)]
    for name, taken, given in zip(names, values[::2], values[1::2], strict=True):
        assert len(np.unique(given)) <= 256
        assert len(np.unique(taken)) > 256 or name.endswith("1")  # rounded inside
        kernel = generator.get_layer(name).kernel.numpy()
        expected = np.asarray(generator.get_layer(name)(taken))
        steps = [np.ptp(x, axis=(1, 2, 3)).mean() / 255 for x in (taken, given)]
        most = steps[1] / 2 + steps[0] / 2 * np.abs(kernel).sum((0, 1, 2)).max()
        most += np.abs(kernel).max() / 254 * np.abs(taken).sum(3).max() * 9
        off = np.abs(given - np.clip(expected, given.min(), given.max()))
        assert 0 < off.max() < most
    assert 0 < np.abs(np.asarray(result(lr)) - np.asarray(generator(lr))).mean() < 2


def test_a_generator_without_blocks_is_refused():
    with pytest.raises(ValueError, match="rounding: expected a generator with residual blocks"):
        rounded(srcnn(4, channels=4))

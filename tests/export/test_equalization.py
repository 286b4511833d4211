from __future__ import annotations

import keras
import numpy as np

from keras_perceptual.export.equalization import MOST, equalized
from keras_perceptual.models.upscaling import subpixel


def test_ranges_become_alike_and_the_result_stays(photographs):
    keras.utils.set_random_seed(3)
    generator = subpixel(2, channels=8, blocks=2)
    for name in ("head", "block0_conv1", "block1_conv1"):  # what has unlike channels
        kernel, bias = generator.get_layer(name).get_weights()
        factors = np.geomspace(1, 0.2, 8)
        generator.get_layer(name).set_weights([kernel * factors, bias])
    lr = photographs[0][None].astype(np.float32)
    result = equalized(generator, [lr])
    sr = np.asarray(generator(lr))
    assert np.abs(np.asarray(result(lr)) - sr).max() < 1e-3
    assert np.ptp(sr - np.repeat(np.repeat(lr, 2, 1), 2, 2)) > 1  # the blocks do something

    def spread(model):
        stream = keras.Model(model.input, model.get_layer("block1_add").output)(lr)
        extremes = np.abs(np.asarray(stream)).max((0, 1, 2))
        return extremes.max() / extremes.min()

    assert 5 < spread(generator) < MOST
    assert spread(result) < 0.6 * spread(generator)

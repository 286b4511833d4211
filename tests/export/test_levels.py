from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_perceptual.errors import ExportError
from keras_perceptual.export.levels import level_tflite
from keras_perceptual.inference.engines import LiteRTEngine
from keras_perceptual.models.upscaling import plain, subpixel


def test_levels_in_levels_out(tmp_path, photographs):
    keras.utils.set_random_seed(0)
    model = plain(2, channels=8, blocks=1)
    tail = model.get_layer("tail")  # what is added is cut off where it is large; trained, it is not
    tail.set_weights([0.3 * weights for weights in tail.get_weights()])
    path = tmp_path / "model.tflite"
    path.write_bytes(level_tflite(model, photographs))
    engine = LiteRTEngine(path, threads=1)
    lr = photographs[0][None, :40, :60]
    sr = engine.run_levels(lr)
    assert (sr.shape, sr.dtype) == ((1, 80, 120, 3), np.uint8)
    exact = np.clip(np.asarray(model(lr.astype(np.float32))), 0, 255)
    assert np.abs(sr - exact).mean() < 1.5
    assert np.array_equal(engine.run(lr.astype(np.float32) + 0.2), sr.astype(np.float32))
    odd = engine.run_levels(lr[:, :39, :59])
    assert odd.shape == (1, 78, 118, 3)
    assert np.array_equal(odd[:, :60, :90], sr[:, :60, :90])
    for level in (0, 255):
        flat = np.full((1, 16, 16, 3), level, np.uint8)
        exact = np.clip(np.asarray(model(flat.astype(np.float32))), 0, 255)
        assert np.abs(engine.run_levels(flat) - exact).max() < 40  # nothing wraps around


def test_another_architecture_is_an_error(photographs):
    keras.utils.set_random_seed(0)
    lr = keras.Input((None, None, 3), name="lr")
    twice = keras.layers.UpSampling2D(2, name="up")(keras.layers.Conv2D(3, 1, name="head")(lr))
    with pytest.raises(ExportError, match="ends in an addition and DEPTH_TO_SPACE"):
        level_tflite(keras.Model(lr, twice), photographs)
    assert level_tflite(subpixel(2, channels=4, blocks=1), photographs)

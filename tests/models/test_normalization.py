from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_perceptual.models.normalization import (
    InstanceNormalization,
    given_statistics,
    recorded_statistics,
)


@pytest.fixture
def x(rng):
    return rng.normal(3.0, 2.0, (3, 8, 9, 4)).astype(np.float32)


def _styled(rng, styles):
    layer = InstanceNormalization(styles)
    layer.build((None, None, None, 4))
    layer.set_weights([rng.normal(size=(styles, 4)), rng.normal(size=(styles, 4))])
    return layer


def test_one_style_is_what_keras_calls_groups_of_one_channel(x):
    group = keras.layers.GroupNormalization(groups=-1, epsilon=1e-5)
    assert np.allclose(InstanceNormalization()(x), group(x), atol=1e-5)


def test_a_style_scales_and_shifts_its_own_way(x, rng):
    layer = _styled(rng, 2)
    gamma, beta = layer.get_weights()
    plain = np.asarray(InstanceNormalization()(x))
    chosen = np.asarray(layer(x, style=np.eye(2, dtype="f")[[0, 1, 1]]))
    for image, style in enumerate((0, 1, 1)):
        assert np.allclose(chosen[image], plain[image] * gamma[style] + beta[style], atol=1e-5)
    halves = np.asarray(layer(x[:1], style=np.full((1, 2), 0.5, np.float32)))
    assert np.allclose(halves, plain[:1] * gamma.mean(0) + beta.mean(0), atol=1e-5)


def test_statistics_recorded_of_a_batch_are_those_of_one_image_cut_in_parts(x):
    layer = InstanceNormalization()
    with recorded_statistics() as record:
        together = np.asarray(layer(x))
    (vector,) = record
    expected = np.concatenate([x.mean((0, 1, 2)), x.var((0, 1, 2))])
    assert np.allclose(vector, expected, atol=1e-4)
    with given_statistics(vector):
        assert np.allclose(layer(x[1:2]), together[1:2], atol=1e-6)
    assert not np.allclose(layer(x[1:2]), together[1:2], atol=1e-3)  # its own again


def test_given_statistics_are_taken_in_the_order_of_the_calls(x):
    first, second = InstanceNormalization(), InstanceNormalization()
    with recorded_statistics() as record:
        expected = np.asarray(second(first(x)[..., :2]))
    with given_statistics(np.concatenate([np.asarray(each) for each in record])):
        assert np.allclose(second(first(x[:1])[..., :2]), expected[:1], atol=1e-6)


def test_saves_and_loads_with_its_styles(x, rng, tmp_path):
    image, style = keras.Input((None, None, 4)), keras.Input((2,))
    layer = InstanceNormalization(2)
    model = keras.Model([image, style], layer(image, style=style))
    layer.set_weights([rng.normal(size=(2, 4)), rng.normal(size=(2, 4))])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    weights = np.full((3, 2), 0.5, np.float32)
    assert np.array_equal(model([x, weights]), loaded([x, weights]))

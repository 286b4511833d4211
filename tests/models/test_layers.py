from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from keras_perceptual.models.layers import (
    BicubicUpsampling,
    Crop,
    DepthToSpace,
    Luma,
    ReflectionPadding,
    Repetition,
)
from keras_perceptual.models.normalization import InstanceNormalization
from keras_perceptual.pixels.levels import luma
from keras_perceptual.pixels.resampling import imresize

ADDONS = np.load(Path(__file__).parents[1] / "golden" / "addons.npz")


def test_depth_to_space_by_hand():
    inputs = np.arange(12, dtype=np.float32).reshape(1, 1, 1, 12)
    expected = [[[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]]
    layer = DepthToSpace(2)
    assert np.asarray(layer(inputs)).tolist() == expected
    assert layer.compute_output_shape((None, 5, None, 12)) == (None, 10, None, 3)
    assert DepthToSpace.from_config(layer.get_config()).scale == 2
    with pytest.raises(ValueError, match="multiple of 4"):
        layer.compute_output_shape((1, 1, 1, 7))
    with pytest.raises(ValueError, match="at least 2"):
        DepthToSpace(1)


def test_depth_to_space_without_tensorflow(rng, monkeypatch):
    inputs = rng.normal(size=(2, 3, 4, 27)).astype(np.float32)
    with_tensorflow = np.asarray(DepthToSpace(3)(inputs))
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert np.array_equal(np.asarray(DepthToSpace(3).call(inputs)), with_tensorflow)


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 13)])
def test_bicubic_upsampling_equals_imresize(rng, scale, size):
    inputs = rng.uniform(0, 255, (2, *size, 3)).astype(np.float32)
    layer = BicubicUpsampling(scale)
    outputs = np.asarray(layer(inputs))
    for image, output in zip(inputs, outputs, strict=True):
        np.testing.assert_allclose(output, imresize(image, scale), atol=1e-3)
    assert layer.compute_output_shape((2, None, size[1], 3)) == (2, None, size[1] * scale, 3)
    assert BicubicUpsampling.from_config(layer.get_config()).scale == scale


@pytest.mark.parametrize("fold", [1, 2])
@pytest.mark.parametrize("size", [(4, 6), (3, 5)])
def test_repetition_is_shuffled_to_repeated_pixels(rng, fold, size):
    inputs = rng.uniform(0, 255, (2, *size, 3)).astype(np.float32)
    layer = Repetition(3, fold)
    blocks = layer(inputs)
    assert layer.compute_output_shape((2, None, size[1], 3)) == (2, None, *blocks.shape[2:])
    shuffled = np.asarray(DepthToSpace(3 * fold)(blocks))
    larger = inputs.repeat(3, 1).repeat(3, 2)
    assert np.array_equal(shuffled[:, : 3 * size[0], : 3 * size[1]], larger)
    cut = Crop(scale=3)
    assert np.array_equal(cut(shuffled, inputs), larger)
    assert cut.compute_output_shape(shuffled.shape, (2, None, 5, 3)) == (2, None, 15, 3)
    assert Repetition.from_config(layer.get_config()).fold == fold


def test_luma_equals_metrics(rng):
    inputs = rng.uniform(0, 255, (2, 4, 5, 3)).astype(np.float32)
    outputs = np.asarray(Luma()(inputs))
    np.testing.assert_allclose(outputs[..., 0], luma(inputs), atol=1e-4)
    assert Luma().compute_output_shape((2, None, 5, 3)) == (2, None, 5, 1)


def test_group_normalization_stands_in_for_instance_normalization():
    """What tensorflow-addons gave is in Keras, and in the layer of the style networks."""
    ours = InstanceNormalization(epsilon=float(ADDONS["epsilon"]))
    ours.build(ADDONS["features"].shape)
    ours.set_weights([ADDONS["gamma"][None], ADDONS["beta"][None]])
    np.testing.assert_allclose(
        ours(ADDONS["features"]), ADDONS["instance_normalization"], atol=1e-5
    )
    layer = keras.layers.GroupNormalization(groups=-1, epsilon=float(ADDONS["epsilon"]))
    layer.build(ADDONS["features"].shape)
    layer.set_weights([ADDONS["gamma"], ADDONS["beta"]])
    np.testing.assert_allclose(
        layer(ADDONS["features"]), ADDONS["instance_normalization"], atol=1e-5
    )


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 41), (64, 30)])
@pytest.mark.parametrize("multiple", [1, 4])
def test_reflection_padding_is_numpys(rng, size, multiple):
    image = rng.uniform(0, 255, (2, *size, 3)).astype(np.float32)
    padded = np.asarray(ReflectionPadding(8, multiple)(image))
    more = [(8, 8 + -side % multiple) for side in size]
    assert np.array_equal(padded, np.pad(image, ((0, 0), *more, (0, 0)), "reflect"))
    symbolic = ReflectionPadding(8, multiple)(keras.Input((*size, 3)))
    assert symbolic.shape[1:] == padded.shape[1:]


def test_crop_cuts_to_the_size_of_another(rng):
    image = rng.uniform(0, 255, (1, 8, 9, 3)).astype(np.float32)
    assert np.array_equal(Crop()(image, np.zeros((1, 5, 7, 1))), image[:, :5, :7])
    assert np.array_equal(Crop(2)(image, np.zeros((1, 5, 6, 1))), image[:, 2:7, 2:8])

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_perceptual.models.loading import load_generator
from keras_perceptual.models.matching import AffineMatching, HistogramMatching
from keras_perceptual.pixels.histograms import match_histograms
from tests.pixels.test_histograms import _cases


@pytest.fixture(scope="module")
def generator():
    return load_generator("x2-feature")


def test_affine_matching_takes_a_planted_shift_out(generator, rng):
    shift = keras.layers.Rescaling([1.05, 0.95, 1], [5, -5, 3])
    planted = keras.Model(generator.input, shift(generator.output))
    layer = AffineMatching.of(planted)
    lr = rng.uniform(0, 255, (3, 9, 8, 3)).astype(np.float32)
    sr, shifted = (np.asarray(each(lr)) for each in (generator, planted))
    assert np.abs(shifted - sr).max() > 5
    assert np.abs(np.asarray(layer(shifted)) - sr).max() < 0.3


def test_affine_matching_of_a_generator_that_shifts_next_to_nothing_is_near_the_identity(
    generator, rng
):
    layer = AffineMatching.of(generator)
    assert layer.gain != [1, 1, 1]  # so it is there in an exported graph
    image = rng.uniform(0, 255, (2, 5, 6, 3)).astype(np.float32)
    assert np.abs(np.asarray(layer(image)) - image).max() < 0.2


def test_affine_matching_is_part_of_a_model_that_loads_in_safe_mode(tmp_path, rng):
    inputs = keras.Input((None, None, 3))
    layer = AffineMatching([1.05, 0.95, 1], [5, -5, 3])
    keras.Model(inputs, layer(inputs)).save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras", safe_mode=True)
    image = rng.uniform(0, 255, (2, 5, 6, 3)).astype(np.float32)
    np.testing.assert_allclose(loaded(image), image * [1.05, 0.95, 1] + [5, -5, 3], atol=1e-3)


@pytest.mark.parametrize("name", _cases())
def test_papers_matching_equals_that_of_numpy(name):
    image, reference = _cases()[name]
    matched = HistogramMatching()(image[None].astype("float32"), reference[None])
    assert np.array_equal(np.asarray(matched)[0], match_histograms(image, reference))


def test_papers_matching_treats_each_image_of_a_batch_alone(rng):
    images_ = rng.integers(0, 256, (4, 20, 24, 3), dtype=np.uint8) // np.uint8([1, 2, 3])
    references = rng.integers(0, 256, (4, 10, 12, 3), dtype=np.uint8)
    references[1] //= 3
    references[2] = 7
    matched = np.asarray(HistogramMatching()(images_, references))
    expected = [match_histograms(i, r) for i, r in zip(images_, references, strict=True)]
    difference = np.abs(matched - np.array(expected, int))
    assert difference.max() <= 1  # where float32 and float64 round a tie apart
    assert np.mean(difference > 0) < 0.02


def test_papers_matching_rounds_and_clips_first():
    image = np.float32([-5, 0.4, 0.6, 254.5, 300]).reshape(1, 1, 5, 1)
    same = HistogramMatching()(image, image)
    assert np.asarray(same).ravel().tolist() == [0, 0, 1, 254, 255]


def test_papers_matching_is_part_of_a_model_that_loads_in_safe_mode(tmp_path, rng):
    inputs = [keras.Input((None, None, 3)), keras.Input((None, None, 3))]
    model = keras.Model(inputs, HistogramMatching(name="match")(*inputs))
    model.save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras", safe_mode=True)
    image, reference = rng.uniform(0, 255, (2, 1, 9, 8, 3)).astype(np.float32)
    assert np.array_equal(
        np.asarray(model([image, reference])), np.asarray(loaded([image, reference]))
    )

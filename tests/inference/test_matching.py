"""The post-process: what shift it takes out, and that it changes nothing else."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_perceptual import Upscaler, zoo
from keras_perceptual.files import images
from keras_perceptual.models.loading import load_generator, save_generator
from tests.conftest import SAMPLES
from tests.graphics import drawn

GRAPHICS = drawn()
PHOTOGRAPH = images.read(SAMPLES / "LRx4" / "chelsea.png").pixels


def planted(name, path, contrast, brightness):
    """Writes a shipped generator whose output is shifted, and returns the path."""
    generator = load_generator(name)
    shift = keras.layers.Rescaling(contrast, 128 + brightness - 128 * contrast)
    save_generator(keras.Model(generator.input, shift(generator.output)), path)
    return path


@pytest.fixture(scope="module")
def plain():
    return Upscaler("x4-feature", precision="float32", histogram_match="none")


@pytest.mark.parametrize(
    ("contrast", "brightness"), [(1.05, 5), (0.95, -5), (1.05, -5), (0.95, 5), (1, 5), (1.05, 0)]
)
def test_a_shift_of_the_network_is_taken_out(tmp_path, plain, contrast, brightness):
    path = planted("x4-feature", tmp_path / "planted.keras", contrast, brightness)
    matched, shifted = (Upscaler(path, histogram_match=each) for each in ("affine", "none"))
    given = shifted.upscale(PHOTOGRAPH).astype(int) - plain.upscale(PHOTOGRAPH)
    assert np.abs(given).max() > 4
    for name, lr in {**GRAPHICS, "photograph": PHOTOGRAPH}.items():
        sr, expected = (each.upscale(lr).astype(int) for each in (matched, plain))
        assert np.abs(sr - expected).max() <= 1, name
        assert np.abs(sr.mean((0, 1)) - expected.mean((0, 1))).max() < 0.3, name
        assert np.abs(sr.std((0, 1)) - expected.std((0, 1))).max() < 0.3, name


def test_a_shift_is_taken_out_of_two_passes_sixteen_bits_and_opacity(tmp_path, plain):
    path = planted("x4-feature", tmp_path / "planted.keras", 1.05, 5)
    lr = PHOTOGRAPH[:20, :30]
    twice = [
        Upscaler(model, scale=10, precision="float32").upscale(lr).astype(int)
        for model in (path, "x4-feature")
    ]
    assert np.abs(twice[0] - twice[1]).max() <= 2
    rgba = np.dstack([lr, np.full(lr.shape[:2], 200, np.uint8)]).astype(np.uint16) * 257
    sr, expected = (each.upscale(rgba).astype(int) for each in (Upscaler(path), plain))
    assert np.array_equal(sr[..., 3], expected[..., 3])
    assert np.abs(sr - expected).max() <= 0.3 * 257


@pytest.mark.parametrize("name", [name for name in zoo.names() if "johnson" not in name])
def test_graphics_and_photographs_are_as_without(name):
    plain, matched = (Upscaler(name, histogram_match=each) for each in ("none", "affine"))
    for picture, lr in {**GRAPHICS, "photograph": PHOTOGRAPH}.items():
        assert np.array_equal(matched.upscale(lr), plain.upscale(lr)), picture


@pytest.mark.parametrize("name", ["x4-johnson-pixel", "x4-johnson-feature"])
def test_the_papers_architecture_makes_no_graphics_worse(name):
    """It ends in tanh, so its contrast is a little too low, in the second by no straight line."""
    plain, matched = (Upscaler(name, histogram_match=each) for each in ("none", "affine"))
    for picture in ("text", "frame"):
        lr = GRAPHICS[picture]
        original = np.kron(lr, np.ones((4, 4, 1), int))
        without, sr = (np.abs(each.upscale(lr) - original) for each in (plain, matched))
        assert sr.mean() < without.mean() + 0.5, picture
        assert (sr - without).max() <= 3, picture


def test_a_shift_that_ships_is_taken_out():
    gray = np.linspace(16, 240, 16).astype(np.uint8).repeat(16)
    lr = np.broadcast_to(gray[None, :, None], (16, 256, 3))
    without, sr = (
        Upscaler("x4-johnson-pixel", histogram_match=each).upscale(lr).mean((0, 2)) - gray.repeat(4)
        for each in ("none", "affine")
    )
    assert np.abs(sr).mean() < 0.8 * np.abs(without).mean()


@pytest.mark.parametrize("given", ["exact", "", True, False, None])
def test_refuses_another_name(given):
    with pytest.raises(ValueError, match=r"^expected histogram_match 'affine', .* received"):
        Upscaler("x4-feature", histogram_match=given)

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from keras_perceptual.pixels.resampling import (
    crop_to_multiple,
    degrade,
    enlarged_pixels,
    gaussian_blur,
    imresize,
    to_uint8,
)

ADDONS = np.load(Path(__file__).parents[1] / "golden" / "addons.npz")


def test_enlarging_by_two_has_the_weights_of_keys():
    # At a quarter of a pixel off: k(1.25), k(.25), k(.75), k(1.75) for a = -1/2, in 128ths.
    impulse = np.zeros((1, 9))
    impulse[0, 4] = 128
    assert imresize(impulse, size=(1, 18))[0, 5:13].tolist() == [-3, -9, 29, 111, 111, 29, -9, -3]


def test_reducing_by_two_stretches_the_kernel():
    # Antialiasing: k(x / 2) / 2 at x = .5, 1.5, 2.5, 3.5 is 111, 29, -9, -3 in 256ths.
    step = np.zeros((1, 16))
    step[0, 8:] = 256
    expected = [0, 0, -3, 29 - 9 - 3, 256 - (29 - 9 - 3), 256 + 3, 256, 256]
    np.testing.assert_allclose(imresize(step, size=(1, 8))[0], expected, atol=1e-9)


@pytest.mark.parametrize("scale", [0.25, 0.3, 0.5, 1.0, 1.7, 3, 4])
def test_constant_stays_constant(scale):
    image = np.full((7, 11, 3), 93.0)
    resized = imresize(image, scale)
    assert resized.shape == (int(np.ceil(7 * scale)), int(np.ceil(11 * scale)), 3)
    np.testing.assert_allclose(resized, 93.0, atol=1e-9)


def test_borders_mirror_with_the_edge_repeated(rng):
    image = rng.uniform(0, 255, (12, 12))
    wide = np.pad(image, 8, "symmetric")
    np.testing.assert_allclose(imresize(image, 0.25), imresize(wide, 0.25)[2:-2, 2:-2], atol=1e-9)


def test_rows_and_columns_are_treated_alike(rng):
    image = rng.uniform(0, 255, (12, 20, 3))
    turned = imresize(image.swapaxes(0, 1), size=(7, 31)).swapaxes(0, 1)
    np.testing.assert_allclose(imresize(image, size=(31, 7)), turned, atol=1e-9)


def test_uint8_rounds_and_float_does_not(rng):
    image = rng.integers(60, 196, (16, 16, 3), dtype=np.uint8)
    rounded, exact = imresize(image, 2), imresize(image.astype(np.float64), 2)
    assert rounded.dtype == np.uint8
    assert 0 < np.abs(rounded - exact).max() < 1.5  # half a level in each pass, a little grown
    steep = np.array([[0.0, 0.0, 255.0, 255.0]])
    assert imresize(steep, size=(1, 8)).max() > 255  # overshoot is the caller's to clip


def test_one_pixel_and_large_reductions():
    assert imresize(np.full((1, 1, 3), 7, np.uint8), 5).tolist() == [[[7] * 3] * 5] * 5
    assert imresize(np.full((9, 9), 7.0), size=(1, 1)).item() == pytest.approx(7)


@pytest.mark.parametrize(
    ("image", "arguments"),
    [
        (np.zeros((0, 4)), {"scale": 2}),
        (np.zeros((2, 2, 2, 2)), {"scale": 2}),
        (np.zeros((4, 4)), {}),
        (np.zeros((4, 4)), {"scale": 2, "size": (8, 8)}),
        (np.zeros((4, 4)), {"scale": -1}),
        (np.zeros((4, 4)), {"size": (0, 3)}),
    ],
)
def test_imresize_refuses(image, arguments):
    with pytest.raises(ValueError, match=r"expected .* received"):
        imresize(image, **arguments)


@pytest.mark.parametrize("name", [n for n in ADDONS.files if n.startswith("gaussian")])
def test_blur_equals_tensorflow_addons(name):
    _, size, sigma = name.split("_")
    blurred = gaussian_blur(ADDONS["image"], float(sigma), int(size))
    np.testing.assert_allclose(blurred, ADDONS[name], atol=1e-3)


def test_blur_by_hand():
    image = np.zeros((5, 5))
    image[2, 2] = 1.0
    weights = np.exp([-0.5, 0.0, -0.5])
    weights /= weights.sum()
    np.testing.assert_allclose(
        gaussian_blur(image, 1.0, 3)[1:4, 1:4], np.outer(weights, weights), atol=1e-12
    )
    assert gaussian_blur(image, 0) is image
    with pytest.raises(ValueError, match="odd filter_size"):
        gaussian_blur(image, 1.0, 4)


def test_blur_of_an_image_smaller_than_the_kernel():
    np.testing.assert_allclose(gaussian_blur(np.full((1, 2, 3), 9.0), 2.0), 9.0)


def test_degrade(rng):
    hr = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
    lr = degrade(hr, 4)
    assert lr.shape == (6, 8, 3)
    assert lr.dtype == np.uint8
    assert np.array_equal(lr, imresize(hr, 0.25))
    blurred = degrade(hr, 4, blur=1.0)
    assert blurred.std() < lr.std()
    assert np.array_equal(blurred, to_uint8(imresize(gaussian_blur(hr, 1.0), 0.25)))
    with pytest.raises(ValueError, match="multiples of 5"):
        degrade(hr, 5)


def test_crop_to_multiple():
    assert crop_to_multiple(np.zeros((17, 20, 3)), 8).shape == (16, 16, 3)


def test_to_uint8_rounds_and_clips():
    assert to_uint8(np.array([-3.0, 0.4, 0.6, 254.6, 300.0])).tolist() == [0, 0, 1, 255, 255]


@pytest.mark.parametrize("name", ["Set5", "Set14"])
def test_degrade_makes_the_supplied_files(data, name):
    """The files were made by an older MATLAB that repeated edge pixels, so borders may differ."""
    from keras_perceptual.evaluation.benchmark import pairs

    for image, lr, hr in pairs(data(f"test/{name}"), 4):
        inner = np.s_[4:-4, 4:-4]
        difference = np.abs(degrade(hr, 4)[inner].astype(int) - lr[inner])
        assert difference.max() <= 1, image
        assert np.mean(difference > 0) < 0.002, image


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_single_pixels_are_enlarged_alike(rng, scale):
    image = rng.uniform(0, 255, (12, 15, 3)).astype(np.float32)
    rows, columns = rng.integers(2, 10, 20), rng.integers(2, 13, 20)
    whole, found = imresize(image, scale), enlarged_pixels(image, rows, columns, scale)
    for v, u in np.ndindex(scale, scale):
        assert np.array_equal(found[v, u].T, whole[scale * rows + v, scale * columns + u])

from __future__ import annotations

import numpy as np
import pytest
from skimage.exposure import match_histograms as reference_of_skimage

from keras_perceptual.files import images
from keras_perceptual.pixels.histograms import histogram, match_histograms
from keras_perceptual.pixels.resampling import imresize
from tests.conftest import SAMPLES


def _by_channel(image, reference):
    """scikit-image's own result before it cuts the fraction off, rounded."""
    channels = [
        reference_of_skimage(image[..., c], reference[..., c]) for c in range(image.shape[-1])
    ]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def _cases():
    rng = np.random.default_rng(0)

    def uniform(*shape):
        return rng.integers(0, 256, shape, dtype=np.uint8)

    constant = np.full((9, 7, 3), 40, np.uint8)
    two_levels = np.where(uniform(16, 16, 3) > 99, 250, 3).astype(np.uint8)
    saturated = np.clip(uniform(20, 20, 3).astype(int) * 3 - 200, 0, 255).astype(np.uint8)
    photograph = images.read(SAMPLES / "LRx4" / "chelsea.png").pixels
    return {
        "random": (uniform(31, 17, 3), uniform(8, 9, 3)),
        "constant image": (constant, uniform(8, 9, 3)),
        "constant reference": (uniform(8, 9, 3), constant),
        "both constant": (constant, constant + 100),
        "two levels": (uniform(12, 12, 3), two_levels),
        "from two levels": (two_levels, uniform(12, 12, 3)),
        "saturated": (saturated, uniform(9, 9, 3)),
        "one pixel": (uniform(1, 1, 3), uniform(1, 1, 3)),
        "photograph": (imresize(photograph, 4), photograph),
    }


@pytest.mark.parametrize("name", _cases())
def test_equals_scikit_image(name):
    image, reference = _cases()[name]
    matched = match_histograms(image, reference)
    assert matched.dtype == np.uint8
    assert np.array_equal(matched, _by_channel(image, reference))
    cut_off = reference_of_skimage(image, reference, channel_axis=-1)
    assert np.all((matched - cut_off.astype(int) >= 0) & (matched - cut_off.astype(int) <= 1))


def test_matching_an_image_to_itself_changes_nothing(rng):
    image = rng.integers(0, 256, (30, 30, 3), dtype=np.uint8)
    assert np.array_equal(match_histograms(image, image), image)


def test_histograms_of_parts_add_up(rng):
    image = rng.integers(0, 256, (30, 30, 3), dtype=np.uint8)
    assert np.array_equal(histogram(image), histogram(image[:7]) + histogram(image[7:]))


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        (np.zeros((4, 4, 3)), np.zeros((4, 4, 3), np.uint8)),
        (np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 1), np.uint8)),
        (np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)),
    ],
)
def test_refuses(image, reference):
    with pytest.raises(ValueError, match=r"expected .* received"):
        match_histograms(image, reference)

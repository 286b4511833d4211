from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import maximum_filter, minimum_filter

from keras_perceptual.pixels.flat import flat


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (5, 40), (60, 70)])
@pytest.mark.parametrize("radius", [1, 2, 8])
def test_all_around_are_alike(rng, size, radius):
    image = np.zeros((*size, 3), np.uint8)
    for _ in range(4):
        y, x = rng.integers(0, size[0]), rng.integers(0, size[1])
        image[y : y + 20, x : x + 20] = rng.integers(0, 255, 3)
    window = (2 * radius + 1, 2 * radius + 1, 1)
    expected = maximum_filter(image, window, mode="nearest") == minimum_filter(
        image, window, mode="nearest"
    )
    assert np.array_equal(flat(image, radius), expected.all(axis=-1))


def test_one_level_of_one_channel_counts():
    image = np.full((9, 9, 3), 200, np.uint16)
    image[4, 4, 2] += 1
    assert flat(image, 1).sum() == 81 - 9

from __future__ import annotations

import numpy as np
import pytest

from keras_perceptual.pixels.grain import GRAIN, grain, grained


def test_parts_of_the_grain_fit_together():
    whole = grain(90, 70)
    assert np.allclose(whole[30:50, 20:], grain(20, 50, top=30, left=20), atol=1e-4)
    far = grain(8, 8, top=10**6, left=10**6)
    assert np.allclose(far[4:], grain(4, 8, top=10**6 + 4, left=10**6), atol=1e-3)


def test_it_is_smooth_of_standard_deviation_1_and_does_not_repeat():
    noise = grain(1024, 1024)
    assert noise.mean((0, 1)) == pytest.approx([0, 0, 0], abs=0.05)
    assert noise.std((0, 1)) == pytest.approx([1, 1, 1], abs=0.1)
    assert np.abs(np.diff(noise, axis=0)).mean() < 0.2
    colours = np.corrcoef(noise.reshape(-1, 3).T)
    assert np.abs(colours - np.eye(3)).max() < 0.3
    spectrum = np.abs(np.fft.fft2(noise[..., 0])) ** 2
    alike = np.fft.ifft2(spectrum).real[:512, :512] / noise[..., 0].size
    assert alike[0, 0] > 0.8
    assert alike[64:, 64:].max() < 0.6 * alike[0, 0]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_every_colour_gets_grain_black_and_white_too(dtype, share):
    most = np.iinfo(dtype).max
    image = np.full((200, 300, 4), round(share * most), dtype)
    result = grained(image)
    assert result.dtype == dtype
    assert np.array_equal(result[..., 3], image[..., 3])
    levels = result[..., :3] * (255 / most)
    assert levels.std((0, 1)) == pytest.approx([GRAIN] * 3, rel=0.2)
    clipped = (result[..., :3] == 0) | (result[..., :3] == most)
    assert clipped.mean() < 0.05


def test_a_part_of_a_picture_gets_the_grain_of_its_place(rng):
    image = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    assert np.array_equal(grained(image)[12:, 7:], grained(image[12:, 7:], top=12, left=7))
    assert np.array_equal(grained(image, 0), image)

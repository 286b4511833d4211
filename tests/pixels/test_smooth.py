from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import maximum_filter1d

from keras_perceptual.pixels.smooth import Smooth, smooth


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (9, 1), (3, 4), (5, 40), (60, 70)])
@pytest.mark.parametrize("radius", [2, 3, 8])
@pytest.mark.parametrize("most", [0, 4])
def test_all_around_is_smooth(rng, size, radius, most):
    y, x = np.mgrid[: size[0], : size[1]]
    curve = 100 + 2.3 * x + 1.7 * y + 0.02 * (x - 30) ** 2 - 0.01 * x * y
    image = np.clip(np.dstack([curve, 200 - curve, curve / 2]), 0, 255).astype(np.uint8)
    for _ in range(3):
        top, left = rng.integers(0, size[0]), rng.integers(0, size[1])
        image[top : top + 20, left : left + 20] = rng.integers(0, 255, 3)
    roughest = []
    for turned in (image, image.swapaxes(0, 1)):
        around = [(radius, radius), (0, 0), (0, 0)]
        beyond = np.pad(turned.astype(int), around, "reflect", reflect_type="odd")
        thirds = np.abs(np.diff(beyond, 3, axis=0))
        if most:
            thirds = thirds - np.abs(np.diff(beyond, axis=0))[1:-1] / 2
        thirds = thirds.max(axis=-1)
        each = [thirds[y : y + 2 * radius - 2].max(axis=0) for y in range(len(turned))]
        roughest.append(maximum_filter1d(each, 2 * radius + 1, axis=1, mode="constant"))
    expected = np.maximum(roughest[0], roughest[1].T) <= most
    assert np.array_equal(smooth(image, Smooth(radius, most)), expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_rounded_curves_are_smooth(rng, dtype):
    y, x = np.mgrid[:30, :40]
    depth = 257 if dtype == np.uint16 else 1
    for _ in range(20):
        a, b, c, d = rng.uniform(-0.05, 0.05, 4)
        curve = 127 + 30 * a * x + 30 * b * y + c * x**2 + d * x * y
        image = np.clip(np.repeat(curve[..., None], 3, 2).round(), 0, 255).astype(dtype) * depth
        inside = (image > 0).all() and (image < 255 * depth).all()
        assert smooth(image.astype(dtype), Smooth(2, 4)).all() or not inside


@pytest.mark.parametrize(("length", "is_smooth"), [(5, False), (9, True), (30, True)])
def test_long_waves_are_smooth(length, is_smooth):
    wave = np.rint(127 + 120 * np.sin(np.arange(90) * 2 * np.pi / length)).astype(np.uint8)
    image = np.broadcast_to(wave[:, None, None], (90, 20, 3))
    found = smooth(image, Smooth(2, 4))[4:-4]  # at its ends it is bent
    assert found.all() if is_smooth else not found.any()
    assert not smooth(image, Smooth(2, 0)).all()


def test_one_level_of_one_channel_counts():
    image = np.full((9, 9, 3), 200, np.uint16)
    image[4, 4, 2] += 1
    assert smooth(image, Smooth(2, 0)).sum() == 81 - 25


def test_noise_is_not_smooth(rng):
    image = np.clip(rng.normal(120, 2, (60, 60, 3)), 0, 255).astype(np.uint8)
    assert not smooth(image, Smooth(2, 4)).any()

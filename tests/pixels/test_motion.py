from __future__ import annotations

import numpy as np
import pytest

from keras_perceptual.files import images
from keras_perceptual.pixels.motion import change, displacement, glimpse, reduction
from keras_perceptual.pixels.steady import moved, steadied
from tests.conftest import SAMPLES


@pytest.fixture(scope="module")
def scene():
    return images.read(SAMPLES / "HR" / "coffee.png").pixels


def test_a_glimpse_is_small(scene):
    assert reduction(scene.shape) == -(-max(scene.shape[:2]) // 240)
    seen = glimpse(scene)
    assert max(seen.shape) <= 240
    deep = glimpse(scene.astype(np.uint16) * 257)
    np.testing.assert_allclose(seen, deep, atol=0.01)
    assert glimpse(np.full((1, 2000, 3), 255, np.uint8)).shape == (1, 222)
    assert glimpse(np.full((3, 5, 4), 255, np.uint8)) == pytest.approx(235)


@pytest.mark.parametrize("shift", [(0, 0), (3, -8), (-1, 2), (17, 11)])
@pytest.mark.parametrize("noise", [0, 6])
def test_a_moving_camera(scene, rng, shift, noise):
    down, right = shift
    first = scene[20:260, 20:340]
    second = scene[20 - down : 260 - down, 20 - right : 340 - right]
    second = np.clip(second + rng.normal(0, noise, second.shape), 0, 255).astype(np.uint8)
    found = displacement(glimpse(first), glimpse(second))
    assert found is not None
    assert np.abs(np.array(found) * reduction(first.shape) - shift).max() < 0.7


def test_one_thing_that_moves_is_no_camera(scene):
    first, second = scene[:240, :320].copy(), scene[:240, :320].copy()
    first[150:200, 100:150], second[150:200, 130:180] = [250, 20, 20], [250, 20, 20]
    found = displacement(glimpse(first), glimpse(second))
    assert found is None or max(map(abs, found)) < 0.3


def test_nothing_to_see_does_not_move(rng):
    flat = np.full((60, 80), 100, np.float32)
    assert displacement(flat, flat) is None
    assert displacement(flat[:8], flat[:8]) is None
    noise = [rng.uniform(0, 255, (60, 80)).astype(np.float32) for _ in range(2)]
    found = displacement(*noise)
    assert found is None or max(map(abs, found)) < 0.5


def test_change_between_frames(scene):
    seen = glimpse(scene[:240, :320])
    assert change(seen, seen) == 0
    assert change(seen, glimpse(255 - scene[:240, :320])) > 40
    assert change(seen, seen + 5) == pytest.approx(5, abs=0.01)


def test_noise_is_held_and_change_is_not(scene, rng):
    still = scene[:120, :160]
    noisy = [np.clip(still + rng.normal(0, 4, still.shape), 0, 255).astype(np.uint8)
             for _ in range(8)]  # fmt: skip
    before = noisy[0].astype(np.uint16) * 257
    for frame in noisy[1:]:
        after = steadied(before, frame)
        last, before = before, after
    flicker = np.abs(before.astype(int) - last).mean() / 257
    assert flicker < 0.25 * np.abs(noisy[-1].astype(int) - noisy[-2]).mean()
    assert np.abs(before / 257 - still).mean() < np.abs(noisy[-1].astype(int) - still).mean()
    changed = noisy[-1].copy()
    changed[40:80, 40:80] = [255, 0, 255]
    assert np.abs(steadied(before, changed)[44:76, 44:76] / 257 - [255, 0, 255]).max() <= 1


def test_what_a_camera_leaves_behind(scene):
    first, second = scene[10:110, 10:130], scene[13:113, 5:125]
    result = moved(first.astype(np.uint16) * 257, second, -3, 5)
    assert np.array_equal(result, second.astype(np.uint16) * 257)
    assert np.array_equal(moved(first.astype(np.uint16), second, 0, 500), result)

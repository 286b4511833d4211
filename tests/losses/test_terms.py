from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from keras_perceptual.losses import terms


def _f(*values, shape):
    return np.array(values, np.float32).reshape(shape)


def test_feature_reconstruction_by_hand():
    hr = _f(1, 2, 3, 4, shape=(1, 1, 2, 2))
    sr = _f(1, 4, 3, 8, shape=(1, 1, 2, 2))
    assert float(terms.feature_reconstruction(hr, sr)) == (0 + 4 + 0 + 16) / (2 * 1 * 2)


def test_feature_reconstruction_is_the_mean_over_the_batch():
    hr = np.zeros((2, 1, 2, 2), np.float32)
    sr = np.stack([np.full((1, 2, 2), 1.0), np.full((1, 2, 2), 3.0)]).astype(np.float32)
    assert float(terms.feature_reconstruction(hr, sr)) == (1 + 9) / 2


def test_gram_matrix_by_hand():
    features = _f(1, 2, 3, 4, shape=(1, 1, 2, 2))  # pixels (1, 2) and (3, 4)
    expected = np.array([[1 + 9, 2 + 12], [2 + 12, 4 + 16]]) / (2 * 1 * 2)
    assert np.array_equal(terms.gram_matrix(features), expected[None])


def test_style_reconstruction_by_hand():
    gram = _f(2, 0, 0, 2, shape=(1, 2, 2))
    features = _f(1, 2, 3, 4, shape=(1, 1, 2, 2))
    off = (2.5 - 2) ** 2 + 2 * 3.5**2 + (5 - 2) ** 2
    assert float(terms.style_reconstruction(gram, features)) == off / 8
    # Nothing is as far as the painting is large; the painting's own features are at 0, turned too.
    assert float(terms.style_reconstruction(gram, features * 0)) == 1
    own = terms.gram_matrix(features)
    assert float(terms.style_reconstruction(own, features[:, :, ::-1])) == 0


def test_texture_reconstruction_by_hand():
    hr = _f(1, 0, 3, 0, 0, 2, 5, 5, shape=(1, 2, 4, 1))  # windows (1, 0, 0, 2) and (3, 0, 5, 5)
    sr = _f(0, 3, 0, 0, 0, 0, 0, 0, shape=(1, 2, 4, 1))
    grams = np.array([[1 + 4, 9 + 25 + 25], [9, 0]]) / 4
    size = grams[0] ** 2
    expected = np.mean((grams[1] - grams[0]) ** 2 / (size + 0.01 * size.mean()))
    assert float(terms.texture_reconstruction(hr, sr, 2)) == pytest.approx(expected, rel=1e-5)
    nothing = np.zeros_like(hr)
    assert float(terms.texture_reconstruction(nothing, nothing, 2)) == 0


def test_a_texture_may_move_inside_its_window_only(rng):
    hr = rng.uniform(0, 1, (2, 9, 8, 5)).astype(np.float32)  # the last row is in no window
    inside, across = hr.copy(), np.roll(hr, 2, axis=2)
    inside[:, :4, :4] = hr[:, 3::-1, 3::-1]
    inside[:, 8] = 0
    assert float(terms.texture_reconstruction(hr, inside, 4)) == pytest.approx(0, abs=1e-9)
    assert float(terms.texture_reconstruction(hr, across, 4)) > 1e-3
    whole = [float(terms.texture_reconstruction(hr, across, side)) for side in (8, 99)]
    assert whole == pytest.approx([0, 0], abs=1e-9)


def test_palette_distance_by_hand(rng):
    painting = rng.permutation(np.arange(4096.0) / 16).reshape(1, 64, 64, 1) * np.ones(3)
    style = terms.palette(painting)
    assert style.shape == (1, 13, 4096)
    # Of a gray, direction (1, 1, 1) sees the level times the square root of 3.
    assert np.allclose(style[0, -1], np.arange(4096) / 16 * 3**0.5, atol=0.01)
    assert float(terms.palette_distance(style, painting)) == pytest.approx(0, abs=1e-6)
    moved = painting[:, ::-1, rng.permutation(64)]  # where colours stand does not matter
    assert float(terms.palette_distance(style, moved)) == pytest.approx(0, abs=1e-6)
    gray = np.full((1, 9, 7, 3), painting.mean(), "f")
    assert float(terms.palette_distance(style, gray)) == pytest.approx(1, rel=1e-4)
    # All levels too high by 30: the square of it over the variance.
    off = float(terms.palette_distance(style, painting + 30))
    assert off == pytest.approx(900 / painting.var(), rel=1e-4)
    # A painting of one colour has no variance to be relative to.
    plain = terms.palette(np.full((1, 4, 4, 3), 10.0))
    sum_squares = np.mean(np.sum(terms._DIRECTIONS, axis=1) ** 2)
    off = float(terms.palette_distance(plain, np.full((1, 5, 5, 3), 12.0)))
    assert off == pytest.approx(4 * sum_squares, rel=1e-4)


def test_pixel_losses_by_hand():
    hr = _f(0, 0, 0, 10, 10, 10, shape=(1, 1, 2, 3))
    sr = _f(3, 0, 0, 10, 6, 10, shape=(1, 1, 2, 3))
    assert float(terms.pixel_squared(hr, sr)) == pytest.approx((9 + 16) / 6)
    assert float(terms.pixel_absolute(hr, sr)) == pytest.approx((3 + 4) / 6)


def test_total_variation_by_hand():
    sr = _f(0, 1, 4, 9, shape=(1, 2, 2, 1))  # rows (0, 1), (4, 9)
    assert float(terms.total_variation(sr)) == (16 + 64) / 2 + (1 + 25) / 2
    assert float(terms.total_variation(np.full((2, 5, 6, 3), 7.0))) == 0


def test_phase_bias_sees_a_weave_and_a_wrong_colour_but_not_texture(rng):
    hr = rng.uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    assert float(terms.phase_bias(hr, hr, 2, window=4)) == 0
    assert float(terms.phase_bias(hr, hr + 5, 2, window=4)) == pytest.approx(25, rel=1e-4)
    weave = np.tile(_f(1, -1, -1, 1, shape=(1, 2, 2, 1)), (1, 8, 8, 1))
    assert float(terms.phase_bias(hr, hr + 3 * weave, 2, window=4)) == pytest.approx(9, rel=1e-4)
    # A weave whose sign changes from window to window counts in full; noise by its mean only.
    changing = weave * np.repeat(_f(1, -1, shape=(1, 2, 1, 1)), 8, axis=1)
    assert float(terms.phase_bias(hr, hr + changing, 2, window=4)) == pytest.approx(1, rel=1e-3)
    noise = rng.normal(0, 1, hr.shape)
    texture = float(terms.phase_bias(hr, hr + noise, 2, window=4))
    assert texture == pytest.approx(1 / 16, rel=0.3)


def test_mixed_precision_is_summed_in_float32():
    hr = ops.zeros((1, 64, 64, 3), "bfloat16")
    sr = ops.cast(ops.full((1, 64, 64, 3), 200.0), "bfloat16")
    assert float(terms.pixel_squared(hr, sr)) == 40_000.0


def test_luma_sees_brightness_and_no_colour(rng):
    hr = rng.uniform(60, 200, (1, 8, 8, 3)).astype(np.float32)
    assert float(terms.luma_absolute(hr, hr - 20)) == pytest.approx(20, rel=1e-4)
    assert float(terms.luma_squared(hr, hr - 20)) == pytest.approx(400, rel=1e-4)
    as_bright = np.array([11.4, 0, -29.9], np.float32)  # 0.299 of red against 0.114 of blue
    assert float(terms.luma_absolute(hr, hr + as_bright)) < 1e-4
    assert float(terms.luma_squared(hr, hr + as_bright)) < 1e-8


def test_chroma_sees_colours_that_change_slowly_and_no_brightness(rng):
    hr = rng.uniform(50, 200, (1, 16, 16, 3)).astype(np.float32)
    assert float(terms.chroma(hr, hr + 20)) < 1e-4
    # A level of blue is half a level of Cb and -0.081312 of Cr.
    blue = hr + np.array([0, 0, 1], np.float32)
    assert float(terms.chroma(hr, blue)) == pytest.approx((0.5 + 0.081312) / 2, rel=1e-4)
    # What cancels within 4x4 pixels is texture.
    board = np.indices((16, 16)).sum(0)[..., None] % 2 * 2 - 1
    assert float(terms.chroma(hr, hr + board * np.array([0, 0, 8], np.float32))) < 1e-4

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from keras_perceptual.losses import terms as losses


def _f(*values, shape):
    return np.array(values, np.float32).reshape(shape)


def test_feature_reconstruction_by_hand():
    hr = _f(1, 2, 3, 4, shape=(1, 1, 2, 2))
    sr = _f(1, 4, 3, 8, shape=(1, 1, 2, 2))
    assert float(losses.feature_reconstruction(hr, sr)) == (0 + 4 + 0 + 16) / (2 * 1 * 2)


def test_feature_reconstruction_is_the_mean_over_the_batch():
    hr = np.zeros((2, 1, 2, 2), np.float32)
    sr = np.stack([np.full((1, 2, 2), 1.0), np.full((1, 2, 2), 3.0)]).astype(np.float32)
    assert float(losses.feature_reconstruction(hr, sr)) == (1 + 9) / 2


def test_gram_matrix_by_hand():
    features = _f(1, 2, 3, 4, shape=(1, 1, 2, 2))  # pixels (1, 2) and (3, 4)
    expected = np.array([[1 + 9, 2 + 12], [2 + 12, 4 + 16]]) / (2 * 1 * 2)
    assert np.array_equal(losses.gram_matrix(features), expected[None])


def test_style_reconstruction_by_hand():
    gram = _f(2, 0, 0, 2, shape=(1, 2, 2))
    features = _f(1, 2, 3, 4, shape=(1, 1, 2, 2))
    off = (2.5 - 2) ** 2 + 2 * 3.5**2 + (5 - 2) ** 2
    assert float(losses.style_reconstruction(gram, features)) == off / 8
    # Nothing is as far as the painting is large; the painting's own features are at 0, turned too.
    assert float(losses.style_reconstruction(gram, features * 0)) == 1
    own = losses.gram_matrix(features)
    assert float(losses.style_reconstruction(own, features[:, :, ::-1])) == 0


def test_perceptual_loss_takes_each_image_to_its_painting(rng):
    rgb = keras.Input((None, None, 3))
    network = keras.Model(rgb, {"c": keras.layers.Conv2D(4, 1)(rgb)})
    paintings = [rng.uniform(0, 255, (9, 7, 3)), rng.uniform(0, 99, (5, 8, 3))]
    loss = losses.PerceptualLoss({"style:c": 2.0}, 1, network, paintings)
    sr = np.stack([p[:5, :7] for p in paintings]).astype(np.float32)
    grams = np.asarray(losses.gram_matrix(network(sr)["c"]))
    each = []
    for image, painting in enumerate((1, 0)):
        target = np.asarray(losses.gram_matrix(network(paintings[painting][None])["c"]))[0]
        each.append(((grams[image] - target) ** 2).sum() / (target**2).sum())
    terms = loss(None, sr, np.eye(2, dtype="f")[[1, 0]])
    assert float(terms["style:c"]) == pytest.approx(np.mean(each), rel=1e-4)
    assert float(loss.total(terms)) == pytest.approx(2 * np.mean(each), rel=1e-4)
    with pytest.raises(ValueError, match="style:c"):
        losses.PerceptualLoss({"style:c": 1.0}, 1, network)  # no painting


def test_style_of_a_reduced_image(rng):
    rgb = keras.Input((None, None, 3))
    network = keras.Model(rgb, {"c": keras.layers.Conv2D(4, 1)(rgb)})
    painting, sr = rng.uniform(0, 255, (2, 9, 8, 3)).astype(np.float32)
    loss = losses.PerceptualLoss({"style:c": 1.0, "style:c/2": 3.0}, 1, network, [painting])
    terms = loss(None, sr[None])
    halves = [image[:8].reshape(1, 4, 2, 4, 2, 3).mean((2, 4)) for image in (painting, sr)]
    own = losses.gram_matrix(network(halves[0])["c"])
    expected = float(losses.style_reconstruction(own, network(halves[1])["c"]))
    assert float(terms["style:c/2"]) == pytest.approx(expected, rel=1e-4)
    assert float(terms["style:c"]) != pytest.approx(expected, rel=1e-2)
    assert [losses.layer_of(name) for name in terms] == ["c", "c"]
    for wrong in ("style:c/0", "style:c/x", "style:c/2/2", "feature:c/2", "style:d/2"):
        with pytest.raises(ValueError, match="expected losses among"):
            losses.PerceptualLoss({wrong: 1.0}, 1, network, [painting])


def test_palette_distance_by_hand(rng):
    painting = rng.permutation(np.arange(4096.0) / 16).reshape(1, 64, 64, 1) * np.ones(3)
    style = losses.palette(painting)
    assert style.shape == (1, 13, 4096)
    # Of a gray, direction (1, 1, 1) sees the level times the square root of 3.
    assert np.allclose(style[0, -1], np.arange(4096) / 16 * 3**0.5, atol=0.01)
    assert float(losses.palette_distance(style, painting)) == pytest.approx(0, abs=1e-6)
    moved = painting[:, ::-1, rng.permutation(64)]  # where colours stand does not matter
    assert float(losses.palette_distance(style, moved)) == pytest.approx(0, abs=1e-6)
    gray = np.full((1, 9, 7, 3), painting.mean(), "f")
    assert float(losses.palette_distance(style, gray)) == pytest.approx(1, rel=1e-4)
    # All levels too high by 30: the square of it over the variance.
    off = float(losses.palette_distance(style, painting + 30))
    assert off == pytest.approx(900 / painting.var(), rel=1e-4)
    # A painting of one colour has no variance to be relative to.
    plain = losses.palette(np.full((1, 4, 4, 3), 10.0))
    sum_squares = np.mean(np.sum(losses._DIRECTIONS, axis=1) ** 2)
    off = float(losses.palette_distance(plain, np.full((1, 5, 5, 3), 12.0)))
    assert off == pytest.approx(4 * sum_squares, rel=1e-4)


def test_palette_of_reduced_images_and_of_mixtures(rng):
    paintings = list(rng.uniform(0, 255, (2, 9, 8, 3)))
    loss = losses.PerceptualLoss({"palette/2": 2.0}, 1, paintings=paintings)
    sr = paintings[1][None].astype(np.float32)
    one, other = (float(loss(None, sr, np.eye(2)[None, n])["palette/2"]) for n in (0, 1))
    assert other == pytest.approx(0, abs=1e-4)
    assert one > 0.01
    half = sr[:, :8].reshape(1, 4, 2, 4, 2, 3).mean((2, 4))
    own = losses.palette(half)
    assert float(losses.palette_distance(own, half)) == pytest.approx(other, abs=1e-6)
    assert np.allclose(loss._targets["palette/2"][1], own[0], atol=1e-3)
    for wrong in ("palette/0", "palette/x", "palette:c"):
        with pytest.raises(ValueError, match="expected losses among"):
            losses.PerceptualLoss({wrong: 1.0}, 1, paintings=paintings)
    with pytest.raises(ValueError, match="palette"):
        losses.PerceptualLoss({"palette": 1.0}, 1)  # no painting


def test_pixel_losses_by_hand():
    hr = _f(0, 0, 0, 10, 10, 10, shape=(1, 1, 2, 3))
    sr = _f(3, 0, 0, 10, 6, 10, shape=(1, 1, 2, 3))
    assert float(losses.pixel_squared(hr, sr)) == pytest.approx((9 + 16) / 6)
    assert float(losses.pixel_absolute(hr, sr)) == pytest.approx((3 + 4) / 6)


def test_total_variation_by_hand():
    sr = _f(0, 1, 4, 9, shape=(1, 2, 2, 1))  # rows (0, 1), (4, 9)
    assert float(losses.total_variation(sr)) == (16 + 64) / 2 + (1 + 25) / 2
    assert float(losses.total_variation(np.full((2, 5, 6, 3), 7.0))) == 0


def test_phase_bias_sees_a_weave_and_a_wrong_colour_but_not_texture(rng):
    hr = rng.uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    assert float(losses.phase_bias(hr, hr, 2, window=4)) == 0
    assert float(losses.phase_bias(hr, hr + 5, 2, window=4)) == pytest.approx(25, rel=1e-4)
    weave = np.tile(_f(1, -1, -1, 1, shape=(1, 2, 2, 1)), (1, 8, 8, 1))
    assert float(losses.phase_bias(hr, hr + 3 * weave, 2, window=4)) == pytest.approx(9, rel=1e-4)
    # A weave whose sign changes from window to window counts in full; noise by its mean only.
    changing = weave * np.repeat(_f(1, -1, shape=(1, 2, 1, 1)), 8, axis=1)
    assert float(losses.phase_bias(hr, hr + changing, 2, window=4)) == pytest.approx(1, rel=1e-3)
    noise = rng.normal(0, 1, hr.shape)
    texture = float(losses.phase_bias(hr, hr + noise, 2, window=4))
    assert texture == pytest.approx(1 / 16, rel=0.3)


def test_mixed_precision_is_summed_in_float32():
    hr = ops.zeros((1, 64, 64, 3), "bfloat16")
    sr = ops.cast(ops.full((1, 64, 64, 3), 200.0), "bfloat16")
    assert float(losses.pixel_squared(hr, sr)) == 40_000.0


@pytest.fixture
def loss_network():
    rgb = keras.Input((None, None, 3))
    return keras.Model(rgb, {"twice": rgb * 2.0, "half": rgb * 0.5})


def test_weighted_sum(loss_network):
    loss = losses.PerceptualLoss(
        {"pixel_absolute": 3.0, "feature:twice": 0.5, "feature:half": 4.0}, 4, loss_network
    )
    hr, sr = np.zeros((1, 4, 4, 3), np.float32), np.full((1, 4, 4, 3), 2.0, np.float32)
    terms = loss(hr, sr)
    values = {name: float(value) for name, value in terms.items()}
    assert values == {"pixel_absolute": 2.0, "feature:twice": 16.0, "feature:half": 1.0}
    assert float(loss.total(terms)) == 3 * 2 + 0.5 * 16 + 4 * 1


@pytest.mark.parametrize("weights", [{}, {"l1": 1.0}, {"feature:block9": 1.0}])
def test_unknown_losses(loss_network, weights):
    with pytest.raises(ValueError, match="expected losses among"):
        losses.PerceptualLoss(weights, 4, loss_network)

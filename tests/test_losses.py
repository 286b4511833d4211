from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from keras_perceptual import losses


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

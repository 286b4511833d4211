from __future__ import annotations

import numpy as np
import pytest

from keras_perceptual.pixels.affine import IDENTITY, measured


def _network(gain=1.0, offset=0.0, scale=4):
    """A network that repeats pixels and changes contrast around 128, and brightness."""

    def run(lr):
        sr = lr.repeat(scale, 1).repeat(scale, 2)
        return ((sr - 128) * np.float32(gain) + 128 + np.float32(offset)).astype(np.float32)

    return run


@pytest.mark.parametrize("scale", [1, 2, 3, 8])
@pytest.mark.parametrize("gain", [0.95, 1.05, (1.05, 1, 0.95)])
@pytest.mark.parametrize("offset", [-5, 5, (3, -4, 0)])
def test_takes_a_shift_out(rng, gain, offset, scale):
    run = _network(gain, offset, scale)
    lr = rng.uniform(0, 255, (1, 5, 6, 3)).astype(np.float32)
    expected = _network(scale=scale)(lr)
    assert np.abs(run(lr) - expected).max() > 2
    changed = measured(run)(run(lr))
    assert changed.dtype == np.float32
    np.testing.assert_allclose(changed, expected, atol=1e-3)


def test_contrast_is_that_of_flat_parts_not_of_edges():
    def sharpened(lr):
        return lr + 0.5 * (lr - (np.roll(lr, 1, 2) + np.roll(lr, -1, 2)) / 2)

    assert measured(sharpened) is IDENTITY


@pytest.mark.parametrize(
    "run",
    [
        _network(1.002, 0.4),  # too little to see
        _network(2.0),  # of another task
        _network(-1.0),
        _network(0.0),
        _network(np.nan),
        lambda lr: 255 * (lr / 255) ** 1.2,  # no straight line
    ],
)
def test_leaves_alone_what_is_no_shift(run):
    assert measured(run) is IDENTITY


def test_a_small_shift_is_taken_out_if_it_can_be_seen():
    assert measured(_network(1.0, 0.8)) is not IDENTITY

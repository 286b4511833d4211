from __future__ import annotations

import numpy as np
import pytest

from keras_perceptual.pixels.transparency import CELL, REACH, fill_transparent


def test_hidden_colours_become_those_beside_them():
    pixels = np.zeros((40, 60, 3), np.uint8)
    alpha = np.zeros((40, 60), np.uint8)
    pixels[:, :20], alpha[:, :20] = [200, 30, 30], 255
    pixels[:, 20:] = [0, 255, 0]
    filled = fill_transparent(pixels, alpha)
    assert np.array_equal(filled[:, :20], pixels[:, :20])
    assert (filled[:, 20:48] == [200, 30, 30]).all()  # own cell and the one beside it
    assert (filled[:, 48:] == 0).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_shows_stays(rng, dtype):
    most = np.iinfo(dtype).max
    pixels = rng.integers(0, most, (33, 50, 3)).astype(dtype)
    alpha = (rng.integers(0, 3, (33, 50)) * (most // 2)).astype(dtype)
    filled = fill_transparent(pixels, alpha)
    assert filled.dtype == dtype
    assert np.array_equal(filled[alpha > 0], pixels[alpha > 0])
    opaque = np.full_like(alpha, most)
    assert np.array_equal(fill_transparent(pixels, opaque), pixels)


def test_a_part_is_filled_as_the_whole(rng):
    pixels = rng.integers(0, 256, (200, 70, 3), dtype=np.uint8)
    alpha = np.where(rng.uniform(size=(200, 70)) < 0.01, rng.integers(256, size=(200, 70)), 0)
    alpha = alpha.astype(np.uint8)
    whole = fill_transparent(pixels, alpha)
    top, bottom = 4 * CELL, 7 * CELL
    part = slice(top - REACH, bottom + REACH)
    filled = fill_transparent(pixels[part], alpha[part])
    assert np.array_equal(filled[REACH:-REACH], whole[top:bottom])


def test_what_hardly_shows_takes_on_the_colours_around_it():
    """White under an opacity of a hundredth, as programs leave it beside what is drawn."""
    pixels = np.full((40, 60, 3), 255, np.uint8)
    alpha = np.full((40, 60), 3, np.uint8)
    pixels[10:30, 10:30], alpha[10:30, 10:30] = [0, 0, 200], 255
    filled = fill_transparent(pixels, alpha).astype(int)
    beside = np.s_[8:32, 8:32]
    assert np.abs(filled[beside] - [0, 0, 200]).max() <= 16
    assert np.array_equal(filled[10:30, 10:30], pixels[10:30, 10:30])
    assert np.array_equal(filled[:, 50:], pixels[:, 50:])  # where nothing shows more


@pytest.mark.parametrize("opacity", [1, 40, 254])
def test_what_is_everywhere_as_transparent_stays(rng, opacity):
    pixels = rng.integers(0, 256, (33, 50, 3), dtype=np.uint8)
    alpha = np.full((33, 50), opacity, np.uint8)
    assert np.array_equal(fill_transparent(pixels, alpha), pixels)


def test_what_fades_stays(rng):
    pixels = rng.integers(0, 256, (64, 256, 3), dtype=np.uint8)
    alpha = np.broadcast_to(np.arange(256, dtype=np.uint8), (64, 256)).copy()
    filled = fill_transparent(pixels, alpha)
    assert np.array_equal(filled[:, 32:], pixels[:, 32:])

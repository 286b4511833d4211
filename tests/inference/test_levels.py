"""Signatures that take levels and give levels."""

from __future__ import annotations

import numpy as np
import pytest

from keras_perceptual.errors import EngineError
from keras_perceptual.inference.levels import level_runner


class _Signature:
    """Stands for LiteRT's runner of a network of blocks of 2x2 pixels, at twice the size.

    Args:
        shaped: what its result is turned into.
        step: of its levels.
    """

    def __init__(self, shaped=lambda sr: sr, step=(1.0, -128)):
        self._shaped, self._about = shaped, {"dtype": np.int8, "quantization": step}

    def get_input_details(self):
        return {"lr": self._about}

    def get_output_details(self):
        return {"sr": self._about}

    def __call__(self, lr):
        whole = np.pad(lr, ((0, 0), *((0, side % 2) for side in lr.shape[1:3]), (0, 0)))
        return {"sr": self._shaped(whole.repeat(2, 1).repeat(2, 2))}


@pytest.mark.parametrize("size", [(2, 4), (1, 1), (5, 8), (7, 3)])
def test_what_is_more_than_the_picture_is_cut_off(rng, size):
    lr = rng.integers(0, 256, (2, *size, 3), np.uint8)
    sr = level_runner(_Signature(), "a")(lr)
    assert np.array_equal(sr, lr.repeat(2, 1).repeat(2, 2))


def test_other_numbers_are_no_levels():
    assert level_runner(_Signature(step=(0.5, -128)), "a") is None


@pytest.mark.parametrize("shaped", [np.ravel, lambda sr: sr[..., 0], lambda sr: sr[:, :3]])
def test_what_is_no_picture_is_an_error(shaped):
    with pytest.raises(EngineError, match="a: expected a generator of RGB images, received"):
        level_runner(_Signature(shaped), "a")

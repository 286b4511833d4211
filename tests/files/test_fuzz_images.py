from __future__ import annotations

import contextlib

import numpy as np
import pytest

from keras_perceptual.errors import ImageError
from tests.files import fuzz_images
from tests.files.image_files import read_rows
from tests.files.samples import samples
from tests.files.structure import structure


@pytest.mark.parametrize("name", samples())
def test_samples_are_pictures(name):
    assert fuzz_images.read(name, samples()[name]) == "picture"


def test_mutated_files_give_a_picture_or_one_line():
    assert fuzz_images.run(list(samples()), range(25)) == []


@pytest.mark.parametrize("name", samples())
def test_truncated_files_are_errors(name):
    whole = samples()[name]
    outcomes = []
    for share in np.linspace(0.05, 0.8, 12):
        outcomes.append(fuzz_images.read(name, whole[: int(share * len(whole))]))
    if name.startswith(("gif-anim", "png-anim", "webp-anim", "tif-pages")):
        outcomes = outcomes[:2]  # the first frame may be whole
    assert "picture" not in outcomes


@pytest.mark.parametrize("name", samples())
@pytest.mark.parametrize("closed", [False, True])
def test_data_that_ends_early_is_an_error_or_was_not_needed(name, closed):
    """Whatever comes behind it: the mark of the end, or the rest of the file."""
    whole = samples()[name]
    found = structure(whole)
    start, stop = found.data[0]
    for share in np.linspace(0.1, 0.9, 7):
        cut = start + int(share * (stop - start))
        short = whole[:cut] + (found.end if closed else whole[stop:])
        with contextlib.suppress(ImageError):
            assert np.array_equal(read_rows(short), read_rows(whole))

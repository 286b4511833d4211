from __future__ import annotations

import numpy as np
import pytest

from tests.files import fuzz_images
from tests.files.samples import samples


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

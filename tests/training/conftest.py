"""What the tests of trainings share."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_perceptual.training import Sources
from tests.conftest import SAMPLES


@pytest.fixture
def sources():
    return Sources(str(SAMPLES / "HR"), "distilled")


@pytest.fixture(scope="session")
def vgg(tmp_path_factory):
    """Weights of VGG16's first three blocks, random."""
    keras.utils.set_random_seed(0)
    full = keras.applications.VGG16(weights=None, include_top=False)
    arrays = {}
    for layer in full.layers:
        if layer.name.startswith(("block1_conv", "block2_conv", "block3_conv")):
            arrays[f"{layer.name}_kernel"], arrays[f"{layer.name}_bias"] = layer.get_weights()
    path = tmp_path_factory.mktemp("vgg") / "vgg.npz"
    np.savez(path, **arrays)
    return path

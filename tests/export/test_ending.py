"""Levels in and out of a file of float32, and its last convolution in 8 bits."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_perceptual.errors import ExportError
from keras_perceptual.export.activations import activations
from keras_perceptual.export.ending import FINE, with_floats, with_levels
from keras_perceptual.export.model_file import unpacked
from keras_perceptual.export.quantization import patches
from keras_perceptual.export.tflite import to_tflite
from keras_perceptual.inference.engines import LiteRTEngine
from keras_perceptual.models.upscaling import srcnn, subpixel


@pytest.fixture(scope="module")
def generator():
    """Adds up to 60 levels: without training it would be 250."""
    keras.utils.set_random_seed(3)
    generator = subpixel(3, channels=8, blocks=1)
    tail = generator.get_layer("tail")
    kernel, bias = tail.get_weights()
    tail.set_weights([kernel / 4, bias + np.linspace(-0.1, 0.1, len(bias))])
    return generator


@pytest.fixture(scope="module")
def exact(generator):
    return to_tflite(generator)


@pytest.fixture(scope="module")
def levels(exact, photographs):
    return with_levels(exact, patches(photographs))


@pytest.fixture(scope="module")
def engine(levels, tmp_path_factory):
    path = tmp_path_factory.mktemp("levels") / "a.tflite"
    path.write_bytes(levels)
    return LiteRTEngine(path, threads=2)


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (41, 60)])
def test_levels_are_those_of_float32(generator, engine, photographs, size):
    lr = photographs[0][None, : size[0], : size[1]]
    sr = engine.run_levels(lr)
    assert (sr.shape, sr.dtype) == ((1, 3 * size[0], 3 * size[1], 3), np.uint8)
    exact = np.clip(np.asarray(generator(lr.astype(np.float32))), 0, 255)
    off = np.abs(sr - exact)
    assert off.mean() < 0.3  # of which rounding to levels is 0.25
    assert off.max() < 2


def test_large_additions_too(generator, engine):
    """Edges of black and white: in fine steps alone the result is off by thirty levels."""
    lr = np.kron(np.random.default_rng(0).integers(0, 2, (8, 8, 1)), np.ones((4, 4, 3)))
    lr = (40 + 175 * lr[None]).astype(np.uint8)
    exact = np.asarray(generator(lr.astype(np.float32)))
    added = exact - np.kron(lr, np.ones((1, 3, 3, 1)))
    for sign in (1, -1):
        assert (sign * added > FINE).mean() > 0.05
    off = np.abs(engine.run_levels(lr) - np.clip(exact, 0, 255))
    assert off.mean() < 0.35
    assert off.max() < 2


def test_nothing_wraps_around(generator, engine):
    for level in (0, 255):
        lr = np.full((1, 12, 12, 3), level, np.uint8)
        exact = np.clip(np.asarray(generator(lr.astype(np.float32))), 0, 255)
        assert np.abs(engine.run_levels(lr) - exact).max() < 2


def test_there_is_one_signature_and_each_kernel_once(levels):
    model = unpacked(levels)
    assert [each.signatureKey for each in model.signatureDefs] == [b"upscale"]
    assert len(model.subgraphs) == 1
    buffers = {
        tensor.name.decode(): tensor.buffer
        for tensor in model.subgraphs[0].tensors
        if tensor.name.decode().endswith("_kernel")
    }
    assert buffers["tail_fine_kernel"] == buffers["tail_above_kernel"]
    assert buffers["tail_fine_kernel"] != buffers["tail_below_kernel"]


def test_float32_levels_for_what_has_no_int8(engine, levels, photographs, tmp_path):
    path = tmp_path / "a.tflite"
    path.write_bytes(with_floats(levels))
    floats = LiteRTEngine(path, threads=1)
    assert floats.run_levels is None
    lr = photographs[0][None, :20, :31]
    assert np.array_equal(floats.run(lr.astype(np.float32)), engine.run_levels(lr))


def test_another_end_is_an_error(photographs):
    keras.utils.set_random_seed(0)
    content = to_tflite(srcnn(2, channels=8))
    with pytest.raises(ExportError, match="ends in a convolution, an addition and DEPTH_TO_SPACE"):
        with_levels(content, patches(photographs))


def test_activations(exact):
    """Of what a file takes they are what it is given."""
    (given,) = (tensor.name.decode() for tensor in unpacked(exact).subgraphs[-1].tensors[:1])
    lr = np.arange(2 * 40 * 50 * 3, dtype=np.float32).reshape(2, 40, 50, 3) % 251
    low, high, values = activations(exact, [given], [lr, lr + 1])[given]
    assert (low, high) == (0, 251)
    assert set(values) <= set(range(252))
    assert len(values) == pytest.approx(2 * lr.size / 101, abs=2)

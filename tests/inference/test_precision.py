"""Which file of a shipped model a picture goes through: that of 8 bits, or the usual one."""

from __future__ import annotations

import json

import numpy as np
import pytest

from keras_perceptual import Upscaler, zoo
from keras_perceptual.errors import EngineError
from keras_perceptual.export.quantization import patches, quantized
from keras_perceptual.export.tflite import to_tflite
from keras_perceptual.inference import upscaler as module
from keras_perceptual.models.upscaling import subpixel
from keras_perceptual.training.degradations import compressed

WITH = ("x4-feature", "x4-photo", "x4-pixel")  # of which x4-photo ships without 8 bits here


@pytest.fixture(scope="module")
def shipped(tmp_path_factory, photographs):
    """A folder of shipped models, all small."""
    pytest.importorskip("litert_quantizer")
    folder = tmp_path_factory.mktemp("zoo")
    for name in WITH:
        generator = subpixel(4, channels=8, blocks=2)
        content = to_tflite(generator)
        (folder / name).mkdir()
        card = {"descriptor": {"task": "upscale", "scale": 4, "generator": "subpixel"}}
        (folder / name / "card.json").write_text(json.dumps(card))
        (folder / name / "model.tflite").write_bytes(content)
        if name != "x4-photo":
            eight = quantized(content, patches(photographs), most=10.0)
            (folder / name / "model-int8.tflite").write_bytes(eight)
    return folder


@pytest.fixture(autouse=True)
def small_zoo(shipped, monkeypatch):
    monkeypatch.setattr(zoo, "_ROOT", shipped)
    for cached in (zoo._cards, zoo._descriptors):
        cached.cache_clear()
    monkeypatch.setattr(module, "fast_int8", lambda: True)
    yield
    monkeypatch.undo()
    for cached in (zoo._cards, zoo._descriptors):
        cached.cache_clear()


@pytest.fixture
def lr(photographs):
    return photographs[0][:40, :48]


def _file(upscaler):
    return upscaler.path.name


def test_auto_is_int8_where_that_is_fast(monkeypatch):
    assert _file(Upscaler()) == _file(Upscaler("x4-feature")) == "model-int8.tflite"
    assert _file(Upscaler(precision="float32")) == "model.tflite"
    monkeypatch.setattr(module, "fast_int8", lambda: False)
    assert _file(Upscaler()) == "model.tflite"
    assert _file(Upscaler(precision="int8")) == "model-int8.tflite"


def test_they_are_close_and_not_the_same(lr):
    eight, usual = (Upscaler(precision=each).upscale(lr) for each in ("auto", "float32"))
    difference = np.abs(eight.astype(int) - usual)
    assert 0 < difference.max() < 16


def test_pictures_of_16_bits_are_float32(lr):
    deep = lr.astype(np.uint16) * 257
    auto, usual, eight = (
        Upscaler(precision=each).upscale(deep) for each in ("auto", "float32", "int8")
    )
    assert np.array_equal(auto, usual)
    assert not np.array_equal(auto, eight)


def test_one_upscaler_takes_both(lr):
    upscaler = Upscaler()
    upscaler.upscale(lr.astype(np.uint16) * 257)
    assert np.array_equal(upscaler.upscale(lr), Upscaler(precision="int8").upscale(lr))


def test_blends_are_float32():
    assert _file(Upscaler(fidelity=0.5)) == "model.tflite"
    with pytest.raises(ValueError, match="expected int8 or a fidelity"):
        Upscaler(fidelity=0.5, precision="int8")


def test_a_mix_of_engines_may_be_int8(lr):
    results = [Upscaler(restore=0.5, precision=each).upscale(lr) for each in ("auto", "float32")]
    assert not np.array_equal(*results)


def test_a_model_without_8_bits_is_as_ever(lr):
    assert _file(Upscaler("x4-photo")) == "model.tflite"
    damaged = compressed(lr, 30)
    restored = [Upscaler(precision=each).upscale(damaged) for each in ("auto", "float32")]
    assert np.array_equal(*restored)
    with pytest.raises(EngineError, match="x4-photo: has no 8-bit file"):
        Upscaler("x4-photo", precision="int8")


def test_a_path_is_used_as_it_is(shipped):
    path = shipped / "x4-feature" / "model.tflite"
    assert Upscaler(path).path == path
    with pytest.raises(EngineError, match="has no 8-bit file"):
        Upscaler(path, precision="int8")
    eight = shipped / "x4-feature" / "model-int8.tflite"
    assert Upscaler(eight).path == Upscaler(eight, precision="float32").path == eight


def test_another_precision_is_refused():
    with pytest.raises(ValueError, match="expected a precision of"):
        Upscaler(precision="float16")


@pytest.mark.parametrize("value", [0, 1, 127, 255])
@pytest.mark.parametrize("model", [None, "x4-feature"])
def test_flat_colours_are_exact(model, value):
    image = np.full((24, 30, 3), value, np.uint8)
    assert (Upscaler(model).upscale(image) == value).all()


def test_tiles_are_as_the_whole(photographs):
    lr = np.tile(photographs[0], (2, 2, 1))
    whole, tiled = (Upscaler(memory=memory).upscale(lr).astype(int) for memory in (2**30, 1))
    assert np.abs(whole - tiled).max() <= 1

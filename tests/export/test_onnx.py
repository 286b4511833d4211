"""export.py --format onnx; skipped where the packages of the extra `onnx` are absent."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_perceptual.cli.export import main
from keras_perceptual.errors import ExportError
from keras_perceptual.export import onnx as onnx_file
from keras_perceptual.export import verification
from keras_perceptual.export.exporter import Exporter
from keras_perceptual.models.upscaling import johnson
from keras_perceptual.pixels.grain import grained
from keras_perceptual.pixels.resampling import to_uint8

SIZES = [(1, 1), (17, 23), (64, 48), (1, 50), (50, 1)]


@pytest.fixture(scope="module")
def exporter(tiny, tmp_path_factory, photographs):
    return Exporter(str(tiny), tmp_path_factory.mktemp("exports") / "out", photographs)


@pytest.fixture(scope="module")
def exported(exporter):
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package)
    return exporter.onnx()


def test_agrees_on_photographs(exported):
    assert exported.path.name == "tiny.onnx"
    assert exported.size == exported.path.stat().st_size
    assert exported.agreement.largest <= 1
    assert exported.agreement.psnr > 60


@pytest.mark.parametrize("size", SIZES)
def test_any_batch_and_size_gives_the_pixels_of_keras(exporter, exported, rng, size):
    lr = rng.integers(0, 256, (2, *size, 3)).astype(np.float32)
    expected = np.asarray(exporter.generator(lr))
    sr = onnx_file.open_onnx(exported.path.read_bytes()).upscale(lr)
    assert sr.dtype == np.float32
    assert sr.shape == (2, 4 * size[0], 4 * size[1], 3)
    assert np.abs(to_uint8(sr).astype(int) - to_uint8(expected)).max() <= 1
    assert np.abs(sr - expected).max() < verification.NOISE


def test_johnson_too(exported, rng):
    generator = johnson(channels=8, blocks=1)
    upscale = onnx_file.open_onnx(onnx_file.to_onnx(generator)).upscale
    for size in SIZES:
        lr = rng.integers(0, 256, (1, *size, 3)).astype(np.float32)
        assert np.abs(upscale(lr) - np.asarray(generator(lr))).max() < verification.NOISE


def test_runs_without_tensorflow_under_its_own_names(exported):
    program = f"""
import sys
import onnxruntime
session = onnxruntime.InferenceSession({str(exported.path)!r})
(lr,), (sr,) = session.get_inputs(), session.get_outputs()
assert (lr.name, lr.shape, lr.type) == ("lr", ["batch", "height", "width", 3], "tensor(float)")
assert (sr.name, sr.shape) == ("sr", ["batch", "sr_height", "sr_width", 3])
assert not {{"tensorflow", "keras", "keras_perceptual"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_what_differs_is_not_kept(exported, tiny, tmp_path, photographs, monkeypatch):
    (tmp_path / "tiny.onnx").write_bytes(b"the old one")
    wrong = verification.Agreement(2, 0.1, 50.0, 0.1)
    monkeypatch.setattr(verification, "compare", lambda *arguments: wrong)
    with pytest.raises(ExportError, match="differs from the Keras model by 2 levels"):
        Exporter(str(tiny), tmp_path, photographs).onnx()
    assert (tmp_path / "tiny.onnx").read_bytes() == b"the old one"
    assert len(list(tmp_path.iterdir())) == 1


def test_what_cannot_be_converted(exported, tmp_path, photographs):
    convolution = keras.layers.Conv2D(3, 3, padding="same", activation="elu")
    keras.Sequential([keras.Input((None, None, 3)), convolution]).save(tmp_path / "mine.keras")
    exporter = Exporter(str(tmp_path / "mine.keras"), tmp_path / "out", photographs)
    with pytest.raises(ExportError, match="mine: the operator ELU has no equal in ONNX here"):
        exporter.onnx()
    assert not (tmp_path / "out").exists()


def test_a_style_with_grain_and_without(exported, tmp_path, photographs):
    exporter = Exporter("starry-night", tmp_path, photographs)
    made = exporter.onnx()
    assert made.path.name == "starry-night.onnx"
    assert made.agreement.largest <= 1
    upscale = onnx_file.open_onnx(made.path.read_bytes()).upscale
    for lr in (photographs[0], grained(photographs[0])):
        expected = np.asarray(exporter.generator(lr[None].astype(np.float32)))
        assert np.abs(upscale(lr[None].astype(np.float32)) - expected).max() < 0.5


def test_the_command_line(exported, tiny, tmp_path, capsys):
    assert main(["--model", str(tiny), "--format", "onnx", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"| {tmp_path / 'tiny.onnx'} | ")
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.onnx"]


# --- without the packages ---


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_absent_packages_are_named(tiny, tmp_path, photographs, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ExportError, match="pip install onnx onnxruntime"):
        Exporter(str(tiny), tmp_path / "out", photographs).onnx()
    assert not (tmp_path / "out").exists()

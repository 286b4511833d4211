"""export.py --format onnx; skipped where the packages of the extra `onnx` are absent."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from keras_perceptual.errors import ExportError
from keras_perceptual.export import onnx as onnx_file
from keras_perceptual.export import verification
from keras_perceptual.export.exporter import Exporter
from keras_perceptual.files import images
from keras_perceptual.models.loading import load_generator
from keras_perceptual.models.upscaling import johnson
from keras_perceptual.pixels.resampling import to_uint8
from tests.conftest import SAMPLES

SIZES = [(1, 1), (17, 23), (64, 48), (1, 50), (50, 1)]


@pytest.fixture(scope="module")
def photographs():
    return [images.read(SAMPLES / "LRx4" / f"{n}.png").pixels for n in ("chelsea", "rocket")]


@pytest.fixture(scope="module")
def exported(tmp_path_factory, photographs):
    for package in ("onnx", "onnxruntime", "tf2onnx"):
        pytest.importorskip(package)
    return Exporter("x4-pixel", tmp_path_factory.mktemp("exports"), photographs).onnx()


def test_agrees_on_photographs(exported):
    assert exported.path.name == "x4-pixel.onnx"
    assert exported.size == exported.path.stat().st_size
    assert exported.agreement.largest <= 1
    assert exported.agreement.psnr > 60


@pytest.mark.parametrize("size", SIZES)
def test_any_batch_and_size_gives_the_pixels_of_keras(exported, rng, size):
    lr = rng.integers(0, 256, (2, *size, 3)).astype(np.float32)
    expected = np.asarray(load_generator("x4-pixel")(lr))
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


def test_what_differs_is_not_kept(exported, tmp_path, photographs, monkeypatch):
    (tmp_path / "x4-pixel.onnx").write_bytes(b"the old one")
    wrong = verification.Agreement(2, 0.1, 50.0, 0.1)
    monkeypatch.setattr(verification, "compare", lambda *arguments: wrong)
    with pytest.raises(ExportError, match="differs from the Keras model by 2 levels"):
        Exporter("x4-pixel", tmp_path, photographs).onnx()
    assert (tmp_path / "x4-pixel.onnx").read_bytes() == b"the old one"
    assert len(list(tmp_path.iterdir())) == 1


def test_what_cannot_be_converted(exported, tmp_path, photographs, monkeypatch):
    def fail(*arguments, **kwargs):
        raise ValueError("no such operator\nand a long story")

    exporter = Exporter("x4-pixel", tmp_path, photographs)
    monkeypatch.setattr(type(exporter.generator), "export", fail)
    with pytest.raises(ExportError, match=r"cannot be converted to ONNX: no such operator$"):
        exporter.onnx()


def test_export_script(exported, run_script, tmp_path):
    result = run_script("export.py", "--model=x4-pixel", "--format=onnx", "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1].startswith(f"| {tmp_path / 'x4-pixel.onnx'} | 1.")
    assert [p.name for p in tmp_path.iterdir()] == ["x4-pixel.onnx"]


# --- without the packages ---


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "tf2onnx"])
def test_absent_packages_are_named(tmp_path, photographs, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ExportError, match="pip install onnx onnxruntime tf2onnx"):
        Exporter("x4-pixel", tmp_path / "out", photographs).onnx()
    assert not (tmp_path / "out").exists()


def test_quantize_is_for_tflite(run_script, tmp_path):
    result = run_script("export.py", "--format=onnx", "--quantize=int8", "--out", tmp_path / "out")
    assert result.returncode == 2
    assert "for --format tflite" in result.stderr.splitlines()[-1]

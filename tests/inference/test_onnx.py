"""The engine onnx; skipped where the packages of the extra `onnx` are absent."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from keras_perceptual import Stylizer, Upscaler, zoo
from keras_perceptual.cli.infer import main
from keras_perceptual.errors import EngineError
from keras_perceptual.inference.engines import LiteRTEngine, engine_name
from keras_perceptual.inference.onnx_engine import OnnxEngine
from keras_perceptual.system.cache import cache_folder
from tests.conftest import ROOT, SAMPLES

PHOTOGRAPH = SAMPLES / "LRx4" / "chelsea.png"
SIZES = [(1, 1), (17, 23), (64, 48), (1, 50), (50, 1)]

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of their own, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "keras_perceptual" / "onnx"


def _largest(first, second):
    return np.abs(first.astype(int) - second).max()


@pytest.mark.parametrize("name", zoo.names())
def test_pixels_are_those_of_litert(name, rng, photographs):
    file = zoo.file(name)
    litert, engine = LiteRTEngine(file), OnnxEngine(file)
    for size in SIZES:
        lr = rng.uniform(0, 255, (1, *size, 3)).astype(np.float32)
        assert np.abs(engine.run(lr) - litert.run(lr)).max() < 0.01
    results = [
        Upscaler(name, engine=each, precision="float32").upscale(photographs[0])
        for each in ("litert", "onnx")
    ]
    assert _largest(*results) <= 1


def test_default_models_restored_too(photographs):
    options = {"scale": 3, "restore": 0.5, "precision": "float32"}
    results = [Upscaler(engine=e, **options).upscale(photographs[1]) for e in ("litert", "onnx")]
    assert _largest(*results) <= 1


@pytest.mark.parametrize("style", ["starry-night", dict.fromkeys(zoo.styles(), 1.0)])
@pytest.mark.parametrize("memory", [1, None], ids=["tiles", "whole"])
def test_styles_are_those_of_litert(style, memory, photographs):
    lr = np.tile(photographs[0], (2, 2, 1))
    results = [Stylizer(style, engine=e, memory=memory).stylize(lr) for e in ("litert", "onnx")]
    assert _largest(*results) <= 1


def test_a_blend_is_that_of_litert_and_is_not_kept(photographs, cache):
    results = [
        Upscaler("x4-feature", engine=engine, fidelity=0.4).upscale(photographs[0])
        for engine in ("litert", "onnx")
    ]
    assert _largest(*results) <= 1
    assert not cache.exists()


def test_the_file_is_made_once(cache, monkeypatch, photographs):
    first = Upscaler("x4-feature", engine="onnx").upscale(photographs[0])
    (file,) = cache.iterdir()
    made = file.stat().st_mtime_ns
    monkeypatch.setitem(sys.modules, "onnx", None)  # what makes it
    second = Upscaler("x4-feature", engine="onnx").upscale(photographs[0])
    assert np.array_equal(first, second)
    assert file.stat().st_mtime_ns == made


def test_another_model_of_the_same_name_has_a_file_of_its_own(cache, tmp_path):
    path = tmp_path / "model.tflite"
    for name in ("x4-feature", "x4-pixel"):
        path.write_bytes(zoo.file(name).read_bytes())
        OnnxEngine(path)
    assert len(list(cache.iterdir())) == 2


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert OnnxEngine(zoo.file("x4-feature")).run(np.zeros((1, 8, 8, 3), np.float32)).any()
    assert (tmp_path / "file").stat().st_size == 0


def test_the_cache_is_the_users(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache" / "keras_perceptual"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    assert cache_folder().parent != tmp_path / "cache"


def test_a_file_by_its_path(cache, tmp_path, photographs):
    OnnxEngine(zoo.file("x4-feature"))
    path = next(cache.iterdir()).rename(tmp_path / "mine.onnx")
    expected = Upscaler("x4-feature", precision="float32").upscale(photographs[0])
    for engine in ("auto", "onnx"):
        upscaler = Upscaler(path, engine=engine)
        assert upscaler.name == "mine"
        assert _largest(upscaler.upscale(photographs[0]), expected) <= 1
    with pytest.raises(EngineError, match=r"expected a \.tflite file for the engine litert"):
        Upscaler(path, engine="litert")
    with pytest.raises(EngineError, match=r"expected \.tflite files to blend"):
        Upscaler(path, fidelity=0.5)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(EngineError, match="expected an ONNX model"):
        Upscaler(path)


def test_a_style_by_its_path(cache, tmp_path, photographs):
    OnnxEngine(zoo.file("x4-feature"))
    path = next(cache.iterdir()).rename(tmp_path / "mine.onnx")
    with pytest.raises(EngineError, match="expected a style generator"):
        Stylizer(path)


@pytest.mark.parametrize("keep", [0, 10, 1000, 100_000])
def test_broken_files(tmp_path, keep):
    path = tmp_path / "a.tflite"
    path.write_bytes(zoo.file("x4-feature").read_bytes()[:keep])
    with pytest.raises(EngineError, match="expected a"):
        Upscaler(path, engine="onnx")


def test_eight_bits_are_refused(tmp_path):
    with pytest.raises(ValueError, match="expected the engine litert for int8"):
        Upscaler("x4-feature", engine="onnx", precision="int8")
    with pytest.raises(EngineError, match="found one in 8 bits"):
        OnnxEngine(zoo.quantized("x4-feature"))


def test_devices():
    shipped = zoo.folder("x4-feature")
    assert engine_name(shipped, "auto", "gpu") == "onnx"
    assert engine_name(shipped, "auto", "cpu") == "litert"
    with pytest.raises(EngineError, match="the engine litert runs on the processor"):
        engine_name(shipped, "litert", "gpu")
    with pytest.raises(EngineError, match="the engine keras takes the device that"):
        engine_name(shipped, "keras", "gpu")
    with pytest.raises(EngineError, match="expected a device of"):
        engine_name(shipped, "onnx", "tpu")


@pytest.mark.skipif(
    set(onnxruntime.get_available_providers()) - {"AzureExecutionProvider"}
    != {"CPUExecutionProvider"},
    reason="this ONNX Runtime has more than a processor",
)
def test_no_gpu_is_one_line(capsys, tmp_path):
    target = str(tmp_path / "out.png")
    with pytest.raises(SystemExit, match="2"):
        main([str(PHOTOGRAPH), "-o", target, "--device", "gpu"])
    last = capsys.readouterr().err.splitlines()[-1]
    assert "expected a GPU, and ONNX Runtime has" in last
    assert main([str(PHOTOGRAPH), "-o", target, "--engine", "onnx", "--device", "cpu"]) == 0


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_absent_packages_are_one_line(package, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SystemExit, match="2"):
        main([str(PHOTOGRAPH), "--engine", "onnx"])
    assert "pip install onnx onnxruntime" in capsys.readouterr().err.splitlines()[-1]


def test_loads_no_keras(tmp_path):
    program = (
        "import sys; from keras_perceptual import Upscaler; import numpy as np\n"
        "Upscaler('x4-feature', engine='onnx').upscale(np.zeros((9, 9, 3), np.uint8))\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=120)

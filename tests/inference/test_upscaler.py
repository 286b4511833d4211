from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest

from keras_perceptual import Upscaler, zoo
from keras_perceptual.errors import EngineError, ZooError
from keras_perceptual.files import images
from keras_perceptual.models.upscaling import subpixel
from keras_perceptual.pixels.histograms import HISTOGRAM_MATCHES, match_histograms
from keras_perceptual.pixels.levels import as_integers, as_levels
from keras_perceptual.pixels.resampling import crop_to_multiple, degrade, imresize, to_uint8
from tests.conftest import ROOT, SAMPLES
from tests.graphics import drawn

GRAPHICS = drawn()


@pytest.fixture(scope="module")
def upscaler():
    return Upscaler("x4-feature", histogram_match="none")


@pytest.fixture(scope="module")
def photograph():
    return images.read(SAMPLES / "LRx4" / "chelsea.png").pixels


def test_upscales(upscaler, photograph):
    sr = upscaler.upscale(photograph)
    assert upscaler.scale == 4
    assert sr.dtype == np.uint8
    assert sr.shape == (photograph.shape[0] * 4, photograph.shape[1] * 4, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (17, 23)])
def test_any_size(upscaler, rng, size):
    lr = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    assert upscaler.upscale(lr).shape == (size[0] * 4, size[1] * 4, 3)


@pytest.mark.parametrize("name", zoo.names())
def test_engines_agree(name, photograph):
    litert, keras = (
        Upscaler(name, engine=engine, precision="float32", histogram_match="none")
        .upscale(photograph)
        .astype(int)
        for engine in ("litert", "keras")
    )
    assert np.abs(litert - keras).max() <= 1


def test_progress_grows_to_one(photograph):
    done = []
    Upscaler("x4-feature", memory=1).upscale(np.tile(photograph, (2, 2, 1)), done.append)
    assert len(done) > 4
    assert done == sorted(done)
    assert done[-1] == 1


def test_the_papers_matching_is_of_the_whole_image(photograph):
    lr = np.tile(photograph, (2, 2, 1))
    matched = Upscaler("x4-feature", memory=1, histogram_match="paper").upscale(lr)
    plain = Upscaler("x4-feature", memory=1, histogram_match="none").upscale(lr)
    assert np.array_equal(matched, match_histograms(plain, lr))


def test_sixteen_bits_are_as_precise(photograph):
    upscaler = Upscaler("x4-feature", precision="float32", histogram_match="none")
    deep, plain = (upscaler.upscale(lr) for lr in (photograph.astype(np.uint16) * 257, photograph))
    assert deep.dtype == np.uint16
    assert np.abs(deep / 257 - plain).max() <= 0.5 + 1e-3
    assert len(np.unique(deep)) > 2000
    paper = Upscaler("x4-feature", histogram_match="paper")
    matched = paper.upscale(photograph.astype(np.uint16) * 257)
    assert np.abs(matched.mean() / 257 - photograph.mean()) < 0.5


@pytest.mark.parametrize(
    ("scale", "models"),
    [
        (1, []),
        (1.5, ["x2-feature"]),
        (2, ["x2-feature"]),
        (2.1, ["x4-feature"]),
        (8, ["x8-feature"]),
        (8.5, ["x2-feature", "x8-feature"]),
        (16, ["x2-feature", "x8-feature"]),
    ],
)
def test_default_models(scale, models):
    assert zoo.default_models(scale) == models


def test_scales_between_are_reductions(photograph):
    native = Upscaler("x4-feature", histogram_match="none").upscale(photograph)
    for scale, size in ((3, (222, 336)), (2.37, (175, 265)), (1.01, (75, 113))):
        upscaler = Upscaler("x4-feature", scale=scale, histogram_match="none")
        sr = upscaler.upscale(photograph).astype(int)
        assert sr.shape == (*size, 3)
        reduced = imresize(native.astype(np.float32), size=size).clip(0, 255)
        assert np.abs(sr - reduced).max() <= 1.5
    assert np.array_equal(Upscaler("x4-feature", scale=1).upscale(photograph), photograph)


def test_two_passes(photograph):
    lr = photograph[:20, :30]
    twice = (
        Upscaler("x4-feature", scale=16, precision="float32", histogram_match="none")
        .upscale(lr)
        .astype(int)
    )
    once = Upscaler("x4-feature", precision="float32", histogram_match="none")
    expected = once.upscale(once.upscale(lr))
    # Between the passes nothing is rounded to 8 bits.
    assert np.abs(twice - expected).mean() < 0.5
    with pytest.raises(ValueError, match="expected a scale of at most 16"):
        once.upscale(lr, size=(340, 500))
    with pytest.raises(ValueError, match="expected a scale of 1 to 16"):
        Upscaler(scale=17)


@pytest.mark.parametrize("value", [0, 1, 37, 128, 254, 255])
def test_flat_colour_stays(value):
    for histogram_match in HISTOGRAM_MATCHES:
        upscaler = Upscaler("x4-feature", histogram_match=histogram_match)
        sr = upscaler.upscale(np.full((24, 24, 3), value, np.uint8))
        assert np.abs(sr.astype(int) - value).max() <= 4
        assert abs(sr.mean() - value) < 1.5


@pytest.mark.parametrize("name", [name for name in GRAPHICS if name != "one pixel"])
@pytest.mark.parametrize("scale", [2, 4])
def test_graphics_are_no_worse_than_bicubic(name, scale):
    hr = crop_to_multiple(GRAPHICS[name], scale)
    lr = degrade(hr, scale)
    bicubic = to_uint8(imresize(lr.astype(np.float32), scale))
    error, most = (
        np.abs(each.astype(int) - hr).mean()
        for each in (Upscaler(scale=scale).upscale(lr), bicubic)
    )
    assert error <= most + 0.02


def test_gradients_are_bicubic():
    lr = GRAPHICS["gradient"]
    bicubic, deep_bicubic = (
        as_integers(imresize(as_levels(lr), 4), dtype) for dtype in (np.uint8, np.uint16)
    )
    assert (Upscaler().upscale(lr) == bicubic).all()
    deep = Upscaler().upscale(lr.astype(np.uint16) * 257)
    assert np.abs(deep - deep_bicubic.astype(int)).max() <= 1
    lr = lr.copy()
    lr[20:30, 20:40] = 255
    assert (Upscaler().upscale(lr)[: 4 * 17] == bicubic[: 4 * 17]).all()


def test_no_colour_shift(upscaler, photograph):
    sr = upscaler.upscale(photograph)
    shift = sr.mean(axis=(0, 1)) - photograph.mean(axis=(0, 1))
    assert np.abs(shift).max() < 1


def test_opacity_has_no_halo(upscaler):
    """A red disc on transparent green: no green may show at its edge."""
    y, x = np.mgrid[:48, :48]
    inside = (y - 24) ** 2 + (x - 24) ** 2 < 200
    pixels = np.where(inside[..., None], [200, 30, 30], [0, 255, 0]).astype(np.uint8)
    alpha = np.where(inside, 255, 0).astype(np.uint8)
    result = upscaler.upscale(np.dstack([pixels, alpha]))
    opacity = result[..., 3]
    assert opacity.shape == (192, 192)
    assert set(np.unique(opacity[:20])) == {0}
    assert opacity[96, 96] == 255
    shown = result[opacity > 0][:, :3].astype(int)
    assert np.abs(shown - [200, 30, 30]).max() < 20


def test_threads_of_a_program_may_share_one(upscaler, photograph):
    expected = upscaler.upscale(photograph)
    results: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: results.append(upscaler.upscale(photograph)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(np.array_equal(result, expected) for result in results)


@pytest.mark.parametrize(
    "lr", [np.zeros((4, 4)), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)]
)
def test_refuses_what_is_no_image(upscaler, lr):
    with pytest.raises(ValueError, match="expected a non-empty"):
        upscaler.upscale(lr)


def test_models_that_are_not_there(tmp_path):
    with pytest.raises(ZooError, match="expected a model of"):
        Upscaler("x4-nothing")
    with pytest.raises(ZooError, match="expected a scale of"):
        zoo.default_models(17)
    with pytest.raises(EngineError, match="no such model file"):
        Upscaler(tmp_path / "none.tflite")
    with pytest.raises(EngineError, match=r"expected a \.tflite file"):
        Upscaler(zoo.folder("x4-feature") / "card.json", engine="litert")
    with pytest.raises(EngineError, match="expected an engine"):
        Upscaler("x4-feature", engine="torch")


@pytest.mark.parametrize("ending", [".tflite", ".keras"])
@pytest.mark.parametrize("keep", [0, 10, 1000, 100_000])
def test_model_files_that_are_broken(tmp_path, ending, keep):
    whole = zoo.file("x4-feature", ending).read_bytes()
    path = tmp_path / f"a{ending}"
    path.write_bytes(whole[:keep])
    with pytest.raises(EngineError):
        Upscaler(path)


def test_a_model_that_is_no_generator(tmp_path):
    import keras

    rgb = keras.Input((None, None, 3))
    keras.Model(rgb, keras.layers.GlobalAveragePooling2D()(rgb)).save(tmp_path / "a.keras")
    with pytest.raises(EngineError, match="expected a generator"):
        Upscaler(tmp_path / "a.keras")


def test_a_generator_of_ones_own(tmp_path, photograph):
    subpixel(2, channels=4, blocks=1).save(tmp_path / "mine.keras")
    upscaler = Upscaler(tmp_path / "mine.keras")
    assert (upscaler.scale, upscaler.name) == (2, "mine")
    assert upscaler.upscale(photograph).shape[0] == 2 * photograph.shape[0]


def test_using_never_imports_tensorflow(tmp_path):
    program = f"""
import sys
from keras_perceptual.cli.main import run
status = run("infer", [{str(SAMPLES / "LRx4" / "rocket.png")!r}, "-o", {str(tmp_path)!r},
                     "--compare"])
heavy = {{"tensorflow", "keras", "jax", "matplotlib", "skimage", "scipy"}} & set(sys.modules)
assert not heavy, heavy
sys.exit(status)
"""
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert {p.name for p in tmp_path.iterdir()} == {"rocket_x4.png", "rocket_x4_compare.png"}

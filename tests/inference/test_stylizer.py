from __future__ import annotations

import threading

import keras
import numpy as np
import pytest

from keras_perceptual.errors import EngineError, ZooError
from keras_perceptual.files import images
from keras_perceptual.inference import painting
from keras_perceptual.inference.painting import Painter
from keras_perceptual.inference.stylizer import Stylizer
from keras_perceptual.models.style import style
from keras_perceptual.pixels.grain import GRAIN, grained
from keras_perceptual.pixels.levels import luma
from keras_perceptual.pixels.rows import RowReader
from keras_perceptual.zoo import folder


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A network of one style and one of three, as .keras, .tflite and SavedModel."""
    from keras_perceptual import export as exporting

    root = tmp_path_factory.mktemp("styles")
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    for styles in (1, 3):
        model = style(channels=4, blocks=2, styles=styles)
        for layer in model.layers:
            if layer.name.endswith("_norm"):
                layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
        model.save(root / f"{styles}.keras")
        (root / f"{styles}.tflite").write_bytes(exporting.to_tflite(model, "none", GRAIN))
    one = keras.saving.load_model(root / "1.keras")
    exporting.save_serving(one, 1, root / "saved", histogram_match="none", grain=GRAIN)
    return root


@pytest.fixture
def image(rng):
    coarse = rng.integers(0, 256, (20, 25, 3), dtype=np.uint8)
    return coarse.repeat(15, 0).repeat(15, 1)  # 300 x 375


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 200, 3), (33, 61, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_any_picture_keeps_its_size_and_type(models, rng, shape, dtype):
    image = rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype)
    painted = Stylizer(models / "1.tflite").stylize(image)
    assert painted.shape == shape
    assert painted.dtype == dtype
    if shape[2] == 4:
        assert np.array_equal(painted[..., 3], image[..., 3])


def test_engines_agree(models, image):
    painted = [
        Stylizer(models / name).stylize(image).astype(int)
        for name in ("1.tflite", "1.keras", "saved")
    ]
    for other in painted[1:]:
        assert np.abs(other - painted[0]).max() <= 1


def test_tiles_with_one_image_statistics_show_no_seams(models, image):
    small = Stylizer(models / "1.tflite", memory=1)
    painter: Painter = small._painter.measured(image[None].astype(np.float32))
    each = small._pass.with_engine(painter)
    rows = [
        np.concatenate(
            list(each.rows(RowReader(image), 300, 375, alpha=False, dtype=np.uint8, budget=budget))
        )
        for budget in (1, 10**10)
    ]
    assert each.tile(300, 375, 1).height < 300
    assert np.abs(rows[0].astype(int) - rows[1]).max() <= 1


def test_grain_paints_what_is_flat(models):
    black = np.zeros((160, 200, 3), np.uint8)
    inner = (slice(60, -60, 4), slice(60, -60, 4))  # once in the network's stride
    flat = Stylizer(models / "1.tflite", grain=0).stylize(black)[inner]
    assert np.ptp(flat, axis=(0, 1)).max() <= 1
    assert Stylizer(models / "1.tflite").stylize(black)[inner].std((0, 1)).min() > 1


def test_tiles_get_the_grain_of_their_place(models, image, monkeypatch):
    def whole(image, grain, pixels):
        padded = np.pad(grained(image, grain), ((4, 4), (4, 4), (0, 0)), "symmetric")
        return padded[None].astype(np.float32)

    monkeypatch.setattr(painting, "windows_of", whole)
    at_once = Stylizer(models / "1.tflite").stylize(image).astype(int)
    assert np.abs(at_once - Stylizer(models / "1.tflite", memory=1).stylize(image)).max() <= 1


def test_an_image_in_tiles_looks_like_the_whole(models, image):
    whole = Stylizer(models / "1.tflite").stylize(image).astype(int)
    tiled = Stylizer(models / "1.tflite", memory=1).stylize(image)
    assert np.abs(tiled - whole).mean() < 8


def test_strength_goes_from_the_image_to_the_painting(models, image):
    kept, half, full = (
        Stylizer(models / "1.tflite", strength=s).stylize(image) for s in (0.0, 0.5, 1.0)
    )
    assert np.array_equal(kept, image)
    assert np.abs(half - (image.astype(float) + full) / 2).max() <= 1
    assert np.abs(full.astype(int) - image).mean() > 5


def test_preserved_colour_takes_brightness_alone(models):
    grey = np.full((64, 64, 3), 128, np.uint8)
    grey[16:48, 16:48] = 100
    painted = Stylizer(models / "1.tflite", preserve_colour=True).stylize(grey)
    assert np.ptp(painted.astype(int), axis=-1).max() <= 1  # still grey
    full = Stylizer(models / "1.tflite").stylize(grey)
    inside = (luma(full) > 20) & (luma(full) < 230)
    assert np.abs(luma(painted) - luma(full))[inside].max() < 1.5


def test_a_mixture_lies_between(models, image):
    name = str(models / "3.tflite")
    first, second = (Stylizer(f"{name}#{i}") for i in (1, 2))
    mixed = Stylizer({f"{name}#1": 1.0, f"{name}#2": 1.0})
    a, b, m = (each.stylize(image).astype(float) for each in (first, second, mixed))
    assert min(np.abs(m - a).mean(), np.abs(m - b).mean()) > 0.5
    assert max(np.abs(m - a).mean(), np.abs(m - b).mean()) < np.abs(a - b).mean() * 1.2
    alone = Stylizer({f"{name}#1": 2.0})
    assert np.array_equal(alone.stylize(image), a)
    assert mixed.name == "3-1+3-2"


def test_a_file_is_resized_before_it_is_painted(models, image, tmp_path):
    images.write(tmp_path / "in.png", images.Picture(image))
    stylizer = Stylizer(models / "1.tflite", scale=0.5)
    assert stylizer.stylize_file(tmp_path / "in.png", tmp_path / "out.png") == (150, 188)
    painted = images.read(tmp_path / "out.png").pixels
    assert np.array_equal(painted, stylizer.stylize(image))


def test_threads_may_share_one(models, image):
    stylizer = Stylizer(models / "3.tflite#2", memory=1)
    expected, got = stylizer.stylize(image), {}
    threads = [
        threading.Thread(target=lambda i=i: got.update({i: stylizer.stylize(image)}))
        for i in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(got[i], expected) for i in range(3))


def test_what_is_wrong_is_said(models):
    with pytest.raises(ZooError, match="expected a style of"):
        Stylizer("no-such-style")
    with pytest.raises(ValueError, match="up to #3"):
        Stylizer(f"{models / '3.tflite'}#4")
    with pytest.raises(ValueError, match="styles of one network"):
        Stylizer({str(models / "1.tflite"): 1.0, str(models / "3.tflite"): 1.0})
    with pytest.raises(ValueError, match="strength"):
        Stylizer(models / "1.tflite", strength=1.5)
    with pytest.raises(ValueError, match="a grain of 0 to 255"):
        Stylizer(models / "1.tflite", grain=-1)
    with pytest.raises(ValueError, match="positive weights"):
        Stylizer({str(models / "1.tflite"): 0.0})
    with pytest.raises(EngineError, match="expected a style generator"):
        Stylizer(folder("x2-pixel") / "model.tflite")
    with pytest.raises(EngineError, match="no such model file"):
        Stylizer(models / "none.tflite")


def test_the_command_paints(models, image, tmp_path, run_script):
    images.write(tmp_path / "photo.png", images.Picture(image))
    style = str(models / "3.tflite")
    done = run_script(
        "infer.py", tmp_path / "photo.png", "--style", f"{style}#1=1,{style}#3=2", "--strength", 0.8
    )
    assert done.returncode == 0, done.stderr
    assert images.read(tmp_path / "photo_3-1+3-3.png").pixels.shape == image.shape
    for flags, message in (
        (["--style", "nope"], "expected a style of"),
        (["--style", f"{style}#1", "--model", "x4-pixel"], "choose one"),
        (["--style", "a=1,b"], "expected a style, or NAME=WEIGHT"),
    ):
        done = run_script("infer.py", tmp_path / "photo.png", *flags)
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_a_style_is_exported_with_the_same_signatures(models, tmp_path, run_script, image):
    done = run_script("export.py", "--model", f"{models / '3.keras'}#2", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    painted = Stylizer(tmp_path / "3-2.tflite").stylize(image).astype(int)
    for other in (tmp_path / "3-2", f"{models / '3.tflite'}#2"):
        assert np.abs(Stylizer(other).stylize(image) - painted).max() <= 1
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(tmp_path / "3-2.tflite"))
    assert {"serving_default", "upscale"} < set(interpreter.get_signature_list())
    served = interpreter.get_signature_runner("serving_default")(lr=image[None])["sr"][0]
    assert served.shape == image.shape
    assert served.dtype == np.uint8
    assert np.abs(served[8:-8, 8:-8].astype(int) - painted[8:-8, 8:-8]).mean() < 2
    done = run_script("export.py", "--model", models / "3.keras", "--out", tmp_path)
    assert done.returncode == 1
    assert "choose one of #1 to #3" in done.stderr

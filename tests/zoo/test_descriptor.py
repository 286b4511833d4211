from __future__ import annotations

import zipfile

import keras
import numpy as np
import pytest

from keras_perceptual import Upscaler, zoo
from keras_perceptual.models.describing import describe
from keras_perceptual.models.loading import load_file, load_generator, save_generator
from keras_perceptual.models.style import style
from keras_perceptual.models.upscaling import subpixel
from keras_perceptual.zoo.descriptor import ModelDescriptor, embed, read

MINE = ModelDescriptor("upscale", 2, generator="subpixel", channels=4, blocks=1)


@pytest.mark.parametrize(
    "fields",
    [
        {"task": "paint"},
        {"task": "upscale", "scale": 1},
        {"task": "upscale", "scale": 0},
        {"task": "style", "scale": 2, "styles": ("a",)},
        {"task": "style"},
        {"task": "upscale", "scale": 2, "styles": ("a",)},
    ],
)
def test_what_does_not_fit(fields):
    with pytest.raises(ValueError, match="expected"):
        ModelDescriptor(**fields)


def test_a_keras_file_says_what_it_is_and_still_loads(tmp_path):
    model = describe(subpixel(2, channels=4, blocks=1), MINE)
    save_generator(model, tmp_path / "a.keras")
    assert read(tmp_path / "a.keras") == MINE
    loaded = load_file(tmp_path / "a.keras")
    assert loaded.descriptor == MINE
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        assert np.array_equal(one, other)
    assert zipfile.ZipFile(tmp_path / "a.keras").testzip() is None


def test_a_tflite_file_says_what_it_is_and_still_runs(tmp_path, photographs):
    path = tmp_path / "a.tflite"
    path.write_bytes(zoo.file("x4-feature").read_bytes())
    assert read(path) == zoo.descriptor("x4-feature")
    expected = Upscaler("x4-feature", precision="float32").upscale(photographs[0])
    assert np.array_equal(Upscaler(path).upscale(photographs[0]), expected)


def test_a_folder_says_what_it_is(tmp_path):
    embed(tmp_path, MINE)
    assert read(tmp_path) == MINE


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x05\x06" + bytes(18)])
def test_files_of_others_say_nothing(tmp_path, content):
    path = tmp_path / "a.tflite"
    path.write_bytes(content)
    assert read(path) is None
    assert read(tmp_path / "none.tflite") is None
    assert read(tmp_path) is None


@pytest.mark.parametrize("text", ["{", "[]", '{"task": "?"}', '{"x": 1}', " " * 2**17])
def test_a_broken_descriptor_is_none(tmp_path, text):
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("descriptor.json", text)
    assert read(tmp_path / "a.keras") is None


def test_models_without_one_are_made_out():
    assert describe(subpixel(4, channels=4, blocks=2)).descriptor == ModelDescriptor("upscale", 4)
    painter = describe(style(channels=4, blocks=2, styles=3)).descriptor
    assert painter.task == "style"
    assert (painter.styles, painter.channels, painter.blocks) == (("#1", "#2", "#3"), 4, 2)
    assert painter.normalization == "instance"
    assert describe(style(channels=4, blocks=1, normalization="batch")).descriptor.styles == ("#1",)


def test_a_file_of_before_there_were_any_loads(tmp_path):
    """What was saved when the layers' modules had other names, without its descriptor."""
    with (
        zipfile.ZipFile(zoo.checkpoint("x4-pixel")) as new,
        zipfile.ZipFile(tmp_path / "old.keras", "w") as old,
    ):
        for name in set(new.namelist()) - {"descriptor.json"}:
            content = new.read(name)
            if name == "config.json":
                assert b"keras_perceptual.models.layers" in content
                content = content.replace(b"perceptual.models.layers", b"perceptual.layers")
            old.writestr(name, content)
    loaded = load_generator(str(tmp_path / "old.keras"))
    assert loaded.descriptor == ModelDescriptor("upscale", 4)
    lr = np.full((1, 8, 8, 3), 99, np.float32)
    assert np.array_equal(loaded(lr), load_generator("x4-pixel")(lr))


def test_one_style_of_several_keeps_its_name():
    chosen = load_generator("great-wave")
    assert chosen.descriptor.styles == ("great-wave",)
    assert isinstance(chosen, keras.Model)

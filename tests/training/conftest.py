"""What the tests of trainings share: a few small photographs, random weights, tiny recipes."""

from __future__ import annotations

import csv
import io
import os

import keras
import numpy as np
import pytest
from PIL import Image

from keras_perceptual.files import images
from keras_perceptual.training import Sources, callbacks, get_recipe
from keras_perceptual.training.validation import sheet_path
from tests.conftest import SAMPLES


@pytest.fixture(scope="session")
def photographs_folder(tmp_path_factory):
    """Three small parts of photographs: two to train on, one to validate on."""
    folder = tmp_path_factory.mktemp("photographs")
    for path in images.list_images(SAMPLES / "HR")[:3]:
        part = images.middle(images.read(path).pixels, 72)
        images.write(folder / f"{path.stem}.png", images.Picture(part))
    return folder


@pytest.fixture(scope="session")
def sources(photographs_folder):
    return Sources(str(photographs_folder), "distilled", workers=1)


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


def tiny(name="x4-pixel", **changes):
    """Returns a recipe that takes next to no time."""
    small = {
        "channels": 4, "blocks": 1, "batch_size": 2, "patch_size": 32, "precision": "float32",
        "warmup": 0, "start": "", "ema": 0.5, "epoch_steps": 2, "steps": 4,
    }  # fmt: skip
    return get_recipe(name, **{**small, **changes})


def history(run):
    """Returns the rows of a run's history.csv."""
    with (run / "history.csv").open(newline="") as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def events(folder):
    """Returns what TensorBoard's event files in a folder hold: by tag, (step, array) in order."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    files = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    return {
        tag: [(event.step, make_ndarray(event.tensor_proto)) for event in files.Tensors(tag)]
        for tag in files.Tags()["tensors"]
    }


def check_events(run):
    """Checks that TensorBoard has the numbers of history.csv and the samples, at their steps."""
    board = run / "tensorboard"
    train, validation = events(board / "train"), events(board / "validation")
    rows = history(run)
    for name in rows[0].keys() - {"step", "seconds"}:
        of, tag = (validation, name[4:]) if name.startswith("val_") else (train, name)
        written = [(step, float(number)) for step, number in of[f"epoch_{tag}"]]
        assert written == [(row["step"], pytest.approx(row[name], rel=1e-6)) for row in rows], name
    steps, sheets = zip(*validation["samples"], strict=True)
    assert [f"{step:06d}.png" for step in steps] == sorted(os.listdir(run / "samples"))
    for step, (*_, png) in zip(steps, sheets, strict=True):
        with Image.open(io.BytesIO(png)) as sheet, Image.open(sheet_path(run, step)) as expected:
            np.testing.assert_array_equal(sheet, expected)


@pytest.fixture
def interrupt(monkeypatch):
    """Returns a function that has trainings stopped, as by Ctrl+C, once a step is saved."""
    save = callbacks.Checkpoint.on_epoch_end

    def after(step):
        def on_epoch_end(self, epoch, logs=None):
            save(self, epoch, logs)
            if self.model.step == step:
                raise KeyboardInterrupt

        monkeypatch.setattr(callbacks.Checkpoint, "on_epoch_end", on_epoch_end)

    return after

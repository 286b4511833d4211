from __future__ import annotations

import json
import multiprocessing
from contextlib import nullcontext
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops

from keras_perceptual import zoo
from keras_perceptual.errors import TrainingError
from keras_perceptual.models.loading import load_generator
from keras_perceptual.training import Recipe, get_recipe, resume, train
from keras_perceptual.training.optimizer import SteadyAdam
from keras_perceptual.training.prepare import build_trainer
from tests.conftest import SAMPLES
from tests.training.conftest import history, tiny

# Steps that are no multiple of an epoch.
RECIPE = tiny(loss={"feature:block2_conv2": 1.0, "pixel_squared": 0.1}, epoch_steps=2, steps=5)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, sources):
    """Folder of a run of `RECIPE`, and what `train` returned."""
    out = tmp_path_factory.mktemp("runs") / "finished"
    return out, train(RECIPE, sources, out)


def test_a_run_leaves_all_it_should(finished):
    run, last = finished
    assert {p.name for p in run.iterdir()} == {
        "recipe.json", "history.csv", "curves.png", "samples", "checkpoint.weights.h5",
        "model.keras",
    }  # fmt: skip
    about = json.loads((run / "recipe.json").read_text())
    assert Recipe(**about["recipe"]) == RECIPE
    assert about["loss_network"]["name"] == "distilled"
    assert about["loss_network"]["sha256"] == zoo.card("loss-network")["sha256"]
    assert about["photographs"] == {"training": 2, "validation": 1}
    assert about["versions"]["backend"] == "tensorflow"
    rows = history(run)
    assert [row["step"] for row in rows] == [2, 4, 5]
    assert set(rows[0]) == {
        "step", "seconds", "loss", "feature_block2_conv2", "pixel_squared", "skipped",
        "val_psnr_y",
    }  # fmt: skip
    assert last == rows[-1]
    samples = sorted(path.name for path in (run / "samples").iterdir())
    assert samples == ["000002.png", "000004.png", "000005.png"]
    model = load_generator(str(run / "model.keras"))
    assert model.count_params() == about["parameters"]


def test_no_worker_outlives_a_run(sources, tmp_path):
    train(tiny(), replace(sources, workers=3), tmp_path / "run")
    assert not multiprocessing.active_children()


def test_the_model_is_the_average_of_the_checkpoint(finished, sources):
    run, _ = finished
    trainer = build_trainer(RECIPE, sources)
    trainer.load_weights(run / "checkpoint.weights.h5")
    saved = load_generator(str(run / "model.keras")).get_weights()
    averages, latest = trainer.averaged_weights(), trainer.generator.get_weights()
    for model, average in zip(saved, averages, strict=True):
        np.testing.assert_allclose(model, average, atol=1e-6)
    assert not all(np.array_equal(a, b) for a, b in zip(averages, latest, strict=True))


def test_a_run_is_not_overwritten(finished, sources):
    with pytest.raises(TrainingError, match="holds a run already"):
        train(RECIPE, sources, finished[0])


def test_resuming_a_finished_run_does_nothing(finished):
    run, last = finished
    before = {path: path.read_bytes() for path in run.glob("*.*")}
    assert resume(run) == last
    assert {path: path.read_bytes() for path in run.glob("*.*")} == before


def test_resuming_what_is_no_run(tmp_path):
    with pytest.raises(TrainingError, match="expected the recipe of a run"):
        resume(tmp_path)


def test_mixed_precision_saves_a_float32_model(tmp_path, sources):
    recipe = tiny(precision="mixed_bfloat16", steps=1)
    assert build_trainer(recipe, sources).generator.get_layer("head").compute_dtype == "bfloat16"
    train(recipe, sources, tmp_path)
    model = load_generator(str(tmp_path / "model.keras"))
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}


@pytest.mark.parametrize("name", ["discriminator", "unet_discriminator"])
def test_a_recipe_says_which_discriminator(sources, name):
    kind = {"discriminator": "unet"} if name == "unet_discriminator" else {}
    recipe = tiny(loss={"pixel_absolute": 1.0, "adversarial": 1.0}, **kind)
    assert build_trainer(recipe, sources).discriminator.name == name


@pytest.mark.parametrize("loss", ["pixel_absolute", "none"])
def test_the_precision_is_the_one_before(sources, loss):
    """After a trainer is built, and after one whose loss cannot be."""
    recipe = tiny(precision="mixed_bfloat16", loss={loss: 1.0})
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        with pytest.raises(ValueError, match="none") if loss == "none" else nullcontext():
            build_trainer(recipe, sources)
        assert keras.config.dtype_policy().name == "mixed_float16"
    finally:
        keras.config.set_dtype_policy(before)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path, sources):
    """The learning rate soon is such that the weights overflow; in the first step it is 0."""
    recipe = tiny(epoch_steps=1, warmup=10, learning_rate=1e30, steps=50, clip_norm=0.0)
    with pytest.raises(TrainingError, match=r"the last good checkpoint, .* is kept"):
        train(recipe, sources, tmp_path)
    for weight in load_generator(str(tmp_path / "model.keras")).get_weights():
        assert np.isfinite(weight).all()


def test_a_step_that_is_no_number_is_left_out(tmp_path, sources, monkeypatch):
    """The gradients of one step are spoilt; the run goes on to its end and counts it."""
    apply = SteadyAdam.apply

    def spoilt(self, grads, variables=None):
        bad = ops.where(ops.equal(self.iterations, 1), np.nan, 0.0)
        return apply(self, [grads[0] + ops.cast(bad, grads[0].dtype), *grads[1:]], variables)

    monkeypatch.setattr(SteadyAdam, "apply", spoilt)
    train(tiny(), sources, tmp_path)
    rows = history(tmp_path)
    assert [(row["step"], row["skipped"]) for row in rows] == [(2, 1), (4, 1)]
    assert all(np.isfinite(row["loss"]) and np.isfinite(row["val_psnr_y"]) for row in rows)


def test_a_style_run_paints_in_its_styles(vgg, tmp_path, sources):
    paintings = [str(SAMPLES / "HR" / name) for name in ("chelsea.png", "rocket.png")]
    styled = replace(sources, loss_network="vgg16", vgg_weights=str(vgg), samples=sources.data)
    recipe = tiny("style", channels=2, batch_size=1, patch_size=32, style_size=32, steps=1,
                  loss={"style:block3_conv3": 1.0, "feature:block1_conv2": 1e-6})  # fmt: skip
    for count in (1, 2):
        run = tmp_path / str(count)
        last = train(recipe, replace(styled, styles=tuple(paintings[:count])), run)
        assert {"style_block3_conv3", "feature_block1_conv2", "val_loss"} < set(last)
        model = load_generator(str(run / "model.keras"))
        assert [tuple(each.shape[1:]) for each in model.inputs[1:]] == [(2,)][: count - 1]


def test_style_takes_paintings_and_nothing_else_does(tmp_path, sources):
    with pytest.raises(TrainingError, match="expected a style image"):
        train(get_recipe("style"), sources, tmp_path / "a")
    styled = replace(sources, styles=(str(SAMPLES / "HR" / "chelsea.png"),))
    with pytest.raises(TrainingError, match="takes no style image"):
        train(get_recipe("x4-pixel"), styled, tmp_path / "b")

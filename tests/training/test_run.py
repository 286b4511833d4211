from __future__ import annotations

import csv
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext

import keras
import numpy as np
import pytest
from keras import ops

from keras_perceptual import training, zoo
from keras_perceptual.errors import LossNetworkError, TrainingError, ZooError
from keras_perceptual.losses.perceptual import PerceptualLoss
from keras_perceptual.models.loading import load_generator, transfer
from keras_perceptual.models.style import style
from keras_perceptual.models.upscaling import johnson, subpixel
from keras_perceptual.training import recipes
from keras_perceptual.training.history import History
from keras_perceptual.training.optimizer import SteadyAdam
from keras_perceptual.training.prepare import build_trainer
from tests.conftest import ROOT, SAMPLES

TINY = {
    "channels": 8, "blocks": 1, "batch_size": 2, "patch_size": 32, "precision": "float32",
    "warmup": 0, "start": "",
}  # fmt: skip
TINY_FLAGS = [
    item for name, value in TINY.items() for item in (f"--{name.replace('_', '-')}", str(value))
]


def _recipe(**changes):
    return recipes.get_recipe("x4-pixel", **{**TINY, "epoch_steps": 5, "steps": 10, **changes})


def _history(run):
    with (run / "history.csv").open(newline="") as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def test_train_step_descends_and_reports_each_term(rng):
    keras.utils.set_random_seed(0)
    generator = subpixel(2, channels=8, blocks=1)
    loss = PerceptualLoss({"pixel_absolute": 1.0, "total_variation": 0.25}, 2)
    trainer = training.PerceptualTrainer(generator, loss)
    trainer.compile(keras.optimizers.Adam(1e-3), jit_compile=False)
    lr = rng.uniform(0, 255, (4, 8, 8, 3)).astype(np.float32)
    hr = lr.repeat(2, 1).repeat(2, 2) / 2
    logs = [trainer.train_on_batch(lr, hr, return_dict=True) for _ in range(30)]
    assert set(logs[0]) == {"loss", "pixel_absolute", "total_variation"}
    for row in logs:
        total = row["pixel_absolute"] + 0.25 * row["total_variation"]
        assert row["loss"] == pytest.approx(total, rel=1e-4)
    assert logs[-1]["loss"] < logs[0]["loss"]  # means since the start
    assert trainer.step == 30


def test_movement_goes_on_where_it_was(rng, tmp_path):
    loss = PerceptualLoss({"total_variation": 1.0}, 1)
    trainer = training.PerceptualTrainer(style(channels=4, blocks=1), loss, stability=1.0, seed=5)
    trainer.compile(keras.optimizers.Adam(1e-3), jit_compile=False)
    trainer.build()
    trainer.optimizer.build(trainer.trainable_variables)
    lr = rng.uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)

    def step():
        trainer.reset_metrics()
        return trainer.train_on_batch(lr, lr, return_dict=True)

    step()
    trainer.save_weights(tmp_path / "checkpoint.weights.h5")
    expected = [step() for _ in range(2)]
    trainer.load_weights(tmp_path / "checkpoint.weights.h5")
    assert [step() for _ in range(2)] == expected


class _Still(keras.layers.Layer):
    """Paints the pixels where they are, or a grid over them that does not move with them."""

    def __init__(self, grid):
        super().__init__()
        self.grid = grid

    def call(self, inputs):
        ones = keras.ops.ones_like(inputs)
        return inputs + self.grid * (keras.ops.cumsum(ones, axis=2) % 2)


@pytest.mark.parametrize("grid", [0.0, 50.0])
def test_stability_sees_what_does_not_move_with_the_photograph(rng, grid):
    lr = keras.Input((None, None, 3))
    generator = keras.Model(lr, _Still(grid)(lr))
    loss = PerceptualLoss({"pixel_absolute": 1.0}, 1)
    trainer = training.PerceptualTrainer(generator, loss, stability=0.5)
    trainer.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    photographs = rng.uniform(0, 200, (2, 40, 44, 3)).astype(np.float32)
    rows = []
    for _ in range(20):
        trainer.reset_metrics()
        rows.append(trainer.train_on_batch(photographs, photographs, return_dict=True))
    changes = np.array([row["stability"] for row in rows])
    noise = trainer.NOISE**2
    moved = changes > 2 * noise
    assert changes[~moved] == pytest.approx(noise, rel=0.1)
    assert changes[moved] == pytest.approx(noise + grid**2, rel=0.1)
    assert 4 < moved.sum() < 16 if grid else not moved.any()  # half of the shifts are odd
    total = rows[-1]["pixel_absolute"] + 0.5 * rows[-1]["stability"]
    assert rows[-1]["loss"] == pytest.approx(total, rel=1e-5)


def test_a_run_leaves_all_it_should(tmp_path, sources):
    recipe = _recipe(loss={"feature:block2_conv2": 1.0, "pixel_squared": 0.1}, ema=0.5)
    last = training.train(recipe, sources, tmp_path / "run")
    run = tmp_path / "run"
    assert {p.name for p in run.iterdir()} == {
        "recipe.json", "history.csv", "curves.png", "samples", "checkpoint.weights.h5",
        "model.keras",
    }  # fmt: skip
    about = json.loads((run / "recipe.json").read_text())
    assert training.Recipe(**about["recipe"]) == recipe
    assert about["loss_network"]["name"] == "distilled"
    assert about["loss_network"]["sha256"] == zoo.card("loss-network")["sha256"]
    assert about["versions"]["backend"] == "tensorflow"
    rows = _history(run)
    assert [row["step"] for row in rows] == [5, 10]
    assert set(rows[0]) == {
        "step", "seconds", "loss", "feature_block2_conv2", "pixel_squared", "skipped",
        "val_psnr_y",
    }  # fmt: skip
    assert last == rows[-1]
    assert [p.name for p in sorted((run / "samples").iterdir())] == ["000005.png", "000010.png"]
    model = load_generator(str(run / "model.keras"))
    assert model.count_params() == about["parameters"]


def test_a_run_saves_the_averages_of_its_checkpoint(tmp_path, sources):
    recipe = _recipe(ema=0.9, epoch_steps=2, steps=4)
    training.train(recipe, sources, tmp_path)
    trainer = build_trainer(recipe, sources)
    trainer.load_weights(tmp_path / "checkpoint.weights.h5")
    model = load_generator(str(tmp_path / "model.keras"))
    averages, latest = trainer.averaged_weights(), trainer.generator.get_weights()
    for saved, average in zip(model.get_weights(), averages, strict=True):
        np.testing.assert_allclose(saved, average, atol=1e-6)
    assert not all(np.array_equal(a, b) for a, b in zip(averages, latest, strict=True))


def test_mixed_precision_saves_a_float32_model(tmp_path, sources):
    training.train(_recipe(precision="mixed_bfloat16", steps=5), sources, tmp_path / "run")
    model = load_generator(str(tmp_path / "run" / "model.keras"))
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}


@pytest.mark.parametrize("loss", ["pixel_absolute", "none"])
def test_the_precision_is_the_one_before(tmp_path, sources, loss):
    """After a run, and after one whose loss cannot be built."""
    recipe = _recipe(precision="mixed_bfloat16", steps=1, loss={loss: 1.0})
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        with pytest.raises(ValueError, match="none") if loss == "none" else nullcontext():
            training.train(recipe, sources, tmp_path / "run")
        assert keras.config.dtype_policy().name == "mixed_float16"
    finally:
        keras.config.set_dtype_policy(before)


def test_starting_from_another_scale_keeps_the_body(tmp_path):
    source = subpixel(4, channels=8, blocks=2)
    target = subpixel(2, channels=8, blocks=2)
    tail = target.get_layer("tail").get_weights()
    copied = transfer(source, target)
    assert "tail" not in copied
    assert "block1_conv1" in copied
    assert np.array_equal(target.get_layer("tail").get_weights()[0], tail[0])
    assert np.array_equal(
        target.get_layer("head").get_weights()[0], source.get_layer("head").get_weights()[0]
    )
    with pytest.raises(ZooError, match="no layer"):
        transfer(source, subpixel(2, channels=4, blocks=1))


def test_a_run_is_not_overwritten(tmp_path, sources):
    training.train(_recipe(steps=5), sources, tmp_path)
    with pytest.raises(TrainingError, match="holds a run already"):
        training.train(_recipe(), sources, tmp_path)


def test_resuming_a_finished_run_does_nothing(tmp_path, sources):
    training.train(_recipe(), sources, tmp_path)
    before = (tmp_path / "model.keras").read_bytes()
    assert training.resume(tmp_path)["step"] == 10
    assert (tmp_path / "model.keras").read_bytes() == before


def test_a_run_killed_before_its_first_checkpoint_starts_as_it_should(tmp_path, sources):
    start = subpixel(4, channels=8, blocks=1)
    start.save(tmp_path / "start.keras")
    recipe = _recipe(start=str(tmp_path / "start.keras"), learning_rate=1e-12, steps=5)
    training.train(recipe, sources, tmp_path / "run")
    for name in ("checkpoint.weights.h5", "history.csv", "model.keras"):
        (tmp_path / "run" / name).unlink()
    training.resume(tmp_path / "run")
    model = load_generator(str(tmp_path / "run" / "model.keras"))
    for a, b in zip(model.get_weights(), start.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_resuming_what_is_no_run(tmp_path):
    with pytest.raises(TrainingError, match="expected the recipe of a run"):
        training.resume(tmp_path)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path, sources):
    """The learning rate soon is such that the weights overflow; in the first step it is 0."""
    recipe = _recipe(epoch_steps=1, warmup=10, learning_rate=1e30, steps=50, clip_norm=0.0)
    with pytest.raises(TrainingError, match=r"the last good checkpoint, .* is kept"):
        training.train(recipe, sources, tmp_path)
    for weight in load_generator(str(tmp_path / "model.keras")).get_weights():
        assert np.isfinite(weight).all()


def test_a_wider_generator_begins_where_a_narrow_one_ended(rng):
    narrow = subpixel(4, channels=6, blocks=2)
    narrow.set_weights([rng.normal(0, 0.1, w.shape) for w in narrow.get_weights()])
    wide = subpixel(4, channels=10, blocks=2)
    assert set(transfer(narrow, wide)) >= {"head", "block1_conv1", "tail"}
    lr = rng.uniform(0, 255, (1, 9, 7, 3)).astype(np.float32)
    np.testing.assert_allclose(wide(lr), narrow(lr), atol=2e-3)
    # What is new is not dead: it has weights, and what it changes can be learnt.
    assert np.abs(wide.get_layer("block0_conv0").kernel.numpy()[..., 6:]).min() > 0


def test_a_step_that_is_no_number_is_left_out(tmp_path, sources, monkeypatch):
    """The gradients of one step are spoilt; the run goes on to its end and counts it."""
    apply = SteadyAdam.apply

    def spoilt(self, grads, variables=None):
        bad = ops.where(ops.equal(self.iterations, 3), np.nan, 0.0)
        return apply(self, [grads[0] + ops.cast(bad, grads[0].dtype), *grads[1:]], variables)

    monkeypatch.setattr(SteadyAdam, "apply", spoilt)
    training.train(_recipe(), sources, tmp_path)
    rows = _history(tmp_path)
    assert [(row["step"], row["skipped"]) for row in rows] == [(5, 1), (10, 1)]
    assert all(np.isfinite(row["loss"]) and np.isfinite(row["val_psnr_y"]) for row in rows)


def test_history_of_a_run_that_goes_on_keeps_its_columns(tmp_path, sources):
    """Rows of before there was a column have nothing in it, and integers stay integers."""
    training.train(_recipe(), sources, tmp_path)
    path = tmp_path / "history.csv"
    lines = [line.split(",") for line in path.read_text().splitlines()]
    column = lines[0].index("skipped")
    path.write_text("\n".join(",".join(x for i, x in enumerate(r) if i != column) for r in lines))
    history = History(path, keep=10)
    assert [(type(row["step"]), row["step"]) for row in history.rows] == [(int, 5), (int, 10)]
    history.rows.append({**history.rows[-1], "step": 15, "skipped": 2})
    history.write()
    again = History(path, keep=15).rows
    assert [row.get("skipped") for row in again] == [None, None, 2]


def test_steps_that_are_no_multiple_of_an_epoch(tmp_path, sources):
    training.train(_recipe(steps=7), sources, tmp_path)
    assert [row["step"] for row in _history(tmp_path)] == [5, 7]


def _train(*arguments, backend="tensorflow"):
    return [sys.executable, str(ROOT / "train.py"), *map(str, arguments), *TINY_FLAGS], {
        **os.environ,
        "KERAS_BACKEND": backend,
    }


def test_kill_and_resume_ends_like_a_run_that_was_left_alone(tmp_path):
    flags = ["--recipe", "x4-pixel", "--data", SAMPLES / "HR", "--epoch-steps", 10, "--ema", 0.9]
    command, env = _train(*flags, "--steps", 60, "--out", tmp_path / "whole")
    subprocess.run(command, env=env, check=True, capture_output=True, timeout=300)

    command, env = _train(*flags, "--steps", 60, "--out", tmp_path / "killed")
    killed = 0
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        history = tmp_path / "killed" / "history.csv"
        done = _history(tmp_path / "killed")[-1]["step"] if history.exists() else 0
        if done >= (20, 40)[killed]:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
            if killed == 2:
                break
            resume = [sys.executable, str(ROOT / "train.py"), "--resume", tmp_path / "killed"]
            process = subprocess.Popen(
                resume, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        assert process.poll() is None, "ended before it could be killed"
        time.sleep(0.005)
    assert killed == 2
    subprocess.run(resume, env=env, check=True, capture_output=True, timeout=300)

    whole, resumed = (_history(tmp_path / run) for run in ("whole", "killed"))
    assert [row["step"] for row in resumed] == [10, 20, 30, 40, 50, 60]
    for a, b in itertools.zip_longest(whole, resumed):
        assert a["val_psnr_y"] == pytest.approx(b["val_psnr_y"], abs=0.02)
    weights = [
        load_generator(str(tmp_path / run / "model.keras")).get_weights()
        for run in ("whole", "killed")
    ]
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)


def test_jax_trains_the_same_way(tmp_path):
    """One trainer, two backends: the same data, losses and files, and about the same result."""
    pytest.importorskip("jax")
    loss = "feature:block2_conv2=1,pixel_absolute=10"
    for backend in ("tensorflow", "jax"):
        command, env = _train(
            "--recipe", "x4-pixel", "--data", SAMPLES / "HR", "--steps", 6, "--epoch-steps", 3,
            "--loss", loss, "--loss-network", "distilled", "--ema", 0.5, "--generator", "johnson",
            "--out", tmp_path / backend, backend=backend,
        )  # fmt: skip
        result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
        assert result.returncode == 0, result.stderr
    a, b = (_history(tmp_path / backend) for backend in ("tensorflow", "jax"))
    assert [r["step"] for r in a] == [r["step"] for r in b] == [3, 6]
    assert set(a[0]) == set(b[0])
    for name in ("loss", "pixel_absolute", "feature_block2_conv2"):
        assert all(0 < r[name] < 1e7 for r in (*a, *b))
    model = load_generator(str(tmp_path / "jax" / "model.keras"))
    assert model(np.zeros((1, 4, 4, 3), np.float32)).shape == (1, 16, 16, 3)


@pytest.mark.parametrize("styles", [1, 2])
def test_a_style_run_makes_a_model_and_goes_on(vgg, tmp_path, run_script, styles):
    paintings = [SAMPLES / "HR" / name for name in ("chelsea.png", "rocket.png")][:styles]
    run = tmp_path / "run"
    done = run_script(
        "train.py", "--style", *paintings, "--data", SAMPLES / "HR", "--samples", SAMPLES / "HR",
        "--vgg-weights", vgg, "--out", run, "--channels", 4, "--blocks", 1, "--steps", 4,
        "--epoch-steps", 2, "--batch-size", 2, "--patch-size", 64, "--style-size", 64,
        "--start", "",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "val_loss" in done.stdout
    history = _history(run)
    assert [row["step"] for row in history] == [2, 4]
    assert {"style_block3_conv3", "feature_block3_conv3", "total_variation"} < set(history[0])
    assert (run / "samples" / "000004.png").stat().st_size > 1000
    model = load_generator(str(run / "model.keras"))
    assert len(model.inputs) == (2 if styles > 1 else 1)
    assert training.resume(run)["step"] == 4


def test_a_new_style_starts_from_the_mean_of_others():
    several = style(channels=4, blocks=1, styles=3)
    for layer in several.layers:
        if layer.name.endswith("_norm"):
            layer.set_weights([np.arange(w.size).reshape(w.shape) for w in layer.get_weights()])
    one = style(channels=4, blocks=1)
    assert "head_norm" in transfer(several, one)
    gamma, _ = one.get_layer("head_norm").get_weights()
    assert gamma.tolist() == [[4, 5, 6, 7]]


def test_style_needs_paintings_and_vgg16(tmp_path, sources):
    with pytest.raises(TrainingError, match="expected a style image"):
        training.train(recipes.get_recipe("style"), sources, tmp_path / "a")
    painting = str(SAMPLES / "HR" / "chelsea.png")
    styled = training.Sources(sources.data, "distilled", styles=(painting,))
    with pytest.raises(LossNetworkError, match="style needs VGG16's weights"):
        training.train(recipes.get_recipe("style"), styled, tmp_path / "b")
    with pytest.raises(TrainingError, match="takes no style image"):
        training.train(recipes.get_recipe("x4-pixel"), styled, tmp_path / "c")


@pytest.mark.parametrize("fixed", [False, True])
def test_batch_statistics_can_be_kept(rng, fixed):
    keras.utils.set_random_seed(0)
    generator = johnson(2, channels=4, blocks=1)
    trainer = training.PerceptualTrainer(
        generator, PerceptualLoss({"pixel_squared": 1.0}, 2), fixed_statistics=fixed
    )
    trainer.compile(keras.optimizers.Adam(1e-3), jit_compile=False)
    norm = generator.get_layer("head_norm")
    before = [np.array(w) for w in (norm.moving_mean, norm.gamma)]
    lr = rng.uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    trainer.train_on_batch(lr, lr.repeat(2, 1).repeat(2, 2))
    assert np.array_equal(before[0], norm.moving_mean) == fixed
    assert not np.array_equal(before[1], norm.gamma)

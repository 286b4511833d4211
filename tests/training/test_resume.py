"""A run that was stopped ends like one that was left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from keras_perceptual.cli.train import main
from keras_perceptual.models.loading import load_generator
from keras_perceptual.models.upscaling import subpixel
from keras_perceptual.training import resume, train
from tests.conftest import ROOT, SAMPLES
from tests.training.conftest import history, tiny

RECIPE = tiny(epoch_steps=3, steps=18, ema=0.9)
# What the first recipe.json had; later versions have more.
FIRST_RECIPE = {
    "name", "generator", "channels", "blocks", "scale", "loss", "start", "steps", "epoch_steps",
    "batch_size", "patch_size", "blur", "shrink", "learning_rate", "warmup", "decay", "clip_norm",
    "ema", "precision", "seed",
}  # fmt: skip
FIRST_SOURCES = {"data", "loss_network", "vgg_weights", "workers"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, sources):
    """Folder of a run of `RECIPE` that was left alone."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    train(RECIPE, sources, out)
    return out


def _check_same(run, other):
    """Checks that two runs have the same history and made the same model."""
    rows, others = history(run), history(other)
    assert [row["step"] for row in rows] == [row["step"] for row in others]
    for row, another in zip(rows, others, strict=True):
        for name in row.keys() - {"seconds"}:
            assert row[name] == pytest.approx(another[name], rel=1e-3), name
    models = [load_generator(str(each / "model.keras")).get_weights() for each in (run, other)]
    for a, b in zip(*models, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_after_kill_9(whole, tmp_path, sources):
    run = tmp_path / "killed"
    numbers = [
        f"--{name.replace('_', '-')}={getattr(RECIPE, name)}"
        for name in (
            "channels", "blocks", "batch_size", "patch_size", "warmup", "start", "ema",
            "epoch_steps", "steps",
        )
    ]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), "--recipe", RECIPE.name, "--data", sources.data,
         "--out", run, "--loss-network", "distilled", *numbers],
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 300
    while not (run / "history.csv").exists() or history(run)[-1]["step"] < 6:
        assert process.poll() is None, "ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert history(run)[-1]["step"] < RECIPE.steps

    resume(run)
    _check_same(run, whole)


def test_a_run_of_an_older_version(whole, tmp_path, sources, interrupt, monkeypatch):
    """Its recipe.json lacks the fields that came later; its optimiser counted no steps left out."""
    interrupt(9)
    with pytest.raises(KeyboardInterrupt):
        train(RECIPE, sources, tmp_path)
    monkeypatch.undo()
    path = tmp_path / "recipe.json"
    about = json.loads(path.read_text())
    for part, names in (("recipe", FIRST_RECIPE), ("sources", FIRST_SOURCES)):
        assert about[part].keys() > names
        about[part] = {name: about[part][name] for name in names}
    path.write_text(json.dumps(about))
    sample = tmp_path / "samples" / "000009.png"
    written = sample.stat().st_mtime_ns
    assert resume(tmp_path)["step"] == RECIPE.steps
    assert sample.stat().st_mtime_ns == written  # it went on, and did not begin anew
    _check_same(tmp_path, whole)


def test_several_styles(vgg, tmp_path, sources, interrupt, monkeypatch, capsys):
    """By the command line, stopped by Ctrl+C after one of two epochs."""
    paintings = [str(SAMPLES / "HR" / name) for name in ("chelsea.png", "rocket.png")]
    flags = [
        "--style", *paintings, "--data", sources.data, "--vgg-weights", str(vgg), "--channels=2",
        "--blocks=1", "--steps=4", "--epoch-steps=2", "--batch-size=2", "--patch-size=32",
        "--style-size=32", "--start=", "--warmup=0",
        "--loss=style:block2_conv2=1,palette/2=1,total_variation=1e-4",
    ]  # fmt: skip
    assert main([*flags, "--out", str(tmp_path / "whole")], "train.py") == 0
    assert "step 4, val_loss" in capsys.readouterr().out
    interrupt(2)
    run = tmp_path / "stopped"
    assert main([*flags, "--out", str(run)], "train.py") == 130
    stopped = capsys.readouterr().err.splitlines()[-1]
    assert stopped == f"stopped; go on with: python train.py --resume {run}"
    assert [row["step"] for row in history(run)] == [2]
    monkeypatch.undo()
    assert main(["--resume", str(run)], "train.py") == 0
    _check_same(run, tmp_path / "whole")


def test_a_run_killed_before_its_first_checkpoint_starts_as_it_should(tmp_path, sources):
    start = subpixel(4, channels=4, blocks=1)
    start.save(tmp_path / "start.keras")
    recipe = replace(RECIPE, start=str(tmp_path / "start.keras"), learning_rate=1e-12, steps=1)
    train(recipe, sources, tmp_path / "run")
    for name in ("checkpoint.weights.h5", "history.csv", "model.keras"):
        (tmp_path / "run" / name).unlink()
    resume(tmp_path / "run")
    model = load_generator(str(tmp_path / "run" / "model.keras"))
    for a, b in zip(model.get_weights(), start.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)

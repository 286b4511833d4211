"""One trainer, two backends: the same losses step by step."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from keras_perceptual.models.loading import load_generator
from keras_perceptual.models.upscaling import johnson
from keras_perceptual.training import train
from tests.conftest import ROOT
from tests.training.conftest import check_events, history, tiny

LOSS = {"feature:block2_conv2": 1.0, "pixel_absolute": 10.0, "phase_bias": 1.0}
STEPS = 4


def test_jax_trains_the_same_way(tmp_path, sources):
    pytest.importorskip("jax")
    pytest.importorskip("tensorboard")
    johnson(4, channels=4, blocks=1).save(tmp_path / "start.keras")
    numbers = {"generator": "johnson", "start": str(tmp_path / "start.keras"), "epoch_steps": 1}
    train(tiny(**numbers, loss=LOSS, steps=STEPS), sources, tmp_path / "tensorflow")
    numbers |= {"channels": 4, "blocks": 1, "batch_size": 2, "patch_size": 32, "warmup": 0}
    numbers |= {"ema": 0.5, "steps": STEPS, "loss": ",".join(f"{n}={w}" for n, w in LOSS.items())}
    result = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), "--recipe", "x4-pixel", "--data", sources.data,
         "--loss-network", "distilled", "--out", tmp_path / "jax", "--tensorboard",
         *(f"--{name.replace('_', '-')}={value}" for name, value in numbers.items())],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        timeout=300,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    check_events(tmp_path / "jax")
    ours, theirs = (history(tmp_path / backend) for backend in ("tensorflow", "jax"))
    assert [row["step"] for row in theirs] == list(range(1, STEPS + 1))
    for one, other in zip(ours, theirs, strict=True):
        assert one.keys() == other.keys()
        for name in one.keys() - {"seconds"}:
            assert other[name] == pytest.approx(one[name], rel=1e-3), (one["step"], name)
    models = [
        load_generator(str(tmp_path / backend / "model.keras")).get_weights()
        for backend in ("tensorflow", "jax")
    ]
    for a, b in zip(*models, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)

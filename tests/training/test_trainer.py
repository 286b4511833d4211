from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_perceptual.losses.perceptual import PerceptualLoss
from keras_perceptual.models.style import style
from keras_perceptual.models.upscaling import johnson, subpixel
from keras_perceptual.training.trainer import PerceptualTrainer


def test_train_step_descends_and_reports_each_term(rng):
    keras.utils.set_random_seed(0)
    generator = subpixel(2, channels=8, blocks=1)
    loss = PerceptualLoss({"pixel_absolute": 1.0, "total_variation": 0.25}, 2)
    trainer = PerceptualTrainer(generator, loss)
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
    trainer = PerceptualTrainer(style(channels=4, blocks=1), loss, stability=1.0, seed=5)
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
    trainer = PerceptualTrainer(generator, loss, stability=0.5)
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


def test_what_8_bits_change_is_trained_away(rng):
    keras.utils.set_random_seed(0)
    generator = subpixel(2, channels=8, blocks=2)
    loss = PerceptualLoss({"pixel_absolute": 1.0}, 2)
    trainer = PerceptualTrainer(generator, loss, rounding=50.0)
    trainer.compile(keras.optimizers.Adam(2e-3), jit_compile=False)
    lr = rng.uniform(0, 255, (4, 16, 16, 3)).astype(np.float32)
    hr = lr.repeat(2, 1).repeat(2, 2)
    rows = []
    for _ in range(60):
        trainer.reset_metrics()
        rows.append(trainer.train_on_batch(lr, hr, return_dict=True))
    total = rows[0]["pixel_absolute"] + 50 * rows[0]["rounding"]
    assert rows[0]["loss"] == pytest.approx(total, rel=1e-4)
    assert rows[-1]["rounding"] < rows[0]["rounding"] / 4
    weights = {id(each) for each in trainer.trainable_variables}
    assert weights == {id(each) for each in generator.trainable_variables}


@pytest.mark.parametrize("fixed", [False, True])
def test_batch_statistics_can_be_kept(rng, fixed):
    keras.utils.set_random_seed(0)
    generator = johnson(2, channels=4, blocks=1)
    trainer = PerceptualTrainer(
        generator, PerceptualLoss({"pixel_squared": 1.0}, 2), fixed_statistics=fixed
    )
    trainer.compile(keras.optimizers.Adam(1e-3), jit_compile=False)
    norm = generator.get_layer("head_norm")
    before = [np.array(w) for w in (norm.moving_mean, norm.gamma)]
    lr = rng.uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    trainer.train_on_batch(lr, lr.repeat(2, 1).repeat(2, 2))
    assert np.array_equal(before[0], norm.moving_mean) == fixed
    assert not np.array_equal(before[1], norm.gamma)

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_perceptual import training
from keras_perceptual.losses import adversary
from keras_perceptual.losses.perceptual import PerceptualLoss
from keras_perceptual.models.upscaling import subpixel


def test_relativistic_by_hand():
    more, less = np.float32([2.0, 4.0]), np.float32([1.0, -1.0])
    softplus = lambda x: np.log1p(np.exp(x))  # noqa: E731
    expected = (softplus(-2.0) + softplus(-4.0)) / 2 + (softplus(-2.0) + softplus(-4.0)) / 2
    assert float(adversary.relativistic(more, less)) == pytest.approx(expected, rel=1e-6)
    undecided = np.zeros((2, 3, 3, 1), np.float32)
    assert float(adversary.relativistic(undecided, undecided)) == pytest.approx(2 * np.log(2))


@pytest.mark.parametrize("discriminator", ["patches", "unet"])
def test_training_reports_both_sides_and_averages_the_generator(rng, tmp_path, discriminator):
    keras.utils.set_random_seed(0)
    generator = subpixel(2, channels=8, blocks=1)
    loss = PerceptualLoss({"pixel_absolute": 1.0}, 2)
    trainer = training.PerceptualTrainer(
        generator, loss, adversarial=0.5, discriminator=discriminator
    )
    trainer.compile(keras.optimizers.Adam(1e-3, use_ema=True, ema_momentum=0.5), jit_compile=False)
    lr = rng.uniform(0, 255, (4, 16, 16, 3)).astype(np.float32)
    hr = lr.repeat(2, 1).repeat(2, 2) / 2
    before = trainer.discriminator.get_weights()
    row = trainer.train_on_batch(lr, hr, return_dict=True)
    total = row["pixel_absolute"] + 0.5 * row["adversarial"] + row["discriminator"]
    assert row["loss"] == pytest.approx(total, rel=1e-5)
    after = trainer.discriminator.get_weights()
    assert any(np.abs(a - b).max() > 0 for a, b in zip(before, after, strict=True))
    latest = trainer.get_weights()
    averaged = trainer.averaged_weights()
    assert len(averaged) == len(generator.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(latest, trainer.get_weights(), strict=True))
    trainer.save_weights(tmp_path / "all.weights.h5")
    trainer.train_on_batch(lr, hr)
    trainer.load_weights(tmp_path / "all.weights.h5")
    assert all(np.array_equal(a, b) for a, b in zip(latest, trainer.get_weights(), strict=True))

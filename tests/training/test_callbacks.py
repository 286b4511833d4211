from __future__ import annotations

import keras
import numpy as np

from keras_perceptual.losses.perceptual import PerceptualLoss
from keras_perceptual.models.loading import load_generator
from keras_perceptual.models.upscaling import johnson
from keras_perceptual.training.callbacks import Averaging, Checkpoint
from keras_perceptual.training.optimizer import SteadyAdam
from keras_perceptual.training.trainer import PerceptualTrainer

MOMENTUM = 0.8


def _trainer():
    loss = PerceptualLoss({"pixel_squared": 1.0}, 2)
    trainer = PerceptualTrainer(johnson(2, channels=4, blocks=1), loss)
    optimizer = SteadyAdam(1e-2, use_ema=True, ema_momentum=MOMENTUM)
    trainer.compile(optimizer, jit_compile=False)
    trainer.build()
    trainer.optimizer.build(trainer.trainable_variables)
    return trainer


def _all_close(weights, others):
    return all(np.allclose(a, b, atol=1e-5) for a, b in zip(weights, others, strict=True))


class _Recorder(keras.callbacks.Callback):
    """Keeps the generator's weights of after each step."""

    def on_train_begin(self, logs=None):
        self.steps = []

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(self.model.generator.get_weights())


def test_the_model_holds_averages_and_the_checkpoint_the_latest_without_any_validation(
    rng, tmp_path
):
    """After two epochs of two steps, against averages by hand."""
    trainer, result, recorder = _trainer(), johnson(2, channels=4, blocks=1), _Recorder()
    lr = rng.uniform(0, 255, (8, 8, 8, 3)).astype(np.float32)
    checkpoint, model = tmp_path / "checkpoint.weights.h5", tmp_path / "model.keras"
    saving = [recorder, Averaging(result), Checkpoint(checkpoint, result, model)]
    hr = lr.repeat(2, 1).repeat(2, 2)
    trainer.fit(lr, hr, batch_size=4, epochs=2, callbacks=saving, verbose=0)

    averages = recorder.steps[0]
    for weights in recorder.steps[1:]:
        averages = [
            MOMENTUM * average + (1 - MOMENTUM) * weight
            for average, weight in zip(averages, weights, strict=True)
        ]
    latest = recorder.steps[-1]
    # Statistics of batch normalisation are averages already: they are saved as they stand.
    trained = [weight.trainable for weight in trainer.generator.weights]
    expected = [
        average if is_trained else last
        for average, last, is_trained in zip(averages, latest, trained, strict=True)
    ]
    assert _all_close(load_generator(str(model)).get_weights(), expected)
    assert not _all_close(expected, latest)

    restored = _trainer()
    restored.load_weights(checkpoint)
    assert restored.step == 4
    assert _all_close(restored.generator.get_weights(), latest)
    assert _all_close(restored.averaged_weights(), expected)

"""TensorBoard: the curves and sample pictures of a run, as event files."""

from __future__ import annotations

from pathlib import Path

import keras

from keras_perceptual.files import images
from keras_perceptual.training.validation import sheet_path

__all__ = ["Board"]


class Board(keras.callbacks.TensorBoard):
    """Keras's callback, over the training's step in place of the epoch, with the sample pictures.

    Needs the packages tensorboard and tensorflow under every backend. It comes after all that adds
    to the logs, and before `Checkpoint`: no epoch that is saved lacks its point.

    Args:
        folder: for event files; a run that goes on adds its own.
        out: the run's folder, for its samples.
    """

    def __init__(self, folder: Path, out: Path) -> None:
        super().__init__(folder, write_graph=False)
        self.out = out
        if keras.backend.backend() != "tensorflow":
            import tensorflow as tf

            tf.config.set_visible_devices([], "GPU")  # all of its memory is the backend's

    def on_train_batch_end(self, batch, logs=None):
        pass  # Keras's reads the numbers of each step, which waits for it, and does not write them

    def on_epoch_end(self, epoch, logs=None):
        step = self.model.step
        super().on_epoch_end(step, logs)
        sheet = sheet_path(self.out, step)
        if sheet.exists():
            with self._val_writer.as_default():
                self.summary.image("samples", images.read(sheet).pixels[None], step=step)
        for writer in self._writers.values():
            writer.flush()  # a run that is killed has them all

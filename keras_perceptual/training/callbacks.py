"""What happens beside the steps of a training: stopping, progress, averages, checkpoints."""

from __future__ import annotations

import os
from pathlib import Path

import keras
from tqdm.auto import tqdm

from keras_perceptual.errors import TrainingError
from keras_perceptual.models.loading import save_generator
from keras_perceptual.system.atomic import atomic_path, hidden_folder
from keras_perceptual.training import processes

__all__ = ["Averaging", "Checkpoint", "First", "Guard", "Progress", "no_number"]


class Guard(keras.callbacks.Callback):
    """Stops a run at its last step, and when step after step gave no number.

    One such step is left out and counted by the optimiser (`SteadyAdam`).
    """

    EVERY = 10  # reading a number waits for the step, which costs an accelerator its lead

    def __init__(self, steps: int, checkpoint: Path) -> None:
        super().__init__()
        self.steps, self.checkpoint, self.seen = steps, checkpoint, 0

    def on_train_begin(self, logs=None):
        self.seen = self.model.step

    def on_train_batch_end(self, batch, logs=None):
        self.seen += 1
        if self.seen % self.EVERY == 0:
            self._check()
        if self.seen >= self.steps:
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        self._check()
        logs["skipped"] = self.model.skipped[0]

    def _check(self) -> None:
        if self.model.skipped[1] >= self.model.optimizer.LIMIT:
            raise no_number("the gradient", self.seen, self.checkpoint)


def no_number(what: str, step: int, checkpoint: Path) -> TrainingError:
    """Returns the error that ends a run in which something was no finite number any more."""
    kept = "was not reached"
    if checkpoint.exists():
        kept = f"{checkpoint}, is kept: --resume {checkpoint.parent} goes on from there"
    return TrainingError(
        f"{what} was no finite number any more at step {step}; the last good checkpoint, {kept}. "
        "If it comes again, a lower --learning-rate or a --clip-norm helps"
    )


class Progress(keras.callbacks.Callback):
    """A bar over the whole run with the latest loss and validation; to be closed."""

    def __init__(self, done: int, steps: int, shown: bool = True) -> None:
        super().__init__()
        self.bar = tqdm(
            initial=done, total=steps, unit="step", dynamic_ncols=True, disable=not shown
        )

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update()

    def on_epoch_end(self, epoch, logs=None):
        shown = {"loss": logs["loss"], **{k: v for k, v in logs.items() if k.startswith("val_")}}
        self.bar.set_postfix({k: f"{v:.4g}" for k, v in shown.items()})

    def close(self) -> None:
        """Leaves the bar as it is; also after an interrupt, lines printed next come below it."""
        self.bar.close()


class Averaging(keras.callbacks.Callback):
    """Gives a network, each epoch, the averages of the weights that are trained.

    It comes before all that validates or saves the network.

    Args:
        result: float32 generator of the same architecture.
    """

    def __init__(self, result: keras.Model) -> None:
        super().__init__()
        self.result = result

    def on_epoch_end(self, epoch, logs=None):
        self.result.set_weights(self.model.averaged_weights())


class First(keras.callbacks.Callback):
    """Leaves callbacks to process 0; the others wait for it at the end of each epoch.

    Args:
        callbacks: that look at the model, write files, and change nothing.
    """

    def __init__(self, callbacks: list[keras.callbacks.Callback]) -> None:
        super().__init__()
        self.callbacks = callbacks if processes.first() else []

    def set_params(self, params):
        for each in self.callbacks:
            each.set_params(params)

    def set_model(self, model):
        super().set_model(model)
        for each in self.callbacks:
            each.set_model(model)

    def on_train_begin(self, logs=None):
        with processes.alone():
            for each in self.callbacks:
                each.on_train_begin(logs)

    def on_epoch_begin(self, epoch, logs=None):
        with processes.alone():
            for each in self.callbacks:
                each.on_epoch_begin(epoch, logs)

    def on_train_batch_end(self, batch, logs=None):
        for each in self.callbacks:
            each.on_train_batch_end(batch, logs)

    def on_epoch_end(self, epoch, logs=None):
        with processes.together("validating and saving"):
            for each in self.callbacks:
                each.on_epoch_end(epoch, logs)

    def on_train_end(self, logs=None):
        with processes.alone():
            for each in self.callbacks:
                each.on_train_end(logs)


class Checkpoint(keras.callbacks.Callback):
    """Saves, each epoch, all that going on needs, and the generator as it stands.

    The optimiser's state, its step count included, is in the one checkpoint file: a run that is
    killed at any moment has the old one or the new one, whole.

    Args:
        checkpoint: file for the latest weights and the optimiser's state.
        result: the generator to save, as `Averaging` filled it.
        model: `.keras` file for it.
    """

    def __init__(self, checkpoint: Path, result: keras.Model, model: Path) -> None:
        super().__init__()
        self.checkpoint, self.result, self.path = checkpoint, result, model

    def on_epoch_end(self, epoch, logs=None):
        with atomic_path(self.path) as beside:
            save_generator(self.result, beside)
        # HDF5 locks its file, which a file that is locked already would not let it.
        with hidden_folder(self.checkpoint.parent) as folder:
            self.model.save_weights(folder / self.checkpoint.name)
            os.replace(folder / self.checkpoint.name, self.checkpoint)

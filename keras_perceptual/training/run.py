"""Training: `train`, which makes a run, and `resume`, which goes on with one."""

from __future__ import annotations

import json
import logging
import math
import platform
import time
from collections.abc import Mapping
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import keras
import numpy as np

import keras_perceptual
from keras_perceptual.errors import PerceptualError, TrainingError, reason
from keras_perceptual.losses import vgg
from keras_perceptual.system.atomic import atomic_path
from keras_perceptual.training import processes
from keras_perceptual.training.board import Board
from keras_perceptual.training.callbacks import Averaging, Checkpoint, First, Guard, Progress
from keras_perceptual.training.history import History
from keras_perceptual.training.prepare import (
    Sources,
    build_generator,
    build_loss,
    build_patches,
    build_trainer,
    find_photographs,
    precision,
)
from keras_perceptual.training.recipe import Recipe
from keras_perceptual.training.styles import with_styles
from keras_perceptual.training.validation import StyleValidation, Validation

__all__ = ["resume", "train"]

CHECKPOINT = "checkpoint.weights.h5"
SEEN = 30  # seconds in which a disk that is shared shows others what was written

logger = logging.getLogger(__name__)


def train(recipe: Recipe, sources: Sources, out: Path, board: Path | None = None) -> dict:
    """Makes a new run.

    Args:
        recipe: every number of it.
        sources: photographs and weights.
        out: the run's folder, which must not hold a run yet.
        board: folder for TensorBoard's event files; by default none are written.

    Returns:
        The last epoch's row of history.csv.

    Raises:
        TrainingError: if `out` holds a run, or the loss stops being a number.
        DataError, ImageError, LossNetworkError, ZooError, ValueError: from what is used.
    """
    told = json.dumps([recipe.to_dict(), keras_perceptual.__version__])
    processes.agree({"recipe and version": _digest(told.encode()), **_held(out)})
    if (out / "recipe.json").exists():
        raise TrainingError(f"{out}: holds a run already; --resume it or name another --out")
    run = _Run(recipe, sources, out)
    run.save_recipe()
    return run.fit(board)


def resume(out: Path, board: Path | None = None) -> dict:
    """Goes on with a run from its last checkpoint, with the same recipe and sources.

    Args:
        out: the run's folder.
        board: as `train` takes it.

    Returns:
        The last epoch's row of history.csv.

    Raises:
        TrainingError: if `out` holds no run, one of its files is broken, or its loss network is
            another one now.
    """
    path = out / "recipe.json"
    processes.agree(_held(out))
    try:
        stored = json.loads(path.read_text("utf-8"))
        run = _Run(Recipe(**stored["recipe"]), Sources(**stored["sources"]), out)
        loss_network = stored["loss_network"]
    except PerceptualError:
        raise
    except Exception as error:  # a file may hold anything
        raise TrainingError(f"{path}: expected the recipe of a run: {reason(error)}") from error
    run.restore(loss_network)
    return run.fit(board)


def _held(out: Path) -> dict[str, str]:
    """Returns what a run's folder holds, as the processes that share it have to see it."""
    if processes.count() == 1:
        return {}  # a checkpoint is large
    return {
        name: _digest(path.read_bytes()) if (path := out / name).is_file() else "none"
        for name in ("recipe.json", CHECKPOINT)
    }


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:12]


class _Run:
    """All that a run needs: prepared when it is made, then either saved or restored, and fitted.

    Attributes:
        patches: what it trains on.
        validation: photographs that are set aside.
        trainer: the generator that learns, with its loss and optimiser.
        result: what is validated and saved: the generator with the average of the weights, in
            float32 whatever the precision.
    """

    def __init__(self, recipe: Recipe, sources: Sources, out: Path) -> None:
        self.recipe, self.sources, self.out = recipe, sources, out
        self.checkpoint = out / CHECKPOINT
        processes.check_batch(recipe.batch_size)
        keras.utils.set_random_seed(recipe.seed)
        training, self.validation = find_photographs(sources)
        names = _digest("\0".join(path.name for path in training).encode())
        processes.agree({"the photographs": f"{len(training)} ({names})"})
        self.patches = build_patches(recipe, training, sources.workers)
        self.trainer = build_trainer(recipe, sources, start=not self.checkpoint.exists())
        with precision("float32"), processes.alone():
            self.result = build_generator(recipe, sources)

    def save_recipe(self) -> None:
        """Makes the run's folder, with what `resume` needs."""
        about = {
            "recipe": self.recipe.to_dict(),
            "sources": vars(self.sources),
            "photographs": {
                "training": len(self.patches.paths),
                "validation": len(self.validation),
            },
            "loss_network": self._loss_network(),
            "parameters": self.result.count_params(),
            "versions": {
                "keras_perceptual": keras_perceptual.__version__,
                "python": platform.python_version(),
                "keras": keras.__version__,
                "numpy": np.__version__,
                "backend": keras.backend.backend(),
            },
        }
        with processes.together("making the run's folder") as first:
            if first:
                self.out.mkdir(parents=True, exist_ok=True)
                with atomic_path(self.out / "recipe.json") as beside:
                    beside.write_text(json.dumps(about, indent=2) + "\n", "utf-8")
        for _ in range(SEEN):
            if (self.out / "recipe.json").exists():
                break
            time.sleep(1)
        processes.agree(_held(self.out))

    def restore(self, loss_network: Mapping | None) -> None:
        """Goes back to the last checkpoint, if there is one and the loss network is the same."""
        if loss_network != self._loss_network():
            raise TrainingError(
                f"{self.out}: was trained against {loss_network}, received {self._loss_network()}"
            )
        if self.checkpoint.exists():
            try:
                self.trainer.load_weights(self.checkpoint)
            except Exception as error:  # h5py and Keras each raise their own
                raise TrainingError(
                    f"{self.checkpoint}: expected the checkpoint of this run: {reason(error)}"
                ) from error

    def fit(self, board: Path | None) -> dict:
        """Makes the steps that are left, saving each epoch; returns the last row of history.csv."""
        recipe, done, styles = self.recipe, self.trainer.step, len(self.sources.styles)
        processes.agree({"the step to go on from": done})
        history = History(self.out / "history.csv", keep=done)
        if done < recipe.steps:
            with (
                closing(Progress(done, recipe.steps, processes.first())) as progress,
                closing(self.patches.batches(done)) as patches,
            ):
                batches = with_styles(patches, styles, recipe.seed, done)
                shown = self._shown(progress, history, board) if processes.first() else []
                self.trainer.fit(
                    processes.share(batches),
                    steps_per_epoch=min(recipe.epoch_steps, recipe.steps),
                    initial_epoch=done // recipe.epoch_steps,
                    epochs=math.ceil(recipe.steps / recipe.epoch_steps),
                    shuffle=False,
                    verbose=0,
                    callbacks=[
                        Averaging(self.result),
                        Guard(recipe.steps, self.checkpoint),
                        First(shown),
                    ],
                )
        if self.patches.too_small:
            logger.warning("%d photographs were too small and skipped", len(self.patches.too_small))
        return history.rows[-1] if history.rows else {"step": done}

    def _shown(
        self, progress: Progress, history: History, board: Path | None
    ) -> list[keras.callbacks.Callback]:
        """Returns the callbacks that look at the run and write its files."""
        return [
            progress,
            self._validation(),
            history,
            *([Board(board, self.out)] if board else []),
            Checkpoint(self.checkpoint, self.result, self.out / "model.keras"),
        ]

    def _validation(self) -> keras.callbacks.Callback:
        recipe, files = self.recipe, (self.out, self.checkpoint)
        if not self.sources.styles:
            return Validation(
                self.validation, self.result, recipe.scale, recipe.blur, recipe.damages, *files
            )
        loss = self.trainer.perceptual_loss
        if processes.joined():  # its arrays are of all devices
            with processes.alone():
                loss = build_loss(recipe, self.sources)
        return StyleValidation(self.validation, self.result, loss, recipe.grain, *files)

    def _loss_network(self) -> dict | None:
        """Returns what recipe.json says of the loss network, if there is one."""
        network = self.trainer.perceptual_loss.loss_network
        return network and {
            "name": network.name,
            "sha256": vgg.sha256(network),
            "layers": list(network.output),
        }

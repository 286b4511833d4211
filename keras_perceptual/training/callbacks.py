"""What happens beside the steps of a training: validation, samples, curves, checkpoints."""

from __future__ import annotations

import contextlib
import csv
import math
import time
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
from keras import ops
from tqdm.auto import tqdm

from keras_perceptual.errors import ImageError, TrainingError
from keras_perceptual.evaluation import figures
from keras_perceptual.evaluation.metrics import psnr_y
from keras_perceptual.files import images
from keras_perceptual.losses.perceptual import PerceptualLoss
from keras_perceptual.pixels.grain import grained
from keras_perceptual.pixels.resampling import crop_to_multiple, degrade, imresize, to_uint8
from keras_perceptual.training.degradations import Damage, damaged

__all__ = [
    "Checkpoint",
    "Guard",
    "History",
    "Progress",
    "StyleValidation",
    "Validation",
]


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
            raise _no_number("the gradient", self.seen, self.checkpoint)


def _no_number(what: str, step: int, checkpoint: Path) -> TrainingError:
    kept = "was not reached"
    if checkpoint.exists():
        kept = f"{checkpoint}, is kept: --resume {checkpoint.parent} goes on from there"
    return TrainingError(
        f"{what} was no finite number any more at step {step}; the last good checkpoint, {kept}. "
        "If it comes again, a lower --learning-rate or a --clip-norm helps"
    )


class Progress(keras.callbacks.Callback):
    """A bar over the whole run with the latest loss and validation."""

    def __init__(self, done: int, steps: int) -> None:
        super().__init__()
        self.bar = tqdm(initial=done, total=steps, unit="step", dynamic_ncols=True)

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update()

    def on_epoch_end(self, epoch, logs=None):
        shown = {"loss": logs["loss"], **{k: v for k, v in logs.items() if k.startswith("val_")}}
        self.bar.set_postfix({k: f"{v:.4g}" for k, v in shown.items()})

    def on_train_end(self, logs=None):
        self.bar.close()


class Validation(keras.callbacks.Callback):
    """Enlarges the validation photographs each epoch: PSNR on Y, and pictures to look at.

    Adds `val_psnr_y` to the logs and writes `samples/NNNNNN.png`, a row a photograph: LR,
    bicubic, SR, HR.

    Args:
        paths: photographs that are not trained on; the middle of each is used.
        result: float32 generator that receives the averaged weights.
        scale: HR size over LR size.
        blur: of the degradation, in HR pixels.
        damage: what LR went through, drawn anew for each photograph but the same each epoch.
        out: the run's folder.
        checkpoint: the last good one, for the message when an output is no number.
    """

    SIDE = 256
    SHOWN = 3

    def __init__(
        self,
        paths: list[Path],
        result: keras.Model,
        scale: int,
        blur: float,
        damage: Damage | None,
        out: Path,
        checkpoint: Path,
    ) -> None:
        super().__init__()
        self.checkpoint = checkpoint
        self.result, self.scale, self.samples = result, scale, out / "samples"
        self.pairs = []
        for number, hr in enumerate(_middles(paths, self.SIDE)):
            hr = crop_to_multiple(hr, scale)
            if min(hr.shape[:2]) <= 4 * scale:
                continue
            if damage:
                lr = damaged(hr, scale, damage, np.random.default_rng(number))
            else:
                lr = degrade(hr, scale, blur)
            self.pairs.append((lr, hr))

    def on_epoch_end(self, epoch, logs=None):
        self.result.set_weights(self.model.averaged_weights())
        if not self.pairs:
            return
        scores: list[float] = []
        rows: list[list[tuple[str, np.ndarray]]] = []
        for lr, hr in self.pairs:
            sr = self.result(lr[None].astype(np.float32), training=False)
            sr = ops.convert_to_numpy(sr)[0]
            if not np.isfinite(sr).all():
                raise _no_number("an output", self.model.step, self.checkpoint)
            sr = to_uint8(sr)
            scores.append(psnr_y(sr, hr, self.scale))
            if len(rows) < self.SHOWN:
                bicubic = imresize(lr, self.scale)
                score = psnr_y(bicubic, hr, self.scale)
                nearest = lr.repeat(self.scale, 0).repeat(self.scale, 1)
                rows.append(
                    [
                        ("LR", nearest),
                        (f"bicubic {score:.2f} dB", bicubic),
                        (f"SR {scores[-1]:.2f} dB", sr),
                        ("HR", hr),
                    ]
                )
        logs["val_psnr_y"] = float(np.mean(scores))
        _write_samples(self.samples / f"{self.model.step:06d}.png", rows)


class StyleValidation(keras.callbacks.Callback):
    """Paints the validation photographs each epoch in every style.

    Adds `val_loss` to the logs, the training's loss in the mean over photographs and styles, and
    writes `samples/NNNNNN.png`, a row a photograph: the photograph, then each style.

    Args:
        paths: photographs that are not trained on; the middle of each is used.
        result: float32 generator that receives the averaged weights.
        loss: what is minimised.
        names: of the styles, in their order.
        grain: that photographs get, in levels.
        out: the run's folder.
        checkpoint: the last good one, for the message when an output is no number.
    """

    SIDE = 384
    SHOWN = 5

    def __init__(
        self,
        paths: list[Path],
        result: keras.Model,
        loss: PerceptualLoss,
        names: list[str],
        grain: float,
        out: Path,
        checkpoint: Path,
    ) -> None:
        super().__init__()
        self.result, self.loss, self.names = result, loss, names
        self.samples, self.checkpoint = out / "samples", checkpoint
        self.photographs = list(_middles(paths, self.SIDE))
        self.grained = [grained(each, grain) for each in self.photographs]

    def on_epoch_end(self, epoch, logs=None):
        self.result.set_weights(self.model.averaged_weights())
        losses: list[float] = []
        rows: list[list[tuple[str, np.ndarray]]] = []
        for photograph, seen in zip(self.photographs, self.grained, strict=True):
            hr, lr = (each[None].astype(np.float32) for each in (photograph, seen))
            row = [("photograph", photograph)]
            for i, name in enumerate(self.names):
                style = np.eye(len(self.names), dtype=np.float32)[i : i + 1]
                sr = self.result([lr, style] if len(self.names) > 1 else lr, training=False)
                losses.append(float(self.loss.total(self.loss(hr, sr, style))))
                if not math.isfinite(losses[-1]):
                    raise _no_number("an output", self.model.step, self.checkpoint)
                row.append((f"{name} {losses[-1]:.3f}", to_uint8(ops.convert_to_numpy(sr)[0])))
            rows.append(row)
        if losses:
            logs["val_loss"] = float(np.mean(losses))
            _write_samples(self.samples / f"{self.model.step:06d}.png", rows[: self.SHOWN])


def _middles(paths: list[Path], side: int) -> Iterator[np.ndarray]:
    """Yields the middle of each photograph that can be read, up to `side` pixels a side."""
    for path in paths:
        with contextlib.suppress(ImageError):
            yield images.middle(images.read(path).pixels, side)


def _write_samples(path: Path, rows: list[list[tuple[str, np.ndarray]]]) -> None:
    path.parent.mkdir(exist_ok=True)
    images.write(path, images.Picture(figures.sheet(rows)))


class History(keras.callbacks.Callback):
    """Keeps history.csv, a row an epoch, and draws curves.png from it.

    Args:
        path: of the CSV; rows beyond the step `keep` are those of a run that was cut off
            before its checkpoint, and are dropped.
        keep: step that the run goes on from.
    """

    def __init__(self, path: Path, keep: int = 0) -> None:
        super().__init__()
        self.path = path
        self.rows: list[dict] = []
        self.started = time.monotonic()
        if path.exists() and keep:
            with path.open(newline="", encoding="utf-8") as file:
                rows = [
                    {k: _number(v) for k, v in row.items() if v} for row in csv.DictReader(file)
                ]
            self.rows = [row for row in rows if row["step"] <= keep]
        if self.rows:
            self.started -= self.rows[-1]["seconds"]

    def on_epoch_end(self, epoch, logs=None):
        seconds = round(time.monotonic() - self.started, 1)
        numbers = {k: v if isinstance(v, int) else float(v) for k, v in logs.items()}
        self.rows.append({"step": self.model.step, "seconds": seconds, **numbers})
        self.write()
        figures.curves(self.rows, self.path.with_name("curves.png"))

    def write(self) -> None:
        """Writes the rows; those from before a column was there have nothing in it."""
        with (
            images.atomic_path(self.path) as beside,
            beside.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, fieldnames=self.rows[-1])
            writer.writeheader()
            writer.writerows(self.rows)


def _number(text: str) -> float:
    return int(text) if text.isdecimal() else float(text)


class Checkpoint(keras.callbacks.Callback):
    """Saves, each epoch, all that going on needs, and the generator as it stands.

    The optimiser's state, its step count included, is in the one checkpoint file: a run that is
    killed at any moment has the old one or the new one, whole.

    Args:
        checkpoint: file for the latest weights and the optimiser's state.
        result: float32 generator that holds the averaged weights.
        model: `.keras` file for it.
    """

    def __init__(self, checkpoint: Path, result: keras.Model, model: Path) -> None:
        super().__init__()
        self.checkpoint, self.result, self.path = checkpoint, result, model

    def on_epoch_end(self, epoch, logs=None):
        with images.atomic_path(self.path) as beside:
            self.result.save(beside)
        with images.atomic_path(self.checkpoint) as beside:
            self.model.save_weights(beside)

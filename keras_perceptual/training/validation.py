"""What a run shows of itself each epoch, on photographs that it is not trained on."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
from keras import ops

from keras_perceptual.errors import ImageError
from keras_perceptual.evaluation import figures
from keras_perceptual.evaluation.metrics import psnr_y
from keras_perceptual.files import images
from keras_perceptual.losses.perceptual import PerceptualLoss
from keras_perceptual.pixels.grain import grained
from keras_perceptual.pixels.resampling import crop_to_multiple, imresize, to_uint8
from keras_perceptual.training.callbacks import no_number
from keras_perceptual.training.dataset import MOST_PIXELS
from keras_perceptual.training.degradations import Damage, lr_of

__all__ = ["StyleValidation", "Validation", "sheet_path"]


class Validation(keras.callbacks.Callback):
    """Enlarges the validation photographs each epoch: PSNR on Y, and pictures to look at.

    Adds `val_psnr_y` to the logs and writes `samples/NNNNNN.png`, a row a photograph: LR,
    bicubic, SR, HR.

    Args:
        paths: photographs that are not trained on; the middle of each is used.
        result: the generator to validate, as `Averaging` filled it.
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
        self.result, self.scale, self.out = result, scale, out
        self.pairs = []
        for number, hr in enumerate(_middles(paths, self.SIDE)):
            hr = crop_to_multiple(hr, scale)
            if min(hr.shape[:2]) > 4 * scale:
                lr = lr_of(hr, scale, blur, damage, np.random.default_rng(number))
                self.pairs.append((lr, hr))

    def on_epoch_end(self, epoch, logs=None):
        if not self.pairs:
            return
        scores: list[float] = []
        rows: list[list[tuple[str, np.ndarray]]] = []
        for lr, hr in self.pairs:
            sr = self.result(lr[None].astype(np.float32), training=False)
            sr = ops.convert_to_numpy(sr)[0]
            if not np.isfinite(sr).all():
                raise no_number("an output", self.model.step, self.checkpoint)
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
        _write_samples(sheet_path(self.out, self.model.step), rows)


class StyleValidation(keras.callbacks.Callback):
    """Paints the validation photographs each epoch in every style.

    Adds `val_loss` to the logs, the training's loss in the mean over photographs and styles, and
    writes `samples/NNNNNN.png`, a row a photograph: the photograph, then each style.

    Args:
        paths: photographs that are not trained on; the middle of each is used.
        result: the generator to validate, as `Averaging` filled it.
        loss: what is minimised.
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
        grain: float,
        out: Path,
        checkpoint: Path,
    ) -> None:
        super().__init__()
        self.result, self.loss = result, loss
        self.out, self.checkpoint = out, checkpoint
        self.photographs = list(_middles(paths, self.SIDE))
        self.grained = [grained(each, grain) for each in self.photographs]

    def on_epoch_end(self, epoch, logs=None):
        names = self.result.descriptor.styles
        losses: list[float] = []
        rows: list[list[tuple[str, np.ndarray]]] = []
        for photograph, seen in zip(self.photographs, self.grained, strict=True):
            hr, lr = (each[None].astype(np.float32) for each in (photograph, seen))
            row = [("photograph", photograph)]
            for i, name in enumerate(names):
                style = np.eye(len(names), dtype=np.float32)[i : i + 1]
                sr = self.result([lr, style] if len(names) > 1 else lr, training=False)
                losses.append(float(self.loss.total(self.loss(hr, sr, style))))
                if not math.isfinite(losses[-1]):
                    raise no_number("an output", self.model.step, self.checkpoint)
                row.append((f"{name} {losses[-1]:.3f}", to_uint8(ops.convert_to_numpy(sr)[0])))
            rows.append(row)
        if losses:
            logs["val_loss"] = float(np.mean(losses))
            _write_samples(sheet_path(self.out, self.model.step), rows[: self.SHOWN])


def sheet_path(out: Path, step: int) -> Path:
    """Returns the file of the pictures that a run in the folder `out` shows after a step."""
    return out / "samples" / f"{step:06d}.png"


def _middles(paths: list[Path], side: int) -> Iterator[np.ndarray]:
    """Yields the middle of each photograph that can be read, up to `side` pixels a side."""
    for path in paths:
        with contextlib.suppress(ImageError):
            yield images.middle(images.read(path, most_pixels=MOST_PIXELS).pixels, side)


def _write_samples(path: Path, rows: list[list[tuple[str, np.ndarray]]]) -> None:
    path.parent.mkdir(exist_ok=True)
    images.write(path, images.Picture(figures.sheet(rows)))

"""One model for other programs: SavedModel for TF Serving, LiteRT, ONNX. Needs TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from keras_perceptual import zoo
from keras_perceptual.errors import ExportError
from keras_perceptual.export import onnx as onnx_file
from keras_perceptual.export import verification
from keras_perceptual.export.finetuning import STEPS, finetuned
from keras_perceptual.export.saved_model import next_version, write_errors, write_serving
from keras_perceptual.export.tflite import fitted, to_tflite
from keras_perceptual.models.loading import load_generator
from keras_perceptual.pixels.grain import GRAIN, grained
from keras_perceptual.pixels.histograms import check_match
from keras_perceptual.system.atomic import atomic_path
from keras_perceptual.zoo.descriptor import ModelDescriptor, embed

__all__ = ["Exported", "Exporter"]

# Levels by which a file's pixel may differ from the Keras model's; others may by any number.
LARGEST = {"none": 1, "int8": 16}


class Exported(NamedTuple):
    """An artefact: where it is, its bytes, and how far it is from its Keras model."""

    path: Path
    size: int
    agreement: verification.Agreement


class Exporter:
    """Exports one model, and compares each artefact with it before the artefact gets its name.

    Args:
        model: name of a shipped model or style, or path of a .keras file, as
            `load_generator` takes them.
        out: folder for the artefacts.
        photographs: `[H, W, 3]` uint8 LR images to compare with, and to calibrate 8 bits on.
        histogram_match: `affine`, `paper` or `none`, the artefacts' post-process; an ONNX file and
            a style have none.

    Raises:
        ZooError: if there is no such model.
        ExportError: if it is no generator, there are no photographs, or Keras runs on another
            backend than TensorFlow.
        ValueError: for an unknown `histogram_match`.
    """

    def __init__(
        self,
        model: str,
        out: Path,
        photographs: list[np.ndarray],
        histogram_match: str = "affine",
    ) -> None:
        if keras.backend.backend() != "tensorflow":
            raise ExportError(
                f"expected Keras on TensorFlow, which exports are made of, found "
                f"{keras.backend.backend()}; unset KERAS_BACKEND"
            )
        if not photographs:
            raise ExportError("expected photographs to compare with, found none")
        self.generator = load_generator(model)
        self.descriptor: ModelDescriptor = self.generator.descriptor
        styles = len(self.descriptor.styles)
        if styles > 1:
            raise ExportError(f"{model}: has several styles; choose one of #1 to #{styles}")
        self.name = zoo.short_name(model)
        self.out, self.photographs = out, photographs
        self.histogram_match = check_match("none" if styles else histogram_match)
        self.grain = GRAIN if styles else 0.0

    def saved_model(self, pixel_limit: int = 4_000_000) -> Exported:
        """Writes the next version of `out/<model>/`, as `save_serving` does.

        Raises:
            ExportError: if it differs from the Keras model by more than a level, or cannot be
                written.
        """
        with next_version(self.out / self.name) as version:
            write_serving(
                version.path,
                self.generator,
                self.descriptor.scale,
                self.histogram_match,
                self.grain,
                pixel_limit,
            )
            embed(version.path, self.descriptor)
            artefact = verification.open_saved_model(version.path)
            agreement = self._checked(artefact, self.photographs)
        size = sum(file.stat().st_size for file in version.path.rglob("*") if file.is_file())
        return Exported(version.path, size, agreement)

    def tflite(
        self,
        quantize: str = "none",
        fixed_size: tuple[int, int] | None = None,
        finetune: Sequence[np.ndarray] = (),
        steps: int = STEPS,
    ) -> Exported:
        """Writes `out/<model>.tflite`, its name extended by the quantisation and the fixed size.

        Args:
            quantize: as `to_tflite` takes it.
            fixed_size: the same.
            finetune: `[H, W, 3]` uint8 LR images to fine-tune `int8` on; without any it is not.
            steps: of that.

        Raises:
            ExportError: if it cannot be converted or written, or differs from the Keras model by
                more than a level, or 16 as `int8`.
        """
        generator, ranges = self.generator, None
        if finetune:
            generator, ranges = finetuned(generator, finetune, steps)
        content = to_tflite(
            generator,
            self.histogram_match,
            self.grain,
            quantize,
            self.photographs,
            fixed_size,
            ranges,
        )
        artefact = verification.open_tflite(content)
        photographs = fitted(self.photographs, fixed_size)
        agreement = self._checked(artefact, photographs, LARGEST.get(quantize, 255))
        suffix = "" if quantize == "none" else f"-{quantize}"
        if fixed_size:
            suffix += f"-{fixed_size[0]}x{fixed_size[1]}"
        return self._written(f"{self.name}{suffix}.tflite", content, agreement, self.descriptor)

    def onnx(self) -> Exported:
        """Writes `out/<model>.onnx`, the bare generator without a post-process.

        That of a style is compared on photographs with grain too, which the file does not add.

        Raises:
            ExportError: if it cannot be converted, packages for it are not installed, it
                differs from the Keras model by more than a level, or cannot be written.
        """
        try:
            content = onnx_file.to_onnx(self.generator)
            artefact = onnx_file.open_onnx(content)
        except ExportError as error:
            raise ExportError(f"{self.name}: {error}") from error
        photographs = self.photographs
        if self.grain:
            photographs = [*photographs, *(grained(lr, self.grain) for lr in photographs)]
        agreement = self._checked(artefact, photographs, bare=True)
        return self._written(f"{self.name}.onnx", content, agreement)

    def _written(
        self,
        name: str,
        content: bytes,
        agreement: verification.Agreement,
        descriptor: ModelDescriptor | None = None,
    ) -> Exported:
        path = self.out / name
        with write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as beside:
                beside.write_bytes(content)
                if descriptor:
                    embed(beside, descriptor)
        return Exported(path, path.stat().st_size, agreement)

    def _checked(
        self,
        artefact: verification.Signatures,
        photographs: list[np.ndarray],
        most: int = 1,
        bare: bool = False,
    ) -> verification.Agreement:
        histogram_match, grain = ("none", 0.0) if bare else (self.histogram_match, self.grain)
        agreement = verification.compare(
            artefact, self.generator, photographs, histogram_match, grain
        )
        if agreement.largest > most:
            raise ExportError(
                f"{self.name}: differs from the Keras model by {agreement.largest} levels, "
                f"expected {most} at the most; nothing was written"
            )
        return agreement

"""Models for other programs: SavedModel for TF Serving, LiteRT, ONNX. Needs TensorFlow."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_perceptual import zoo
from keras_perceptual.errors import ExportError, OnnxError, first_line
from keras_perceptual.export import onnx as onnx_file
from keras_perceptual.export import signatures, verification, warmup
from keras_perceptual.export.lowering import lowered
from keras_perceptual.files import images
from keras_perceptual.models.loading import load_generator
from keras_perceptual.models.normalization import InstanceNormalization
from keras_perceptual.pixels.grain import GRAIN

__all__ = ["QUANTIZATIONS", "Exported", "Exporter", "save_serving", "to_tflite"]

QUANTIZATIONS = ("none", "float16", "dynamic", "int8")


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
        photographs: `[H, W, 3]` uint8 LR images to compare with, and to calibrate `int8` on.
        histogram_match: whether the artefacts match levels; an ONNX file and a style never do.

    Raises:
        ZooError: if there is no such model.
        ExportError: if it is no generator, or there are no photographs.
    """

    def __init__(
        self,
        model: str,
        out: Path,
        photographs: list[np.ndarray],
        histogram_match: bool = True,
    ) -> None:
        if not photographs:
            raise ExportError("expected photographs to compare with, found none")
        self.generator = load_generator(model)
        if len(self.generator.inputs) > 1:
            styles = self.generator.inputs[1].shape[1]
            raise ExportError(f"{model}: has several styles; choose one of #1 to #{styles}")
        shape = self.generator.compute_output_shape((1, 8, 8, 3))
        if shape != (1, shape[1], shape[1], 3) or shape[1] % 8:
            raise ExportError(f"{model}: expected a generator of RGB images, received {shape}")
        self.scale = shape[1] // 8
        self.name = zoo.short_name(model)
        self.out, self.photographs = out, photographs
        self.histogram_match = histogram_match and self.scale > 1
        self.grain = 0.0 if self.scale > 1 else GRAIN

    def saved_model(self, pixel_limit: int = 4_000_000) -> Exported:
        """Writes the next version of `out/<model>/`, as `save_serving` does.

        Raises:
            ExportError: if it differs from the Keras model by more than a level, or cannot be
                written.
        """
        agreements = []

        def check(folder: Path) -> None:
            artefact = verification.open_saved_model(folder)
            agreements.append(self._checked(artefact, self.photographs))

        path = save_serving(
            self.generator,
            self.scale,
            self.out / self.name,
            self.histogram_match,
            self.grain,
            pixel_limit,
            check,
        )
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        return Exported(path, size, agreements[0])

    def tflite(self, quantize: str = "none", fixed_size: tuple[int, int] | None = None) -> Exported:
        """Writes `out/<model>.tflite`, its name extended by the quantisation and the fixed size.

        Raises:
            ExportError: if it cannot be converted, or is not quantised and differs from the Keras
                model by more than a level, or cannot be written.
        """
        content = to_tflite(
            self.generator,
            self.histogram_match,
            self.grain,
            quantize,
            self.photographs,
            fixed_size,
        )
        artefact = verification.open_tflite(content)
        photographs = _fitted(self.photographs, fixed_size)
        agreement = self._checked(artefact, photographs, exact=quantize == "none")
        suffix = "" if quantize == "none" else f"-{quantize}"
        if fixed_size:
            suffix += f"-{fixed_size[0]}x{fixed_size[1]}"
        return self._written(f"{self.name}{suffix}.tflite", content, agreement)

    def onnx(self) -> Exported:
        """Writes `out/<model>.onnx`, the bare generator: it never matches levels.

        Raises:
            ExportError: if it cannot be converted, packages for it are not installed, it
                differs from the Keras model by more than a level, or cannot be written.
        """
        try:
            content = onnx_file.to_onnx(self.generator)
        except OnnxError as error:
            raise ExportError(f"{self.name}: {error}") from None
        artefact = onnx_file.open_onnx(content)
        agreement = self._checked(artefact, self.photographs, bare=True)
        return self._written(f"{self.name}.onnx", content, agreement)

    def _written(self, name: str, content: bytes, agreement: verification.Agreement) -> Exported:
        path = self.out / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with images.atomic_path(path) as beside:
                beside.write_bytes(content)
        except OSError as error:
            raise ExportError(f"{path}: cannot be written: {error.strerror}") from None
        return Exported(path, len(content), agreement)

    def _checked(
        self,
        artefact: verification.Signatures,
        photographs: list[np.ndarray],
        exact: bool = True,
        bare: bool = False,
    ) -> verification.Agreement:
        histogram_match, grain = (False, 0.0) if bare else (self.histogram_match, self.grain)
        agreement = verification.compare(
            artefact, self.generator, photographs, histogram_match, grain
        )
        if exact and agreement.largest > 1:
            raise ExportError(
                f"{self.name}: differs from the Keras model by {agreement.largest} levels, "
                "expected 1 at the most; nothing was written"
            )
        return agreement


def to_tflite(
    generator: keras.Model,
    histogram_match: bool = True,
    grain: float = 0.0,
    quantize: str = "none",
    photographs: Iterable[np.ndarray] = (),
    fixed_size: tuple[int, int] | None = None,
) -> bytes:
    """Converts a generator to a .tflite file of builtin operators.

    Args:
        generator: a functional model from `lr` to `sr`, float32.
        histogram_match: whether `serving_default` matches levels.
        grain: that `serving_default` gives its input, in levels.
        quantize: `none`; `float16` weights; `dynamic`, 8-bit weights; or `int8`, weights and
            activations in 8 bits, calibrated on `photographs`.
        photographs: `[H, W, 3]` uint8 LR images, needed for `int8`.
        fixed_size: LR (height, width) for delegates that want static shapes, of a batch of one;
            by default batch, height and width are dynamic.

    Returns:
        The file's bytes. Its signatures share their weights: `serving_default` from `lr` uint8 to
        `sr` uint8, and `upscale` from `lr` float32 to `sr` float32; for a style generator also
        `paint` and `tile`, and these alone for one of several styles.

    Raises:
        ExportError: if an operator has no builtin, or `int8` has no photographs.
        ValueError: for an unknown `quantize`.
    """
    if quantize not in QUANTIZATIONS:
        raise ValueError(f"expected quantize of {QUANTIZATIONS}, received {quantize!r}")
    photographs = list(photographs)
    if quantize == "int8" and not photographs:
        raise ExportError("int8 needs photographs to calibrate on")
    shape = [1, *fixed_size, 3] if fixed_size else [None, None, None, 3]
    generator = lowered(generator)
    endpoints = _endpoints(generator, histogram_match, grain, shape)
    with tempfile.TemporaryDirectory() as folder:
        _save(folder, generator, endpoints)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[*endpoints])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if quantize != "none":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if quantize == "int8":
            converter.representative_dataset = lambda: _calibration(photographs, fixed_size)
        try:
            return converter.convert()
        except Exception as error:  # the converter raises its own, RuntimeError among them
            raise ExportError(f"cannot be converted: {first_line(error)}") from None


def _endpoints(
    generator: keras.Model, histogram_match: bool, grain: float, shape: list
) -> dict[str, tuple]:
    """Returns the functions of pixels that an artefact has, each with what it takes."""
    lr = tf.TensorSpec(shape, tf.float32, "lr")
    endpoints: dict[str, tuple] = {}
    if len(generator.inputs) == 1:
        serve = signatures.serving_default(generator, histogram_match, grain)
        endpoints["serving_default"] = serve, tf.TensorSpec(shape, tf.uint8, "lr")
        endpoints["upscale"] = signatures.upscale(generator), lr
    norms = [each for each in generator.layers if isinstance(each, InstanceNormalization)]
    if norms:
        styles = [tf.TensorSpec([1, i.shape[1]], tf.float32, "style") for i in generator.inputs[1:]]
        measured = 2 * sum(each.gamma.shape[1] for each in norms)
        statistics = tf.TensorSpec([measured], tf.float32, "statistics")
        endpoints["paint"] = signatures.paint(generator), lr, *styles
        endpoints["tile"] = signatures.tile(generator), lr, *styles, statistics
    return endpoints


def _calibration(
    photographs: list[np.ndarray], fixed_size: tuple[int, int] | None
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    for lr in _fitted(photographs, fixed_size):
        yield "upscale", {"lr": lr[None].astype(np.float32)}
        yield "serving_default", {"lr": lr[None]}


def _fitted(photographs: list[np.ndarray], fixed_size: tuple[int, int] | None) -> list[np.ndarray]:
    """Cuts photographs to a size, repeating those that are too small."""
    if not fixed_size:
        return photographs
    height, width = fixed_size
    return [
        np.tile(lr, (-(-height // lr.shape[0]), -(-width // lr.shape[1]), 1))[:height, :width]
        for lr in photographs
    ]


def save_serving(
    generator: keras.Model,
    scale: int,
    folder: Path,
    histogram_match: bool = True,
    grain: float = 0.0,
    pixel_limit: int = 4_000_000,
    check: Callable[[Path], Any] = lambda path: None,
) -> Path:
    """Writes the next version of a model for TF Serving.

    Args:
        generator: a functional model from `lr` to `sr`, float32.
        scale: its scale.
        folder: the model's own, `exports/<model>`; the new version is a folder in it, named by
            the integer after the largest there.
        histogram_match: whether `serving_default` and `serve_bytes` match levels.
        grain: that these two give their input, in levels.
        pixel_limit: largest number of pixels of an image that `serve_bytes` takes.
        check: called with the finished SavedModel before it gets its name; if it raises, nothing
            is left behind.

    Returns:
        The version's folder. It appears whole: a server that polls never sees half of it.

    Raises:
        ExportError: if it cannot be written; nothing is left behind.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Not an integer, so a server that polls passes over it.
        beside = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder))
    except OSError as error:
        raise ExportError(f"{folder}: cannot be written: {error.strerror}") from None
    strings = tf.TensorSpec([None], tf.string, "image_bytes")
    serve_bytes = signatures.serve_bytes(generator, scale, histogram_match, grain, pixel_limit)
    try:
        _save(
            str(beside),
            generator,
            {
                **_endpoints(generator, histogram_match, grain, [None, None, None, 3]),
                "serve_bytes": (serve_bytes, strings),
            },
        )
        warmup.write(beside / "assets.extra" / "tf_serving_warmup_requests", folder.name)
        check(beside)
        beside.chmod(0o755)
        return _rename_to_next_version(beside, folder)
    except OSError as error:
        raise ExportError(f"{folder}: cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _rename_to_next_version(beside: Path, folder: Path) -> Path:
    versions = [int(p.name) for p in folder.iterdir() if p.name.isdecimal()]
    for version in itertools.count(max(versions, default=0) + 1):
        # Renaming onto a folder that another export has made meanwhile fails, unless it is empty.
        with contextlib.suppress(OSError):
            target = folder / str(version)
            os.rename(beside, target)
            return target
        if not (folder / str(version)).exists():
            raise ExportError(f"{folder}: cannot be written")
    raise AssertionError  # count never ends


def _save(folder: str, generator: keras.Model, endpoints: dict[str, tuple]) -> None:
    archive = keras.export.ExportArchive()
    archive.track(generator)
    for name, (function, *specs) in endpoints.items():
        archive.add_endpoint(name, function, specs)
    try:
        archive.write_out(folder, verbose=False)
    except tf.errors.OpError as error:
        # A full disk is one: a path and, behind a semicolon, the reason.
        reason = error.message.rpartition("; ")[2]
        raise ExportError(f"{folder}: cannot be written: {reason}") from None

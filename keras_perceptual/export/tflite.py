"""LiteRT files, made of builtin operators only, that a phone can run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator

import keras
import numpy as np
import tensorflow as tf

from keras_perceptual.errors import ExportError, first_line
from keras_perceptual.export import signatures
from keras_perceptual.export.lowering import lowered
from keras_perceptual.export.quantization import Ranges, patches, quantized
from keras_perceptual.export.saved_model import save, write_errors

__all__ = ["QUANTIZATIONS", "fitted", "to_tflite"]

QUANTIZATIONS = ("none", "float16", "dynamic", "int8", "int8-full")


def to_tflite(
    generator: keras.Model,
    histogram_match: str = "affine",
    grain: float = 0.0,
    quantize: str = "none",
    photographs: Iterable[np.ndarray] = (),
    fixed_size: tuple[int, int] | None = None,
    ranges: Ranges | None = None,
) -> bytes:
    """Converts a generator to a .tflite file of builtin operators.

    Args:
        generator: a functional model from `lr` to `sr`, float32.
        histogram_match: `affine`, `paper` or `none`, the post-process of `serving_default`.
        grain: that `serving_default` gives its input, in levels.
        quantize: `none`; `float16` weights; `dynamic`, 8-bit weights; `int8`, weights and
            activations of residual blocks in 8 bits; or `int8-full`, those of all layers.
        photographs: `[H, W, 3]` uint8, that `int8` and `int8-full` are calibrated on.
        fixed_size: LR (height, width) for delegates that want static shapes, of a batch of one;
            by default batch, height and width are dynamic.
        ranges: of activations, that `finetuned` gives beside a generator for `int8`; by default
            they are measured.

    Returns:
        The file's bytes. Its signatures share their weights: `serving_default` from `lr` uint8 to
        `sr` uint8, and `upscale` from `lr` float32 to `sr` float32; for a style generator also
        `paint` and `tile`, and these alone for one of several styles.

    Raises:
        ExportError: if an operator has no builtin, or `int8` has no photographs, no residual
            blocks or no litert-quantizer.
        ValueError: for an unknown `quantize`.
    """
    if quantize not in QUANTIZATIONS:
        raise ValueError(f"expected quantize of {QUANTIZATIONS}, received {quantize!r}")
    photographs = list(photographs)
    if quantize.startswith("int8") and not photographs:
        raise ExportError(f"{quantize} needs photographs to calibrate on")
    shape = [1, *fixed_size, 3] if fixed_size else [None, None, None, 3]
    generator = lowered(generator)
    endpoints = signatures.endpoints(generator, histogram_match, grain, shape)
    with write_errors("a temporary folder"), tempfile.TemporaryDirectory() as folder:
        save(folder, generator, endpoints)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[*endpoints])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if quantize not in ("none", "int8"):
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if quantize == "int8-full":
            converter.representative_dataset = lambda: _calibration(photographs, fixed_size)
        try:
            content = converter.convert()
        except Exception as error:  # the converter raises its own, RuntimeError among them
            raise ExportError(f"cannot be converted: {first_line(error)}") from error
    if quantize != "int8":
        return content
    whole = (lr[None] for lr in fitted(photographs, fixed_size))
    batches = whole if fixed_size else patches(photographs)
    return quantized(content, batches, ranges=ranges)


def _calibration(
    photographs: list[np.ndarray], fixed_size: tuple[int, int] | None
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    for lr in fitted(photographs, fixed_size):
        yield "upscale", {"lr": lr[None].astype(np.float32)}
        yield "serving_default", {"lr": lr[None]}


def fitted(photographs: list[np.ndarray], fixed_size: tuple[int, int] | None) -> list[np.ndarray]:
    """Cuts photographs to a size, repeating those that are too small."""
    if not fixed_size:
        return photographs
    height, width = fixed_size
    return [
        np.tile(lr, (-(-height // lr.shape[0]), -(-width // lr.shape[1]), 1))[:height, :width]
        for lr in photographs
    ]

"""ONNX files of Keras models, by way of LiteRT. Needs the packages of the extra `onnx`."""

from __future__ import annotations

import json

import keras
import numpy as np

from keras_perceptual.errors import ExportError, OnnxError
from keras_perceptual.export.tflite import to_tflite
from keras_perceptual.export.verification import Signatures
from keras_perceptual.inference import onnx_translation
from keras_perceptual.inference.onnx_session import open_session
from keras_perceptual.models.describing import describe
from keras_perceptual.pixels.resampling import to_uint8

__all__ = ["open_onnx", "to_onnx"]


def to_onnx(generator: keras.Model) -> bytes:
    """Converts a generator to an ONNX file.

    Args:
        generator: a functional model from `lr` to `sr`, float32.

    Returns:
        The file's bytes: `lr` float32 `[N, H, W, 3]` -> `sr` float32, without post-process;
        batch, height and width are dynamic.

    Raises:
        ExportError: if packages are not installed, or an operator has no equal.
    """
    about = {"keras_perceptual": json.dumps(describe(generator).descriptor.to_dict())}
    try:
        return onnx_translation.to_onnx(to_tflite(generator, "none"), "upscale", about)
    except OnnxError as error:
        raise ExportError(str(error)) from error


def open_onnx(content: bytes, threads: int | None = None) -> Signatures:
    """Opens an ONNX file's bytes with ONNX Runtime on the CPU.

    Args:
        content: the file.
        threads: processor cores to use; all by default.

    Returns:
        Its functions; `serving_default` is `upscale`, clipped and rounded.

    Raises:
        ExportError: if ONNX Runtime is not installed.
    """
    try:
        session = open_session(content, threads)
    except OnnxError as error:
        raise ExportError(str(error)) from error

    def upscale(lr: np.ndarray) -> np.ndarray:
        return session.run(["sr"], {"lr": lr})[0]

    return Signatures(lambda lr: to_uint8(upscale(lr.astype(np.float32))), upscale)

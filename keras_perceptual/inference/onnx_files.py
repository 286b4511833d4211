"""The ONNX files of .tflite files: made when they are first needed, and kept."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from keras_perceptual import __version__
from keras_perceptual.errors import BlendError, EngineError, OnnxError
from keras_perceptual.inference.blending import Blend, blend_tflite
from keras_perceptual.inference.litert import read_tflite
from keras_perceptual.inference.onnx_translation import to_onnx
from keras_perceptual.system.atomic import atomic_path
from keras_perceptual.system.cache import cache_folder

__all__ = ["onnx_file"]


def onnx_file(path: Path, signature: str, blend: Blend | None = None) -> Path | bytes:
    """Returns what ONNX Runtime opens for a model.

    Args:
        path: an .onnx file, which is returned, or a .tflite file.
        signature: of the .tflite file.
        blend: what to blend into the .tflite file.

    Returns:
        The file, or the content of one that cannot be kept, or need not, such as a blend.

    Raises:
        EngineError: if the file cannot be read, blended, or translated.
    """
    try:
        if path.suffix == ".onnx":
            if blend:
                raise BlendError("expected .tflite files to blend, received .onnx")
            return path
        content = read_tflite(path)
        if blend:
            content = blend_tflite(content, read_tflite(blend.path), blend.share)
            return to_onnx(content, signature)
        return _kept(content, signature)
    except BlendError as error:
        raise EngineError(f"{path} and {blend and blend.path}: {error}") from None
    except OnnxError as error:
        raise EngineError(f"{path}: {error}") from None


def _kept(content: bytes, signature: str) -> Path | bytes:
    """Returns the file that was made of a .tflite file's content, or makes it."""
    name = f"{hashlib.sha256(content).hexdigest()}-{signature}-{__version__}.onnx"
    try:
        file = cache_folder() / "onnx" / name
    except RuntimeError:  # no home
        return to_onnx(content, signature)
    if file.is_file():
        return file
    made = to_onnx(content, signature)
    with contextlib.suppress(OSError):  # such as a home that cannot be written to
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(file) as beside:
            beside.write_bytes(made)
        return file
    return made

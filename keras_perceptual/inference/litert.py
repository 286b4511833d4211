"""LiteRT's interpreter, and what a .tflite file goes through before it gets there."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from keras_perceptual import zoo
from keras_perceptual.errors import EngineError, reason
from keras_perceptual.inference.flatbuffers import check
from keras_perceptual.inference.trial import run_apart
from keras_perceptual.system.processor import cores

__all__ = ["interpreter", "read_tflite"]


def read_tflite(path: Path) -> bytes:
    """Reads a .tflite file; one that does not ship is checked, and run in a process of its own.

    Args:
        path: of the file.

    Raises:
        EngineError: if it cannot be read, points outside itself, or crashes LiteRT.
    """
    try:
        content = path.read_bytes()
        if not zoo.ships(path.parent):
            _examine(content)
    except OSError as error:
        raise EngineError(f"{path}: cannot be read: {reason(error)}") from None
    except ValueError as error:
        raise EngineError(f"{path}: expected a LiteRT model: {error}") from None
    return content


@lru_cache(4)  # a style, or a model with fidelity, is opened twice
def _examine(content: bytes) -> None:
    check(content)
    run_apart(content)


def interpreter(content: bytes, threads: int | None) -> Any:
    """Returns LiteRT's interpreter for a file's content.

    Args:
        content: of a file, as `read_tflite` gives it.
        threads: processor cores to use; all by default.
    """
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_content=content, num_threads=cores(threads))

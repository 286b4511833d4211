"""Engines: what runs a generator. Small, alike, and only the one asked for is imported."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

__all__ = ["ENGINES", "Engine", "EngineError", "KerasEngine", "LiteRTEngine", "open_engine"]


class EngineError(Exception):
    """A model file that cannot be loaded or run."""


class Engine(Protocol):
    """Runs a generator on a batch."""

    def run(self, lr: np.ndarray) -> np.ndarray:
        """Enlarges a batch.

        Args:
            lr: `[N, H, W, 3]` float32 RGB in 0..255.

        Returns:
            sr: `[N, scale H, scale W, 3]` float32 in about the same range.
        """
        ...


class LiteRTEngine:
    """Runs the `upscale` signature of a .tflite file with LiteRT on the CPU.

    Args:
        path: the file.
        threads: processor cores to use; all by default.

    Raises:
        EngineError: if the file is not such a model.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            content = path.read_bytes()
            with _quiet_stderr():
                self._interpreter = Interpreter(
                    model_content=content, num_threads=threads or os.cpu_count() or 1
                )
                self._upscale = self._interpreter.get_signature_runner("upscale")
                (self._input,) = self._upscale.get_input_details()
                (self._output,) = self._upscale.get_output_details()
                self.run(np.zeros((1, 8, 8, 3), np.float32))
        except OSError as error:
            raise EngineError(f"{path}: {error.strerror}") from None
        except (ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise EngineError(
                f"{path}: expected a LiteRT model with a signature upscale: {reason}"
            ) from None

    def run(self, lr: np.ndarray) -> np.ndarray:
        try:
            return self._upscale(**{self._input: lr})[self._output]
        except (ValueError, RuntimeError) as error:
            raise EngineError(f"the model cannot run on {lr.shape}: {error}") from None


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Hides what LiteRT's C++ says on standard error of the delegate it made."""
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


class KerasEngine:
    """Runs a .keras file with Keras.

    Args:
        path: the file, loaded in safe mode.
        threads: processor cores to use, under TensorFlow; all by default.

    Raises:
        EngineError: if Keras is not installed or the file is not such a model.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        try:
            import keras

            from keras_perceptual import layers  # noqa: F401  registers what the file may hold
        except ImportError as error:
            raise EngineError(
                f"the engine keras needs the packages of requirements.txt: {error}"
            ) from None
        if threads and keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            tf.config.threading.set_intra_op_parallelism_threads(threads)
        try:
            self._model = keras.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:  # zipfile, h5py and Keras each raise their own
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise EngineError(f"{path}: cannot be loaded as a Keras model: {reason}") from None

    def run(self, lr: np.ndarray) -> np.ndarray:
        return np.asarray(self._model.predict_on_batch(lr))


ENGINES: dict[str, tuple[Callable[[Path, int | None], Engine], str]] = {
    "litert": (LiteRTEngine, ".tflite"),
    "keras": (KerasEngine, ".keras"),
}


def open_engine(model: Path, engine: str = "auto", threads: int | None = None) -> Engine:
    """Opens a model file, or the fitting file of a shipped model's folder.

    Args:
        model: a .tflite or .keras file, or a folder with `model.tflite` and `model.keras`.
        engine: `litert`, `keras`, or `auto`: LiteRT unless the file is a .keras one.
        threads: processor cores to use; all by default.

    Returns:
        The engine.

    Raises:
        EngineError: if there is no such file, it is of another engine, or cannot be loaded.
    """
    if engine == "auto":
        engine = "keras" if model.suffix == ".keras" else "litert"
    if engine not in ENGINES:
        raise EngineError(f"expected an engine auto or of {sorted(ENGINES)}, received {engine!r}")
    kind, ending = ENGINES[engine]
    file = model / f"model{ending}" if model.is_dir() else model
    if not file.is_file():
        raise EngineError(f"{file}: no such model file")
    if file.suffix != ending:
        raise EngineError(f"{file}: expected a {ending} file for the engine {engine}")
    return kind(file, threads)

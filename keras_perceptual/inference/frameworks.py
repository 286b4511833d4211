"""TensorFlow and Keras, loaded when an engine needs them."""

from __future__ import annotations

import importlib
from typing import Any

from keras_perceptual.errors import EngineError
from keras_perceptual.system import memory
from keras_perceptual.system.quiet import quiet_stderr

__all__ = ["load_keras", "load_tensorflow"]


def load_keras(threads: int | None) -> Any:
    """Returns the module `keras`, and loads what reads this project's models.

    Args:
        threads: processor cores to use, under TensorFlow; all by default.

    Raises:
        EngineError: if it is not installed, or TensorFlow runs with other threads already.
        MemoryError: if `ulimit -v` leaves too little.
    """
    keras = _load("keras", "keras")
    _load("keras_perceptual.models.loading", "keras")
    if keras.backend.backend() == "tensorflow":
        load_tensorflow(threads, "keras")
    return keras


def load_tensorflow(threads: int | None, engine: str = "saved_model") -> Any:
    """Returns the module `tensorflow`, which takes threads before its first operation only.

    Raises:
        EngineError, MemoryError: as for `load_keras`.
    """
    tf = _load("tensorflow", engine)
    if threads and tf.config.threading.get_intra_op_parallelism_threads() != threads:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
        except RuntimeError as error:
            raise EngineError(
                f"expected threads before TensorFlow is first used, received {threads} after that"
            ) from error
    return tf


def _load(module: str, engine: str) -> Any:
    memory.expect_address_space(memory.WITH_TENSORFLOW)
    try:
        with quiet_stderr():
            return importlib.import_module(module)
    except ImportError as error:
        raise EngineError(
            f"the engine {engine} needs the packages of requirements.txt: {error}"
        ) from None

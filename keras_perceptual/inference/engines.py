"""Engines: what runs a generator. Small, alike, and only the one asked for is imported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from keras_perceptual import zoo
from keras_perceptual.errors import BlendError, EngineError, ZooError, first_line
from keras_perceptual.inference import saved_models
from keras_perceptual.inference.blending import Blend, blend_tflite, blend_weights
from keras_perceptual.inference.checked import checked
from keras_perceptual.inference.frameworks import load_keras, load_tensorflow
from keras_perceptual.inference.levels import level_runner
from keras_perceptual.inference.litert import interpreter, read_tflite
from keras_perceptual.pixels.levels import as_integers
from keras_perceptual.system.quiet import quiet_stderr

__all__ = [
    "DEVICES",
    "ENGINES",
    "Engine",
    "KerasEngine",
    "LiteRTEngine",
    "SavedModelEngine",
    "engine_name",
    "model_file",
    "open_engine",
]


class Engine(Protocol):
    """Runs a generator, in the file at `path`, on a batch."""

    path: Path

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

    Of a file that is 8 bits from end to end, `run` rounds what it is given.

    Args:
        path: the file.
        threads: processor cores to use; all by default.
        blend: what to blend into it.

    Raises:
        EngineError: if the file is not such a model.
    """

    # From `[N, H, W, 3]` uint8 to the same larger, where the file needs no other numbers.
    run_levels: Callable[[np.ndarray], np.ndarray] | None = None

    def __init__(self, path: Path, threads: int | None = None, blend: Blend | None = None) -> None:
        self.path = path
        content = read_tflite(path)
        try:
            if blend:
                content = blend_tflite(content, read_tflite(blend.path), blend.share)
            with quiet_stderr():
                self._interpreter = interpreter(content, threads)
                self._upscale = self._interpreter.get_signature_runner("upscale")
                (self._input,) = self._upscale.get_input_details()
                (self._output,) = self._upscale.get_output_details()
                self.run_levels = level_runner(self._upscale, path.stem)
                self.run(np.zeros((1, 8, 8, 3), np.float32))
        except BlendError as error:
            raise EngineError(f"{path} and {blend and blend.path}: {error}") from None
        except (ValueError, RuntimeError) as error:
            raise EngineError(
                f"{path}: expected a LiteRT model with a signature upscale: {first_line(error)}"
            ) from None

    @checked
    def run(self, lr: np.ndarray) -> np.ndarray:
        if self.run_levels:
            return self.run_levels(as_integers(lr.copy(), np.uint8))
        return self._upscale(**{self._input: lr})[self._output]


class KerasEngine:
    """Runs a .keras file with Keras.

    Args:
        path: the file, loaded in safe mode.
        threads: processor cores to use, under TensorFlow; all by default.
        blend: what to blend into it.

    Raises:
        EngineError: if Keras is not installed or the file is not such a model.
    """

    def __init__(self, path: Path, threads: int | None = None, blend: Blend | None = None) -> None:
        self.path = path
        load_keras(threads)
        self.model = _load(path)
        if blend:
            weights = self.model.get_weights(), _load(blend.path).get_weights()
            try:
                self.model.set_weights(blend_weights(*weights, blend.share))
            except BlendError as error:
                raise EngineError(f"{path} and {blend.path}: {error}") from None

    @checked
    def run(self, lr: np.ndarray) -> np.ndarray:
        return self.model.predict_on_batch(lr)


def _load(path: Path) -> Any:
    from keras_perceptual.models.loading import load_file

    try:
        return load_file(path)
    except ZooError as error:
        raise EngineError(str(error)) from error


class SavedModelEngine:
    """Runs the `upscale` signature of a SavedModel with TensorFlow.

    Args:
        path: the folder with `saved_model.pb`, or one of version folders as TF Serving has
            them, of which the latest is taken.
        threads: processor cores to use; all by default.
        blend: must be None: what is frozen cannot be blended.

    Raises:
        EngineError: if TensorFlow is not installed, the folder is not such a model, or a blend is
            asked for.
    """

    def __init__(self, path: Path, threads: int | None = None, blend: Blend | None = None) -> None:
        if blend:
            raise EngineError("the engine saved_model cannot blend models; litert and keras can")
        self.path = path
        tf = load_tensorflow(threads)
        if not (path / "saved_model.pb").is_file():
            path /= str(max(_versions(path), default=0))
        try:
            saved_models.check(path)
            self.model = tf.saved_model.load(str(path))
            self._upscale = self.model.signatures["upscale"]
        except Exception as error:  # protobuf, the file system and TensorFlow raise their own
            raise EngineError(
                f"{path}: expected a SavedModel with a signature upscale: {first_line(error)}"
            ) from None

    @checked
    def run(self, lr: np.ndarray) -> np.ndarray:
        return self._upscale(lr=lr)["sr"].numpy()


def _versions(folder: Path) -> list[int]:
    return [
        int(p.parent.name) for p in folder.glob("*/saved_model.pb") if p.parent.name.isdecimal()
    ]


ENGINES = ("litert", "keras", "saved_model", "onnx")
DEVICES = ("auto", "cpu", "gpu")
_ENDINGS = {"litert": (".tflite",), "keras": (".keras",), "onnx": (".onnx", ".tflite")}


def open_engine(
    model: Path,
    engine: str = "auto",
    threads: int | None = None,
    blend: Blend | None = None,
    device: str = "auto",
) -> Engine:
    """Opens a model file, or the fitting file of a shipped model's folder.

    Args:
        model: a .tflite, .keras or .onnx file, a folder with `model.tflite` and `model.keras`, or
            a SavedModel's folder or that of its versions.
        engine: `litert`, `keras`, `saved_model` or `onnx`; `auto` takes the one that fits the
            model, LiteRT where several do, ONNX Runtime if it is to run on a GPU.
        threads: processor cores to use; all by default.
        blend: what to blend into it; its path may be a shipped model's folder too.
        device: `cpu`, `gpu` or `auto`, as `engine_name` takes them.

    Returns:
        The engine.

    Raises:
        EngineError: if there is no such file or device, it is of another engine, or cannot be
            loaded.
    """
    engine = engine_name(model, engine, device)
    if engine == "saved_model":
        if not _is_saved_model(model):
            raise EngineError(f"{model}: expected a folder with a SavedModel or versions of one")
        return SavedModelEngine(model, threads, blend)
    if blend:
        blend = Blend(model_file(blend.path, engine), blend.share)
    file = model_file(model, engine)
    if engine == "onnx":
        from keras_perceptual.inference.onnx_engine import OnnxEngine

        return OnnxEngine(file, threads, blend, device)
    return (KerasEngine if engine == "keras" else LiteRTEngine)(file, threads, blend)


def engine_name(model: Path, engine: str = "auto", device: str = "auto") -> str:
    """Returns the name of the engine that a model gets, as `open_engine` chooses it.

    Args:
        model: the file or folder.
        engine: one of `ENGINES`, or `auto`.
        device: `cpu`, or `gpu`, which only ONNX Runtime can be told to take; `auto` leaves it to
            the engine: ONNX Runtime and TensorFlow take a GPU where they find one.

    Raises:
        EngineError: if there is no engine of this name, or it cannot be told the device.
    """
    if engine not in ("auto", *ENGINES):
        raise EngineError(f"expected an engine auto or of {sorted(ENGINES)}, received {engine!r}")
    if device not in DEVICES:
        raise EngineError(f"expected a device of {DEVICES}, received {device!r}")
    if engine == "auto":
        engine = _fitting(model, device)
    if engine == "litert" and device == "gpu":
        raise EngineError("the engine litert runs on the processor; the engine onnx takes a GPU")
    if engine in ("keras", "saved_model") and device != "auto":
        raise EngineError(
            f"the engine {engine} takes the device that its framework finds, it cannot be told "
            f"{device}; the engine onnx can"
        )
    return engine


def _fitting(model: Path, device: str) -> str:
    if model.suffix in (".keras", ".onnx"):
        return model.suffix[1:]
    if _is_saved_model(model):
        return "saved_model"
    return "onnx" if device == "gpu" else "litert"


def model_file(model: Path, engine: str) -> Path:
    """Returns the file of a model, which may be a folder, for an engine.

    Raises:
        EngineError: if there is none, or it is another engine's.
    """
    endings = _ENDINGS[engine]
    file = model / f"model{endings[-1]}" if model.is_dir() else model
    if engine == "keras" and zoo.ships(model):
        try:
            file = zoo.checkpoint(model.name)
        except ZooError as error:
            raise EngineError(str(error)) from None
    if not file.is_file():
        raise EngineError(f"{file}: no such model file")
    if file.suffix not in endings:
        expected = " or ".join(endings)
        raise EngineError(f"{file}: expected a {expected} file for the engine {engine}")
    return file


def _is_saved_model(folder: Path) -> bool:
    return (folder / "saved_model.pb").is_file() or bool(_versions(folder))

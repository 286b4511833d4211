"""What runs a style generator: an engine that takes a style, and an image's statistics."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keras_perceptual.errors import EngineError, first_line
from keras_perceptual.inference.engines import (
    Engine,
    KerasEngine,
    SavedModelEngine,
    engine_name,
    model_file,
    open_engine,
)
from keras_perceptual.inference.litert import interpreter, read_tflite
from keras_perceptual.inference.onnx_files import onnx_file
from keras_perceptual.inference.onnx_session import open_session
from keras_perceptual.inference.onnx_translation import signatures
from keras_perceptual.system.quiet import quiet_stderr

__all__ = ["StyleEngine", "open_style_engine"]

Run = Callable[..., dict[str, Any]]


class StyleEngine:
    """Runs a style generator, in the file at `path`.

    Args:
        path: of the model.
        styles: number of styles that it paints.
        paint: from `lr` and, of several styles, `style`, to `sr` and `statistics`, as
            `signatures.paint` has them.
        tile: from `lr`, `style` and `statistics` to `sr`.
    """

    def __init__(self, path: Path, styles: int, paint: Run, tile: Run) -> None:
        self.path, self.styles, self._paint, self._tile = path, styles, paint, tile
        self._lock = threading.Lock()  # an engine has one set of buffers

    def paint(self, lr: np.ndarray, style: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Paints an image, or parts that stand for it, with its own statistics.

        Args:
            lr: `[N, H, W, 3]` float32 RGB in 0..255.
            style: `[1, styles]` float32, the weight of each style, of sum 1.

        Returns:
            sr, `[N, H, W, 3]` float32, and the statistics, `[K]` float32.

        Raises:
            EngineError: if the model cannot run on it.
        """
        result = self._run(self._paint, lr, style)
        return result["sr"], result.get("statistics", np.zeros(0, np.float32))

    def tile(self, lr: np.ndarray, style: np.ndarray, statistics: np.ndarray) -> np.ndarray:
        """Paints a part of an image whose statistics are known; the rest as for `paint`."""
        return self._run(self._tile, lr, style, statistics=statistics)["sr"]

    def example(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns noise and an even mixture of the styles, for `paint`."""
        noise = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
        return noise, np.full((1, self.styles), 1 / self.styles, np.float32)

    def _run(self, run: Run, lr: np.ndarray, style: np.ndarray, **more: np.ndarray) -> dict:
        given = {"lr": lr, **({"style": style} if self.styles > 1 else {}), **more}
        try:
            with self._lock:
                result = {n: np.asarray(v, np.float32) for n, v in run(**given).items()}
            shape = result["sr"].shape
        except EngineError:
            raise
        except Exception as error:  # each runtime raises its own
            raise EngineError(f"the model cannot run on {lr.shape}: {first_line(error)}") from None
        if shape != lr.shape:
            raise EngineError(
                f"{self.path.stem}: expected a style generator, received {shape} from {lr.shape}"
            )
        return result


def open_style_engine(
    model: Path, engine: str = "auto", threads: int | None = None, device: str = "auto"
) -> StyleEngine:
    """Opens a style generator; the arguments are those of `engines.open_engine`.

    A generator without instance normalisation, which needs no statistics, is one of one style.

    Raises:
        EngineError: if there is no such file or device, it is of another engine, or cannot be
            loaded.
    """
    engine = engine_name(model, engine, device)
    if engine == "litert":
        opened = _open_litert(model_file(model, engine), threads)
        if opened:
            return opened
    if engine == "onnx":
        opened = _open_onnx(model_file(model, engine), threads, device)
        if opened:
            return opened
    plain = open_engine(model, engine, threads, device=device)
    if isinstance(plain, KerasEngine):
        return _of_keras(plain)
    if isinstance(plain, SavedModelEngine) and "paint" in plain.model.signatures:
        paint, tile = (_numpy(plain.model.signatures[name]) for name in ("paint", "tile"))
        return StyleEngine(plain.path, 1, paint, tile)
    return _local(plain)


def _local(engine: Engine) -> StyleEngine:
    def run(lr: np.ndarray, **_: np.ndarray) -> dict:
        return {"sr": engine.run(lr), "statistics": np.zeros(0, np.float32)}

    return StyleEngine(engine.path, 1, run, run)


def _open_litert(path: Path, threads: int | None) -> StyleEngine | None:
    content = read_tflite(path)
    try:
        with quiet_stderr():
            opened = interpreter(content, threads)
            if "paint" not in opened.get_signature_list():
                return None
            paint, tile = (opened.get_signature_runner(name) for name in ("paint", "tile"))
            style = paint.get_input_details().get("style")
            engine = StyleEngine(path, int(style["shape"][1]) if style else 1, paint, tile)
            engine.paint(*engine.example())
    except (ValueError, RuntimeError, LookupError) as error:
        raise EngineError(f"{path}: expected a LiteRT model: {first_line(error)}") from None
    return engine


def _open_onnx(path: Path, threads: int | None, device: str) -> StyleEngine | None:
    if path.suffix == ".onnx" or "paint" not in signatures(read_tflite(path)):
        return None
    paint, tile = (
        open_session(onnx_file(path, name), threads, device) for name in ("paint", "tile")
    )
    styles = {each.name: each.shape[1] for each in paint.get_inputs()}.get("style", 1)
    return StyleEngine(path, styles, _named(paint), _named(tile))


def _named(session: Any) -> Run:
    names = [each.name for each in session.get_outputs()]

    def run(**inputs: np.ndarray) -> dict:
        return dict(zip(names, session.run(names, inputs), strict=True))

    return run


def _of_keras(engine: KerasEngine) -> StyleEngine:
    from keras_perceptual.models.normalization import (
        InstanceNormalization,
        given_statistics,
        recorded_statistics,
    )

    model = engine.model
    if not any(isinstance(layer, InstanceNormalization) for layer in model.layers):
        return _local(engine)

    def paint(**inputs: np.ndarray) -> dict:
        with recorded_statistics() as record:
            sr = np.array(model(_as_list(inputs), training=False))
        return {"sr": sr, "statistics": np.concatenate([np.asarray(each) for each in record])}

    def tile(statistics: np.ndarray, **inputs: np.ndarray) -> dict:
        with given_statistics(statistics):
            return {"sr": np.array(model(_as_list(inputs), training=False))}

    styles = model.inputs[1].shape[1] if len(model.inputs) > 1 else 1
    return StyleEngine(engine.path, styles, paint, tile)


def _as_list(inputs: dict) -> Any:
    return [inputs["lr"], inputs["style"]] if "style" in inputs else inputs["lr"]


def _numpy(signature: Any) -> Run:
    import tensorflow as tf

    def run(**inputs: np.ndarray) -> dict:
        outputs = signature(**{name: tf.constant(value) for name, value in inputs.items()})
        return {name: np.array(value) for name, value in outputs.items()}

    return run

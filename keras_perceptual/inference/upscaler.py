"""`Upscaler`: pictures through one model or two, to any size."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from keras_perceptual import zoo
from keras_perceptual.errors import EngineError
from keras_perceptual.inference.blending import Blend
from keras_perceptual.inference.converter import LARGEST_SCALE, Converter
from keras_perceptual.inference.cores import Cores
from keras_perceptual.inference.engines import Engine, engine_name, open_engine
from keras_perceptual.inference.enlargement import Enlargement
from keras_perceptual.inference.matching import matched
from keras_perceptual.inference.mixing import MixedEngine
from keras_perceptual.inference.request import Choice, Pipeline, Request
from keras_perceptual.inference.restoration import restoration
from keras_perceptual.inference.tiling import Pass, default_budget
from keras_perceptual.pixels.histograms import check_match
from keras_perceptual.pixels.smooth import Smooth
from keras_perceptual.system.processor import cores, fast_int8
from keras_perceptual.zoo.descriptor import ModelDescriptor, read

__all__ = ["PRECISIONS", "Upscaler"]

PRECISIONS = ("auto", "float32", "int8")
# Where a picture is left to bicubic interpolation. What JPEG made flat is a block of 8.
CLEAN, RESTORED = Smooth(radius=2, most=4), Smooth(radius=8, most=0)


class Upscaler(Converter):
    """Enlarges pictures. Several threads may share one.

    Args:
        model: name of a shipped model, or path of a model file; without one the shipped models
            trained on features are used, as `zoo.default_models` chooses them.
        scale: output size over input size, 1 to 16; by default the model's own, or 4. What is not
            native is reached by the next larger one, or two passes, and a bicubic reduction.
        fidelity: share, 0 to 1, of the weights of the shipped model of the same scale that was
            trained on pixels: from sharp to faithful.
        restore: how much damage, JPEG's and noise, is taken out: from 0, the clean model's result,
            to 1, the restoring one's. `auto` looks at each picture: 1 if it shows damage, else 0.
            Without `model` only; of two passes it concerns the first.
        histogram_match: `affine` takes out a shift of colour and contrast that the model adds;
            `paper` gives the result the distribution of levels of its input, as the paper does;
            `none` does neither.
        engine: `auto`, `litert`, `keras`, `saved_model` or `onnx`, as `engines.open_engine` takes
            them.
        device: `cpu`, `gpu` or `auto`, as `engines.engine_name` takes them.
        precision: `int8` takes the 8-bit files of shipped models; `auto` does where there is one
            and the processor makes it faster, but for uint16 pictures; `float32` never does.
        threads: processor cores to use; all by default.
        memory: bytes that tiles may take; by default half of what is free, up to 1 GiB.

    Attributes:
        name: of the model, or of two.
        path: the file of the model, the last of two.
        scale: output size over input size.

    Raises:
        ValueError: if `fidelity`, `restore` or `scale` is out of its range, there is `restore` for
            a `model`, `fidelity` or an engine but LiteRT in `int8`, or for an unknown
            `histogram_match` or `precision`.
        ZooError: if there is no such model.
        EngineError: if the model's file cannot be loaded or is no generator, has another
            architecture than what `fidelity` would blend into it, or is not there in `int8`.
    """

    def __init__(
        self,
        model: str | os.PathLike | None = None,
        *,
        scale: float | None = None,
        fidelity: float = 0.0,
        restore: float | str = "auto",
        histogram_match: str = "affine",
        engine: str = "auto",
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        memory: int | None = None,
    ) -> None:
        if not 0 <= fidelity <= 1:
            raise ValueError(f"expected a fidelity of 0 to 1, received {fidelity}")
        if restore != "auto":
            if isinstance(restore, str) or not 0 <= restore <= 1:
                raise ValueError(f"expected restore auto or 0 to 1, received {restore!r}")
            if model is not None:
                raise ValueError(
                    "expected restore or a model, received both; a model is used as is"
                )
        if precision not in PRECISIONS:
            raise ValueError(f"expected a precision of {PRECISIONS}, received {precision!r}")
        self._litert = engine in ("auto", "litert") and device != "gpu"
        if precision == "int8" and not self._litert:
            raise ValueError("expected the engine litert for int8, which no other has")
        if precision == "int8" and fidelity:
            raise ValueError("expected int8 or a fidelity, received both; 8 bits do not blend")
        if scale is not None and not 1 <= scale <= LARGEST_SCALE:
            raise ValueError(f"expected a scale of 1 to {LARGEST_SCALE}, received {scale:g}")
        self.histogram_match = check_match(histogram_match)
        self._early = histogram_match != "paper"
        self.memory = memory
        self._model, self._engine, self._device = model, engine, device
        self.threads, self._fidelity, self._restore = threads, fidelity, restore
        self._precision = precision
        self._opened: dict[tuple[str, float, bool], Pass] = {}
        self._lock = threading.Lock()
        if model is None:
            self.scale = scale or 4
        else:
            self.scale = scale or self._open(os.fspath(model), int8=self._int8()).scale
        passes = self._passes(self.scale, 0.0 if restore == "auto" else float(restore))
        self.name = _name(passes)
        self.path = passes[-1].engine.path if passes else Path()

    def _int8(self, deep: bool = False) -> bool:
        """Returns whether 8-bit files are taken for a picture, which may have 16 bits itself."""
        if self._precision != "auto":
            return self._precision == "int8"
        able = self._litert and not self._fidelity and not deep
        return able and fast_int8()

    def _passes(self, factor: float, restore: float = 0.0, deep: bool = False) -> list[Pass]:
        """Returns the passes that reach a factor, for a picture that may have 16 bits."""
        if factor <= 1:
            return []
        opened = partial(self._open, int8=self._int8(deep))
        if self._model is None:
            clean, restoring = (zoo.default_models(factor, each) for each in (False, True))
            if restore in (0, 1):
                return [opened(name) for name in (restoring if restore else clean)]
            first = opened(clean[0], restoring[0], restore)
            return [first, *(opened(name) for name in clean[1:])]
        one = opened(os.fspath(self._model))
        if factor > one.scale**2:
            raise ValueError(
                f"expected a scale of at most {one.scale**2}, two passes of {one.name}, "
                f"received {factor:g}"
            )
        return [one] if factor <= one.scale else [one, one]

    def _open(self, model: str, other: str = "", share: float = 0.0, *, int8: bool) -> Pass:
        """Returns the pass of a model, or of two that are mixed."""
        key = model, share, int8
        with self._lock:
            if key in self._opened:
                return self._opened[key]
            load = partial(self._load, model, other, share, int8)
            name, engine = load(self.threads)
            folder = engine.path.parent
            shipped = folder.name if zoo.ships(folder) else model
            smooth = RESTORED if share or shipped.endswith("-photo") else CLEAN
            if self._model is None:
                opened = Pass(engine, name, smooth=smooth)
            elif engine.path.stem.endswith("-int8"):  # in flat parts its 8 bits must not show
                opened = Pass(engine, name, smooth=smooth._replace(most=0))
            else:  # what somebody names is used as it is
                opened = Pass(engine, name)
            side_by_side = None
            if engine_name(engine.path, self._engine, self._device) == "litert":
                side_by_side = Cores(lambda: self._matched(load(1)[1]), cores(self.threads))
            opened = opened.with_engine(self._matched(engine), side_by_side)
            return self._opened.setdefault(key, opened)

    def _matched(self, engine: Engine) -> Engine:
        return matched(engine) if self.histogram_match == "affine" else engine

    def _load(
        self, model: str, other: str, share: float, int8: bool, threads: int | None
    ) -> tuple[str, Engine]:
        """Returns the name and the engine of a model, or of two that are mixed."""
        name, engine = self._load_one(model, int8, threads)
        if share:
            name = f"{name}, restore {share:g}"
            engine = MixedEngine(engine, self._load_one(other, int8, threads)[1], share)
        return name, engine

    def _load_one(self, model: str, int8: bool, threads: int | None) -> tuple[str, Engine]:
        """Returns the name and the engine of a model."""
        path = Path(model)
        shipped = model in zoo.names()
        if not shipped and not path.suffix and not path.exists():
            zoo.folder(model)  # raises, and names those that ship
        source = zoo.folder(model) if shipped else path
        name, blend = (model if shipped else path.stem), None
        if self._fidelity:
            about = zoo.descriptor(model) if shipped else self._described(source)
            blend = Blend(zoo.folder(zoo.faithful(about)), self._fidelity)
            name = f"{name}, fidelity {self._fidelity:g}"
        quantized = zoo.quantized(model) if shipped and int8 else None
        if self._precision == "int8" and not quantized:
            raise EngineError(f"{model}: has no 8-bit file; the precision auto takes what there is")
        source = quantized or source
        return name, open_engine(source, self._engine, threads, blend, self._device)

    def _described(self, source: Path) -> ModelDescriptor:
        """Returns what a model of somebody else's is; without a descriptor it is run once."""
        about = read(source)
        if about is None:
            engine = open_engine(source, self._engine, self.threads, device=self._device)
            about = ModelDescriptor("upscale", Pass(engine, source.stem).scale)
        return about

    def _pipeline(self, request: Request) -> Pipeline:
        factor = max(new / old for new, old in zip(request.size, request.shape, strict=False))
        restore, reason = 0.0, ""
        if self._restore != "auto":
            restore = float(self._restore)
        elif self._model is None and factor > 1:
            restore, reason = restoration(request.inspect(), factor)
        passes = self._passes(factor, restore, deep=request.dtype is np.uint16)
        if request.chosen:
            request.chosen(Choice(_name(passes), restore, reason))
        return Enlargement(
            request,
            passes,
            match=self.histogram_match == "paper",
            budget=self.memory or default_budget(),
        )

    def _settings(self) -> dict[str, Any]:
        model = None if self._model is None else os.fspath(self._model)
        return {
            "model": [model, self.name, self.path.name, self.path.stat().st_size],
            "fidelity": self._fidelity,
            "restore": self._restore,
            "histogram_match": self.histogram_match,
            "engine": [self._engine, self._device, self._int8()],
        }

    upscale, upscale_file = Converter.convert, Converter.convert_file


def _name(passes: Sequence[Pass]) -> str:
    return " + ".join(each.name for each in passes) or "copy"

"""`Stylizer`: pictures painted in a style, at any size."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_perceptual import zoo
from keras_perceptual.inference.converter import LARGEST_SCALE, Converter
from keras_perceptual.inference.painting import Painter, Painting
from keras_perceptual.inference.request import Pipeline, Request
from keras_perceptual.inference.scenes import Scenes
from keras_perceptual.inference.sequence import Sequence, State
from keras_perceptual.inference.style_engines import open_style_engine
from keras_perceptual.inference.tiling import Pass, default_budget
from keras_perceptual.pixels.grain import GRAIN

__all__ = ["Stylizer"]

COSTS = (64, 256)  # larger than a Pass has them: a style generator puts 80 pixels around
LEAST_COST = 800.0  # bytes a pixel of the shipped one


class Stylizer(Converter):
    """Paints pictures in a style. Several threads may share one.

    Args:
        style: name of a shipped style; the path of a model file, with `#2` behind it for the
            second style of several; or such names with their weights, for a mixture of styles of
            one network.
        scale: output size over input size, above 0 and up to 16; the picture is resized before it
            is painted, so that strokes keep their size.
        strength: 0 to 1, from the picture as it was to the painting.
        preserve_colour: whether to take brightness alone from the painting.
        grain: faint noise that the network is given to paint by, its standard deviation in
            levels; with 0, flat parts of a picture stay flat.
        engine: `auto`, `litert`, `keras`, `saved_model` or `onnx`, as `engines.open_engine` takes
            them.
        device: `cpu`, `gpu` or `auto`, as `engines.engine_name` takes them.
        threads: processor cores to use; all by default.
        memory: bytes that tiles may take; by default half of what is free, up to 1 GiB.

    Attributes:
        name: of the style, or the mixture.
        path: the file of the model.
        scale: output size over input size.

    Raises:
        ValueError: if `scale`, `strength` or `grain` is out of its range, a weight is not positive,
            or the styles are not of one network.
        ZooError: if there is no such style.
        EngineError: if the model's file cannot be loaded or paints no styles.
    """

    paints = True

    def __init__(
        self,
        style: str | os.PathLike | Mapping[str, float],
        *,
        scale: float = 1.0,
        strength: float = 1.0,
        preserve_colour: bool = False,
        grain: float = GRAIN,
        engine: str = "auto",
        device: str = "auto",
        threads: int | None = None,
        memory: int | None = None,
    ) -> None:
        if not 0 < scale <= LARGEST_SCALE:
            raise ValueError(
                f"expected a scale above 0 and up to {LARGEST_SCALE}, received {scale:g}"
            )
        if not 0 <= strength <= 1:
            raise ValueError(f"expected a strength of 0 to 1, received {strength}")
        if not 0 <= grain <= 255:
            raise ValueError(f"expected a grain of 0 to 255 levels, received {grain}")
        mixture = style if isinstance(style, Mapping) else {os.fspath(style): 1.0}
        if not mixture or min(mixture.values()) <= 0:
            raise ValueError(f"expected positive weights of styles, received {dict(mixture)}")
        places = {name: zoo.find_style(name) for name in mixture}
        models = {model for model, _ in places.values()}
        if len(models) > 1:
            raise ValueError(
                f"expected styles of one network to mix, received {', '.join(map(str, models))}"
            )
        opened = open_style_engine(models.pop(), engine, threads, device)
        weights = np.zeros((1, opened.styles), np.float32)
        for name, (_, number) in places.items():
            if number >= opened.styles:
                raise ValueError(f"{name}: expected a style up to #{opened.styles}")
            weights[0, number] += mixture[name] / sum(mixture.values())
        self.name = "+".join(map(zoo.short_name, mixture))
        self.path, self.scale = opened.path, scale
        self.strength, self.preserve_colour = strength, preserve_colour
        self.grain, self.memory, self.threads = grain, memory, threads
        self._mixture = {name: mixture[name] / sum(mixture.values()) for name in mixture}
        self._painter = Painter(opened, weights)
        self._pass = Pass(self._painter.measured(opened.example()[0]), self.name, COSTS, LEAST_COST)

    def _pipeline(self, request: Request) -> Pipeline:
        return self._painting(request)

    def _painting(
        self, request: Request, held: Painter | None = None, place: tuple[int, int] = (0, 0)
    ) -> Painting:
        return Painting(
            request,
            self._painter,
            self._pass,
            strength=self.strength,
            preserve_colour=self.preserve_colour,
            grain=self.grain,
            budget=self.memory or default_budget(),
            held=held,
            place=place,
        )

    def _sequence(self, state: State) -> Sequence:
        return Scenes(
            self._painting,
            self._painter,
            self._pass,
            grain=self.grain,
            budget=self.memory or default_budget(),
            state=state,
        )

    def _settings(self) -> dict[str, Any]:
        return {
            "style": self._mixture,
            "model": [self.path.name, self.path.stat().st_size],
            "strength": self.strength,
            "preserve_colour": self.preserve_colour,
            "grain": self.grain,
            "scale": self.scale,
        }

    stylize, stylize_file = Converter.convert, Converter.convert_file

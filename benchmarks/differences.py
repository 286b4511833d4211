"""What each difference from the paper does, by short trainings that differ in it alone:

    python benchmarks/differences.py --data PHOTOGRAPHS --set SET5 --out FOLDER

prints a Markdown table: PSNR and SSIM on the set, with LR as supplied and with LR blurred first as
in the paper. The runs stay in the folder, and those that are there already are not made again.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import keras

from keras_perceptual import Upscaler, training
from keras_perceptual.evaluation.benchmark import evaluate, mean
from keras_perceptual.models import generators
from keras_perceptual.models.upscaling import johnson, subpixel
from keras_perceptual.training import recipes

# So small that johnson, at its cost, can take part; averages of as many steps as are made.
BASE = recipes.get_recipe(
    "x4-pixel", batch_size=4, patch_size=96, epoch_steps=500, warmup=100, ema=0.99
)
PAPER = {"pixel_squared": 1.0}


def _normalised(scale: int, channels: int, blocks: int) -> keras.Model:
    """Returns `subpixel` with batch normalisation after every convolution of its blocks."""

    def call(layer, *args, **kwargs):
        x = layer(*args, **kwargs)
        inside = "block" in layer.name and "conv" in layer.name
        return keras.layers.BatchNormalization(name=f"{layer.name}_norm")(x) if inside else x

    return _changed(subpixel(scale, channels, blocks), call)


def _skipless(scale: int, channels: int, blocks: int) -> keras.Model:
    """Returns `subpixel` that has to make the whole image, not what the repeated input lacks."""

    def call(layer, *args, **kwargs):
        if layer.name == "skip_add":
            return keras.layers.Rescaling(1.0, offset=127.5, name="middle")(args[0][0])
        return layer(*args, **kwargs)

    return _changed(subpixel(scale, channels, blocks), call)


def _plain_johnson(scale: int, channels: int, blocks: int) -> keras.Model:
    """Returns `johnson` without batch normalisation."""

    def call(layer, *args, **kwargs):
        normalises = isinstance(layer, keras.layers.BatchNormalization)
        return args[0] if normalises else layer(*args, **kwargs)

    return _changed(johnson(scale, channels, blocks), call)


def _changed(model: keras.Model, call: Callable[..., Any]) -> keras.Model:
    return keras.models.clone_model(model, call_function=call, clone_function=lambda layer: layer)


JOHNSON = {"generator": "johnson", "channels": 64, "blocks": 4}
VARIANTS: dict[str, dict[str, Any]] = {
    "`x4-pixel`, shortened": {},
    "squared instead of absolute loss": {"loss": PAPER},
    "no long skip": {"generator": "skipless"},
    "batch normalisation": {"generator": "normalised"},
    "constant learning rate, no averaged weights": {"decay": "constant", "ema": 0.0},
    "photographs not reduced at random": {"shrink": 1.0},
    "LR blurred first": {"blur": 1.0},
    "`johnson`": JOHNSON,
    "`johnson`, squared loss": {**JOHNSON, "loss": PAPER},
    "`johnson`, squared loss, no batch normalisation": {
        **JOHNSON, "loss": PAPER, "generator": "plain_johnson",
    },
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of photographs")
    parser.add_argument("--set", type=Path, required=True, help="folder with HR/")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--precision", default="float32")
    arguments = parser.parse_args()
    generators.GENERATORS.update(
        normalised=_normalised, skipless=_skipless, plain_johnson=_plain_johnson
    )
    rows = []
    for number, (name, changes) in enumerate(VARIANTS.items()):
        run = arguments.out / f"{number}"
        numbers = {"steps": arguments.steps, "precision": arguments.precision, **changes}
        recipe = dataclasses.replace(BASE, **numbers)
        if not (run / "model.keras").exists():
            training.train(recipe, training.Sources(arguments.data), run)
        upscale = Upscaler(run / "model.keras", histogram_match="none").upscale
        cells = []
        for way in (None, training.DEGRADATIONS["blur-bicubic"]):
            row = mean(evaluate({"it": upscale}, arguments.set, 4, degradation=way)["it"])
            cells.append(f"{row['psnr_y']:.2f} / {row['ssim_y']:.4f}")
        rows.append(f"| {name} | {' | '.join(cells)} |")
    print(f"| {arguments.steps} steps | LR as supplied | LR blurred first |\n| --- | --- | --- |")
    print("\n".join(rows))


if __name__ == "__main__":
    main()

"""How far each shipped style goes, and how fast:

    python benchmarks/styles.py --photographs DIR --paintings DIR --vgg-weights FILE

prints the losses that the network was trained on, of its paintings and of the photographs
themselves; how much paintings change between frames, and when a large photograph is painted in
tiles; and seconds for a picture at several sizes.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from timeit import repeat

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
from PIL import Image

from keras_perceptual import training, zoo
from keras_perceptual.evaluation.benchmark import Upscale, style_losses
from keras_perceptual.files import images
from keras_perceptual.inference.stylizer import Stylizer
from keras_perceptual.training.recipe import Recipe

GIB = 2**30
BORDER = 24  # pixels that see what a shift moves in


def flicker(stylize: Upscale, photograph: np.ndarray) -> dict[str, float]:
    """Returns by how many levels in the mean a painting changes, by what changes before it.

    Args:
        stylize: from `[H, W, 3]` uint8 to the painting.
        photograph: `[H, W, 3]` uint8.
    """
    inner = slice(BORDER, -BORDER)
    before = stylize(photograph).astype(float)[inner, inner]
    noise = np.random.default_rng(0).normal(0, 2, photograph.shape)
    noisy = np.clip(photograph + noise, 0, 255).round().astype(np.uint8)
    changes = {"noise of 2 levels": np.abs(stylize(noisy)[inner, inner] - before).mean()}
    for pixels in (1, 2, 4):
        shifted = stylize(np.roll(photograph, pixels, axis=1)).astype(float)
        back = np.roll(shifted, -pixels, axis=1)[inner, inner]
        changes[f"shift of {pixels}"] = np.abs(back - before).mean()
    return changes


def tiled(style: str, photograph: np.ndarray) -> dict[str, float]:
    """Returns by how many levels in the mean a painting in tiles differs from one made at once.

    Args:
        style: its name.
        photograph: `[H, W, 3]` uint8, of more than a megapixel.
    """
    whole = Stylizer(style, memory=8 * GIB).stylize(photograph).astype(float)
    differences = {}
    for share in (1, 2, 4, 8):
        painted = Stylizer(style, memory=GIB // share).stylize(photograph)
        differences[f"{GIB // share // 2**20} MiB"] = np.abs(painted - whole).mean()
    return differences


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--paintings", type=Path, required=True, help="folder of style images")
    parser.add_argument("--vgg-weights", required=True)
    parser.add_argument("--sizes", nargs="+", type=int, default=[256, 512, 1024])
    arguments = parser.parse_args()
    photographs = {p.stem: images.read(p).pixels for p in images.list_images(arguments.photographs)}

    heading: list[str] = []
    for style, (model, _) in zoo.styles().items():
        card = zoo.card(model)
        painting = arguments.paintings / card["styles"][style]["painting"]
        sources = training.Sources("", "vgg16", arguments.vgg_weights, styles=(str(painting),))
        loss = training.build_loss(Recipe(**card["recipe"]), sources)
        for what, paint in (
            ("photographs", lambda pixels: pixels),
            (style, Stylizer(style).stylize),
        ):
            losses = style_losses(paint, photographs, loss).values()
            row = {term: np.mean([each[term] for each in losses]) for term in next(iter(losses))}
            if not heading:
                heading = ["", *row]
                print(f"| {' | '.join(heading)} |\n|{' --- |' * len(heading)}")
            print(f"| {what} | {' | '.join(f'{v:.3g}' for v in row.values())} |", flush=True)

    large = max(photographs.values(), key=lambda photograph: photograph.size)
    for changes in (
        lambda style: [flicker(Stylizer(style).stylize, each) for each in photographs.values()],
        lambda style: [tiled(style, large)],
    ):
        print()
        for number, style in enumerate(zoo.styles()):
            rows = changes(style)
            if not number:
                print(f"| | {' | '.join(rows[0])} |\n|{' --- |' * (1 + len(rows[0]))}")
            means = [np.mean([row[change] for row in rows]) for change in rows[0]]
            print(f"| {style} | {' | '.join(f'{mean:.1f}' for mean in means)} |", flush=True)

    stylize = Stylizer(next(iter(zoo.styles()))).stylize
    print("\n| side, pixels | seconds |\n| --- | --- |")
    for side in arguments.sizes:
        photograph = Image.fromarray(next(iter(photographs.values())))
        square = np.asarray(photograph.resize((side, side)))
        times = repeat(partial(stylize, square), number=1, repeat=5)
        print(f"| {side} | {min(times):.3f} |", flush=True)


if __name__ == "__main__":
    main()

"""How far each shipped style goes, and how fast:

    python benchmarks/styles.py --photographs DIR --paintings DIR --vgg-weights FILE

prints the losses that the network was trained on, of its paintings and of the photographs
themselves, and seconds for a picture at several sizes.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
from PIL import Image

from keras_perceptual import images, training, zoo
from keras_perceptual.evaluation import style_losses
from keras_perceptual.recipes import Recipe
from keras_perceptual.stylizing import Stylizer


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
            rows = style_losses(paint, photographs, loss).values()
            row = {term: np.mean([each[term] for each in rows]) for term in next(iter(rows))}
            if not heading:
                heading = ["", *row]
                print(f"| {' | '.join(heading)} |\n|{' --- |' * len(heading)}")
            print(f"| {what} | {' | '.join(f'{v:.3g}' for v in row.values())} |", flush=True)

    stylize = Stylizer(next(iter(zoo.styles()))).stylize
    print("\n| side, pixels | seconds |\n| --- | --- |")
    for side in arguments.sizes:
        photograph = Image.fromarray(next(iter(photographs.values())))
        square = np.asarray(photograph.resize((side, side)))
        times = []
        for _ in range(5):
            begun = time.perf_counter()
            stylize(square)
            times.append(time.perf_counter() - begun)
        print(f"| {side} | {min(times):.3f} |", flush=True)


if __name__ == "__main__":
    main()

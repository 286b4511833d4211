"""Paints the sample photographs in every shipped style: python tools/make_gallery.py

Writes docs/styles.jpg, a row a photograph.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
from PIL import Image

from keras_perceptual import zoo
from keras_perceptual.evaluation import figures
from keras_perceptual.files import images
from keras_perceptual.inference.stylizer import Stylizer

SHOWN = ("astronaut", "coffee", "rocket")
HEIGHT = 256  # of each, in pixels


def _reduced(pixels: np.ndarray) -> np.ndarray:
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((image.width * HEIGHT // image.height, HEIGHT)))


def main() -> None:
    stylizers = {style: Stylizer(style) for style in zoo.styles()}
    rows = []
    for name in SHOWN:
        photograph = images.read(ROOT / "data" / "samples" / "HR" / f"{name}.png").pixels
        painted = {style: each.stylize(photograph) for style, each in stylizers.items()}
        cells = {"photograph": photograph, **painted}
        rows.append([(label, _reduced(cell)) for label, cell in cells.items()])
    images.write(ROOT / "docs" / "styles.jpg", images.Picture(figures.sheet(rows)))


if __name__ == "__main__":
    main()

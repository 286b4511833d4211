"""Shows details of damaged photographs, enlarged: python tools/make_damaged.py

Writes docs/damaged.jpg, a row a degradation.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np

from keras_perceptual.evaluation import figures
from keras_perceptual.files import images
from keras_perceptual.inference.upscaler import Upscaler
from keras_perceptual.pixels.resampling import crop_to_multiple, imresize, to_uint8
from keras_perceptual.training.degradations import degradation

SCALE, SIDE, ZOOM = 4, 96, 3  # side of a detail in HR pixels, and times it is magnified
# Where in HR the details lie: (degradation, photograph, y, x).
SHOWN = (
    ("jpeg75", "astronaut", 60, 180),
    ("jpeg40", "chelsea", 88, 150),
    ("noise", "coffee", 120, 250),
    ("blurjpeg", "rocket", 120, 270),
)


def main() -> None:
    models = {name: Upscaler(name) for name in ("x4-feature", "x4-photo-pixel", "x4-photo")}
    rows = []
    for kind, name, y, x in SHOWN:
        hr = images.read(ROOT / "data" / "samples" / "HR" / f"{name}.png").pixels
        hr = crop_to_multiple(hr, SCALE)
        lr = degradation(kind)(hr, SCALE, np.random.default_rng(0))
        cells = {
            kind: lr.repeat(SCALE, 0).repeat(SCALE, 1),
            "bicubic": to_uint8(imresize(lr.astype(np.float32), SCALE)),
            **{model: upscaler.upscale(lr) for model, upscaler in models.items()},
            "HR": hr,
        }
        rows.append(
            [
                (label, cell[y : y + SIDE, x : x + SIDE].repeat(ZOOM, 0).repeat(ZOOM, 1))
                for label, cell in cells.items()
            ]
        )
    images.write(ROOT / "docs" / "damaged.jpg", images.Picture(figures.sheet(rows)))


if __name__ == "__main__":
    main()

"""Makes data/samples from the photographs that come with scikit-image."""

from __future__ import annotations

import sys
from pathlib import Path

import skimage.data

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from keras_perceptual.files import images
from keras_perceptual.pixels.resampling import crop_to_multiple, degrade


def main() -> None:
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        hr = crop_to_multiple(getattr(skimage.data, name)(), 8)
        for folder, pixels in (("HR", hr), ("LRx4", degrade(hr, 4))):
            path = ROOT / "data" / "samples" / folder / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            images.write(path, images.Picture(pixels))


if __name__ == "__main__":
    main()

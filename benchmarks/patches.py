"""How many patches one core makes for a training: `python benchmarks/patches.py --data FOLDER`.

By how many are cut from a photograph each time it is decoded (`train.py --patches`), of clean
photographs and of damaged ones. A GPU takes some thousands a second.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

os.environ.setdefault("OMP_NUM_THREADS", "1")

from keras_perceptual.files import list_images
from keras_perceptual.training.prepare import build_patches
from keras_perceptual.training.recipes import get_recipe

RECIPES = {"x4-pixel": 192, "x4-photo-pixel": 160}  # and the side of a patch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT / "data/samples/HR")
    parser.add_argument("--photographs", type=int, default=64, help="to cut (%(default)s)")
    parser.add_argument("--patches", type=int, nargs="+", default=[8, 16, 32])
    arguments = parser.parse_args()
    paths = list_images(arguments.data)
    print("| recipe | HR pixels | patches of a photograph | patches a second | ratio |")
    print("| --- | --- | --- | ---: | ---: |")
    for name, side in RECIPES.items():
        first = 0.0
        for count in arguments.patches:
            recipe = get_recipe(name, patch_size=side, patches=count)
            steps = max(arguments.photographs * count // recipe.batch_size, 1)
            batches = build_patches(recipe, paths, workers=1).batches()
            next(batches)  # imports, and the first photographs
            started = time.perf_counter()
            for _ in range(steps):
                next(batches)
            rate = steps * recipe.batch_size / (time.perf_counter() - started)
            first = first or rate
            print(f"| {name} | {side}x{side} | {count} | {rate:.0f} | {rate / first:.2f} |")


if __name__ == "__main__":
    main()

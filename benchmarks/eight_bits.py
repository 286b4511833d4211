"""What 8 bits give and cost in each shipped model that has them:

    python benchmarks/eight_bits.py

prints a Markdown table: times in turns in one process, the rest from the models' cards.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np

from keras_perceptual import zoo
from keras_perceptual.files import images
from keras_perceptual.inference.engines import Engine, open_engine
from keras_perceptual.inference.levels import run_either
from keras_perceptual.pixels.levels import as_integers

PHOTOGRAPH = ROOT / "data" / "samples" / "HR" / "chelsea.png"
SIDE = 256  # LR pixels


def seconds(engine: Engine, lr: np.ndarray) -> float:
    """Returns what an engine takes from pixels to pixels."""
    began = time.perf_counter()
    sr = run_either(engine, lr)
    if sr.dtype != np.uint8:
        as_integers(sr, np.uint8)
    return time.perf_counter() - began


def row(name: str, quantized: Path, lr: np.ndarray, rounds: int, threads: int | None) -> str:
    """Measures a model and returns its row."""
    engines = [open_engine(path, "litert", threads) for path in (zoo.file(name), quantized)]
    turns = np.array([[seconds(engine, lr) for engine in engines] for _ in range(rounds + 1)])
    usual, eight = 1000 * turns[1:].min(0)  # the first prepares for the size
    card = zoo.card(name)
    cells = [f"`{name}`", f"{usual:.0f}", f"{eight:.0f}", f"{usual / eight:.1f}"]
    for folder, off in card["difference_int8"].items():
        before, after = card["numbers"][folder], card["numbers_int8"][folder]
        lost = [f"{after[key] - before[key]:+.{n}f}" for key, n in (("psnr_y", 3), ("lpips", 4))]
        cells.append(f"{folder}: {off['mean']:.2f} / {off['largest']} / {' / '.join(lost)}")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="turns (%(default)s)")
    parser.add_argument("--threads", type=int, help="processor cores; all by default")
    arguments = parser.parse_args()
    lr = images.read(PHOTOGRAPH).pixels[None, :SIDE, :SIDE]
    print("Sets: mean / largest difference from float32 in levels / PSNR / LPIPS, against it.\n")
    print("| model | float32, ms | 8 bits, ms | times as fast | | | |\n|" + " --- |" * 7)
    for name in zoo.names():
        if quantized := zoo.quantized(name):
            print(row(name, quantized, lr, arguments.rounds, arguments.threads), flush=True)


if __name__ == "__main__":
    main()

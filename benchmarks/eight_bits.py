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
from keras_perceptual.inference.levels import run_either, takes_levels
from keras_perceptual.pixels.levels import as_integers, as_levels

PHOTOGRAPH = ROOT / "data" / "samples" / "HR" / "chelsea.png"


def seconds(engine: Engine, lr: np.ndarray) -> float:
    """Returns what an engine takes from pixels to pixels."""
    began = time.perf_counter()
    sr = run_either(engine, lr if takes_levels(engine) else as_levels(lr))
    if sr.dtype != np.uint8:
        as_integers(sr, np.uint8)
    return time.perf_counter() - began


def row(name: str, lr: np.ndarray, rounds: int, threads: int | None) -> str:
    """Measures a model and returns its row."""
    engines = [open_engine(path, "litert", threads) for path in (zoo.file(name), _eight(name))]
    turns = np.array([[seconds(engine, lr) for engine in engines] for _ in range(rounds + 1)])
    usual, eight = 1000 * turns[1:].min(0)  # the first prepares for the size
    card = zoo.card(name)
    cells = [f"`{name}`", f"{usual:.0f}", f"{eight:.0f}", f"{usual / eight:.1f}"]
    for folder, off in card["difference_int8"].items():
        before, after = card["numbers"][folder], card["numbers_int8"][folder]
        lost = [f"{after[key] - before[key]:+.{n}f}" for key, n in (("psnr_y", 3), ("lpips", 4))]
        cells.append(f"{off['mean']:.2f} / {off['largest']} / {' / '.join(lost)}")
    return f"| {' | '.join(cells)} |"


def _eight(name: str) -> Path:
    path = zoo.quantized(name)
    assert path, f"{name} has no 8-bit file"
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=256, help="LR pixels a side (%(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="turns (%(default)s)")
    parser.add_argument("--threads", type=int, help="processor cores; all by default")
    arguments = parser.parse_args()
    names = [name for name in zoo.names() if zoo.quantized(name)]
    side = arguments.side
    photograph = images.read(PHOTOGRAPH).pixels
    lr = np.pad(
        photograph, [(0, max(0, side - n)) for n in photograph.shape[:2]] + [(0, 0)], "wrap"
    )
    sets = zoo.card(names[0])["difference_int8"]
    cost = "mean / largest difference in levels / PSNR / LPIPS"
    titles = [
        "model",
        "float32, ms",
        "8 bits, ms",
        "times as fast",
        *(f"{s}: {cost}" for s in sets),
    ]
    print(f"| {' | '.join(titles)} |\n|{' --- |' * len(titles)}")
    for name in names:
        print(row(name, lr[None, :side, :side], arguments.rounds, arguments.threads), flush=True)


if __name__ == "__main__":
    main()

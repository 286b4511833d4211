"""infer.py as a whole process against its own engine: `python benchmarks/inference.py --help`.

Speed on one large photograph and on a folder of small ones, the time to a first picture, and peak
memory against the size of the input. What is compared takes turns.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np

from keras_perceptual import images, zoo
from keras_perceptual.engines import open_engine
from processes import alone

PHOTOGRAPH = ROOT / "data" / "samples" / "HR" / "chelsea.png"
TILE = 512  # LR pixels a side that the bare engine gets at once


class Cost(NamedTuple):
    """What a process took."""

    seconds: float
    megabytes: float


def photograph(height: int, width: int) -> np.ndarray:
    """Returns `[height, width, 3]` uint8, a photograph mirrored over and over."""
    pixels = images.read(PHOTOGRAPH).pixels
    pad = [
        (0, max(0, want - had)) for want, had in zip((height, width), pixels.shape, strict=False)
    ]
    return np.pad(pixels, (*pad, (0, 0)), "symmetric")[:height, :width]


def infer(*arguments: str | Path) -> Cost:
    """Runs infer.py as a user does.

    Raises:
        SystemExit: if it fails.
    """
    began = time.perf_counter()
    command = [sys.executable, str(ROOT / "infer.py"), *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"inference.py: infer.py failed with status {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(time.perf_counter() - began, usage.ru_maxrss * unit / 1e6)


def bare(model: str, parts: list[np.ndarray]) -> float:
    """Returns the seconds that the engine alone takes for parts of pictures, once it is warm."""
    engine = open_engine(zoo.folder(model))
    ready = [part[None].astype(np.float32) for part in parts]
    engine.run(ready[0])
    began = time.perf_counter()
    for part in ready:
        engine.run(part)
    return time.perf_counter() - began


def compare(
    name: str, rounds: int, whole: Callable[[], Cost], model: str, parts: list[np.ndarray]
) -> None:
    """Prints a row: infer.py and the bare engine in turns, the best of each."""
    costs, engines = [], []
    for _ in range(rounds):
        costs.append(whole())
        engines.append(alone(bare, model, parts))
    best, engine = min(cost.seconds for cost in costs), min(engines)
    print(
        f"| {name} | {best:.2f} | {engine:.2f} | {engine / best:.0%} | "
        f"{max(cost.megabytes for cost in costs):.0f} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="x4-feature", choices=zoo.names())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, default=2000, help="of the large photograph, pixels")
    parser.add_argument("--small", type=int, default=200, help="number of small photographs")
    parser.add_argument(
        "--memory-at",
        type=float,
        nargs="*",
        default=[0.25, 1, 4],
        metavar="MEGAPIXELS",
        help="inputs whose peak memory is shown",
    )
    arguments = parser.parse_args()
    model = arguments.model
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        large = photograph(arguments.side, arguments.side)
        images.write(folder / "large.jpg", images.Picture(large))
        side = range(0, arguments.side, TILE)
        tiles = [large[y : y + TILE, x : x + TILE] for y in side for x in side]
        small = [photograph(128 + i % 64, 128 + i % 48) for i in range(arguments.small)]
        for i, each in enumerate(small):
            images.write(folder / "small" / f"{i}.png", images.Picture(each))
        images.write(folder / "tiny.png", images.Picture(photograph(16, 16)))

        print("| | infer.py, s | bare engine, s | of the engine's speed | peak MB |")
        print("| --- | ---: | ---: | ---: | ---: |")
        flags = ("--model", model)
        out = ("-o", folder / "out.tif")
        compare(
            f"{arguments.side}x{arguments.side} JPEG to TIFF",
            arguments.rounds,
            lambda: infer(folder / "large.jpg", *out, *flags),
            model,
            tiles,
        )
        compare(
            f"{arguments.small} PNG files of about 160x150",
            arguments.rounds,
            lambda: infer(folder / "small", "-o", folder / "out", *flags),
            model,
            small,
        )
        compare(
            "one 16x16 PNG: start to first pixel",
            arguments.rounds,
            lambda: infer(folder / "tiny.png", "-o", folder / "tiny_out.png", *flags),
            model,
            [photograph(16, 16)],
        )
        print("\n| megapixels in | s | peak MB |\n| ---: | ---: | ---: |")
        for megapixels in arguments.memory_at:
            height = round(np.sqrt(megapixels * 1e6))
            images.write(folder / "in.tif", images.Picture(photograph(height, height)))
            cost = infer(folder / "in.tif", *out, *flags)
            print(f"| {megapixels:g} | {cost.seconds:.1f} | {cost.megabytes:.0f} |", flush=True)


if __name__ == "__main__":
    main()

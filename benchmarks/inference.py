"""infer.py as a whole process against its own engine: `python benchmarks/inference.py --help`.

Speed on one large photograph and on a folder of small ones, the time to a first picture, what else
one could run, and peak memory against the size of the input.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np

import peers
from keras_perceptual import zoo
from keras_perceptual.errors import OnnxError
from keras_perceptual.files import images
from keras_perceptual.inference.engines import open_engine
from keras_perceptual.inference.levels import run_either
from keras_perceptual.inference.onnx_translation import to_onnx
from keras_perceptual.system.processor import fast_int8
from processes import alone

PHOTOGRAPH = ROOT / "data" / "samples" / "HR" / "chelsea.png"
TILE = 512  # LR pixels a side that the bare runtimes get at once


class Cost(NamedTuple):
    """What a process took."""

    seconds: float
    processor: float  # seconds of all its threads together
    megabytes: float = 0.0


def photograph(path: Path, height: int, width: int) -> None:
    """Writes an image of any size: a photograph mirrored over and over."""
    pixels = images.read(PHOTOGRAPH).pixels
    sides = zip((height, width), pixels.shape, strict=False)
    pad = [(0, max(0, want - had)) for want, had in sides]
    pixels = np.pad(pixels, (*pad, (0, 0)), "symmetric")[:height, :width]
    images.write(path, images.Picture(pixels))


def process(*arguments: str | Path) -> Cost:
    """Runs Python with arguments, as a user does: what it imports stays compiled.

    Raises:
        SystemExit: if it fails.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, *map(str, arguments)]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as child:
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"inference.py: {command[1:]} failed with status {child.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    processor = usage.ru_utime + usage.ru_stime
    return Cost(time.perf_counter() - began, processor, usage.ru_maxrss * unit / 1e6)


def infer(*arguments: str | Path, root: Path = ROOT) -> Cost:
    """Runs infer.py, of another checkout if one is given."""
    return process(root / "infer.py", *arguments)


def bare(model: str, paths: list[Path]) -> Cost:
    """Returns what the engine alone takes for the pixels of pictures, once it is warm."""
    engine = open_engine((zoo.quantized(model) if fast_int8() else None) or zoo.folder(model))
    parts = []
    for path in paths:
        pixels = images.read(path).pixels
        for y in range(0, len(pixels), TILE):
            for x in range(0, pixels.shape[1], TILE):
                parts.append(pixels[None, y : y + TILE, x : x + TILE])
    run_either(engine, parts[0])
    began, worked = time.perf_counter(), time.process_time()
    for part in parts:
        run_either(engine, part)
    return Cost(time.perf_counter() - began, time.process_time() - worked)


def compare(
    name: str, rounds: int, whole: Callable[[], Cost], model: str, paths: list[Path]
) -> None:
    """Prints a row: infer.py and the bare engine in turns, the best of each."""
    costs, engines = [], []
    for _ in range(rounds):
        costs.append(whole())
        engines.append(alone(bare, model, paths))
    best, engine = (min(cost.seconds for cost in each) for each in (costs, engines))
    work, engine_work = (min(cost.processor for cost in each) for each in (costs, engines))
    print(
        f"| {name} | {best:.2f} | {engine:.2f} | {engine / best:.0%} | {work:.2f} | "
        f"{engine_work:.2f} | {engine_work / work:.0%} | "
        f"{max(cost.megabytes for cost in costs):.0f} |",
        flush=True,
    )


def others(
    model: str, large: Path, folder: Path, network: Path | None
) -> dict[str, Callable[[], Cost]]:
    """Returns what else one could run on the large photograph, of what is installed."""
    out, generator = folder / "out.jpg", folder / "generator.onnx"
    flags = (large, "-o", out, "--model", model)
    found: dict[str, Callable[[], Cost]] = {
        "infer.py": partial(infer, *flags),
        "infer.py --precision float32": partial(infer, *flags, "--precision", "float32"),
    }
    try:
        generator.write_bytes(alone(to_onnx, zoo.file(model).read_bytes(), "upscale"))
        found["infer.py --engine onnx"] = partial(infer, *flags, "--engine", "onnx")
    except OnnxError as error:
        print(f"what runs ONNX files is left out: {error}\n")
    scale = zoo.descriptor(model).scale
    for name, command in peers.commands(large, out, scale, generator, network).items():
        if generator.exists() or generator not in command:
            found[name] = partial(process, *command)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="x4-feature", choices=zoo.names())
    parser.add_argument(
        "--network",
        type=Path,
        metavar="FILE",
        help="a network of others to compare with, an .onnx file, or ncnn's .param file with its "
        ".bin file beside it, that takes planes in 0..1",
    )
    parser.add_argument(
        "--against", type=Path, metavar="CHECKOUT", help="another one, whose infer.py takes turns"
    )
    parser.add_argument("--rounds", type=int, default=3, help="0 shows memory only (%(default)s)")
    parser.add_argument("--side", type=int, default=2000, help="of the large photograph, pixels")
    parser.add_argument("--small", type=int, default=200, help="number of small photographs")
    parser.add_argument(
        "--memory-at",
        type=float,
        nargs="*",
        default=[1, 10, 100],
        metavar="MEGAPIXELS",
        help="inputs whose peak memory is shown (1 10 100)",
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        if arguments.rounds:
            _speed(arguments, Path(temporary))
        _memory(arguments, Path(temporary))


def _speed(arguments: argparse.Namespace, folder: Path) -> None:
    model, rounds, side = arguments.model, arguments.rounds, arguments.side
    # What this process held would count as its children's: pictures are made in others.
    large, tiny, out = folder / "large.jpg", folder / "tiny.png", folder / "out.jpg"
    alone(photograph, large, side, side)
    alone(photograph, tiny, 16, 16)
    small = [folder / "small" / f"{i}.png" for i in range(arguments.small)]
    for i, path in enumerate(small):
        photograph(path, 128 + i % 64, 128 + i % 48)
    flags = ("--model", model)
    for root in filter(None, (ROOT, arguments.against)):  # compiles what is imported
        infer(tiny, "-o", out, *flags, root=root)
    print(
        "| | infer.py, s | bare engine, s | of its speed | infer.py, processor s | "
        "bare engine, processor s | of its work | peak MB |"
    )
    print("| --- |" + " ---: |" * 7)
    works: dict[str, tuple[tuple[str | Path, ...], list[Path]]] = {
        f"{side}x{side} JPEG": ((large, "-o", out), [large]),
        f"{len(small)} PNG files of about 160x150": (
            (folder / "small", "-o", folder / "out"),
            small,
        ),
        "one 16x16 PNG: start to first pixel": ((tiny, "-o", folder / "tiny_out.png"), [tiny]),
    }
    for name, (given, paths) in works.items():
        compare(name, rounds, partial(infer, *given, *flags), model, paths)
    if arguments.against:
        print(f"\n| | here, s | {arguments.against.name}, s | times as fast |")
        print("| --- |" + " ---: |" * 3)
        for name, (given, _) in works.items():
            turns = [
                [infer(*given, *flags, root=root).seconds for root in (ROOT, arguments.against)]
                for _ in range(rounds)
            ]
            here, there = map(min, zip(*turns, strict=True))
            print(f"| {name} | {here:.2f} | {there:.2f} | {there / here:.2f} |", flush=True)
    print(f"\n{side}x{side} JPEG, x{zoo.descriptor(model).scale}, whole processes:\n")
    contenders = others(model, large, folder, arguments.network)
    print("| | s | processor s | peak MB |\n| --- | ---: | ---: | ---: |")
    costs: dict[str, list[Cost]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            costs[name].append(run())
    for name, taken in costs.items():
        print(
            f"| {name} | {min(cost.seconds for cost in taken):.2f} | "
            f"{min(cost.processor for cost in taken):.2f} | "
            f"{max(cost.megabytes for cost in taken):.0f} |",
            flush=True,
        )


def _memory(arguments: argparse.Namespace, folder: Path) -> None:
    print("\n| megapixels in | s | peak MB |\n| ---: | ---: | ---: |")
    for megapixels in arguments.memory_at:
        side = round(math.sqrt(megapixels * 1e6))
        alone(photograph, folder / "in.jpg", side, side)
        cost = infer(folder / "in.jpg", "-o", folder / "out.tif", "--model", arguments.model)
        print(f"| {megapixels:g} | {cost.seconds:.1f} | {cost.megabytes:.0f} |", flush=True)


if __name__ == "__main__":
    main()

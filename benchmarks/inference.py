"""infer.py as a whole process against its own engine: `python benchmarks/inference.py --help`.

Speed on one large photograph and on a folder of small ones, the time to a first picture, what else
one could run, and peak memory against the size of the input.
"""

from __future__ import annotations

import argparse
import importlib.util
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

from keras_perceptual import zoo
from keras_perceptual.files import images
from keras_perceptual.inference.engines import open_engine
from processes import alone

PHOTOGRAPH = ROOT / "data" / "samples" / "HR" / "chelsea.png"
TILE = 512  # LR pixels a side that the bare runtimes get at once

OPENCV = """
import sys, cv2
source, target, kernel, scale = sys.argv[1:]
image = cv2.imread(source)
size = image.shape[1] * int(scale), image.shape[0] * int(scale)
cv2.imwrite(target, cv2.resize(image, size, interpolation=getattr(cv2, kernel)))
"""

ONNX_RUNTIME = f"""
import sys
import numpy as np, onnxruntime
from PIL import Image
source, target, model, scale = sys.argv[1:]
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
lr, scale, tile = np.asarray(Image.open(source).convert("RGB")), int(scale), {TILE}
sr = np.empty((scale * lr.shape[0], scale * lr.shape[1], 3), np.uint8)
for y in range(0, lr.shape[0], tile):
    for x in range(0, lr.shape[1], tile):
        part = lr[None, y : y + tile, x : x + tile].astype(np.float32)
        result = session.run(None, {{session.get_inputs()[0].name: part}})[0][0]
        sr[scale * y :, scale * x :][: result.shape[0], : result.shape[1]] = np.clip(
            np.rint(result), 0, 255
        )
Image.MAX_IMAGE_PIXELS = None
Image.fromarray(sr).save(target, quality=95, subsampling=0)
"""


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
    """Runs Python with arguments, as a user does.

    Raises:
        SystemExit: if it fails.
    """
    began = time.perf_counter()
    command = [sys.executable, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as child:
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"inference.py: {command[1:]} failed with status {child.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    processor = usage.ru_utime + usage.ru_stime
    return Cost(time.perf_counter() - began, processor, usage.ru_maxrss * unit / 1e6)


def infer(*arguments: str | Path) -> Cost:
    """Runs infer.py."""
    return process(ROOT / "infer.py", *arguments)


def bare(model: str, paths: list[Path]) -> Cost:
    """Returns what the engine alone takes for pictures, once it is warm."""
    engine = open_engine(zoo.folder(model))
    parts = []
    for path in paths:
        pixels = images.read(path).pixels.astype(np.float32)
        for y in range(0, len(pixels), TILE):
            for x in range(0, pixels.shape[1], TILE):
                parts.append(pixels[None, y : y + TILE, x : x + TILE])
    engine.run(parts[0])
    began, worked = time.perf_counter(), time.process_time()
    for part in parts:
        engine.run(part)
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
    large: Path, target: Path, scale: int, onnx: Path | None
) -> dict[str, Callable[[], Cost]]:
    """Returns what else one could run on the large photograph, of what is installed."""
    contenders: dict[str, Callable[[], Cost]] = {}
    if importlib.util.find_spec("cv2"):
        for name, kernel in (("bicubic", "INTER_CUBIC"), ("Lanczos", "INTER_LANCZOS4")):
            contenders[f"OpenCV, {name}"] = partial(
                process, "-c", OPENCV, large, target, kernel, str(scale)
            )
    else:
        print("OpenCV is left out: pip install opencv-python-headless\n")
    if onnx and importlib.util.find_spec("onnxruntime"):
        contenders["ONNX Runtime, the same generator"] = partial(
            process, "-c", ONNX_RUNTIME, large, target, onnx, str(scale)
        )
    else:
        print("ONNX Runtime is left out: pip install onnxruntime, and --onnx FILE\n")
    return contenders


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="x4-feature", choices=zoo.names())
    parser.add_argument(
        "--onnx", type=Path, metavar="FILE", help="the same model by export.py --format onnx"
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
    print(
        "| | infer.py, s | bare engine, s | of its speed | infer.py, processor s | "
        "bare engine, processor s | of its work | peak MB |"
    )
    print("| --- |" + " ---: |" * 7)
    compare(
        f"{side}x{side} JPEG",
        rounds,
        lambda: infer(large, "-o", out, *flags),
        model,
        [large],
    )
    compare(
        f"{len(small)} PNG files of about 160x150",
        rounds,
        lambda: infer(folder / "small", "-o", folder / "out", *flags),
        model,
        small,
    )
    compare(
        "one 16x16 PNG: start to first pixel",
        rounds,
        lambda: infer(tiny, "-o", folder / "tiny_out.png", *flags),
        model,
        [tiny],
    )
    scale = zoo.descriptor(model).scale
    print(f"\n{side}x{side} JPEG, x{scale}, whole processes:\n")
    contenders = others(large, out, scale, arguments.onnx)
    print("| | s | peak MB |\n| --- | ---: | ---: |")
    for name, run in contenders.items():
        costs = [run() for _ in range(rounds)]
        print(
            f"| {name} | {min(cost.seconds for cost in costs):.2f} | "
            f"{max(cost.megabytes for cost in costs):.0f} |",
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

"""What each generator costs, and what it gives: `python benchmarks/speed.py --help`.

One Markdown table of time and memory for an output megapixel, multiply-adds as they are counted
from the layers, and quality beside them. Bicubic interpolation is a row of every scale.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np

from keras_perceptual import Upscaler, zoo
from keras_perceptual.errors import PerceptualError
from keras_perceptual.evaluation import benchmark as evaluation
from keras_perceptual.evaluation.metrics import LPIPS_VARIABLE
from keras_perceptual.files import images
from keras_perceptual.pixels.resampling import imresize
from keras_perceptual.system.quiet import quiet_stderr
from processes import Contender, KilledError, Run, Timed, add_flags, alone, take_turns

PHOTOGRAPH = ROOT / "data" / "samples" / "HR" / "chelsea.png"
BASE = "x4-feature"

Qualities = dict[str, dict[str, float]]  # by set, as `evaluation.benchmark` gives them


class Size(NamedTuple):
    """What was counted of a generator."""

    parameters: int
    multiply_adds: float  # for an output pixel


# --- in processes of their own ---


def open_model(name: str, threads: int) -> Run:
    """Returns the shipped model's function from LR to SR, in LiteRT, without post-process."""
    return Upscaler(
        name, engine="litert", precision="float32", histogram_match="none", threads=threads
    ).upscale


def count(names: list[str]) -> dict[str, Size]:
    """Counts parameters and multiply-adds of shipped models from their Keras files."""
    with quiet_stderr():
        from keras_perceptual.models import generators
        from keras_perceptual.models.loading import load_generator
    side = 64  # LR pixels; the convolutions pad, so what a pixel takes is the same at any size
    sizes = {}
    for name in names:
        model = load_generator(name)
        pixels = (side * zoo.descriptor(name).scale) ** 2
        total = generators.multiply_adds(model, side, side)
        sizes[name] = Size(model.count_params(), total / pixels)
    return sizes


def judge(
    contenders: dict[str, Contender], sets: list[Path], weights: str | None
) -> dict[str, Qualities]:
    """Judges contenders on benchmark sets.

    Args:
        contenders: by names that begin with `xSCALE-`.
        sets: folders with `HR` inside.
        weights: of LPIPS, if it is wanted.

    Raises:
        LPIPSError: if the weights do not fit; ImageError or EngineError as for `infer.py`.
    """
    lpips = None
    if weights:
        with quiet_stderr():
            from keras_perceptual.evaluation.lpips import LPIPS
        lpips = LPIPS(weights)
    return {
        name: {
            folder.name: evaluation.judge(upscale, folder, scale_of(name), lpips) for folder in sets
        }
        for name, contender in contenders.items()
        for upscale in [contender.open(*contender.arguments)]
    }


# --- here: contenders and the table ---


def scale_of(name: str) -> int:
    return int(name[1 : name.index("-")])


def enter(models: list[str], megapixels: float, threads: int) -> dict[str, Contender]:
    """Returns the models and, before those of each scale, bicubic, with their LR image."""
    photograph = images.read(PHOTOGRAPH).pixels
    side = math.sqrt(megapixels * 1e6 / photograph[..., 0].size)
    contenders = {}
    for scale in sorted({zoo.descriptor(name).scale for name in models}):
        lr = imresize(photograph, side / scale)
        contenders[f"x{scale}-bicubic"] = Contender(evaluation.bicubic, (scale,), lr)
        for name in models:
            if zoo.descriptor(name).scale == scale:
                contenders[name] = Contender(open_model, (name, threads), lr)
    return contenders


def print_table(
    timed: dict[str, Timed],
    sizes: dict[str, Size],
    qualities: dict[str, Qualities],
    base: str,
) -> None:
    """Prints the table, with a column for each set that any has been judged on."""
    sets = list(dict.fromkeys(name for quality in qualities.values() for name in quality))
    columns = [
        "generator",
        "parameters",
        "1,000 multiply-adds a pixel",
        "s a megapixel, best",
        "median",
        f"best over {base}'s",
        "MB before the image",
        "peak MB",
        *(f"{name} PSNR / SSIM / LPIPS" for name in sets),
    ]
    print(f"| {' | '.join(columns)} |")
    print("| --- |" + " ---: |" * 7 + " --- |" * len(sets))
    seconds = {name: _a_megapixel(each) for name, each in timed.items()}
    for name, each in timed.items():
        best, median = seconds[name]
        size = sizes.get(name)
        cells = [
            name,
            f"{size.parameters:,}" if size else "",
            f"{size.multiply_adds / 1000:.1f}" if size else "",
            f"{best:.3f}",
            f"{median:.3f}",
            f"{best / seconds[base][0]:.2f}",
            f"{each.opened:.0f}",
            f"{each.peak:.0f}",
            *(_quality(qualities.get(name, {}).get(folder, {})) for folder in sets),
        ]
        print(f"| {' | '.join(cells)} |")


def _a_megapixel(each: Timed) -> tuple[float, float]:
    megapixels = each.result[..., 0].size / 1e6
    return each.best / megapixels, each.median / megapixels


def _quality(numbers: dict[str, float]) -> str:
    digits = {"psnr_y": 2, "ssim_y": 4, "lpips": 4}
    return " / ".join(f"{numbers[name]:.{n}f}" for name, n in digits.items() if name in numbers)


def _megapixels(text: str) -> float:
    try:
        megapixels = float(text)
    except ValueError:
        megapixels = 0.0
    if not 0 < megapixels < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, received {text!r}")
    return megapixels


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Time, memory, multiply-adds and quality of the shipped models, in one table."
    )
    names = zoo.names()
    parser.add_argument(
        "--models", nargs="+", default=["all"], choices=["all", *names], help="to compare (all)"
    )
    parser.add_argument(
        "--base", default=BASE, choices=names, help=f"what times are ratios to ({BASE})"
    )
    parser.add_argument(
        "--megapixels", type=_megapixels, default=1.0, help="about the size of the output (1)"
    )
    parser.add_argument(
        "--sets", nargs="+", type=Path, help="folders with HR/ to judge on (the models' cards)"
    )
    parser.add_argument("--lpips", metavar="FILE", help=f"LPIPS weights ({LPIPS_VARIABLE})")
    add_flags(parser, rounds=10)
    arguments = parser.parse_args(argv)
    if arguments.lpips and not arguments.sets:
        parser.error("--lpips needs --sets")
    for folder in arguments.sets or []:
        if not (folder / "HR").is_dir():
            parser.error(f"{folder}: expected a folder with HR/ inside")
    arguments.lpips = arguments.lpips or os.environ.get(LPIPS_VARIABLE)
    if "all" in arguments.models:
        arguments.models = names
    arguments.models = list(dict.fromkeys([*arguments.models, arguments.base]))
    return arguments


def main(argv: list[str] | None = None) -> int:
    arguments = _arguments(argv)
    contenders = enter(arguments.models, arguments.megapixels, arguments.threads)
    try:
        sizes = alone(count, arguments.models)
        if arguments.sets:
            qualities = alone(judge, contenders, arguments.sets, arguments.lpips)
        else:
            qualities = {name: zoo.card(name)["numbers"] for name in arguments.models}
        timed = take_turns(contenders, arguments.rounds)
    except (PerceptualError, KilledError, OSError, ValueError) as error:
        print(f"speed.py: {error}", file=sys.stderr)
        return 1
    if arguments.base not in timed:
        print(f"speed.py: {arguments.base}, the base, cannot be run", file=sys.stderr)
        return 1
    print(
        f"{arguments.threads} threads of {os.cpu_count()} {platform.machine()} processors, load "
        f"{os.getloadavg()[0]:.1f}; Python {platform.python_version()}, NumPy {np.__version__}, "
        f"LiteRT {version('ai-edge-litert')}; quality "
        f"{'measured' if arguments.sets else 'from the cards'}, without histogram matching.\n"
    )
    print_table(timed, sizes, qualities, arguments.base)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Judges models on benchmark sets."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

import keras_perceptual
from keras_perceptual import zoo
from keras_perceptual.cli.checkout import checkout
from keras_perceptual.cli.options import add_histogram_match, add_precision
from keras_perceptual.errors import PerceptualError
from keras_perceptual.evaluation import benchmark as evaluation
from keras_perceptual.evaluation import figures
from keras_perceptual.evaluation.metrics import LPIPS_VARIABLE
from keras_perceptual.files import images
from keras_perceptual.inference.engines import ENGINES
from keras_perceptual.inference.upscaler import Upscaler
from keras_perceptual.system.atomic import atomic_path
from keras_perceptual.system.quiet import quiet_stderr
from keras_perceptual.training.degradations import DEGRADATIONS, degradation

if TYPE_CHECKING:
    from keras_perceptual.evaluation.lpips import LPIPS


def _degradation(text: str) -> str:
    try:
        degradation(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Judge models on benchmark sets: Markdown tables, results.json and figures. "
        "Without arguments: every model of scale 4 on the sample photographs.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--models",
        nargs="+",
        default=["all"],
        help="shipped models, model files, all that ship for the scale, or default, which looks at "
        "each picture as infer.py does; bicubic is always there",
    )
    samples = checkout("data", "samples")
    parser.add_argument(
        "--data",
        nargs="+",
        type=Path,
        default=[samples] if samples else None,
        required=not samples,
        metavar="DIR",
        help="sets: folders with HR/, and LRxSCALE/ where LR is not to be made from it",
    )
    parser.add_argument("--scale", type=int, default=4)
    lr = parser.add_mutually_exclusive_group()
    lr.add_argument(
        "--degradation",
        default=argparse.SUPPRESS,
        type=_degradation,
        metavar="NAME",
        help="make LR of HR this way, instead of taking what is supplied: "
        f"{', '.join(DEGRADATIONS)}, jpegQ, webpQ, avifQ or heicQ of quality Q, h264-R of rate R, "
        "or noiseN of N levels",
    )
    lr.add_argument(
        "--lr",
        type=Path,
        metavar="DIR",
        default=argparse.SUPPRESS,
        help="take the LR images of each set from DIR/SET, instead of its LRxSCALE",
    )
    add_histogram_match(parser, "none")
    parser.add_argument("--fidelity", type=float, default=0.0, help="as for infer.py")
    parser.add_argument("--engine", default="auto", choices=("auto", *ENGINES))
    add_precision(parser, "float32")
    parser.add_argument(
        "--lpips",
        metavar="FILE",
        default=os.environ.get(LPIPS_VARIABLE),
        help=f"LPIPS weights, or the variable {LPIPS_VARIABLE}; see docs/evaluation.md",
    )
    parser.add_argument("--rgb", action="store_true", help="PSNR of RGB too")
    parser.add_argument("--out", type=Path, default=Path("results"), metavar="DIR")
    return parser


def _versions() -> dict[str, str]:
    packages = ("numpy", "pillow", "scikit-image", "ai-edge-litert", "keras")
    return {
        "keras_perceptual": keras_perceptual.__version__,
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


def _finite(value: Any) -> Any:
    """Returns None for infinity, the PSNR of equal images, which JSON lacks."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _judge(
    arguments: argparse.Namespace, upscalers: dict[str, Upscaler], lpips: LPIPS | None
) -> dict[str, dict[str, dict[str, float]]]:
    """Judges the models on every set, prints and writes what came of it; returns the means."""
    scale, out = arguments.scale, arguments.out
    made, lr = (getattr(arguments, name, None) for name in ("degradation", "lr"))
    models = {
        "bicubic": evaluation.bicubic(scale),
        **{name: upscaler.upscale for name, upscaler in upscalers.items()},
    }
    rows, means = {}, {}
    for folder in arguments.data:
        name = folder.resolve().name
        crops = figures.Crops()
        with tqdm(total=len(images.list_images(folder / "HR")), desc=name, unit="image") as bar:

            def seen(*about, crops=crops, bar=bar):
                crops.see(*about)
                bar.update()

            rows[name] = evaluation.evaluate(
                models,
                folder,
                scale,
                degradation=degradation(made) if made else None,
                given=lr and lr / name,
                lpips=lpips,
                rgb=arguments.rgb,
                seen=seen,
            )
        means[name] = {model: evaluation.mean(each) for model, each in rows[name].items()}
        print(f"\n{name}, x{scale}\n\n{evaluation.table(means[name])}\n")
        images.write(out / f"crops-{name}-x{scale}.png", images.Picture(crops.sheet()))
    about = {
        "versions": _versions(),
        "scale": scale,
        "degradation": lr.name if lr else made or "supplied, or bicubic",
        "histogram_match": arguments.histogram_match,
        "fidelity": arguments.fidelity,
        "precision": arguments.precision,
        "lpips_sha256": arguments.lpips and evaluation.sha256(arguments.lpips),
        "models": {
            name: {"file": u.path.name, "sha256": evaluation.sha256(u.path)}
            for name, u in upscalers.items()
        },
        "means": means,
        "images": rows,
    }
    with atomic_path(out / "results.json") as beside:
        beside.write_text(json.dumps(_finite(about), indent=2) + "\n", "utf-8")
    return means


def main(argv: Sequence[str] | None = None, prog: str = "evaluate.py") -> int:
    """Does what the arguments say; returns the exit status."""
    parser = _parser(prog)
    arguments = parser.parse_args(argv)
    scale = arguments.scale
    shipped = zoo.names(scale)
    names = [n for given in arguments.models for n in (shipped if given == "all" else [given])]
    try:
        upscalers = {
            name: Upscaler(
                **({"scale": scale} if name == "default" else {"model": name}),
                fidelity=arguments.fidelity,
                histogram_match=arguments.histogram_match,
                engine=arguments.engine,
                precision=arguments.precision,
            )
            for name in names
        }
    except (PerceptualError, ValueError) as error:
        parser.error(str(error))
    for name, upscaler in upscalers.items():
        if upscaler.scale != scale:
            parser.error(f"{name} has scale {upscaler.scale}, received --scale {scale}")
    sets = [folder.resolve().name for folder in arguments.data]
    if len(set(sets)) < len(sets):
        parser.error(f"expected sets of different names, received {' '.join(sets)}")
    try:
        with quiet_stderr():
            from keras_perceptual.evaluation.lpips import LPIPS
    except ModuleNotFoundError as error:
        print(f"{prog}: {error}; pip install -r requirements.txt has it", file=sys.stderr)
        return 1
    try:
        lpips = LPIPS(arguments.lpips) if arguments.lpips else None
        arguments.out.mkdir(parents=True, exist_ok=True)
        means = _judge(arguments, upscalers, lpips)
        if lpips:
            plot = arguments.out / f"perception-distortion-x{scale}.png"
            figures.perception_distortion(means, plot)
    except (PerceptualError, OSError) as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 1
    print(f"figures and every image's numbers: {arguments.out}")
    return 0

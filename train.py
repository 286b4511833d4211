"""Trains a generator: `python train.py --help`."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
from datetime import datetime
from pathlib import Path

from keras_perceptual.cli.options import named_weights
from keras_perceptual.errors import DataError, ImageError, LossNetworkError, TrainingError, ZooError
from keras_perceptual.system.quiet import quiet_stderr
from keras_perceptual.training.recipe import Recipe
from keras_perceptual.training.recipes import RECIPES, get_recipe

ROOT = Path(__file__).parent


def _loss(text: str) -> dict[str, float]:
    return named_weights(text, "NAME=WEIGHT,NAME=WEIGHT such as pixel_absolute=1")


def _damage(text: str) -> dict[str, float]:
    return named_weights(text, "NAME=NUMBER,NAME=NUMBER such as noise=12")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Train a generator. Without arguments: x4-feature, starting from x4-pixel; "
        "with --style painting.jpg: a network that paints in its style.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--recipe", choices=sorted(RECIPES), help="x4-feature; style with --style")
    parser.add_argument(
        "--style",
        nargs="+",
        default=(),
        metavar="IMAGE",
        help="learn to paint in the style of each of these",
    )
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on with a run's folder")
    parser.add_argument("--data", help="folder of photographs (data/train, or the samples)")
    parser.add_argument("--samples", help="folder of photographs to validate on (some of the data)")
    parser.add_argument("--out", type=Path, help="folder of the run (runs/RECIPE-TIME)")
    parser.add_argument("--loss-network", default="auto", choices=("auto", "vgg16", "distilled"))
    parser.add_argument("--vgg-weights", metavar="FILE", help="VGG16's weights, .npz or .h5")
    parser.add_argument("--workers", type=int, default=2, help="threads that decode photographs")
    numbers = parser.add_argument_group("numbers of the recipe, to change")
    kinds = {"int": int, "float": float, "str": str}
    for field in dataclasses.fields(Recipe):
        option = f"--{field.name.replace('_', '-')}"
        if field.type == "bool":
            numbers.add_argument(
                option, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS
            )
        elif field.name != "name":
            kind = {"loss": _loss, "damage": _damage}.get(field.name) or kinds[str(field.type)]
            numbers.add_argument(
                option,
                type=kind,
                default=argparse.SUPPRESS,
                metavar="NAME=NUMBER,..."
                if field.name in ("loss", "damage")
                else str(field.type).upper(),
            )
    return parser


def _data(given: str | None) -> str:
    if given:
        return given
    if (ROOT / "data" / "train").is_dir():
        return str(ROOT / "data" / "train")
    print("no data/train here: training on the sample photographs; --data FOLDER takes yours")
    return str(ROOT / "data" / "samples" / "HR")


def _absolute(path: str) -> str:
    """A run may be gone on with from another folder."""
    return str(Path(path).absolute())


def main(argv: list[str] | None = None) -> int:
    parser = _parser()
    arguments = parser.parse_args(argv)
    fields = {f.name for f in dataclasses.fields(Recipe)} - {"name"}
    changes = {k: v for k, v in vars(arguments).items() if k in fields}
    if arguments.resume and changes:
        parser.error(f"--resume keeps the run's recipe; received {', '.join(sorted(changes))} too")
    try:
        recipe = get_recipe(
            arguments.recipe or ("style" if arguments.style else "x4-feature"), **changes
        )
    except ValueError as error:
        parser.error(str(error))
    logging.basicConfig(format="%(message)s")
    try:
        with quiet_stderr():
            from keras_perceptual.training import run as training
    except ModuleNotFoundError as error:
        print(f"train.py: {error}; pip install -r requirements.txt has it", file=sys.stderr)
        return 1

    errors = (TrainingError, DataError, ImageError, LossNetworkError, ZooError)
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    out = arguments.resume or arguments.out or Path("runs", f"{recipe.name}-{now}")
    try:
        if arguments.resume:
            last = training.resume(out)
        else:
            sources = training.Sources(
                _absolute(_data(arguments.data)),
                arguments.loss_network,
                arguments.vgg_weights and _absolute(arguments.vgg_weights),
                arguments.workers,
                tuple(map(_absolute, arguments.style)),
                arguments.samples and _absolute(arguments.samples),
            )
            last = training.train(recipe, sources, out)
    except KeyboardInterrupt:
        print(f"stopped; go on with: python train.py --resume {out}", file=sys.stderr)
        return 130
    except (*errors, ValueError, OSError) as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 1
    validated = ", ".join(f"{k} {v:.4g}" for k, v in last.items() if k.startswith("val_"))
    print(f"{out}: step {last['step']:.0f}, {validated or 'not validated'}")
    print(f"model: {out / 'model.keras'}, samples: {out / 'samples'}, curves: {out / 'curves.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Trains a generator: the command line of train.py."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import inspect
import logging
import re
import sys
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

from keras_perceptual.cli.checkout import checkout
from keras_perceptual.cli.distributed import Group, add_flag
from keras_perceptual.cli.kinds import named_weights
from keras_perceptual.errors import PerceptualError
from keras_perceptual.system.quiet import quiet_stderr
from keras_perceptual.training.recipe import Recipe
from keras_perceptual.training.recipes import RECIPES, get_recipe

__all__ = ["main", "parser"]

_DEFAULT = RECIPES["x4-feature"]
# What the fields that are mappings take, and an example of it.
_MAPPINGS = {
    "loss": ("NAME=WEIGHT", "pixel_absolute=1"),
    "damage": ("NAME=NUMBER", "noise=12"),
}


def parser(prog: str | None = None) -> argparse.ArgumentParser:
    """Returns the parser of train.py's arguments; of a recipe's numbers, None is unchanged.

    Args:
        prog: name of the program; by default that of the script that runs.
    """
    parser = argparse.ArgumentParser(
        prog,
        description=f"Train a generator. Without arguments: {_DEFAULT.name}, starting from "
        f"{_DEFAULT.start}; with --style painting.jpg: a network that paints in its style.",
    )
    parser.add_argument(
        "--recipe",
        choices=sorted(RECIPES),
        help=f"numbers to begin with ({_DEFAULT.name}; style with --style)",
    )
    parser.add_argument(
        "--style",
        nargs="+",
        default=(),
        metavar="IMAGE",
        help="learn to paint in the style of each of these",
    )
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on with a run's folder")
    parser.add_argument(
        "--data", metavar="FOLDER", help="photographs to train on (data/train, or the samples)"
    )
    parser.add_argument(
        "--samples", metavar="FOLDER", help="photographs to validate on (some of the data)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="folder of the run (runs/RECIPE-TIME)"
    )
    parser.add_argument(
        "--loss-network",
        default="auto",
        choices=("auto", "vgg16", "distilled"),
        help="VGG16, the bundled network that imitates it, or VGG16 if its weights can be had "
        "(%(default)s)",
    )
    parser.add_argument("--vgg-weights", metavar="FILE", help="VGG16's weights, .npz or .h5")
    parser.add_argument(
        "--workers",
        type=int,
        default=2,
        help="how many decode photographs: threads up to 2, processes "
        "above, which a GPU needs (%(default)s)",
    )
    parser.add_argument(
        "--tensorboard",
        action="store_true",
        help="write the curves and samples for TensorBoard too, into RUN/tensorboard; a run that "
        "has them goes on with them (needs pip install tensorboard)",
    )
    add_flag(parser)
    numbers = parser.add_argument_group(
        "numbers of the recipe, to change", f"In brackets is what {_DEFAULT.name} has."
    )
    types, told = get_type_hints(Recipe), _documented(Recipe)
    for name in _changeable():
        numbers.add_argument(
            f"--{name.replace('_', '-')}",
            help=f"{told[name]} ({_shown(getattr(_DEFAULT, name))})".replace("%", "%%"),
            **_kind(name, types[name]),
        )
    return parser


def _changeable() -> list[str]:
    return [field.name for field in dataclasses.fields(Recipe) if field.name != "name"]


def _documented(cls: type) -> dict[str, str]:
    """Returns what a class's docstring says of each of its arguments, by their names."""
    section = (inspect.getdoc(cls) or "").partition("Args:\n")[2].partition("\n\n")[0]
    _, *parts = re.split(r"^    (\w+): ", section, flags=re.MULTILINE)
    texts = (" ".join(text.split()).rstrip(".").replace("`", "") for text in parts[1::2])
    return dict(zip(parts[::2], texts, strict=True))


def _kind(name: str, kind: Any) -> dict[str, Any]:
    """Returns how argparse reads a field of this name and type."""
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction}
    if name in _MAPPINGS:
        pair, example = _MAPPINGS[name]
        what = f"{pair},{pair} such as {example}"
        return {"type": partial(named_weights, what=what), "metavar": f"{pair},..."}
    return {"type": kind, "metavar": kind.__name__.upper()}


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        value = ",".join(f"{name}={number:g}" for name, number in value.items())
    return str(value) or "none"


def _data(given: str | None) -> str | Path | None:
    if folder := given or checkout("data", "train"):
        return folder
    if folder := checkout("data", "samples", "HR"):
        print("no data/train here: training on the sample photographs; --data FOLDER takes yours")
    return folder


def _absolute(path: str | Path) -> str:
    """A run may be gone on with from another folder."""
    return str(Path(path).absolute())


def main(argv: list[str] | None = None, prog: str | None = None) -> int:
    """Trains as the arguments say.

    Args:
        argv: arguments; by default those of the process.
        prog: name of the program, that messages begin with; by default the script's.

    Returns:
        The exit status: 0, 1 for a training that failed, 130 for one that was stopped, 75 where
        another process was lost and all have to begin again.
    """
    options = parser(prog)
    arguments = options.parse_args(argv)
    changes = {n: v for n in _changeable() if (v := getattr(arguments, n)) is not None}
    if arguments.resume and changes:
        options.error(f"--resume keeps the run's recipe; received {', '.join(sorted(changes))} too")
    name = arguments.recipe or ("style" if arguments.style else _DEFAULT.name)
    try:
        recipe = get_recipe(name, **changes)
    except ValueError as error:
        options.error(str(error))
    data = None if arguments.resume else _data(arguments.data)
    if not (arguments.resume or data):
        options.error("expected --data FOLDER: neither data/train nor the samples are here")
    out = arguments.resume or arguments.out
    out = out or Path("runs", f"{name}-{datetime.now().strftime('%Y%m%d-%H%M%S')}")
    board = _board(out, arguments)
    if board and not _has_tensorboard():
        options.error(
            "TensorBoard's files need packages of their own: pip install tensorboard tensorflow"
        )
    try:
        group = Group(options.prog, out, arguments.distributed)
    except ValueError as error:
        options.error(f"--distributed: {error}")
    if group.several and not (arguments.out or arguments.resume):
        options.error("expected --out FOLDER or --resume RUN, of all processes the same")
    logging.basicConfig(format="%(message)s")
    try:
        with group.joined():
            last = _train(recipe, data, out, board, arguments)
    except ModuleNotFoundError as error:
        has = "pip install jax" if error.name == "jax" else "pip install -r requirements.txt has it"
        print(f"{options.prog}: {error}; {has}", file=sys.stderr)
        return group.status(1)
    except KeyboardInterrupt:
        python = "python " if options.prog.endswith(".py") else ""
        print(f"stopped; go on with: {python}{options.prog} --resume {out}", file=sys.stderr)
        return group.status(130)
    except (PerceptualError, ValueError, OSError) as error:
        print(f"{options.prog}: {error}", file=sys.stderr)
        return group.status(1)
    if not group.first:
        return 0
    validated = ", ".join(f"{k} {v:.4g}" for k, v in last.items() if k.startswith("val_"))
    print(f"{out}: step {last['step']:.0f}, {validated or 'not validated'}")
    print(f"model: {out / 'model.keras'}, samples: {out / 'samples'}, curves: {out / 'curves.png'}")
    return 0


def _board(out: Path, arguments: argparse.Namespace) -> Path | None:
    """Returns the folder of the run's event files, if it is to have any."""
    board = out / "tensorboard"
    return board if arguments.tensorboard or (arguments.resume and board.is_dir()) else None


def _has_tensorboard() -> bool:
    """Keras's callback needs TensorFlow under every backend."""
    try:
        import tensorboard.summary.v2  # noqa: F401  a folder of that name is not enough
    except ImportError:
        return False
    return importlib.util.find_spec("tensorflow") is not None


def _train(
    recipe: Recipe,
    data: str | Path | None,
    out: Path,
    board: Path | None,
    arguments: argparse.Namespace,
) -> dict:
    """Makes a run, or goes on with one; returns the last row of its history."""
    with quiet_stderr():  # importing Keras is what takes long and talks
        from keras_perceptual.training.prepare import Sources
        from keras_perceptual.training.run import resume, train
    if data is None:
        return resume(out, board)
    sources = Sources(
        _absolute(data),
        arguments.loss_network,
        arguments.vgg_weights and _absolute(arguments.vgg_weights),
        arguments.workers,
        tuple(map(_absolute, arguments.style)),
        arguments.samples and _absolute(arguments.samples),
    )
    return train(recipe, sources, out, board)

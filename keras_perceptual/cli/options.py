"""What can be asked for when pictures are enlarged or painted: the options of infer.py."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from keras_perceptual.cluster.stores import is_url
from keras_perceptual.errors import ImageError
from keras_perceptual.files import formats
from keras_perceptual.files.video.codecs import CODECS
from keras_perceptual.inference.converter import LARGEST_SCALE
from keras_perceptual.inference.engines import DEVICES, ENGINES
from keras_perceptual.inference.upscaler import PRECISIONS
from keras_perceptual.pixels.grain import GRAIN
from keras_perceptual.pixels.histograms import HISTOGRAM_MATCHES

__all__ = ["STREAM", "WORKERS", "add_histogram_match", "add_precision", "named_weights", "parser"]

_Group = argparse._ArgumentGroup
STREAM = Path("-")  # stdin as an input, stdout as an output
WORKERS = 3  # files at a time


def _number(kind: type, least: float, most: float, what: str) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            raise argparse.ArgumentTypeError(f"expected {what}, received {text!r}")
        return value

    return parse


_POSITIVE = _number(int, 1, sys.maxsize, "an integer of at least 1")


def _bytes(text: str) -> int:
    units = {"K": 2**10, "M": 2**20, "G": 2**30}
    number, unit = (text[:-1], text[-1:].upper()) if text[-1:].upper() in units else (text, "")
    try:
        size = int(float(number) * units.get(unit, 1))
    except ValueError:
        size = 0
    if size < 1:
        raise argparse.ArgumentTypeError(f"expected bytes such as 500M or 2G, received {text!r}")
    return size


def _numbers(separator: str, count: int, what: str) -> Callable[[str], tuple[int, ...]]:
    def parse(text: str) -> tuple[int, ...]:
        parts = text.lower().split(separator)
        if len(parts) != count or not all(part.strip().isdecimal() for part in parts):
            raise argparse.ArgumentTypeError(f"expected {what}, received {text!r}")
        return tuple(int(part) for part in parts)

    return parse


def named_weights(text: str, what: str) -> dict[str, float]:
    """Parses NAME=WEIGHT,NAME=WEIGHT, or says that `what` was expected."""
    try:
        pairs = [part.rpartition("=") for part in text.split(",")]
        return {name.strip(): float(weight) for name, _, weight in pairs}
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected {what}, received {text!r}") from None


def _place(text: str) -> Path | str:
    """Returns a path, or a URL as it is: a path would have one slash where it has two."""
    return text if is_url(text) else Path(text)


def _ending(text: str) -> str:
    ending = f".{text.lower().removeprefix('.')}"
    try:
        formats.of(f"image{ending}")
    except ImageError as error:
        said = str(error).partition(": ")[2]
        raise argparse.ArgumentTypeError(f"{text}: {said}") from None
    return ending


def _restore(text: str) -> str | float:
    return text if text == "auto" else _number(float, 0, 1, "auto or a number from 0 to 1")(text)


def _style(text: str) -> str | dict[str, float]:
    if "=" not in text or Path(text).exists():
        return text
    return named_weights(text, "a style, or NAME=WEIGHT,NAME=WEIGHT to mix some")


def parser(prog: str) -> argparse.ArgumentParser:
    """Returns the parser of the arguments, of a program by this name."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Enlarge photographs and films, or paint them in a style. photo.jpg becomes "
        "photo_x4.jpg or photo_STYLE.jpg beside it, the folder photos becomes photos_x4; - is "
        "stdin, and as an output stdout.",
    )
    parser.add_argument(
        "inputs", nargs="*", type=_place, help="image files, films and folders of them"
    )
    parser.add_argument("-o", "--output", type=_place, help="file, or folder, to write to")
    _add_sizes(parser)
    _add_models(parser.add_argument_group("model"))
    _add_styles(parser.add_argument_group("style"))
    _add_files(parser.add_argument_group("files"))
    _add_films(parser.add_argument_group("films"))
    _add_machine(parser.add_argument_group("machine"))
    _add_cluster(parser.add_argument_group("cluster"))
    return parser


def _add_sizes(parser: argparse.ArgumentParser) -> None:
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument(
        "--scale",
        type=_number(float, 1, LARGEST_SCALE, f"a number from 1 to {LARGEST_SCALE}"),
        help=f"size of the output over the input, 1 to {LARGEST_SCALE} (4, or the model's)",
    )
    sizes.add_argument(
        "--size",
        type=_numbers("x", 2, "WIDTHxHEIGHT"),
        metavar="WxH",
        help="size of the output in pixels",
    )
    sizes.add_argument(
        "--max-side", type=_POSITIVE, metavar="N", help="longer side of the output in pixels"
    )
    parser.add_argument(
        "--crop",
        type=_numbers(",", 4, "X,Y,WIDTH,HEIGHT"),
        metavar="X,Y,W,H",
        help="enlarge this part of each input only",
    )
    parser.add_argument("--frames", action="store_true", help="all frames of animations")


def add_histogram_match(group: argparse.ArgumentParser | _Group, default: str) -> None:
    """Adds `--histogram-match`, which infer.py, export.py and evaluate.py have in common."""
    group.add_argument(
        "--histogram-match",
        choices=HISTOGRAM_MATCHES,
        default=default,
        help="take out a shift of colour and contrast that the model adds, give the result the "
        "levels of the input as the paper does, or neither (%(default)s)",
    )
    group.add_argument(
        "--no-histogram-match",
        dest="histogram_match",
        action="store_const",
        const="none",
        default=argparse.SUPPRESS,
        help="--histogram-match none",
    )


def add_precision(group: argparse.ArgumentParser | _Group, default: str) -> None:
    """Adds `--precision`, which infer.py and evaluate.py have in common."""
    group.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=default,
        help="of the network: int8 is several times as fast on processors made for it, which auto "
        "looks for (%(default)s)",
    )


def _add_models(models: _Group) -> None:
    models.add_argument(
        "--model", help="a shipped model (--list-models), or a .tflite or .keras file"
    )
    models.add_argument(
        "--fidelity",
        type=_number(float, 0, 1, "a number from 0 to 1"),
        default=0.0,
        metavar="F",
        help="from 0, as sharp as the model is, to 1, as faithful as the one trained on pixels (0)",
    )
    models.add_argument(
        "--restore",
        type=_restore,
        default="auto",
        metavar="auto|R",
        help="take out JPEG blocks and noise: from 0, not at all, to 1, as much as can be; auto "
        "decides for each picture by what it shows (auto)",
    )
    models.add_argument(
        "--engine",
        default="auto",
        choices=("auto", *ENGINES),
        help="what runs the network; onnx needs pip install onnx onnxruntime (%(default)s)",
    )
    add_precision(models, "auto")
    add_histogram_match(models, "affine")
    models.add_argument("--list-models", action="store_true", help="show those that ship, and end")


def _add_styles(styles: _Group) -> None:
    styles.add_argument(
        "--style",
        type=_style,
        help="paint instead of enlarging: a shipped style (--list-models), NAME=WEIGHT,NAME=WEIGHT "
        "for a mixture, or a model file",
    )
    styles.add_argument(
        "--strength",
        type=_number(float, 0, 1, "a number from 0 to 1"),
        default=1.0,
        metavar="S",
        help="from 0, the photograph, to 1, the painting (1)",
    )
    styles.add_argument(
        "--preserve-colour", action="store_true", help="take brightness alone from the painting"
    )
    styles.add_argument(
        "--grain",
        type=_number(float, 0, 255, "a number from 0 to 255"),
        default=GRAIN,
        metavar="LEVELS",
        help="noise to paint flat parts by (%(default)g)",
    )


def _add_files(files: _Group) -> None:
    files.add_argument("--recursive", action="store_true", help="folders inside folders too")
    files.add_argument("--skip-existing", action="store_true", help="leave outputs that are there")
    files.add_argument(
        "--format",
        type=_ending,
        metavar="FORMAT",
        help="png, jpg, webp, tif, avif, ...: of the outputs (that of each input)",
    )
    quality = files.add_mutually_exclusive_group()
    quality.add_argument(
        "--quality",
        type=_number(int, 1, 100, "an integer from 1 to 100"),
        default=95,
        help="of JPEG, WebP, AVIF and films, 1 to 100 (%(default)s)",
    )
    quality.add_argument(
        "--lossless",
        dest="quality",
        action="store_const",
        const=None,
        default=argparse.SUPPRESS,
        help="WebP, AVIF and films without a loss",
    )
    files.add_argument("--strip-metadata", action="store_true", help="leave out EXIF and XMP")
    files.add_argument(
        "--keep-times", action="store_true", help="give outputs the times of their inputs"
    )
    files.add_argument("--report", type=Path, metavar="FILE", help="write what became of each file")
    files.add_argument("--compare", action="store_true", help="also write before/after figures")


def _add_films(films: _Group) -> None:
    films.add_argument(
        "--codec",
        choices=CODECS,
        help="of films; by default h264, in .webm vp9 (films need pip install av)",
    )
    films.add_argument(
        "--start", type=_seconds, metavar="TIME", help="where to begin: seconds or H:MM:SS"
    )
    films.add_argument("--end", type=_seconds, metavar="TIME", help="where to end")
    films.add_argument(
        "--resume", action="store_true", help="go on where a run stopped that was to make the same"
    )


def _seconds(text: str) -> Fraction:
    try:
        parts = [Fraction(part) for part in text.split(":")]
        if len(parts) > 3 or any(part < 0 for part in parts) or any(p >= 60 for p in parts[1:]):
            raise ValueError
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(
            f"expected seconds or H:MM:SS, such as 90.5 or 1:30, received {text!r}"
        ) from None
    return sum((part * 60**i for i, part in enumerate(reversed(parts))), Fraction(0))


def _add_machine(machine: _Group) -> None:
    machine.add_argument(
        "--device",
        default="auto",
        choices=DEVICES,
        help="where --engine onnx runs the network, which gpu implies; auto takes a GPU if there "
        "is one (%(default)s)",
    )
    machine.add_argument("--threads", type=_POSITIVE, help="processor cores of the network (all)")
    machine.add_argument(
        "--workers",
        type=_POSITIVE,
        help=f"files at a time ({WORKERS}); of a cluster, processes (one for each core)",
    )
    machine.add_argument(
        "--memory",
        type=_bytes,
        metavar="BYTES",
        help="for tiles, such as 500M (half the free), and "
        "for files that are decoded as a whole (2G)",
    )


def _add_cluster(cluster: _Group) -> None:
    cluster.add_argument(
        "--cluster",
        metavar="local|ADDRESS",
        help="share the files out on a Ray cluster, and take URLs such as s3://bucket/in too; "
        "--threads is then of each process (1). Needs pip install 'ray[data]' s3fs",
    )
    cluster.add_argument(
        "--force", action="store_true", help="write beside outputs that other options made"
    )

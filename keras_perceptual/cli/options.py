"""What can be asked for when pictures are enlarged or painted: the options of infer.py."""

from __future__ import annotations

import argparse
from pathlib import Path

from keras_perceptual.cli import kinds
from keras_perceptual.files.video.codecs import CODECS
from keras_perceptual.inference.converter import LARGEST_SCALE
from keras_perceptual.inference.engines import DEVICES, ENGINES
from keras_perceptual.inference.upscaler import PRECISIONS
from keras_perceptual.pixels.grain import GRAIN
from keras_perceptual.pixels.histograms import HISTOGRAM_MATCHES

__all__ = ["STREAM", "WORKERS", "add_histogram_match", "add_precision", "parser"]

_Group = argparse._ArgumentGroup
STREAM = Path("-")  # stdin as an input, stdout as an output
WORKERS = 4  # files at a time at the most, unless somebody asks for more


def parser(prog: str) -> argparse.ArgumentParser:
    """Returns the parser of the arguments, of a program by this name."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Enlarge photographs and films, or paint them in a style. photo.jpg becomes "
        "photo_x4.jpg or photo_STYLE.jpg beside it, the folder photos becomes photos_x4; - is "
        "stdin, and as an output stdout.",
    )
    parser.add_argument(
        "inputs", nargs="*", type=kinds.place, help="image files, films and folders of them"
    )
    parser.add_argument("-o", "--output", type=kinds.place, help="file, or folder, to write to")
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
        type=kinds.number(float, 1, LARGEST_SCALE, f"a number from 1 to {LARGEST_SCALE}"),
        help=f"size of the output over the input, 1 to {LARGEST_SCALE} (4, or the model's)",
    )
    sizes.add_argument(
        "--size",
        type=kinds.numbers("x", 2, "WIDTHxHEIGHT"),
        metavar="WxH",
        help="size of the output in pixels",
    )
    sizes.add_argument(
        "--max-side", type=kinds.POSITIVE, metavar="N", help="longer side of the output in pixels"
    )
    parser.add_argument(
        "--crop",
        type=kinds.numbers(",", 4, "X,Y,WIDTH,HEIGHT"),
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
        type=kinds.number(float, 0, 1, "a number from 0 to 1"),
        default=0.0,
        metavar="F",
        help="from 0, as sharp as the model is, to 1, as faithful as the one trained on pixels (0)",
    )
    models.add_argument(
        "--restore",
        type=kinds.restore,
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
        type=kinds.style,
        help="paint instead of enlarging: a shipped style (--list-models), NAME=WEIGHT,NAME=WEIGHT "
        "for a mixture, or a model file",
    )
    styles.add_argument(
        "--strength",
        type=kinds.number(float, 0, 1, "a number from 0 to 1"),
        default=1.0,
        metavar="S",
        help="from 0, the photograph, to 1, the painting (1)",
    )
    styles.add_argument(
        "--preserve-colour", action="store_true", help="take brightness alone from the painting"
    )
    styles.add_argument(
        "--grain",
        type=kinds.number(float, 0, 255, "a number from 0 to 255"),
        default=GRAIN,
        metavar="LEVELS",
        help="noise to paint flat parts by (%(default)g)",
    )


def _add_files(files: _Group) -> None:
    files.add_argument("--recursive", action="store_true", help="folders inside folders too")
    files.add_argument("--skip-existing", action="store_true", help="leave outputs that are there")
    files.add_argument(
        "--format",
        type=kinds.ending,
        metavar="FORMAT",
        help="png, jpg, webp, tif, avif, ...: of the outputs (that of each input)",
    )
    quality = files.add_mutually_exclusive_group()
    quality.add_argument(
        "--quality",
        type=kinds.number(int, 1, 100, "an integer from 1 to 100"),
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
        "--start", type=kinds.seconds, metavar="TIME", help="where to begin: seconds or H:MM:SS"
    )
    films.add_argument("--end", type=kinds.seconds, metavar="TIME", help="where to end")
    films.add_argument(
        "--resume", action="store_true", help="go on where a run stopped that was to make the same"
    )


def _add_machine(machine: _Group) -> None:
    machine.add_argument(
        "--device",
        default="auto",
        choices=DEVICES,
        help="where --engine onnx runs the network, which gpu implies; auto takes a GPU if there "
        "is one (%(default)s)",
    )
    machine.add_argument(
        "--threads", type=kinds.POSITIVE, help="processor cores of the network (all)"
    )
    machine.add_argument(
        "--workers",
        type=kinds.POSITIVE,
        help=f"files at a time (one for each core, up to {WORKERS}); of a cluster, processes "
        "(one for each core)",
    )
    machine.add_argument(
        "--memory",
        type=kinds.bytes_,
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

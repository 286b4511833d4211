"""What exports a model for servers and phones: `export.py` and `keras-perceptual export`."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from keras_perceptual.cli.checkout import checkout
from keras_perceptual.cli.options import add_histogram_match
from keras_perceptual.errors import PerceptualError
from keras_perceptual.files import images
from keras_perceptual.system.quiet import quiet_stderr

if TYPE_CHECKING:
    import numpy as np

    from keras_perceptual.export.exporter import Exported, Exporter

__all__ = ["main"]


def main(argv: list[str] | None = None, prog: str | None = None) -> int:
    """Exports what the arguments ask for and prints how far it is from its model.

    Args:
        argv: the arguments, by default those of the process.
        prog: name of the program in its messages, by default `export.py`.

    Returns:
        The exit status: 1 if it failed.
    """
    parser = _parser(prog or "export.py")
    arguments = parser.parse_args(argv)
    if arguments.format not in ("tflite", "all") and (
        arguments.fixed_size or arguments.quantize != "none"
    ):
        parser.error("--fixed-size and --quantize are for --format tflite")
    if arguments.finetune and arguments.quantize != "int8":
        parser.error("--finetune is for --quantize int8")
    if arguments.pixel_limit < 1:
        parser.error(f"expected a --pixel-limit of at least 1, received {arguments.pixel_limit}")
    logging.getLogger("absl").setLevel(logging.ERROR)
    try:
        with quiet_stderr():
            from keras_perceptual.export.exporter import Exporter
    except ModuleNotFoundError as error:
        return _failed(parser, f"{error}; pip install -r requirements.txt has it")
    try:
        exporter = Exporter(
            arguments.model,
            arguments.out,
            [images.read(path).pixels for path in images.list_images(arguments.photographs)],
            arguments.histogram_match,
        )
        rows = _exported(exporter, arguments)
    except PerceptualError as error:
        return _failed(parser, str(error))
    print("| file | MB | largest difference | mean | PSNR | seconds |")
    print("| --- | --- | --- | --- | --- | --- |")
    for path, size, agreement in rows:
        print(
            f"| {path} | {size / 1e6:.2f} | {agreement.largest} | {agreement.mean:.4f} | "
            f"{agreement.psnr:.1f} dB | {agreement.seconds:.3f} |"
        )
    return 0


def _failed(parser: argparse.ArgumentParser, reason: str) -> int:
    print(f"{parser.prog}: {reason}", file=sys.stderr)
    return 1


def _exported(exporter: Exporter, arguments: argparse.Namespace) -> list[Exported]:
    if arguments.format == "onnx":
        return [exporter.onnx()]
    finetune: list[np.ndarray] = []
    if arguments.finetune:
        from keras_perceptual.export.finetuning import read_photographs

        finetune = read_photographs(arguments.finetune)
    rows = []
    if arguments.format in ("saved_model", "all"):
        rows.append(exporter.saved_model(arguments.pixel_limit))
    if arguments.format in ("tflite", "all"):
        rows.append(exporter.tflite(arguments.quantize, arguments.fixed_size, finetune))
    return rows


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH in LR pixels, received {text!r}")
    return int(height), int(width)


def _parser(prog: str) -> argparse.ArgumentParser:
    samples = checkout("data", "samples", "LRx4")
    parser = argparse.ArgumentParser(
        prog,
        description="Export a model: exports/MODEL/VERSION/ for TF Serving, exports/MODEL.tflite "
        "for LiteRT, exports/MODEL.onnx for ONNX Runtime. Each is compared with the Keras model "
        "on photographs before it is kept.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--model", default="x4-feature", help="a shipped model or style, or a .keras file"
    )
    parser.add_argument(
        "--format",
        default="all",
        choices=("saved_model", "tflite", "onnx", "all"),
        help="all is saved_model and tflite; onnx needs pip install onnx onnxruntime, "
        "and is the generator without a post-process",
    )
    parser.add_argument("--out", type=Path, default=Path("exports"), help="folder to write to")
    parser.add_argument(
        "--quantize",
        default="none",
        choices=("none", "float16", "dynamic", "int8", "int8-full"),
        help="of the .tflite file: weights in 16 or 8 bits; int8, weights and activations of the "
        "residual blocks; or int8-full, of all layers, for accelerators of integers only",
    )
    parser.add_argument(
        "--photographs",
        type=Path,
        metavar="FOLDER",
        default=samples,
        required=samples is None,
        help="LR images to calibrate 8 bits on and to compare with",
    )
    parser.add_argument(
        "--finetune",
        type=Path,
        metavar="FOLDER",
        help="photographs to fine-tune weights on for --quantize int8; it takes some minutes",
    )
    add_histogram_match(parser, "affine")
    parser.add_argument("--fixed-size", type=_size, metavar="HxW", help="static LR shape (.tflite)")
    parser.add_argument(
        "--pixel-limit", type=int, default=4_000_000, help="largest image that serve_bytes takes"
    )
    return parser

"""Exports a model for servers and phones: `python export.py --help`."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from keras_perceptual.errors import ExportError, ImageError, ZooError
from keras_perceptual.files import images
from keras_perceptual.system.quiet import quiet_stderr

ROOT = Path(__file__).parent
SAMPLES = ROOT / "data" / "samples" / "LRx4"


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH in LR pixels, received {text!r}")
    return int(height), int(width)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
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
        help="all is saved_model and tflite; onnx needs pip install onnx onnxruntime tf2onnx, "
        "and is the generator without histogram matching",
    )
    parser.add_argument("--out", type=Path, default=Path("exports"), help="folder to write to")
    parser.add_argument(
        "--quantize",
        default="none",
        choices=("none", "float16", "dynamic", "int8"),
        help="weights, or with int8 activations too, of the .tflite file",
    )
    parser.add_argument(
        "--photographs",
        type=Path,
        default=SAMPLES,
        help="folder of LR images to calibrate int8 on and to compare with",
    )
    parser.add_argument(
        "--histogram-match",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="match the levels of the result to the input's",
    )
    parser.add_argument("--fixed-size", type=_size, metavar="HxW", help="static LR shape (.tflite)")
    parser.add_argument(
        "--pixel-limit", type=int, default=4_000_000, help="largest image that serve_bytes takes"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    parser = _parser()
    arguments = parser.parse_args(argv)
    tflite = arguments.format in ("tflite", "all")
    if not tflite and (arguments.fixed_size or arguments.quantize != "none"):
        parser.error("--fixed-size and --quantize are for --format tflite")
    if arguments.pixel_limit < 1:
        parser.error(f"expected a --pixel-limit of at least 1, received {arguments.pixel_limit}")
    logging.getLogger("absl").setLevel(logging.ERROR)
    try:
        with quiet_stderr():
            from keras_perceptual.export import exporter as exporting
    except ModuleNotFoundError as error:
        print(f"export.py: {error}; pip install -r requirements.txt has it", file=sys.stderr)
        return 1

    try:
        exporter = exporting.Exporter(
            arguments.model,
            arguments.out,
            [images.read(path).pixels for path in images.list_images(arguments.photographs)],
            arguments.histogram_match,
        )
        rows = []
        if arguments.format in ("saved_model", "all"):
            rows.append(exporter.saved_model(arguments.pixel_limit))
        if tflite:
            rows.append(exporter.tflite(arguments.quantize, arguments.fixed_size))
        if arguments.format == "onnx":
            rows.append(exporter.onnx())
    except (ExportError, ImageError, ZooError, OSError) as error:
        print(f"export.py: {error}", file=sys.stderr)
        return 1
    print("| file | MB | largest difference | mean | PSNR | seconds |")
    print("| --- | --- | --- | --- | --- | --- |")
    for path, size, agreement in rows:
        print(
            f"| {path} | {size / 1e6:.2f} | {agreement.largest} | {agreement.mean:.4f} | "
            f"{agreement.psnr:.1f} dB | {agreement.seconds:.3f} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Speed and memory of one generator in several runtimes: `python benchmarks/runtimes.py --help`.

Every runtime has a process of its own, and they take turns.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np

from keras_perceptual.errors import ExportError
from keras_perceptual.system.quiet import quiet_stderr
from processes import Contender, KilledError, Run, Timed, add_flags, alone, take_turns

SAMPLES = ROOT / "data" / "samples" / "LRx4"
MATRIX = 2048


# --- in a process of its own: the files ---


def prepare(generator: str, folder: Path, size: tuple[int, int]) -> tuple[str, int]:
    """Writes a generator in every format, and the image as `lr.npy`.

    Args:
        generator: `subpixel` or `johnson`.
        folder: where to.
        size: LR (height, width).

    Returns:
        What was taken, and its multiply-adds for the image.
    """
    with quiet_stderr():
        from keras_perceptual import export as exporting
        from keras_perceptual import zoo
        from keras_perceptual.export import onnx as onnx_file
        from keras_perceptual.files import images
        from keras_perceptual.models import generators
        from keras_perceptual.models.loading import load_generator

        photographs = [images.read(path).pixels for path in images.list_images(SAMPLES)]
        if generator == "subpixel":
            about = "x4-feature" if "x4-feature" in zoo.names() else "x4-pixel"
            model = load_generator(about)
        else:
            about, model = "fresh weights, x4", generators.GENERATORS[generator]()
        model.save(folder / "model.keras")
        exporting.save_serving(model, 4, folder / "saved_model")
        for quantize in exporting.QUANTIZATIONS:
            content = exporting.to_tflite(model, quantize=quantize, photographs=photographs)
            (folder / f"{quantize}.tflite").write_bytes(content)
        try:
            (folder / "model.onnx").write_bytes(onnx_file.to_onnx(model))
        except ExportError as error:
            (folder / "no-onnx.txt").write_text(str(error), "utf-8")
    lr = photographs[0]
    repeats = [-(-side // had) for side, had in zip(size, lr.shape, strict=False)]
    lr = np.tile(lr, (*repeats, 1))[: size[0], : size[1]]
    np.save(folder / "lr.npy", lr[None].astype(np.float32))
    return about, generators.multiply_adds(model, *size)


# --- in a process of its own: one runtime ---


def open_keras(folder: Path, threads: int) -> Run:
    import tensorflow as tf

    from keras_perceptual.models.loading import load_generator

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    model = load_generator(str(folder / "model.keras"))
    spec = tf.TensorSpec((None, None, None, 3), tf.float32)
    graph = tf.function(lambda lr: model(lr, training=False), input_signature=[spec])
    return lambda lr: graph(lr).numpy()


def open_saved_model(folder: Path, threads: int) -> Run:
    from keras_perceptual.inference.engines import SavedModelEngine

    return SavedModelEngine(folder / "saved_model", threads).run


def open_litert(folder: Path, threads: int, quantize: str) -> Run:
    from keras_perceptual.inference.engines import LiteRTEngine

    return LiteRTEngine(folder / f"{quantize}.tflite", threads).run


def open_onnx_runtime(folder: Path, threads: int) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    file = _onnx(folder)
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda lr: session.run(["sr"], {"lr": lr})[0]


def open_openvino(folder: Path, threads: int) -> Run:
    import openvino

    options = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",  # or it takes bfloat16 where the processor can
        "PERFORMANCE_HINT": "LATENCY",
    }
    model = openvino.Core().compile_model(_onnx(folder), "CPU", options)
    return lambda lr: model({"lr": lr})["sr"]


def _onnx(folder: Path) -> Path:
    if not (folder / "model.onnx").exists():
        raise RuntimeError((folder / "no-onnx.txt").read_text("utf-8"))
    return folder / "model.onnx"


def open_product(folder: Path, threads: int) -> Run:
    matrix = np.random.default_rng(0).random((MATRIX, MATRIX), np.float32)
    return lambda lr: matrix @ matrix


KERAS, LITERT, PRODUCT = "Keras graph", "LiteRT float32", "matrix product"
RUNTIMES: dict[str, tuple[Callable[..., Run], tuple[str, ...]]] = {
    KERAS: (open_keras, ()),
    "SavedModel": (open_saved_model, ()),
    LITERT: (open_litert, ("none",)),
    "LiteRT float16": (open_litert, ("float16",)),
    "LiteRT dynamic": (open_litert, ("dynamic",)),
    "LiteRT int8": (open_litert, ("int8",)),
    "LiteRT int8-full": (open_litert, ("int8-full",)),
    "ONNX Runtime": (open_onnx_runtime, ()),
    "OpenVINO": (open_openvino, ()),
    PRODUCT: (open_product, ()),
}


# --- here: tables ---


def measure(folder: Path, threads: int, rounds: int, files: list[Path]) -> dict[str, Timed]:
    """Times every runtime that can be opened, LiteRT with other files too; says which cannot."""
    lr = np.load(folder / "lr.npy")
    others = {str(path): (open_litert, (str(path.resolve().with_suffix("")),)) for path in files}
    contenders = {
        name: Contender(open_runtime, (folder, threads, *arguments), lr)
        for name, (open_runtime, arguments) in {**RUNTIMES, **others}.items()
    }
    return take_turns(contenders, rounds)


def print_table(measured: dict[str, Timed], count: int) -> None:
    """Prints a Markdown table; `count` is the multiply-adds for one image."""
    product = measured.pop(PRODUCT)
    rate = 2 * MATRIX**3 / product.best / 1e9
    print(
        f"{2 * count / 1e9:.2f} GFLOP an image; matrix product {rate:.0f} GFLOP/s at best, "
        f"{2 * MATRIX**3 / product.median / 1e9:.0f} in the median.\n"
    )
    print(
        f"| runtime | images/s, best | images/s, median | ratio to {LITERT} | GFLOP/s | "
        "of matrix product | peak MB | largest difference, levels |"
    )
    print("| --- |" + " ---: |" * 7)
    for name, runtime in measured.items():
        speed = 2 * count / runtime.best / 1e9
        difference = np.abs(runtime.result - measured[KERAS].result).max()
        print(
            f"| {name} | {1 / runtime.best:.2f} | {1 / runtime.median:.2f} | "
            f"{measured[LITERT].best / runtime.best:.2f} | {speed:.0f} | {speed / rate:.0%} | "
            f"{runtime.peak:.0f} | {difference:.2g} |"
        )


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH in LR pixels, received {text!r}")
    return int(height), int(width)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Enlarge one LR image in every runtime that is installed, and compare.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    choices = ["subpixel", "johnson"]
    parser.add_argument("--size", type=_size, default="128x128", metavar="HxW", help="LR pixels")
    parser.add_argument("--generators", nargs="+", default=choices, choices=choices)
    parser.add_argument(
        "--tflite",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="other .tflite files of subpixel, in LiteRT",
    )
    add_flags(parser, rounds=20)
    arguments = parser.parse_args(argv)
    for library in ("OMP", "OPENBLAS", "MKL"):  # for NumPy's matrix product, in its own process
        os.environ[f"{library}_NUM_THREADS"] = str(arguments.threads)
    # Its threads would keep the processors busy for a while after each product.
    os.environ["OPENBLAS_THREAD_TIMEOUT"] = "4"
    for generator in arguments.generators:
        with tempfile.TemporaryDirectory() as folder:
            try:
                about, count = alone(prepare, generator, Path(folder), arguments.size)
                files = arguments.tflite if generator == "subpixel" else []
                measured = measure(Path(folder), arguments.threads, arguments.rounds, files)
            except (KilledError, OSError) as error:
                print(f"runtimes.py: {error}", file=sys.stderr)
                return 1
        height, width = arguments.size
        print(f"## {generator} ({about}), LR {height}x{width}, {arguments.threads} threads\n")
        print_table(measured, count)
        print(flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

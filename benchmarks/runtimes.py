"""Speed and memory of one generator in several runtimes: `python benchmarks/runtimes.py --help`.

Every runtime has a process of its own, so that neither its threads nor its memory are another's.
They take turns, one image each, so that a noisy machine is noisy for all of them.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np

from keras_perceptual.quiet import quiet_stderr

# What a process counts as its peak may include what its parent held when it was started: this
# one, their parent, therefore never imports TensorFlow.
PROCESSES = get_context("spawn")
SAMPLES = ROOT / "data" / "samples" / "LRx4"
MATRIX = 2048
PAUSE = 0.05  # seconds in which the threads of the runtime before stop looking for work

Run = Callable[[np.ndarray], np.ndarray]


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
        from keras_perceptual import exporting, generators, images, onnx_file, training, zoo

        photographs = [images.read(path).pixels for path in images.list_images(SAMPLES)]
        if generator == "subpixel":
            about = "x4-feature" if "x4-feature" in zoo.names() else "x4-pixel"
            model = training.load_generator(about)
        else:
            about, model = "fresh weights, x4", generators.build(generator)
        model.save(folder / "model.keras")
        exporting.save_serving(model, 4, folder / "saved_model")
        for quantize in exporting.QUANTIZATIONS:
            content = exporting.to_tflite(model, quantize=quantize, photographs=photographs)
            (folder / f"{quantize}.tflite").write_bytes(content)
        try:
            (folder / "model.onnx").write_bytes(onnx_file.to_onnx(model))
        except onnx_file.OnnxError as error:
            (folder / "no-onnx.txt").write_text(str(error), "utf-8")
    lr = photographs[0]
    repeats = [-(-side // had) for side, had in zip(size, lr.shape, strict=False)]
    lr = np.tile(lr, (*repeats, 1))[: size[0], : size[1]]
    np.save(folder / "lr.npy", lr[None].astype(np.float32))
    return about, generators.multiply_adds(model, *size)


# --- in a process of its own: one runtime ---


def open_keras(folder: Path, threads: int) -> Run:
    import tensorflow as tf

    from keras_perceptual import training

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    model = training.load_generator(str(folder / "model.keras"))
    spec = tf.TensorSpec((None, None, None, 3), tf.float32)
    graph = tf.function(lambda lr: model(lr, training=False), input_signature=[spec])
    return lambda lr: graph(lr).numpy()


def open_saved_model(folder: Path, threads: int) -> Run:
    from keras_perceptual.engines import SavedModelEngine

    return SavedModelEngine(folder / "saved_model", threads).run


def open_litert(folder: Path, threads: int, quantize: str) -> Run:
    from keras_perceptual.engines import LiteRTEngine

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
RUNTIMES: dict[str, tuple[Any, ...]] = {
    KERAS: (open_keras,),
    "SavedModel": (open_saved_model,),
    LITERT: (open_litert, "none"),
    "LiteRT float16": (open_litert, "float16"),
    "LiteRT dynamic": (open_litert, "dynamic"),
    "LiteRT int8": (open_litert, "int8"),
    "ONNX Runtime": (open_onnx_runtime,),
    "OpenVINO": (open_openvino,),
    PRODUCT: (open_product,),
}


def work(name: str, folder: Path, threads: int, parent: Connection) -> None:
    """Runs a runtime as told through a pipe.

    Sends the first result, or in a line why there is none. Then for every True it receives it
    runs once and sends the seconds; for False it sends its peak memory in MB, and ends.
    """
    lr = np.load(folder / "lr.npy")
    open_runtime, *arguments = RUNTIMES[name]
    try:
        with quiet_stderr():
            run = open_runtime(folder, threads, *arguments)
            run(lr)
        parent.send(np.asarray(run(lr)))
    except Exception as error:  # each runtime raises its own
        parent.send((str(error) or type(error).__name__).splitlines()[0])
        return
    while parent.recv():
        start = time.perf_counter()
        run(lr)
        parent.send(time.perf_counter() - start)
    unit = 1 if sys.platform == "darwin" else 1024
    parent.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)


# --- here: turns and tables ---


class Measured(NamedTuple):
    """What was measured of a runtime."""

    best: float  # seconds for an image
    median: float
    peak: float  # MB
    difference: float  # levels, the largest from the Keras graph


def measure(folder: Path, threads: int, rounds: int) -> dict[str, Measured]:
    """Times every runtime that can be opened, in turns, and says which cannot."""
    workers, firsts = {}, {}
    for name in RUNTIMES:
        here, there = PROCESSES.Pipe()
        PROCESSES.Process(target=work, args=(name, folder, threads, there), daemon=True).start()
        there.close()
        first = here.recv()
        if isinstance(first, str):
            print(f"{name} is left out: {first}\n", flush=True)
        else:
            workers[name], firsts[name] = here, first
    seconds: dict[str, list[float]] = {name: [] for name in workers}
    for _ in range(rounds):
        for name, worker in workers.items():
            time.sleep(PAUSE)
            worker.send(True)
            seconds[name].append(worker.recv())
    measured = {}
    for name, worker in workers.items():
        worker.send(False)
        peak, times = worker.recv(), seconds[name]
        off = 0.0 if name == PRODUCT else float(np.abs(firsts[name] - firsts[KERAS]).max())
        measured[name] = Measured(min(times), statistics.median(times), peak, off)
    return measured


def print_table(measured: dict[str, Measured], count: int) -> None:
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
        print(
            f"| {name} | {1 / runtime.best:.2f} | {1 / runtime.median:.2f} | "
            f"{measured[LITERT].best / runtime.best:.2f} | {speed:.0f} | {speed / rate:.0%} | "
            f"{runtime.peak:.0f} | {runtime.difference:.2g} |"
        )


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH in LR pixels, received {text!r}")
    return int(height), int(width)


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(
            f"expected a whole number of at least 1, received {text!r}"
        )
    return int(text)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Enlarge one LR image in every runtime that is installed, and compare.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    choices = ["subpixel", "johnson"]
    parser.add_argument("--size", type=_size, default="128x128", metavar="HxW", help="LR pixels")
    parser.add_argument("--rounds", type=_positive, default=20, help="timed images a runtime")
    parser.add_argument("--generators", nargs="+", default=choices, choices=choices)
    parser.add_argument("--threads", type=_positive, default=os.cpu_count(), help="cores to use")
    arguments = parser.parse_args(argv)
    for library in ("OMP", "OPENBLAS", "MKL"):  # for NumPy's matrix product, in its own process
        os.environ[f"{library}_NUM_THREADS"] = str(arguments.threads)
    for generator in arguments.generators:
        with tempfile.TemporaryDirectory() as folder:
            try:
                with ProcessPoolExecutor(1, PROCESSES) as pool:
                    job = pool.submit(prepare, generator, Path(folder), arguments.size)
                    about, count = job.result()
                measured = measure(Path(folder), arguments.threads, arguments.rounds)
            except (EOFError, BrokenProcessPool):
                for process in active_children():
                    process.terminate()
                print("runtimes.py: a process was killed, for want of memory?", file=sys.stderr)
                return 1
            except OSError as error:
                print(f"runtimes.py: {error}", file=sys.stderr)
                return 1
        height, width = arguments.size
        print(f"## {generator} ({about}), LR {height}x{width}, {arguments.threads} threads\n")
        print_table(measured, count)
        print(flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Mutates shipped .tflite files and enlarges with them: each must work or give an EngineError.

`python tests/inference/fuzz_models.py --seeds 1000` tries 1000 mutations of each of some models, in
processes that may crash or hang, and names the seeds that do.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np

from keras_perceptual import Stylizer, Upscaler, zoo
from keras_perceptual.errors import EngineError
from tests.inference.model_mutations import fields, mutate

MODELS = ("x4-srcnn/model", "x2-feature/model-int8", "styles/model", "x4-johnson-pixel/model")
SECONDS = 180  # for one file, on a busy machine; two trials may take a minute each


def content(model: str) -> bytes:
    """Returns the file of a model as it ships."""
    name, _, file = model.partition("/")
    return (zoo.folder(name) / f"{file}.tflite").read_bytes()


def use(path: Path, styled: bool) -> str:
    """Enlarges or paints with a model's file; returns what came of it."""
    image = np.full((20, 24, 3), 100, np.uint8)
    try:
        result = (Stylizer(str(path)) if styled else Upscaler(path)).convert(image)
    except EngineError as error:
        message = str(error)
        assert "\n" not in message, message
        return "crashes apart" if "crashes" in message else "refused"
    assert result.dtype == np.uint8
    return "works"


def work(model: str, first: int, stop: int) -> None:
    """Uses mutations, saying before each which comes, and after it what came of it."""
    whole = content(model)
    every = fields(whole)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        for seed in range(first, stop):
            data, what = mutate(whole, every, seed)
            print(f"{seed} begins: {what}", flush=True)
            path.write_bytes(data)
            signal.alarm(SECONDS)
            print(f"{seed} {use(path, model.startswith('styles'))}", flush=True)


def run(model: str, seeds: range) -> tuple[Counter, list[str]]:
    """Uses mutations in a process of its own, again after each that ends it.

    Returns:
        How often each outcome was, and what failed.
    """
    outcomes: Counter = Counter()
    failures: list[str] = []
    first = seeds.start
    while first < seeds.stop:
        process = subprocess.run(
            [sys.executable, __file__, "--worker", model, str(first), str(seeds.stop)],
            capture_output=True,
            text=True,
        )
        lines = process.stdout.splitlines()
        outcomes += Counter(each.partition(" ")[2] for each in lines if " begins: " not in each)
        if process.returncode == 0:
            break
        if not lines:
            return outcomes, [f"{model}: no worker: {process.stderr}"]
        told = (process.stderr.splitlines() or [""])[-1]
        failures.append(f"{model} {lines[-1]}: exit {process.returncode}: {told}")
        first = int(lines[-1].partition(" ")[0]) + 1
    return outcomes, failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=20, help="mutations of each model (20)")
    parser.add_argument("--first", type=int, default=0, help="first seed (0)")
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="NAME/FILE")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        model, first, stop = arguments.worker
        work(model, int(first), int(stop))
        return 0
    failed = 0
    for model in arguments.models:
        began = time.time()
        outcomes, failures = run(model, range(arguments.first, arguments.first + arguments.seeds))
        print(f"{model}: {dict(outcomes)}, {time.time() - began:.0f} s", *failures, sep="\n  ")
        failed += len(failures)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

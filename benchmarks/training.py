"""A step of training here against the same step in PyTorch: `python benchmarks/training.py --help`.

The recipe's generator, loss network, loss and optimiser on one batch of noise, in TensorFlow by
`PerceptualTrainer` and in PyTorch as one would write it there (torch_step.py). That both print the
same loss shows that they do the same.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np

from keras_perceptual.system.quiet import quiet_stderr
from keras_perceptual.training.recipes import get_recipe
from processes import Contender, KilledError, Run, add_flags, alone, take_turns

PRECISIONS = ("mixed_bfloat16", "float32")
# VGG16 up to block3_conv3, which the recipe looks at: filters of its convolutions.
VGG = {"block1": (64, 64), "block2": (128, 128), "block3": (256, 256, 256)}
# What oneDNN says of an operation: its kind, its kernel, its direction and its milliseconds.
VERBOSE = re.compile(r"^onednn_verbose,.*exec,cpu,(\w+),([^,]*),(\w+),.*,([\d.]+)$", re.MULTILINE)


# --- in processes of their own ---


def prepare(name: str, folder: Path) -> None:
    """Writes what both begin with: a batch, the generator's weights, VGG16's, of noise."""
    with quiet_stderr():
        from keras_perceptual.models.loading import load_generator
    recipe, rng = get_recipe(name), np.random.default_rng(0)
    side, scale = recipe.patch_size, recipe.scale
    hr = rng.uniform(0, 255, (recipe.batch_size, side, side, 3)).astype(np.float32)
    shape = (recipe.batch_size, side // scale, scale, side // scale, scale, 3)
    np.save(folder / "hr.npy", hr)
    np.save(folder / "lr.npy", hr.reshape(shape).mean((2, 4)))
    model = load_generator(recipe.start)
    weights = {w.path: np.asarray(w) for w in model.weights}
    _save(folder / "generator.npz", weights)
    vgg: dict[str, np.ndarray] = {}
    channels = 3
    for block, filters in VGG.items():
        for number, count in enumerate(filters, 1):
            kernel = rng.normal(0, np.sqrt(2 / (9 * channels)), (3, 3, channels, count))
            vgg[f"{block}_conv{number}_kernel"] = kernel.astype(np.float32)
            vgg[f"{block}_conv{number}_bias"] = np.zeros(count, np.float32)
            channels = count
    _save(folder / "vgg.npz", vgg)


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(path, allow_pickle=False, **arrays)


def open_tensorflow(name: str, precision: str, folder: Path, threads: int) -> Run:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    from keras_perceptual.training.prepare import Sources, build_trainer

    recipe = get_recipe(name, precision=precision)
    trainer = build_trainer(recipe, Sources("", "vgg16", str(folder / "vgg.npz")))
    hr = tf.constant(np.load(folder / "hr.npy"))
    step = tf.function(lambda lr: trainer.train_step((lr, hr))["loss"])  # as `fit` compiles it

    def run(lr: np.ndarray) -> np.ndarray:
        trainer.reset_metrics()
        return step(tf.constant(lr)).numpy()

    return run


def open_torch(name: str, precision: str, folder: Path, threads: int, compiled: bool) -> Run:
    import torch_step

    recipe = get_recipe(name, precision=precision)
    return torch_step.open_step(recipe, folder, threads, compiled)


# --- here ---


TENSORFLOW = "TensorFlow, PerceptualTrainer"
FRAMEWORKS: dict[str, tuple[Callable[..., Run], tuple[object, ...]]] = {
    TENSORFLOW: (open_tensorflow, ()),
    "PyTorch": (open_torch, (False,)),
    "PyTorch, torch.compile": (open_torch, (True,)),
}


def measure(recipe: str, precision: str, folder: Path, threads: int, rounds: int) -> None:
    """Times both in turns, and prints a table."""
    lr = np.load(folder / "lr.npy")
    contenders = {
        name: Contender(open_framework, (recipe, precision, folder, threads, *more), lr)
        for name, (open_framework, more) in FRAMEWORKS.items()
    }
    timed = take_turns(contenders, rounds)
    print(f"| {precision} | s a step, best | median | ratio to the first | peak MB | second loss |")
    print("| --- |" + " ---: |" * 5)
    for name, each in timed.items():
        print(
            f"| {name} | {each.best:.3f} | {each.median:.3f} | "
            f"{each.best / timed[TENSORFLOW].best:.2f} | {each.peak:.0f} | "
            f"{float(each.result):.6g} |",
            flush=True,
        )


def profile(recipe: str, precision: str, folder: Path, threads: int) -> None:
    """Prints the time that oneDNN, which both compute with, takes of a step, by what it does."""
    print(f"\n{precision}, ms a step in oneDNN, by what it does and in what kind of kernel:\n")
    for name in list(FRAMEWORKS)[:2]:
        command = [sys.executable, __file__, "--one", name, str(folder), precision]
        command += ["--threads", str(threads), "--recipe", recipe]
        told = subprocess.run(
            command,
            env={**os.environ, "ONEDNN_VERBOSE": "profile_exec", "DNNL_VERBOSE": "1"},
            capture_output=True,
            text=True,
        ).stdout.rpartition("LAST STEP\n")[2]
        spent: dict[str, float] = defaultdict(float)
        for kind, kernel, direction, ms in VERBOSE.findall(told):
            spent[f"{kind} {direction} ({kernel})"] += float(ms)
        print(f"{name}: {sum(spent.values()):.0f} in all")
        for what, ms in sorted(spent.items(), key=lambda each: -each[1])[:8]:
            print(f"- {what}: {ms:.0f}")
        print(flush=True)


def _one(name: str, recipe: str, precision: str, folder: Path, threads: int) -> None:
    """Makes three steps; what oneDNN says of the last one follows a line of its own."""
    open_framework, more = FRAMEWORKS[name]
    run, lr = open_framework(recipe, precision, folder, threads, *more), np.load(folder / "lr.npy")
    for _ in range(2):
        run(lr)
    print("LAST STEP", flush=True)
    run(lr)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="x4-feature", choices=["x4-feature", "x2-feature"])
    parser.add_argument("--precisions", nargs="+", default=PRECISIONS, choices=PRECISIONS)
    parser.add_argument("--profile", action="store_true", help="also show what takes the time")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    add_flags(parser, rounds=10)
    arguments = parser.parse_args(argv)
    recipe = arguments.recipe
    if arguments.one:
        name, folder, precision = arguments.one
        _one(name, recipe, precision, Path(folder), arguments.threads)
        return 0
    for library in ("OMP", "MKL"):
        os.environ[f"{library}_NUM_THREADS"] = str(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        try:
            alone(prepare, recipe, Path(folder))
            for precision in arguments.precisions:
                measure(recipe, precision, Path(folder), arguments.threads, arguments.rounds)
                if arguments.profile:
                    profile(recipe, precision, Path(folder), arguments.threads)
        except (KilledError, OSError) as error:
            print(f"training.py: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

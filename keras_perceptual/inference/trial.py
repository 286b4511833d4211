"""A run of a model in a process of its own, which it may crash or hang.

Kernels trust the shapes, options and weights that a file gives them, and no list of checks is ever
complete. What ends this process instead of the caller's is refused in one line.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_perceptual.system import memory

__all__ = ["run_apart"]

SECONDS = 60
SIDES = (8, 64)  # pixels of the images that are run, where a model takes any size
_BEGUN = b"begun"
_PROGRAM = "from keras_perceptual.inference import trial; trial.main()"


def run_apart(content: bytes) -> None:
    """Runs each signature of a .tflite file on small black images, in another process.

    Where no other process can be had, as in a program frozen into one file, nothing is run.

    Args:
        content: of the file.

    Raises:
        ValueError: if the process died or took longer than a minute. A model that says itself why
            it cannot run is left to the caller.
    """
    if getattr(sys, "frozen", False):
        return
    path = os.pathsep.join(filter(None, sys.path))
    try:
        process = subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            input=content,
            capture_output=True,
            timeout=SECONDS,
            cwd=Path(__file__).parents[2],  # not a folder with files that are named like modules
            env={**os.environ, "PYTHONPATH": path},
        )
    except subprocess.TimeoutExpired:
        raise ValueError(
            f"takes more than {SECONDS} seconds for an image of {SIDES[-1]}x{SIDES[-1]} pixels"
        ) from None
    except OSError:  # no such program, no more processes
        return
    if process.returncode and process.stdout.startswith(_BEGUN):
        raise ValueError(f"it crashes LiteRT (status {process.returncode})")


def main() -> None:
    """Runs the model on standard input; the exit status is 0 unless something crashes."""
    content = sys.stdin.buffer.read()
    print(_BEGUN.decode(), flush=True)
    _limit_memory()
    from ai_edge_litert.interpreter import Interpreter

    with contextlib.suppress(Exception):
        interpreter = Interpreter(model_content=content, num_threads=os.cpu_count())
        for name in interpreter.get_signature_list():
            runner = interpreter.get_signature_runner(name)
            for inputs in _inputs(runner.get_input_details()):
                with contextlib.suppress(Exception):  # a crash is no exception
                    runner(**inputs)


def _limit_memory() -> None:
    """Lets this process end where it would take what others need."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows; a lower limit is there
        import resource

        most = memory.resident() + memory.available()
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _inputs(details: dict) -> Iterator[dict[str, np.ndarray]]:
    """Yields black images of several sizes, and zeros for whatever else a signature takes."""
    for side in SIDES:
        yield {
            name: np.zeros(
                [
                    length if length >= 0 else (side if axis else 1)
                    for axis, length in enumerate(each["shape_signature"])
                ],
                each["dtype"],
            )
            for name, each in details.items()
        }

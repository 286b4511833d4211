"""What the benchmarks share: processes of their own, and turns.

Each contender has a process of its own, so that neither its threads nor its memory are another's.
They take turns, one image each, so that a noisy machine is noisy for all of them.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from multiprocessing.connection import Connection
from typing import NamedTuple, TypeVar

import numpy as np

from keras_perceptual.errors import first_line
from keras_perceptual.system.quiet import quiet_stderr

# What a process counts as its peak may include what its parent held when it was started: a
# benchmark's own process, their parent, therefore never imports TensorFlow.
PROCESSES = get_context("spawn")
PAUSE = 0.05  # seconds in which the threads of the one before stop looking for work

Run = Callable[[np.ndarray], np.ndarray]
Returned = TypeVar("Returned")


class KilledError(Exception):
    """A process that ended before its work."""

    def __init__(self) -> None:
        super().__init__("a process was killed, for want of memory?")


class Contender(NamedTuple):
    """What is timed: `open(*arguments)` gives a function, and that is run on `lr`."""

    open: Callable[..., Run]
    arguments: tuple[object, ...]
    lr: np.ndarray


class Timed(NamedTuple):
    """What was measured of a contender."""

    best: float  # seconds for an image
    median: float
    opened: float  # MB, the most held before the first image
    peak: float  # MB, the most ever held
    result: np.ndarray


def add_flags(parser: argparse.ArgumentParser, rounds: int) -> None:
    """Adds `--rounds`, with its default, and `--threads`."""
    cores = os.cpu_count()
    parser.add_argument(
        "--rounds", type=_positive, default=rounds, help="timed images of each (%(default)s)"
    )
    parser.add_argument(
        "--threads", type=_positive, default=cores, help="cores to use (%(default)s)"
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(
            f"expected a whole number of at least 1, received {text!r}"
        )
    return int(text)


def alone(function: Callable[..., Returned], *arguments: object) -> Returned:
    """Calls a function in a process of its own.

    Returns:
        What the function returns.

    Raises:
        KilledError: if the process ended before it returned; what the function raises, otherwise.
    """
    try:
        with ProcessPoolExecutor(1, PROCESSES) as pool:
            return pool.submit(function, *arguments).result()
    except BrokenProcessPool:
        raise KilledError from None


def take_turns(contenders: dict[str, Contender], rounds: int) -> dict[str, Timed]:
    """Times every contender that can be opened, in turns, and prints which cannot.

    Args:
        contenders: by name.
        rounds: timed images of each, after two that are not.

    Returns:
        What was measured, by name.

    Raises:
        KilledError: if a process ended before its work; the others are ended then.
    """
    try:
        return _take_turns(contenders, rounds)
    except (EOFError, ConnectionError):
        for process in active_children():
            process.terminate()
        raise KilledError from None


def _take_turns(contenders: dict[str, Contender], rounds: int) -> dict[str, Timed]:
    workers: dict[str, Connection] = {}
    for name, contender in contenders.items():
        here, there = PROCESSES.Pipe()
        PROCESSES.Process(target=_work, args=(contender, there), daemon=True).start()
        there.close()
        if why_not := here.recv():
            print(f"{name} is left out: {why_not}\n", flush=True)
        else:
            workers[name] = here
    seconds: dict[str, list[float]] = {name: [] for name in workers}
    for _ in range(rounds):
        for name, worker in workers.items():
            time.sleep(PAUSE)
            worker.send(True)
            seconds[name].append(worker.recv())
    timed = {}
    for name, worker in workers.items():
        worker.send(False)
        timed[name] = Timed(min(seconds[name]), statistics.median(seconds[name]), *worker.recv())
    return timed


def _work(contender: Contender, parent: Connection) -> None:
    """Runs a contender, in its own process, as told through a pipe.

    Sends why it cannot be run, in a line, or None. Then for every True it receives it runs once
    and sends the seconds; for False it sends the rest of `Timed`, and ends.
    """
    lr = contender.lr
    try:
        with quiet_stderr():
            run = contender.open(*contender.arguments)
            opened = _peak()
            run(lr)
        first = np.asarray(run(lr))
    except Exception as error:  # each runtime raises its own
        parent.send(first_line(error))
        return
    parent.send(None)
    while parent.recv():
        start = time.perf_counter()
        run(lr)
        parent.send(time.perf_counter() - start)
    # Only now: what the parent holds would count for those that it starts afterwards.
    parent.send((opened, _peak(), first))


def _peak() -> float:
    """Returns the most memory that this process ever held, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6

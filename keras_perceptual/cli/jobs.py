"""Many files through one upscaler: which goes where, several at a time, none stopping the rest."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Protocol

from keras_perceptual.cluster.stores import is_url
from keras_perceptual.errors import Cancelled, ImageError, reason
from keras_perceptual.files import formats, images
from keras_perceptual.files.video import containers
from keras_perceptual.inference.request import Choice

__all__ = [
    "Done",
    "Job",
    "Named",
    "Result",
    "Work",
    "attempt",
    "clash",
    "named",
    "plan",
    "real",
    "run",
]

_ENDINGS = {*formats.READABLE, *containers.READABLE}


class Named(Protocol):
    """A file to do: a `Job`, or one that has URLs."""

    @property
    def source(self) -> Path | str: ...

    @property
    def target(self) -> Path | str: ...


@dataclass(frozen=True)
class Job:
    """A file to enlarge, and the file to write."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Done:
    """What was written for a job.

    Args:
        size: (height, width).
        choice: what was decided for the picture; None where there was nothing to decide.
        notes: a line on each thing about a film that is worth knowing.
    """

    size: tuple[int, int]
    choice: Choice | None = None
    notes: tuple[str, ...] = ()


# Does a job, reports the fraction done, and returns what was written, or None if there was nothing
# to do.
Work = Callable[[Job, Callable[[float], None]], Done | None]


@dataclass(frozen=True)
class Result:
    """What became of a job.

    Args:
        job: which.
        done: what was written, or None if nothing was.
        seconds: it took, waiting for its turn included.
        error: one line on what went wrong, or empty.
    """

    job: Job
    done: Done | None
    seconds: float
    error: str = ""


def plan(
    source: Path,
    output: Path | None,
    suffix: str,
    recursive: bool,
    failed: Callable[[str], None] | None = None,
    ending: str | None = None,
) -> list[Job]:
    """Lists the jobs of an input.

    A file `a.png` becomes `aSUFFIX.png` beside it or in the folder `output`, or `output` itself
    if that has an ending and is no folder. A folder `b` becomes `bSUFFIX` or `output`, with the
    same tree inside; what lies in that folder already is no input.

    Args:
        source: a file, or a folder of images.
        output: file or folder to write to.
        suffix: of the names, such as `_x4`.
        recursive: whether to look in folders inside a folder.
        failed: called with a line for each inner folder that cannot be listed; without it that is
            an error.
        ending: such as `.png`, of the names of images; by default that of each input.

    Returns:
        The jobs; a file whose format cannot be written becomes a `.png`, a film a `.mkv`.

    Raises:
        ImageError: if a folder cannot be listed or has no images.
    """
    if not os.path.isdir(source):
        if output and output.suffix and not os.path.isdir(output):
            return [Job(source, output)]
        return [Job(source, (output or source.parent) / named(source, suffix, ending))]
    root = output or source.with_name(f"{Path(real(source)).name}{suffix}")
    inside = Path(real(root))
    found = [
        path
        for path in images.list_images(source, recursive, failed, _ENDINGS)
        if inside == Path(real(source)) or inside not in Path(real(path)).parents
    ]
    if not found:
        where = "" if recursive else "; --recursive looks in the folders inside it"
        raise ImageError(f"{source}: expected images in this folder, found none{where}")
    return [
        Job(path, root / path.relative_to(source).parent / named(path, suffix, ending))
        for path in found
    ]


def named(path: PurePath, suffix: str, ending: str | None) -> str:
    """Returns the name of an input's output; `plan` says what the arguments are."""
    if containers.is_film(path):
        return f"{path.stem}{suffix}{containers.ending_for(path)}"
    own = ending or path.suffix
    try:
        formats.of(f"a{own}")
    except ImageError:
        own = ".png"
    return f"{path.stem}{suffix}{own}"


def real(place: Path | str) -> str:
    """Returns a path without links; one that leads nowhere, or in a circle, is no error.

    A URL is returned as it is.
    """
    return str(place) if is_url(place) else os.path.realpath(place)


def clash(jobs: Sequence[Named]) -> str | None:
    """Returns what is wrong with the jobs as a whole, or None."""
    targets: dict[str, Path | str] = {}
    sources = {real(job.source) for job in jobs}
    for job in jobs:
        target = real(job.target)
        if target in sources:
            return f"{job.target}: is an input; name another output with -o"
        if target in targets:
            return f"{targets[target]} and {job.source} would both be written to {job.target}"
        targets[target] = job.source
    return None


def run(
    jobs: Sequence[Job],
    work: Work,
    workers: int,
    progress: Callable[[Job, float], None],
) -> Iterator[Result]:
    """Does jobs, as many at a time as there are workers.

    While one has the network, others decode and encode.

    Args:
        jobs: to do.
        work: does one.
        workers: threads.
        progress: called with a job and the fraction of it that is done, from any thread.

    Yields:
        A result for each job as it ends. Closing the generator, or an exception thrown into it,
        cancels what has begun and waits until nothing of it is left.
    """
    stop = threading.Event()

    def do(job: Job) -> Result:
        def report(done: float) -> None:
            if stop.is_set():
                raise Cancelled
            progress(job, done)

        return attempt(job, work, report)

    with ThreadPoolExecutor(workers, "enlarge") as pool:
        waiting = iter(jobs)
        running: set[Future[Result]] = set()
        try:
            while True:
                for job in waiting:
                    running.add(pool.submit(do, job))
                    if len(running) > workers:
                        break
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for each in done:
                    yield each.result()
        finally:
            stop.set()
            for each in running:
                each.cancel()


def attempt(job: Job, work: Work, progress: Callable[[float], None]) -> Result:
    """Does a job; whatever goes wrong is in its result, in a line."""
    began = time.monotonic()
    done, error = None, ""
    try:
        progress(0.0)
        done = work(job, progress)
    except Cancelled:
        error = "cancelled"
    except ImageError as failure:
        error = str(failure)
    except MemoryError:
        error = f"{job.source}: not enough memory; --memory makes tiles smaller"
    except Exception as failure:  # whatever it is, the others go on
        error = f"{job.source}: {reason(failure)}"
    return Result(job, done, time.monotonic() - began, error)

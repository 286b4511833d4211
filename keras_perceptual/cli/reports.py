"""What is printed: the models that ship, progress, what became of each file."""

from __future__ import annotations

import json
import math
import os
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, Protocol

from tqdm import tqdm

from keras_perceptual import zoo
from keras_perceptual.cli import jobs as batch
from keras_perceptual.cli.options import STREAM
from keras_perceptual.errors import first_line, one_line
from keras_perceptual.inference.film import FilmProgress
from keras_perceptual.system.atomic import atomic_path

__all__ = ["Reporter", "models"]


def models() -> str:
    """Returns the table of the models that ship, and the styles."""
    lines = [f"{'model':20} scale  parameters  {'size':>7}  Set5 PSNR / SSIM / LPIPS"]
    for name in zoo.names():
        try:
            lines.append(_model_row(name))
        except (KeyError, TypeError, ValueError) as error:
            card = zoo.folder(name) / "card.json"
            lines.append(f"{card}: expected the numbers of a model: {first_line(error)}")
    if zoo.styles():
        lines += ["", "styles: " + ", ".join(zoo.styles())]
    lines += zoo.broken()
    return "\n".join(lines)


def _model_row(name: str) -> str:
    card, scale = zoo.card(name), zoo.descriptor(name).scale
    size = zoo.file(name).stat().st_size / 1e6
    numbers = card["numbers"]["Set5"]
    return (
        f"{name:20} x{scale:<5} {card['parameters']:>10,}  {size:>4.1f} MB  "
        f"{numbers['psnr_y']:.2f} / {numbers['ssim_y']:.4f} / {numbers['lpips']:.4f}"
    )


class Ended(Protocol):
    """What became of a file: `batch.Result`, or one of a cluster."""

    @property
    def job(self) -> batch.Named: ...

    @property
    def done(self) -> batch.Done | None: ...

    @property
    def seconds(self) -> float: ...

    @property
    def error(self) -> str: ...


class Reporter:
    """Shows progress, and prints a line on each file as it ends.

    A bar shows the progress of a single file, or the files of many with their speed. To be used
    in a `with` statement.

    Args:
        prog: what messages begin with.
        jobs: what is to be done.
        errors: what is wrong already, a line each.
        keep: whether to remember what became of each file, for `conclude` to write.
        every: seconds between lines of progress where there is no terminal for a bar.
    """

    def __init__(
        self,
        prog: str,
        jobs: Sequence[batch.Named],
        errors: Sequence[str] = (),
        *,
        keep: bool = True,
        every: float = math.inf,
    ) -> None:
        self._prog, self._many = prog, len(jobs) > 1
        self._out = sys.stderr if any(job.target == STREAM for job in jobs) else sys.stdout
        self._rows: list[dict[str, Any]] = []
        self._errors: list[str] = []
        self._keep, self._every = keep, every
        form = None if self._many else "{l_bar}{bar}| {elapsed}<{remaining}{postfix}"
        unit = "image" if self._many else "it"
        self._bar = tqdm(
            total=len(jobs) if self._many else 1.0, unit=unit, bar_format=form, disable=None
        )
        self._pixels, self._began, self._lock = 0, time.monotonic(), threading.Lock()
        self._total, self._ended, self._there = len(jobs), 0, 0
        self._first = self._told = 0.0  # when the first file ended, and when progress was told
        for error in errors:
            self.failed(error)

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def failed(self, error: str) -> None:
        """Prints what went wrong."""
        self._errors.append(one_line(error))
        tqdm.write(f"{self._prog}: {self._errors[-1]}", file=sys.stderr)

    def share(self, _: batch.Job, done: float) -> None:
        """Moves the bar to the fraction of a file that is done; from any thread."""
        if not self._many:
            with self._lock:
                if isinstance(done, FilmProgress) and done.total != 1:
                    took = max(time.monotonic() - self._began, 1e-3)
                    whole = f" of {done.total}" if done.total else ""
                    told = f"{done.frames}{whole} frames, {done.frames / took:.1f}/s"
                    self._bar.set_postfix_str(told, refresh=False)
                self._bar.update(float(done) - self._bar.n)

    def ended(self, result: Ended) -> None:
        """Prints what became of a file."""
        self._ended += 1
        if self._keep:
            self._rows.append(_row(result))
        target = "stdout" if result.job.target == STREAM else one_line(str(result.job.target))
        if result.error:
            self.failed(result.error)
        elif result.done is None:
            self._there += 1
            tqdm.write(f"{target} is there already", file=self._out)
        else:
            height, width = result.done.size
            choice = result.done.choice
            why = f", restored: {choice.reason}" if choice and choice.reason else ""
            tqdm.write(f"{target} ({width}x{height}){why}", file=self._out)
            for note in result.done.notes:
                tqdm.write(f"{target}: {one_line(note)}", file=self._out)
            self._pixels += height * width
        if self._many:
            now = time.monotonic()
            speed = f"{self._pixels / 1e6 / (now - self._began):.1f} megapixels/s"
            self._bar.set_postfix_str(speed, refresh=False)
            self._bar.update()
            if self._bar.disable and result.done is not None:
                self._progress(speed, now)

    def _progress(self, speed: str, now: float) -> None:
        """Prints how far it is, and how long the rest takes as fast as it went from the first."""
        done = self._ended - self._there
        if done == 1:
            self._first = self._told = now
        elif now - self._told >= self._every:
            self._told = now
            each = (now - self._first) / (done - 1)
            left = tqdm.format_interval(each * (self._total - self._ended))
            line = f"{self._prog}: {self._ended} of {self._total} files, {speed}, {left} left"
            print(line, file=sys.stderr, flush=True)

    def conclude(self, path: str | os.PathLike | None = None) -> int:
        """Prints again what failed, of several files.

        Args:
            path: where to write what became of each file, as JSON; None writes nothing.

        Returns:
            The exit status: 1 if anything failed.
        """
        if self._errors and self._ended > 1:
            lines = (f"  {error}" for error in self._errors)
            print(f"{self._prog}: {len(self._errors)} failed:", *lines, sep="\n", file=sys.stderr)
        if path is not None:
            try:
                self._write(path)
            except OSError as error:
                self.failed(f"{path}: cannot be written: {error.strerror}")
        return 1 if self._errors else 0

    def _write(self, path: str | os.PathLike) -> None:
        with atomic_path(path) as beside:
            beside.write_text(json.dumps(self._rows, indent=2) + "\n", "utf-8")


def _row(result: Ended) -> dict[str, Any]:
    """Returns what a report says of a file."""
    done = result.done
    choice = done and done.choice
    return {
        "input": str(result.job.source),
        "output": None if result.error else str(result.job.target),
        "size": done and list(done.size[::-1]),
        "model": choice and choice.model,
        "restore": choice and choice.restore,
        "reason": (choice and choice.reason) or None,
        "notes": list(done.notes) if done else [],
        "seconds": round(result.seconds, 3),
        "error": result.error or None,
    }

"""What infer.py tells: the models that ship, how far it is, what became of each file."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Sequence

from tqdm.auto import tqdm

from keras_perceptual import batch, zoo
from keras_perceptual.atomic import atomic_path

__all__ = ["Bar", "models", "write"]


def models() -> str:
    """Returns the table of the models that ship, and the styles."""
    lines = [f"{'model':20} scale  parameters  {'size':>7}  Set5 PSNR / SSIM / LPIPS"]
    for name in zoo.names():
        card = zoo.card(name)
        size = (zoo.folder(name) / "model.tflite").stat().st_size / 1e6
        numbers = card["numbers"]["Set5"]
        lines.append(
            f"{name:20} x{card['scale']:<5} {card['parameters']:>10,}  {size:>4.1f} MB  "
            f"{numbers['psnr_y']:.2f} / {numbers['ssim_y']:.4f} / {numbers['lpips']:.4f}"
        )
    if zoo.styles():
        lines += ["", "styles: " + ", ".join(zoo.styles())]
    return "\n".join(lines)


class Bar:
    """The share done of a single file, or the files of many with their speed.

    Args:
        jobs: number of files.
    """

    def __init__(self, jobs: int) -> None:
        self._many = jobs > 1
        form = None if self._many else "{l_bar}{bar}| {elapsed}<{remaining}"
        unit = "image" if self._many else "it"
        self._bar = tqdm(
            total=jobs if self._many else 1.0, unit=unit, bar_format=form, disable=None
        )
        self._pixels, self._began, self._lock = 0, time.monotonic(), threading.Lock()

    def share(self, _: batch.Job, done: float) -> None:
        """Is told the share done of a file, from any thread."""
        if not self._many:
            with self._lock:
                self._bar.update(done - self._bar.n)

    def ended(self, result: batch.Result) -> None:
        """Is told what became of a file."""
        if self._many:
            if result.size:
                self._pixels += result.size[0] * result.size[1]
                speed = self._pixels / 1e6 / (time.monotonic() - self._began)
                self._bar.set_postfix_str(f"{speed:.1f} megapixels/s")
            self._bar.update()

    def close(self) -> None:
        """Ends the bar's line."""
        self._bar.close()


def write(path: str | os.PathLike, results: Sequence[batch.Result]) -> None:
    """Writes what became of each file, as JSON.

    Raises:
        OSError: if it cannot be written.
    """
    rows = [
        {
            "input": str(result.job.source),
            "output": None if result.error else str(result.job.target),
            "size": result.size and list(result.size[::-1]),
            "seconds": round(result.seconds, 3),
            "error": result.error or None,
        }
        for result in results
    ]
    with atomic_path(path) as beside:
        beside.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")

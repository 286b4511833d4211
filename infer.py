"""Enlarges photographs: `python infer.py low.png --scale 4`."""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from keras_perceptual import batch, figures, images, zoo
from keras_perceptual.engines import ENGINES, EngineError
from keras_perceptual.inference import LARGEST_SCALE, Upscaler

STREAM = Path("-")  # stdin as an input, stdout as an output


def _number(kind: type, least: float, most: float, what: str) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            raise argparse.ArgumentTypeError(f"expected {what}, received {text!r}")
        return value

    return parse


_POSITIVE = _number(int, 1, sys.maxsize, "an integer of at least 1")


def _bytes(text: str) -> int:
    units = {"K": 2**10, "M": 2**20, "G": 2**30}
    number, unit = (text[:-1], text[-1:].upper()) if text[-1:].upper() in units else (text, "")
    try:
        size = int(float(number) * units.get(unit, 1))
    except ValueError:
        size = 0
    if size < 1:
        raise argparse.ArgumentTypeError(f"expected bytes such as 500M or 2G, received {text!r}")
    return size


def _numbers(separator: str, count: int, what: str) -> Callable[[str], tuple[int, ...]]:
    def parse(text: str) -> tuple[int, ...]:
        parts = text.lower().split(separator)
        if len(parts) != count or not all(part.strip().isdecimal() for part in parts):
            raise argparse.ArgumentTypeError(f"expected {what}, received {text!r}")
        return tuple(int(part) for part in parts)

    return parse


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Enlarge photographs. photo.jpg becomes photo_x4.jpg beside it, the folder "
        "photos becomes photos_x4; - is stdin, and as an output stdout."
    )
    parser.add_argument("inputs", nargs="*", type=Path, help="image files and folders of them")
    parser.add_argument("-o", "--output", type=Path, help="file, or folder, to write to")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument(
        "--scale",
        type=_number(float, 1, LARGEST_SCALE, f"a number from 1 to {LARGEST_SCALE}"),
        help=f"size of the output over the input, 1 to {LARGEST_SCALE} (4, or the model's)",
    )
    sizes.add_argument(
        "--size",
        type=_numbers("x", 2, "WIDTHxHEIGHT"),
        metavar="WxH",
        help="size of the output in pixels",
    )
    sizes.add_argument(
        "--max-side", type=_POSITIVE, metavar="N", help="longer side of the output in pixels"
    )
    parser.add_argument(
        "--crop",
        type=_numbers(",", 4, "X,Y,WIDTH,HEIGHT"),
        metavar="X,Y,W,H",
        help="enlarge this part of each input only",
    )
    parser.add_argument("--frames", action="store_true", help="all frames of animations")

    models = parser.add_argument_group("model")
    models.add_argument(
        "--model", help="a shipped model (--list-models), or a .tflite or .keras file"
    )
    models.add_argument(
        "--fidelity",
        type=_number(float, 0, 1, "a number from 0 to 1"),
        default=0.0,
        metavar="F",
        help="from 0, as sharp as the model is, to 1, as faithful as the one trained on pixels (0)",
    )
    models.add_argument("--engine", default="auto", choices=("auto", *ENGINES))
    models.add_argument(
        "--histogram-match",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="match the colours of the result to the input's (default: on)",
    )
    models.add_argument("--list-models", action="store_true", help="show those that ship, and end")

    files = parser.add_argument_group("files")
    files.add_argument("--recursive", action="store_true", help="folders inside folders too")
    files.add_argument("--skip-existing", action="store_true", help="leave outputs that are there")
    files.add_argument(
        "--quality",
        type=_number(int, 1, 100, "an integer from 1 to 100"),
        default=95,
        help="of JPEG, WebP and AVIF, 1 to 100 (%(default)s)",
    )
    files.add_argument("--strip-metadata", action="store_true", help="leave out EXIF and XMP")
    files.add_argument("--report", type=Path, metavar="FILE", help="write what became of each file")
    files.add_argument("--compare", action="store_true", help="also write before/after figures")

    machine = parser.add_argument_group("machine")
    machine.add_argument("--threads", type=_POSITIVE, help="processor cores of the network (all)")
    machine.add_argument(
        "--workers", type=_POSITIVE, default=3, help="files at a time (%(default)s)"
    )
    machine.add_argument(
        "--memory", type=_bytes, metavar="BYTES", help="for tiles, such as 500M (half the free)"
    )
    return parser


def _list_models() -> None:
    print(f"{'model':20} scale  parameters  {'size':>7}  Set5 PSNR / SSIM / LPIPS")
    for name in zoo.names():
        card = zoo.card(name)
        size = (zoo.folder(name) / "model.tflite").stat().st_size / 1e6
        numbers = card["numbers"]["Set5"]
        print(
            f"{name:20} x{card['scale']:<5} {card['parameters']:>10,}  {size:>4.1f} MB  "
            f"{numbers['psnr_y']:.2f} / {numbers['ssim_y']:.4f} / {numbers['lpips']:.4f}"
        )


def _suffix(arguments: argparse.Namespace, upscaler: Upscaler) -> str:
    if arguments.size:
        return f"_{arguments.size[0]}x{arguments.size[1]}"
    return f"_{arguments.max_side}" if arguments.max_side else f"_x{upscaler.scale:g}"


def _sizing(arguments: argparse.Namespace) -> Callable[[int, int], tuple[int, int]] | None:
    """Returns the function from an image's (height, width) to its result's, or None."""
    if arguments.size:
        return lambda height, width: arguments.size[::-1]
    if arguments.max_side:

        def longer(height: int, width: int) -> tuple[int, int]:
            factor = arguments.max_side / max(height, width)
            return max(1, round(height * factor)), max(1, round(width * factor))

        return longer
    return None


def _plan(arguments: argparse.Namespace, suffix: str) -> tuple[list[batch.Job], list[str]]:
    """Returns the jobs, and what is wrong with inputs that give none."""
    jobs: list[batch.Job] = []
    errors = []
    for given in arguments.inputs:
        if given == STREAM:
            jobs.append(batch.Job(STREAM, arguments.output or STREAM))
            continue
        if arguments.output == STREAM:
            jobs.append(batch.Job(given, STREAM))
            continue
        try:
            jobs += batch.plan(given, arguments.output, suffix, None, arguments.recursive)
        except images.ImageError as error:
            errors.append(str(error))
    return jobs, errors


class _Bars:
    """One bar: the share of a single file, or the files of many with their speed."""

    def __init__(self, jobs: int) -> None:
        self.many = jobs > 1
        total = jobs if self.many else 1.0
        unit = "image" if self.many else "it"
        form = None if self.many else "{l_bar}{bar}| {elapsed}<{remaining}"
        self.bar = tqdm(total=total, unit=unit, bar_format=form, disable=None)
        self.pixels, self.began, self._lock = 0, time.monotonic(), threading.Lock()

    def share(self, job: batch.Job, done: float) -> None:
        if not self.many:
            with self._lock:
                self.bar.update(done - self.bar.n)

    def ended(self, result: batch.Result) -> None:
        if self.many:
            if result.size:
                self.pixels += result.size[0] * result.size[1]
                speed = self.pixels / 1e6 / (time.monotonic() - self.began)
                self.bar.set_postfix_str(f"{speed:.1f} megapixels/s")
            self.bar.update()


def _compare(job: batch.Job, name: str, crop: tuple[int, ...] | None) -> str:
    lr, sr = images.read(job.source).pixels, images.read(job.target).pixels
    if crop:
        lr = lr[crop[1] : crop[1] + crop[3], crop[0] : crop[0] + crop[2]]
    figure = job.target.with_name(f"{job.target.stem}_compare.png")
    images.write(figure, images.Picture(figures.before_after(lr, sr, name)))
    return str(figure)


def _conclude(arguments: argparse.Namespace, results: list[batch.Result], errors: list[str]) -> int:
    """Writes the report and the summary of failures, and returns the exit status."""
    if arguments.report:
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
        with images.atomic_path(arguments.report) as beside:
            beside.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")
    if errors and len(results) > 1:
        lines = [f"infer.py: {len(errors)} failed:", *(f"  {error}" for error in errors)]
        print("\n".join(lines), file=sys.stderr)
    return 1 if errors else 0


def main(argv: list[str] | None = None) -> int:
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.list_models:
        _list_models()
        return 0
    if not arguments.inputs:
        parser.error("expected image files or folders to enlarge")
    try:
        upscaler = Upscaler(
            arguments.model,
            arguments.engine,
            arguments.histogram_match,
            arguments.threads,
            arguments.fidelity,
            arguments.scale,
            arguments.memory,
        )
    except (zoo.ZooError, EngineError, ValueError) as error:
        parser.error(str(error))
    jobs, errors = _plan(arguments, _suffix(arguments, upscaler))
    for failure in errors:
        print(f"infer.py: {failure}", file=sys.stderr)
    if wrong := batch.clash([job for job in jobs if STREAM not in (job.source, job.target)]):
        parser.error(wrong)
    if len(jobs) > 1 and any(job.target == STREAM for job in jobs):
        parser.error("stdout takes one image; name a folder with -o")
    out = sys.stderr if any(job.target == STREAM for job in jobs) else sys.stdout
    sizing = _sizing(arguments)

    def work(job: batch.Job, progress: Callable[[float], None]) -> tuple[int, int]:
        if arguments.skip_existing and job.target.exists():
            return (0, 0)
        source = sys.stdin.buffer.read() if job.source == STREAM else job.source
        return upscaler.upscale_file(
            source,
            sys.stdout.buffer if job.target == STREAM else job.target,
            progress,
            size=sizing,
            crop=arguments.crop,
            frames=arguments.frames,
            quality=arguments.quality,
            strip_metadata=arguments.strip_metadata,
        )

    results = []
    bars = _Bars(len(jobs))
    for result in batch.run(jobs, work, min(arguments.workers, len(jobs) or 1), bars.share):
        results.append(result)
        bars.ended(result)
        if result.error:
            errors.append(result.error)
            tqdm.write(f"infer.py: {result.error}", file=sys.stderr)
        elif result.size is None or not result.size[0]:
            tqdm.write(f"{result.job.target} is there already", file=out)
        else:
            height, width = result.size
            tqdm.write(f"{result.job.target} ({width}x{height}, {upscaler.name})", file=out)
            if arguments.compare and STREAM not in (result.job.source, result.job.target):
                tqdm.write(_compare(result.job, upscaler.name, arguments.crop))
    bars.bar.close()
    return _conclude(arguments, results, errors)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

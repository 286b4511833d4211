"""Enlarges photographs, or paints them: `python infer.py --help`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from keras_perceptual.cli import jobs as batch
from keras_perceptual.cli import options, reports
from keras_perceptual.cli.options import STREAM
from keras_perceptual.errors import EngineError, ImageError, ZooError
from keras_perceptual.evaluation import figures
from keras_perceptual.files import images
from keras_perceptual.inference.converter import Converter
from keras_perceptual.inference.stylizer import Stylizer
from keras_perceptual.inference.upscaler import Upscaler


def _open(arguments: argparse.Namespace) -> Converter:
    if arguments.style:
        return Stylizer(
            arguments.style,
            arguments.engine,
            arguments.strength,
            arguments.preserve_colour,
            arguments.grain,
            arguments.threads,
            arguments.scale or 1,
            arguments.memory,
        )
    return Upscaler(
        arguments.model,
        arguments.engine,
        arguments.histogram_match,
        arguments.threads,
        arguments.fidelity,
        arguments.scale,
        arguments.memory,
    )


def _suffix(arguments: argparse.Namespace, model: Converter) -> str:
    if isinstance(model, Stylizer):
        return f"_{model.name}"
    if arguments.size:
        return f"_{arguments.size[0]}x{arguments.size[1]}"
    return f"_{arguments.max_side}" if arguments.max_side else f"_x{model.scale:g}"


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
    errors: list[str] = []
    for given in arguments.inputs:
        if given == STREAM:
            jobs.append(batch.Job(STREAM, arguments.output or STREAM))
        elif arguments.output == STREAM:
            jobs.append(batch.Job(given, STREAM))
        else:
            try:
                jobs += batch.plan(
                    given, arguments.output, suffix, arguments.recursive, errors.append
                )
            except ImageError as error:
                errors.append(str(error))
    return jobs, errors


def _worker(arguments: argparse.Namespace, model: Converter) -> batch.Work:
    """Returns the function that does one job."""
    sizing = _sizing(arguments)

    def work(job: batch.Job, progress: Callable[[float], None]) -> tuple[int, int] | None:
        if arguments.skip_existing and os.path.exists(job.target):
            return None
        size = model.convert_file(
            sys.stdin.buffer.read() if job.source == STREAM else job.source,
            sys.stdout.buffer if job.target == STREAM else job.target,
            progress,
            size=sizing,
            crop=arguments.crop,
            frames=arguments.frames,
            quality=arguments.quality,
            strip_metadata=arguments.strip_metadata,
        )
        if arguments.compare and STREAM not in (job.source, job.target):
            name = "enlarged" if sizing else model.name
            sheet = figures.before_after(job.source, job.target, name, arguments.crop)
            figure = job.target.with_name(f"{job.target.stem}_compare.png")
            images.write(figure, images.Picture(sheet))
        return size

    return work


def main(argv: list[str] | None = None) -> int:
    parser = options.parser()
    arguments = parser.parse_args(argv)
    if arguments.list_models:
        print(reports.models())
        return 0
    if not arguments.inputs:
        parser.error("expected image files or folders to enlarge")
    report = arguments.report
    if report and (report.is_dir() or not report.absolute().parent.is_dir()):
        parser.error(f"expected a file in a folder that is there for --report, received {report}")
    if arguments.style and (arguments.model or arguments.fidelity):
        parser.error("--style paints, --model and --fidelity enlarge; choose one")
    try:
        model = _open(arguments)
    except (ZooError, EngineError, ValueError) as error:
        parser.error(str(error))
    jobs, errors = _plan(arguments, _suffix(arguments, model))
    if wrong := batch.clash([job for job in jobs if STREAM not in (job.source, job.target)]):
        parser.error(wrong)
    if len(jobs) > 1 and any(job.target == STREAM for job in jobs):
        parser.error("stdout takes one image; name a folder with -o")
    with reports.Reporter(jobs, errors) as reporter:
        work = _worker(arguments, model)
        for result in batch.run(jobs, work, arguments.workers, reporter.share):
            reporter.ended(result)
    return reporter.conclude(report)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:  # whoever read our lines has gone, or their disk is full
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"infer.py: {error.strerror}", file=sys.stderr)
        sys.exit(1)

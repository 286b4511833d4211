"""Enlarges photographs and films, or paints them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from keras_perceptual.cli import jobs as batch
from keras_perceptual.cli import options, reports
from keras_perceptual.cli.options import STREAM, WORKERS
from keras_perceptual.cluster.stores import is_url
from keras_perceptual.errors import ImageError, PerceptualError
from keras_perceptual.files import formats, images
from keras_perceptual.files.video.containers import is_film
from keras_perceptual.inference.converter import Converter
from keras_perceptual.inference.request import Choice
from keras_perceptual.inference.stylizer import Stylizer
from keras_perceptual.inference.upscaler import Upscaler
from keras_perceptual.system.processor import cores
from keras_perceptual.system.quiet import private_stderr


def open_model(arguments: argparse.Namespace) -> Converter:
    """Opens the model that the arguments name."""
    if arguments.style:
        return Stylizer(
            arguments.style,
            scale=arguments.scale or 1,
            strength=arguments.strength,
            preserve_colour=arguments.preserve_colour,
            grain=arguments.grain,
            engine=arguments.engine,
            device=arguments.device,
            threads=arguments.threads,
            memory=arguments.memory,
        )
    return Upscaler(
        arguments.model,
        scale=arguments.scale,
        fidelity=arguments.fidelity,
        restore=arguments.restore,
        histogram_match=arguments.histogram_match,
        engine=arguments.engine,
        device=arguments.device,
        precision=arguments.precision,
        threads=arguments.threads,
        memory=arguments.memory,
    )


def suffix(arguments: argparse.Namespace, model: Converter) -> str:
    """Returns what the names of outputs have behind those of their inputs."""
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


def _plan(arguments: argparse.Namespace, ending: str) -> tuple[list[batch.Job], list[str]]:
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
                    given,
                    arguments.output,
                    ending,
                    arguments.recursive,
                    errors.append,
                    arguments.format,
                )
            except ImageError as error:
                errors.append(str(error))
    return jobs, errors


def _times(source: Path) -> tuple[int, int] | None:
    """Returns when a file was read and written last, in nanoseconds; None of what is no file."""
    if source == STREAM or not source.exists():
        return None
    status = source.stat()
    return status.st_atime_ns, status.st_mtime_ns


def worker(arguments: argparse.Namespace, model: Converter) -> batch.Work:
    """Returns the function that does one job."""
    sizing = _sizing(arguments)

    def work(job: batch.Job, progress: Callable[[float], None]) -> batch.Done | None:
        if arguments.skip_existing and os.path.exists(job.target):
            return None
        times = _times(job.source) if arguments.keep_times else None
        choices: list[Choice] = []
        notes: list[str] = []
        size = model.convert_file(
            sys.stdin.buffer.read() if job.source == STREAM else job.source,
            sys.stdout.buffer if job.target == STREAM else job.target,
            progress,
            size=sizing,
            crop=arguments.crop,
            frames=arguments.frames,
            quality=arguments.quality,
            strip_metadata=arguments.strip_metadata,
            chosen=choices.append,
            ending=arguments.format,
            codec=arguments.codec,
            start=arguments.start,
            end=arguments.end,
            resume=arguments.resume,
            noted=notes.append,
        )
        if times and job.target != STREAM:
            os.utime(job.target, ns=times)
        choice = choices[0] if choices else None
        pictures = STREAM not in (job.source, job.target) and not is_film(job.source)
        if arguments.compare and pictures:
            from keras_perceptual.evaluation import figures

            name = choice.model if choice else model.name
            sheet = figures.before_after(job.source, job.target, name, arguments.crop)
            figure = job.target.with_name(f"{job.target.stem}_compare.png")
            images.write(figure, images.Picture(sheet))
        return batch.Done(size, choice, tuple(notes))

    return work


def _misnamed(arguments: argparse.Namespace) -> bool:
    """Says whether the output is a file of another format than the one that is asked for."""
    output = arguments.output
    if not arguments.format or not output or output.is_dir() or len(arguments.inputs) > 1:
        return False
    own = output.suffix.lower()
    return own in formats.READABLE and formats.of(output) is not formats.of(f"a{arguments.format}")


def main(argv: Sequence[str] | None = None, prog: str = "infer.py") -> int:
    """Does what the arguments say; returns the exit status."""
    parser = options.parser(prog)
    arguments = parser.parse_args(argv)
    if arguments.list_models:
        print(reports.models())
        return 0
    if not arguments.inputs:
        parser.error("expected image files, films or folders to enlarge")
    report = arguments.report
    if report and (report.is_dir() or not report.absolute().parent.is_dir()):
        parser.error(f"expected a file in a folder that is there for --report, received {report}")
    if arguments.style and (arguments.model or arguments.fidelity):
        parser.error("--style paints, --model and --fidelity enlarge; choose one")
    if arguments.cluster or any(map(is_url, filter(None, (*arguments.inputs, arguments.output)))):
        from keras_perceptual.cli import cluster

        return cluster.main(arguments, parser)
    if _misnamed(arguments):
        parser.error(f"expected an output of the format of --format, received {arguments.output}")
    try:
        model = open_model(arguments)
    except (PerceptualError, ValueError) as error:
        parser.error(str(error))
    jobs, errors = _plan(arguments, suffix(arguments, model))
    if wrong := batch.clash([job for job in jobs if STREAM not in (job.source, job.target)]):
        parser.error(wrong)
    if len(jobs) > 1 and any(job.target == STREAM for job in jobs):
        parser.error("stdout takes one image; name a folder with -o")
    with private_stderr(), reports.Reporter(prog, jobs, errors) as reporter:
        work = worker(arguments, model)
        # Each keeps the engine of a core: that takes longer where pictures of two sizes take turns.
        workers = arguments.workers or min(WORKERS, cores(arguments.threads))
        for result in batch.run(jobs, work, workers, reporter.share):
            reporter.ended(result)
    return reporter.conclude(report)

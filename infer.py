"""Enlarges photographs, or paints them: `python infer.py --help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from tqdm.auto import tqdm

from keras_perceptual import batch, figures, images, options, reports
from keras_perceptual.engines import EngineError
from keras_perceptual.inference import Upscaler
from keras_perceptual.options import STREAM
from keras_perceptual.stylizing import Stylizer
from keras_perceptual.zoo import ZooError


def _open(arguments: argparse.Namespace) -> Upscaler | Stylizer:
    if arguments.style:
        return Stylizer(
            arguments.style,
            arguments.engine,
            arguments.strength,
            arguments.preserve_colour,
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


def _suffix(arguments: argparse.Namespace, model: Upscaler | Stylizer) -> str:
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


def _compare(job: batch.Job, name: str, crop: tuple[int, ...] | None) -> str:
    lr, sr = images.read(job.source).pixels, images.read(job.target).pixels
    if crop:
        lr = lr[crop[1] : crop[1] + crop[3], crop[0] : crop[0] + crop[2]]
    figure = job.target.with_name(f"{job.target.stem}_compare.png")
    images.write(figure, images.Picture(figures.before_after(lr, sr, name)))
    return str(figure)


def main(argv: list[str] | None = None) -> int:
    parser = options.parser()
    arguments = parser.parse_args(argv)
    if arguments.list_models:
        print(reports.models())
        return 0
    if not arguments.inputs:
        parser.error("expected image files or folders to enlarge")
    if arguments.style and (arguments.model or arguments.fidelity):
        parser.error("--style paints, --model and --fidelity enlarge; choose one")
    try:
        model = _open(arguments)
    except (ZooError, EngineError, ValueError) as error:
        parser.error(str(error))
    jobs, errors = _plan(arguments, _suffix(arguments, model))
    for failure in errors:
        print(f"infer.py: {failure}", file=sys.stderr)
    if wrong := batch.clash([job for job in jobs if STREAM not in (job.source, job.target)]):
        parser.error(wrong)
    if len(jobs) > 1 and any(job.target == STREAM for job in jobs):
        parser.error("stdout takes one image; name a folder with -o")
    out = sys.stderr if any(job.target == STREAM for job in jobs) else sys.stdout
    sizing = _sizing(arguments)
    convert = model.stylize_file if isinstance(model, Stylizer) else model.upscale_file

    def work(job: batch.Job, progress: Callable[[float], None]) -> tuple[int, int] | None:
        if arguments.skip_existing and job.target.exists():
            return None
        return convert(
            sys.stdin.buffer.read() if job.source == STREAM else job.source,
            sys.stdout.buffer if job.target == STREAM else job.target,
            progress,
            size=sizing,
            crop=arguments.crop,
            frames=arguments.frames,
            quality=arguments.quality,
            strip_metadata=arguments.strip_metadata,
        )

    results = []
    bar = reports.Bar(len(jobs))
    for result in batch.run(jobs, work, min(arguments.workers, len(jobs) or 1), bar.share):
        results.append(result)
        bar.ended(result)
        if result.error:
            errors.append(result.error)
            tqdm.write(f"infer.py: {result.error}", file=sys.stderr)
        elif result.size is None:
            tqdm.write(f"{result.job.target} is there already", file=out)
        else:
            height, width = result.size
            tqdm.write(f"{result.job.target} ({width}x{height}, {model.name})", file=out)
            if arguments.compare and STREAM not in (result.job.source, result.job.target):
                tqdm.write(_compare(result.job, model.name, arguments.crop))
    bar.close()
    if arguments.report:
        reports.write(arguments.report, results)
    if errors and len(results) > 1:
        lines = [f"infer.py: {len(errors)} failed:", *(f"  {error}" for error in errors)]
        print("\n".join(lines), file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

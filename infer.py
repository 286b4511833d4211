"""Enlarges photographs: `python infer.py low.png --scale 4`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tqdm.auto import tqdm

from keras_perceptual import figures, images, zoo
from keras_perceptual.engines import ENGINES, EngineError
from keras_perceptual.inference import Upscaler, default_model

FOLLOWED = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"}


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected an integer of at least 1, received {text!r}")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, received {text!r}")
    return share


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Enlarge photographs. photo.png becomes photo_x4.png beside it, a folder "
        "becomes folder_x4."
    )
    parser.add_argument("inputs", nargs="+", type=Path, help="image files and folders of them")
    parser.add_argument("--scale", type=_positive, help="size of the output over the input (4)")
    parser.add_argument("-o", "--output", type=Path, help="file, or folder, to write to")
    parser.add_argument(
        "--model", help=f"a shipped model ({', '.join(zoo.names())}) or a .tflite or .keras file"
    )
    parser.add_argument(
        "--fidelity",
        type=_share,
        default=0.0,
        metavar="F",
        help="from 0, as sharp as the model is, to 1, as faithful as the one trained on pixels (0)",
    )
    parser.add_argument("--engine", default="auto", choices=("auto", *ENGINES))
    parser.add_argument(
        "--histogram-match",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="match the colours of the result to the input's (default: on)",
    )
    parser.add_argument("--compare", action="store_true", help="also write a before/after figure")
    parser.add_argument("--threads", type=_positive, help="processor cores to use (all)")
    return parser


def _jobs(inputs: list[Path], output: Path | None, scale: int) -> Iterator[tuple[Path, Path]]:
    """Yields (source, target) for each image file.

    Raises:
        ImageError: if an input is missing or a folder cannot be listed or has no images.
    """
    for source in inputs:
        if source.is_dir():
            found = images.list_images(source)
            if not found:
                raise images.ImageError(f"{source}: expected images in this folder, found none")
            root = output or source.with_name(f"{source.resolve().name}_x{scale}")
            for path in found:
                yield path, root / path.relative_to(source).parent / _named(path, scale)
        elif output and output.suffix and not output.is_dir():
            yield source, output
        else:
            yield source, (output or source.parent) / _named(source, scale)


def _named(path: Path, scale: int) -> str:
    ending = path.suffix if path.suffix.lower() in FOLLOWED else ".png"
    return f"{path.stem}_x{scale}{ending}"


def _check(jobs: list[tuple[Path, Path]]) -> str | None:
    """Returns what is wrong with the outputs as a whole, or None."""
    targets: dict[Path, Path] = {}
    sources = {source.resolve() for source, _ in jobs}
    for source, target in jobs:
        if target.resolve() in sources:
            return f"{target}: is an input; name another output with -o"
        if target in targets:
            return f"{targets[target]} and {source} would both be written to {target}"
        targets[target] = source
    return None


def _compare(source: Path, target: Path, upscaler: Upscaler) -> Path:
    figure = target.with_name(f"{target.stem}_compare.png")
    lr, sr = images.read(source).pixels, images.read(target).pixels
    sheet = figures.before_after(lr, sr, upscaler.scale, upscaler.name)
    images.write(figure, images.Picture(sheet))
    return figure


def _advance(bar: tqdm, done: float) -> None:
    bar.update(done - bar.n)


def main(argv: list[str] | None = None) -> int:
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        model = arguments.model or default_model(arguments.scale or 4)
        upscaler = Upscaler(
            model,
            arguments.engine,
            arguments.histogram_match,
            arguments.threads,
            arguments.fidelity,
        )
    except (zoo.ZooError, EngineError) as error:
        parser.error(str(error))
    if arguments.scale not in (None, upscaler.scale):
        parser.error(f"{model} has scale {upscaler.scale}, received --scale {arguments.scale}")
    failures = 0
    jobs: list[tuple[Path, Path]] = []
    for given in arguments.inputs:
        try:
            jobs += _jobs([given], arguments.output, upscaler.scale)
        except images.ImageError as error:
            print(f"infer.py: {error}", file=sys.stderr)
            failures += 1
    if wrong := _check(jobs):
        parser.error(wrong)

    for source, target in tqdm(jobs, unit="image", disable=len(jobs) < 2 or None):
        try:
            with tqdm(
                total=1.0, desc=source.name, leave=False, disable=len(jobs) > 1 or None
            ) as bar:
                result = upscaler.upscale_file(source, target, partial(_advance, bar))
            height, width = result.pixels.shape[:2]
            tqdm.write(f"{target} ({width}x{height}, {upscaler.name})")
            if arguments.compare:
                tqdm.write(str(_compare(source, target, upscaler)))
        except (images.ImageError, EngineError) as error:
            tqdm.write(f"infer.py: {error}", file=sys.stderr)
            failures += 1
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

"""Speed and flicker of films: python benchmarks/video.py [--models x4-video ...] [--styles ...]

Makes films of its own from photographs. Speed is that of the whole way, decoding and coding
included, in frames a second, and in brackets what a frame takes of processors, which says more
where others work beside. Flicker is what changes from one frame to the next where nothing did, in
levels: where a camera on a tripod sees nothing move, and, of a moving camera, after the movement
was taken out; for each frame painted by itself, and as a film.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import av
import numpy as np
from PIL import Image

from keras_perceptual import Stylizer, Upscaler, zoo
from keras_perceptual.files import images
from keras_perceptual.inference.film import FilmProgress

SIZES = ((320, 180), (480, 270), (960, 540))
LENGTH = 240  # frames of the films that speed is measured on
NOISE = 2.0  # standard deviation in levels, of the film of the tripod
STEP = (1, 2)  # pixels down and to the right that the camera moves in a frame
SHAPE = (240, 320)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--photographs", type=Path, default=ROOT / "data" / "samples" / "HR", help="(%(default)s)"
    )
    parser.add_argument("--models", nargs="*", default=zoo.names())
    parser.add_argument("--styles", nargs="*", default=sorted(zoo.styles()))
    parser.add_argument("--frames", type=int, default=24, help="of a film of flicker (%(default)s)")
    parser.add_argument("--seconds", type=float, default=15, help="of a run (%(default)s)")
    parser.add_argument("--threads", type=int, help="processor cores (all)")
    arguments = parser.parse_args()
    photographs = [images.read(p).pixels for p in images.list_images(arguments.photographs)]
    with tempfile.TemporaryDirectory() as folder:
        if arguments.models:
            _speed(arguments, photographs[0], Path(folder))
        if arguments.styles:
            _flicker(arguments, photographs, Path(folder))


def _speed(arguments: argparse.Namespace, photograph: np.ndarray, folder: Path) -> None:
    print("model | " + " | ".join(f"{w}x{h}" for w, h in SIZES))
    films = {}
    for width, height in SIZES:
        films[width] = folder / f"{width}.mp4"
        whole = Image.fromarray(photograph).resize((width + 128, height + 128), 3)
        write(films[width], _panned(np.asarray(whole), (height, width), itertools.count()), LENGTH)
    for name in arguments.models:
        upscaler = Upscaler(name, threads=arguments.threads)
        speeds = []
        for film in films.values():
            clock = _Clock(arguments.seconds)

            with contextlib.suppress(KeyboardInterrupt):
                upscaler.upscale_file(film, folder / "out.mp4", clock)
            speeds.append(f"{clock.frames / clock.wall:.2f} ({clock.cpu / clock.frames:.3f} s)")
        print(f"{name} | " + " | ".join(speeds), flush=True)


class _Clock:
    """Stops a film after some seconds; the first frames, while all warms up, do not count."""

    FIRST = 4

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._begun: tuple[float, float] | None = None
        self.frames, self.wall, self.cpu = 1, 1e-9, 0.0

    def __call__(self, done: float) -> None:
        if not isinstance(done, FilmProgress) or done.total == 1:
            return
        now = time.perf_counter(), time.process_time()
        if self._begun is None:
            self._begun = now if done.frames == self.FIRST else None
            return
        self.frames = done.frames - self.FIRST
        self.wall, self.cpu = (b - a for a, b in zip(self._begun, now, strict=True))
        if self.wall > self._seconds:
            raise KeyboardInterrupt


def _flicker(arguments: argparse.Namespace, photographs: list, folder: Path) -> None:
    print("style | tripod: film, frames, as a film | moving camera: frames, as a film")
    count = arguments.frames
    films = [
        (still, folder / f"{'still' if still else 'moving'}{i}.mkv", photograph)
        for i, photograph in enumerate(photographs)
        for still in (True, False)
    ]
    own = []
    for still, film, photograph in films:
        frames = _tripod(photograph) if still else _panned(photograph, SHAPE, _there_and_back())
        kept = list(itertools.islice(frames, count))
        write(film, iter(kept), count, "ffv1", "bgr0")
        if still:
            own.append(_changes(kept, still))
    for name in arguments.styles:
        stylizer = Stylizer(name, threads=arguments.threads)
        found: dict[tuple[bool, bool], list[float]] = {}
        for still, film, _ in films:
            together = [frame.pixels for frame in stylizer.frames(film)]
            alone = [stylizer.stylize(frame) for frame in read(film)]
            for whole, painted in ((False, alone), (True, together)):
                found.setdefault((still, whole), []).append(_changes(painted, still))
        mean = {key: float(np.mean(values)) for key, values in found.items()}
        print(
            f"{name} | {np.mean(own):.2f}, {mean[True, False]:.2f}, {mean[True, True]:.2f} | "
            f"{mean[False, False]:.2f}, {mean[False, True]:.2f}",
            flush=True,
        )


def _tripod(photograph: np.ndarray) -> Iterator[np.ndarray]:
    """Yields a photograph with noise, in whose lower right quarter a ball rolls."""
    height, width = SHAPE
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    for number in itertools.count():
        frame = photograph[:height, :width].astype(np.float32)
        right = width // 2 + 30 + 4 * number % (width // 2 - 60)
        ball = (y - 3 * height // 4) ** 2 + (x - right) ** 2 < 25**2
        frame[ball] = [230, 40, 30]
        yield np.clip(frame + rng.normal(0, NOISE, frame.shape), 0, 255).round().astype(np.uint8)


def _there_and_back() -> Iterator[int]:
    while True:
        yield from range(24)
        yield from range(24, 0, -1)


def _panned(
    photograph: np.ndarray, shape: tuple[int, int], places: Iterator[int]
) -> Iterator[np.ndarray]:
    height, width = shape
    down, right = (side - own for side, own in zip(photograph.shape, shape, strict=False))
    for place in places:
        top, left = place * STEP[0] % down, place * STEP[1] % right
        yield photograph[top : top + height, left : left + width]


def _changes(frames: list[np.ndarray], still: bool) -> float:
    """Returns the mean change, in levels, of what did not change."""
    found = []
    for before, after in itertools.pairwise(frames):
        if still:
            half = before.shape[0] // 2 - 24  # what is beside the ball sees it
            first, second = before[:half], after[:half]
        else:
            down, right = STEP
            first, second = before[down:, right:], after[:-down, :-right]
            first, second = (each[32:-32, 32:-32] for each in (first, second))
        found.append(np.abs(first.astype(np.float32) - second).mean())
    return float(np.mean(found))


def write(
    path: Path, frames: Iterator[np.ndarray], count: int, codec: str = "libx264",
    form: str = "yuv420p",
) -> None:  # fmt: skip
    """Writes the first frames as a film of 25 a second."""
    with av.open(str(path), "w") as container:
        stream: Any = None
        for pixels in itertools.islice(frames, count):
            if stream is None:
                stream = container.add_stream(codec, rate=Fraction(25))
                stream.height, stream.width = pixels.shape[:2]
                stream.pix_fmt = form
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels))
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode(None))


def read(path: Path) -> Iterator[np.ndarray]:
    """Yields the frames of a film, RGB."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


if __name__ == "__main__":
    main()

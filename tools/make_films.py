"""Shows what becomes of films: python tools/make_films.py

Writes docs/films.jpg: a detail of a film, enlarged; and what changes from frame to frame of one
that is painted while the camera stands still.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import numpy as np

import video
from keras_perceptual import Stylizer, Upscaler
from keras_perceptual.evaluation import figures
from keras_perceptual.files import images
from keras_perceptual.pixels.resampling import crop_to_multiple, imresize, to_uint8

SCALE, SIDE, ZOOM = 4, 48, 2  # side of a detail in LR pixels, and times its result is magnified
NOISE = 2.0  # standard deviation of the film's noise, in levels
FRAMES = 6
AMPLIFIED = 8  # times that a change is shown larger than it is
ENLARGED, PLACE = "chelsea", (18, 30)  # photograph, and where in LR the detail lies: y, x
PAINTED, PART = "astronaut", (slice(192), slice(150, 342))
STYLE = "starry-night"


def main() -> None:
    photographs = [
        images.read(ROOT / "data" / "samples" / "HR" / f"{name}.png").pixels
        for name in (ENLARGED, PAINTED)
    ]
    with tempfile.TemporaryDirectory() as folder:
        films = [Path(folder, f"{i}.mkv") for i in range(2)]
        small = to_uint8(imresize(photographs[0].astype(np.float32), 1 / SCALE))
        video.write(films[0], _noisy(crop_to_multiple(small, 2)), FRAMES)
        video.write(films[1], _noisy(photographs[1][PART]), FRAMES, "ffv1", "bgr0")
        rows = [_enlarged(films[0]), _painted(films[1])]
    images.write(ROOT / "docs" / "films.jpg", images.Picture(figures.sheet(rows)))


def _noisy(pixels: np.ndarray) -> Iterator[np.ndarray]:
    """Yields a photograph again and again, each time with other noise."""
    rng = np.random.default_rng(0)
    while True:
        yield to_uint8(pixels + rng.normal(0, NOISE, pixels.shape))


def _enlarged(film: Path) -> list[tuple[str, np.ndarray]]:
    y, x = PLACE

    def detail(frame: np.ndarray) -> np.ndarray:
        part = frame[SCALE * y : SCALE * (y + SIDE), SCALE * x : SCALE * (x + SIDE)]
        return part.repeat(ZOOM, 0).repeat(ZOOM, 1)

    *_, lr = video.read(film)
    cells = {"bicubic": to_uint8(imresize(lr.astype(np.float32), SCALE))}
    for name in ("x4-video", "x4-feature"):
        *_, last = Upscaler(name).frames(film)
        cells[name] = last.pixels
    return [(name, detail(frame)) for name, frame in cells.items()]


def _painted(film: Path) -> list[tuple[str, np.ndarray]]:
    stylizer = Stylizer(STYLE)
    alone = [stylizer.stylize(frame) for frame in video.read(film)]
    together = [frame.pixels for frame in stylizer.frames(film)]
    return [
        (STYLE, _larger(together[-1])),
        ("changes, frame by frame", _change(alone)),
        ("changes, as a film", _change(together)),
    ]


def _change(frames: list[np.ndarray]) -> np.ndarray:
    """Returns the last change from a frame to the next, amplified."""
    before, after = list(itertools.pairwise(frames))[-1]
    return _larger(to_uint8(AMPLIFIED * np.abs(after.astype(np.float32) - before)))


def _larger(frame: np.ndarray) -> np.ndarray:
    return frame.repeat(ZOOM, 0).repeat(ZOOM, 1)


if __name__ == "__main__":
    main()

"""What `--compare` shows, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest

from keras_perceptual.cli.main import run
from keras_perceptual.evaluation import figures
from keras_perceptual.files import images
from keras_perceptual.pixels.resampling import imresize
from tests.conftest import SAMPLES

LOW = SAMPLES / "LRx4" / "rocket.png"


def _panels(figure, height, width):
    """Returns the three pictures of a figure with a label of one line above each."""
    sheet = images.read(figure).pixels
    top, gap = 8 + 26, 8
    assert sheet.shape == (top + height + gap, gap + 3 * (width + gap), 3)
    lefts = [gap + i * (width + gap) for i in range(3)]
    return [sheet[top : top + height, left : left + width] for left in lefts]


@pytest.mark.parametrize(
    ("flags", "crop"),
    [(["--scale", "2"], None), (["--size", "300x150"], None), (["--crop", "30,20,64,48"], 1)],
)
def test_the_figure_shows_the_middle_before_and_after(tmp_path, flags, crop):
    target = tmp_path / "high.png"
    assert run("infer", [str(LOW), "-o", str(target), *flags, "--compare"]) == 0
    high, low = images.read(target).pixels, images.read(LOW).pixels
    if crop:
        low = low[20:68, 30:94]
    whole = max(high.shape[:2]) <= 640
    assert whole
    before, bicubic, after = _panels(tmp_path / "high_compare.png", *high.shape[:2])
    assert np.array_equal(after, high)
    assert np.array_equal(bicubic, imresize(low, size=high.shape[:2]))
    # The input's own pixels, repeated: no other colour, and the corners in their places.
    assert {*map(tuple, before.reshape(-1, 3))} <= {*map(tuple, low.reshape(-1, 3))}
    for y, x in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        assert np.array_equal(before[y, x], low[y, x])


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ([], "x4-feature"),
        (["--scale", "2"], "x2-feature"),
        (["--size", "64x48"], "x2-feature"),
        (["--style", "great-wave"], "great-wave"),
        (["--style", "great-wave", "--size", "64x48"], "great-wave"),
    ],
)
def test_the_result_is_labelled_by_what_made_it(tmp_path, monkeypatch, flags, name):
    labels = []
    drawn = figures.before_after

    def before_after(source, target, label, crop):
        labels.append(label)
        return drawn(source, target, label, crop)

    monkeypatch.setattr(figures, "before_after", before_after)
    low = tmp_path / "low.png"
    images.write(low, images.Picture(images.read(LOW).pixels[:24, :32]))
    assert run("infer", [str(low), "-o", str(tmp_path / "high.png"), *flags, "--compare"]) == 0
    assert labels == [name]

"""Painted films: what stays the same from frame to frame, and what a cut changes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from keras_perceptual import Stylizer
from keras_perceptual.files import images
from keras_perceptual.inference.request import Request, gathered
from tests.conftest import SAMPLES

NOISE = 3.0


@pytest.fixture(scope="module")
def stylizer():
    return Stylizer("starry-night", threads=2)


@pytest.fixture(scope="module")
def scene():
    return images.read(SAMPLES / "HR" / "coffee.png").pixels


def _painted(stylizer, frames, state=None):
    sequence = stylizer._sequence(state or {})
    made = []
    for frame in frames:
        request = Request.of(frame, stylizer.size(*frame.shape[:2]))
        made.append(gathered(sequence.pipeline(request), request))
    return made, sequence


def _flicker(frames):
    return np.mean([np.abs(a.astype(int) - b).mean() for a, b in itertools.pairwise(frames)])


def test_noise_does_not_flicker_more_than_it_did(stylizer, scene, rng):
    still = scene[:160, :200]
    frames = [
        np.clip(still + rng.normal(0, NOISE, still.shape), 0, 255).astype(np.uint8)
        for _ in range(5)
    ]
    painted, _ = _painted(stylizer, frames)
    assert _flicker(painted) < _flicker(frames)
    assert _flicker([stylizer.stylize(frame) for frame in frames]) > 2 * _flicker(painted)


def test_a_painting_moves_with_the_camera(stylizer, scene):
    frames = [scene[2 * i : 2 * i + 160, 3 * i : 3 * i + 200] for i in range(4)]

    def change(painted):
        found = []
        for before, after in itertools.pairwise(painted):
            aligned = before[2:, 3:], after[:-2, :-3]
            first, second = (each[40:-40, 40:-40].astype(int) for each in aligned)
            found.append(np.abs(first - second).mean())
        return np.mean(found)

    painted, sequence = _painted(stylizer, frames)
    assert np.array_equal(sequence.state()["moved"], [-6, -9])
    assert change(painted) < 0.5
    assert change([stylizer.stylize(frame) for frame in frames]) > 10 * change(painted)


def test_a_cut_begins_anew(stylizer, scene):
    first, second = scene[:96, :128], 255 - scene[200:296, 200:328]
    together, _ = _painted(stylizer, [first, first, second])
    alone, _ = _painted(stylizer, [second])
    assert np.array_equal(together[2], alone[0])


def test_statistics_follow_a_scene_slowly(stylizer, scene):
    frames = [np.clip(scene[:96, :128].astype(int) + 2 * i, 0, 255).astype(np.uint8)
              for i in range(26)]  # fmt: skip
    sequence = stylizer._sequence({})
    seen = []
    for frame in frames:
        sequence.pipeline(Request.of(frame, (96, 128)))
        seen.append(sequence.state()["statistics"])
    steps = [np.abs(b - a).max() for a, b in itertools.pairwise(seen)]
    assert max(steps[:11]) == 0  # nothing was measured since
    assert np.abs(seen[-1] - seen[0]).max() > 0
    assert max(steps) < 0.1 * np.abs(sequence.state()["target"] - seen[0]).max()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_any_size_and_opacity(dtype):
    stylizer = Stylizer("starry-night", threads=2, scale=1.5)
    unit = 1 if dtype is np.uint8 else 257
    frames = [
        np.dstack([np.full((7, 10, 3), 40 * i), np.full((7, 10), 200)]).astype(dtype) * dtype(unit)
        for i in range(3)
    ]
    painted, _ = _painted(stylizer, frames)
    assert {(each.shape, each.dtype) for each in painted} == {((10, 15, 4), np.dtype(dtype))}
    assert np.abs(painted[-1][..., 3].astype(int) - 200 * unit).max() <= unit

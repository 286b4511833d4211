from __future__ import annotations

import itertools
import math
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from keras_perceptual import Upscaler, zoo
from keras_perceptual.errors import EngineError
from keras_perceptual.files import images
from keras_perceptual.inference import grid, strip, tiling
from keras_perceptual.inference.cores import Cores
from keras_perceptual.inference.enlargement import Enlargement
from keras_perceptual.inference.grid import Tile
from keras_perceptual.inference.request import Request, gathered
from keras_perceptual.inference.tiling import Pass
from keras_perceptual.pixels.rows import RowReader
from keras_perceptual.system import memory
from tests.conftest import SAMPLES


class Fake:
    """An engine that repeats pixels after a mean over (2 reach + 1)^2 of them."""

    def __init__(self, reach: int, scale: int = 2) -> None:
        self.reach, self.scale = reach, scale
        self.largest = 0

    def run(self, lr: np.ndarray) -> np.ndarray:
        self.largest = max(self.largest, lr[..., 0].size)
        side = 2 * self.reach + 1
        pad = ((0, 0), (self.reach, self.reach), (self.reach, self.reach), (0, 0))
        sums = np.pad(
            np.pad(lr.astype(float), pad).cumsum(1).cumsum(2), ((0, 0), (1, 0), (1, 0), (0, 0))
        )
        mean = (
            sums[:, side:, side:] - sums[:, :-side, side:] - sums[:, side:, :-side]
            + sums[:, :-side, :-side]
        ) / side**2  # fmt: skip
        return mean.repeat(self.scale, 1).repeat(self.scale, 2).astype(np.float32)


@pytest.mark.parametrize("reach", [0, 3, 20, 60])
def test_reach_is_measured(reach):
    measured = Pass(Fake(reach), "fake").reach
    assert reach <= measured < reach + grid.ALIGNED
    assert measured % grid.ALIGNED == 0


def test_what_sees_everything_is_not_cut():
    class Everything(Fake):
        def run(self, lr):
            return super().run(lr) + lr.mean()

    with pytest.raises(EngineError, match="cannot be cut into tiles"):
        _ = Pass(Everything(0), "fake").reach


def test_tiles_fit_the_budget(monkeypatch):
    each = Pass(Fake(3), "fake")
    monkeypatch.setattr(each, "_cost", 1000.0)
    assert each.tile(100, 120, 1) == Tile(100, 120)  # too small to cut
    assert each.tile(1000, 1000, 10**10) == Tile(1000, 1000)
    tile = each.tile(3000, 2000, 100_000_000)
    around = 2 * each.reach
    assert (tile.height + around) * (tile.width + around) * 1000 <= 85_000_000
    wide = each.tile(40, 10**6, 100_000_000)
    assert wide.height == 40
    assert (40 + around) * (wide.width + around) * 1000 <= 85_000_000


def test_tiles_have_one_size():
    """An engine takes longer for another size than the one before."""
    fake = Fake(3)
    each, sizes = Pass(fake, "fake"), set()
    assert each.reach  # measured before, on images of its own
    run = fake.run
    fake.run = lambda lr: sizes.add(lr.shape[1:3]) or run(lr)
    lr = np.zeros((200, 301, 3), np.uint8)
    list(each.rows(RowReader(lr), 200, 301, alpha=False, dtype=np.uint8, budget=1))
    assert len(sizes) == 1


def test_tiles_see_all_that_they_need_and_hardly_more(rng):
    for _ in range(2000):
        length, size, around = (int(each) for each in rng.integers((33, 8, 0), (4000, 100, 16)))
        size, around = 4 * size, 4 * around
        spans = grid.spans(length, size, around)
        assert (spans[0].start, spans[0].first) == (0, 0)
        assert (spans[-1].stop, spans[-1].last) == (length, length + 2 * grid.MARGIN)
        assert {span.last - span.first for span in spans} == {spans[0].last}
        assert all(one.stop == other.start for one, other in itertools.pairwise(spans))
        around = max(around, grid.MARGIN)
        for span in spans:
            before, after = span.inside.start, spans[0].last - span.inside.stop
            assert span.start < span.stop
            assert span.start % grid.ALIGNED == span.first % grid.ALIGNED == 0
            assert span is spans[0] or before >= around
            assert span is spans[-1] or after >= around
        shared = 2 * around * (len(spans) - 1)
        most = length + 2 * grid.MARGIN + shared + 7 * len(spans)
        assert spans[0].last * len(spans) <= most  # but for multiples of ALIGNED


def test_8_bits_get_tiles_that_caches_hold():
    fake = Fake(3)
    each = Pass(fake, "fake")
    assert each.tile(500, 600, 10**9) == Tile(500, 600)
    fake.run_levels = fake.run
    assert each.tile(280, 280, 10**9) == Tile(280, 280)
    tile = each.tile(500, 600, 10**9)
    assert 0.5 * tiling.SWIFT < math.prod(x + 2 * each.reach for x in tile) <= tiling.SWIFT


def test_very_wide_images_do_not_need_their_rows_in_memory(monkeypatch, rng):
    opened = []
    monkeypatch.setattr(
        strip.tempfile,
        "TemporaryFile",
        lambda file=tempfile.TemporaryFile: opened.append(file()) or opened[-1],
    )
    each = Pass(Fake(3), "fake")
    lr = rng.integers(0, 256, (40, 9000, 4), np.uint8)
    few, many = (
        np.concatenate(
            list(each.rows(RowReader(lr), 40, 9000, alpha=True, dtype=np.uint8, budget=budget))
        )
        for budget in (10**6, 10**10)
    )
    assert np.array_equal(few, many)
    assert opened
    assert all(file.closed for file in opened)


def test_images_that_come_together_run_on_one_core_each(rng):
    """And give what they give alone."""
    lr = rng.integers(0, 256, (60, 70, 3), np.uint8)
    alone, inside = Fake(3), threading.Barrier(2, timeout=30)

    class OneCore(Fake):
        def run(self, lr):
            inside.wait()  # until another one is run
            return super().run(lr)

    each = Pass(alone, "fake").with_engine(alone, Cores(lambda: OneCore(3), 2))

    def enlarged(_: int) -> np.ndarray:
        with each.image():
            ready.wait()
            return next(each.rows(RowReader(lr), 60, 70, alpha=False, dtype=np.uint8, budget=10**9))

    ready = threading.Barrier(2, timeout=30)
    expected = next(each.rows(RowReader(lr), 60, 70, alpha=False, dtype=np.uint8, budget=10**9))
    with ThreadPoolExecutor(2) as pool:
        for result in pool.map(enlarged, range(2)):
            assert np.array_equal(result, expected)


def test_an_image_that_goes_through_a_model_twice_has_all_cores(rng):
    def one_core() -> Fake:
        raise AssertionError("expected the engine of all cores")

    engine = Fake(3)
    each = Pass(engine, "fake").with_engine(engine, Cores(one_core, 2))
    request = Request.of(rng.integers(0, 256, (60, 70, 3), np.uint8), (240, 280))
    enlarged = Enlargement(request, [each, each], match=False, budget=10**9)
    assert gathered(enlarged, request).shape == (240, 280, 3)


@pytest.mark.parametrize("name", zoo.names())
@pytest.mark.parametrize("size", [(150, 131), pytest.param((131, 203), marks=pytest.mark.long)])
def test_tiles_do_not_show(name, size):
    """Each shipped model, of odd sizes, in the smallest tiles and in none."""
    photograph = images.read(SAMPLES / "HR" / "chelsea.png").pixels[: size[0], : size[1]]
    whole, tiled = (
        Upscaler(name, histogram_match="none", memory=bytes_).upscale(photograph).astype(int)
        for bytes_ in (2**34, 1)
    )
    assert np.abs(whole - tiled).max() <= 1


def test_tiles_do_not_show_under_transparency(rng):
    lr = images.read(SAMPLES / "HR" / "chelsea.png").pixels[:150, :160]
    alpha = np.full(lr.shape[:2], 255, np.uint8)
    alpha[40:120, 30:100] = 0
    alpha[:10] = 7
    lr = np.dstack([np.where(alpha[..., None] == 0, [0, 255, 0], lr), alpha]).astype(np.uint8)
    whole, tiled = (
        Upscaler("x4-pixel", histogram_match="none", memory=bytes_).upscale(lr).astype(int)
        for bytes_ in (2**34, 1)
    )
    assert np.abs(whole - tiled).max() <= 1
    assert (whole[4 * 45 : 4 * 115, 4 * 35 : 4 * 95, 3] == 0).all()


def test_available_memory_heeds_ulimit():
    resource = pytest.importorskip("resource")
    free = memory.available()
    assert free > 0
    before = resource.getrlimit(resource.RLIMIT_AS)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (2**45, before[1]))
        assert memory.available() <= 2**45
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)

from __future__ import annotations

import numpy as np
import pytest

from keras_perceptual import Upscaler, zoo
from keras_perceptual.errors import EngineError
from keras_perceptual.files import images
from keras_perceptual.inference import tiling as passes
from keras_perceptual.inference.tiling import Pass, Tile
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
    assert reach + 2 <= measured < reach + 2 + passes.ALIGNED
    assert measured % passes.ALIGNED == 0


def test_what_sees_everything_is_not_cut():
    class Everything(Fake):
        def run(self, lr):
            return super().run(lr) + lr.mean()

    with pytest.raises(EngineError, match="cannot be cut into tiles"):
        _ = Pass(Everything(0), "fake").reach


def test_tiles_fit_the_budget_and_cover_the_image(monkeypatch):
    each = Pass(Fake(3), "fake")
    monkeypatch.setattr(each, "_cost", 1000.0)
    assert each.tile(100, 120, 1, 1) == Tile(100, 120)  # too small to cut
    assert each.tile(1000, 1000, 10**10, 1) == Tile(1000, 1000)
    tile = each.tile(3000, 2000, 100_000_000, 2000 * 2 * 3)
    assert (tile.height + 10) * (tile.width + 10) * 1000 <= 85_000_000
    assert -(-3000 // tile.height) * tile.height < 3000 + tile.height
    # Rows of a very wide image are what fills memory.
    wide = each.tile(3000, 10**6, 100_000_000, 10**6 * 2 * 3)
    assert wide.height == passes.SMALLEST


def test_tiles_have_one_width():
    """An engine takes longer for another size than the one before."""
    fake = Fake(3)
    each, widths = Pass(fake, "fake"), set()
    run = fake.run
    fake.run = lambda lr: widths.add(lr.shape[2]) or run(lr)
    lr = np.zeros((200, 301, 3), np.uint8)
    list(each.rows(RowReader(lr), 200, 301, alpha=False, dtype=np.uint8, budget=1))
    assert len(widths - {passes.PROBE}) == 1


@pytest.mark.parametrize("name", zoo.names())
@pytest.mark.parametrize("size", [(150, 131), (131, 203)])
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

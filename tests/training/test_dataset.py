from __future__ import annotations

import itertools
import logging
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from keras_perceptual.errors import DataError, ImageError
from keras_perceptual.files import images
from keras_perceptual.pixels.resampling import degrade
from keras_perceptual.training.dataset import Patches, split
from keras_perceptual.training.styles import painting, with_styles


@pytest.fixture
def folder(tmp_path, rng):
    """Ten photographs, each of one colour pattern, named after their number."""
    for i in range(10):
        pixels = rng.integers(0, 256, (40 + i, 64, 3), dtype=np.uint8)
        images.write(tmp_path / f"{i}.png", images.Picture(pixels))
    return tmp_path


def _take(patches, count, start=0):
    return list(itertools.islice(patches.batches(start), count))


def _patches(folder, **changes):
    settings = {"batch_size": 3, "patch_size": 16, "scale": 4, "seed": 1}
    return Patches(images.list_images(folder), **{**settings, **changes})


def test_shapes_and_range(folder):
    lr, hr = _take(_patches(folder), 1)[0]
    assert lr.shape == (3, 4, 4, 3)
    assert hr.shape == (3, 16, 16, 3)
    assert lr.dtype == hr.dtype == np.uint8
    assert hr.max() > 200


def test_seed_decides(folder):
    a, b, c = (_take(_patches(folder, seed=s, workers=w), 4) for s, w in ((1, 1), (1, 3), (2, 1)))
    assert all(np.array_equal(x[1], y[1]) for x, y in zip(a, b, strict=True))
    assert not any(np.array_equal(x[1], y[1]) for x, y in zip(a, c, strict=True))


@pytest.mark.parametrize("patches", [2, 8])
@pytest.mark.parametrize("start", [1, 85, 90, 200])
def test_any_batch_can_be_begun_with(folder, start, patches):
    whole = _take(_patches(folder, patches=patches), start + 2)[start:]
    for (lr, hr), (lr_whole, hr_whole) in zip(
        _take(_patches(folder, patches=patches), 2, start), whole, strict=True
    ):
        assert np.array_equal(lr, lr_whole)
        assert np.array_equal(hr, hr_whole)


def test_lr_is_the_degraded_photograph(tmp_path, rng):
    """Patches agree with the whole photograph's reduction, and turn together."""
    hr = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    images.write(tmp_path / "a.png", images.Picture(hr))
    for lr, patch in _take(_patches(tmp_path, batch_size=8, patch_size=32), 4):
        for small, large in zip(lr, patch, strict=True):
            # Two LR pixels from a patch's border its reduction sees nothing beyond it.
            again = degrade(large.astype(np.uint8), 4)
            assert np.abs(small.astype(int) - again)[2:-2, 2:-2].max() <= 1


def test_patches_are_turned_and_mirrored(tmp_path):
    ramp = np.zeros((32, 32, 3), np.uint8)
    ramp[..., 0] = np.arange(32)[:, None] * 4
    ramp[..., 1] = np.arange(32)[None] * 8
    images.write(tmp_path / "a.png", images.Picture(ramp))
    seen = set()
    for _, hr in _take(_patches(tmp_path, batch_size=16), 8):
        for patch in hr.astype(int):
            down, across = patch[1, 0] - patch[0, 0], patch[0, 1] - patch[0, 0]
            seen.add((*down[:2].tolist(), *across[:2].tolist()))
    assert len(seen) == 8


def test_shrink_reduces_photographs(tmp_path):
    fine = np.zeros((64, 64, 3), np.uint8)
    fine[:, ::2] = 255
    images.write(tmp_path / "a.png", images.Picture(fine))
    contrast = [hr.std() for _, hr in _take(_patches(tmp_path, shrink=0.5), 40)]
    assert min(contrast) < 60 < max(contrast)
    assert min(hr.std() for _, hr in _take(_patches(tmp_path), 40)) > 120


def test_broken_and_small_files_are_skipped(folder, caplog):
    (folder / "broken.png").write_bytes(b"not an image")
    images.write(folder / "small.png", images.Picture(np.zeros((15, 99, 3), np.uint8)))
    patches = _patches(folder)
    with caplog.at_level(logging.WARNING):
        batches = _take(patches, 300)
    assert {p.name for p in patches.broken} == {"broken.png"}
    assert {p.name for p in patches.too_small} == {"small.png"}
    assert [r.getMessage().count("broken.png") for r in caplog.records] == [1]
    assert all(hr.shape == (3, 16, 16, 3) for _, hr in batches)


def test_gray_photographs_get_three_channels(tmp_path):
    images.write(tmp_path / "a.png", images.Picture(np.full((20, 20, 3), 9, np.uint8), gray=True))
    assert _take(_patches(tmp_path), 1)[0][1].shape == (3, 16, 16, 3)


def test_clipping_makes_flat_blacks_and_whites(tmp_path, rng):
    pixels = rng.integers(20, 236, (40, 40, 3), dtype=np.uint8)
    images.write(tmp_path / "a.png", images.Picture(pixels))
    clipped = np.stack([hr for _, hr in _take(_patches(tmp_path, clipping=0.4), 40)])
    extremes = [(patch == level).mean() for patch in clipped for level in (0, 255)]
    assert max(extremes) > 0.2
    same = [np.isin(patch, pixels).all() and patch.min() >= 20 for patch in clipped]
    assert 0.2 < np.mean(same) < 0.8  # about half of the photographs
    assert all(hr.min() >= 20 for _, hr in _take(_patches(tmp_path), 40))


def test_grain_is_on_lr_patches_alone_and_elsewhere_on_each(tmp_path):
    flat = np.full((90, 90, 3), 100, np.uint8)
    images.write(tmp_path / "a.png", images.Picture(flat))
    (lr, hr), *_ = _take(_patches(tmp_path, scale=1, patch_size=64, grain=8.0), 1)
    assert np.all(hr == 100)
    assert 5 < lr.std() < 12
    assert np.abs(lr[0].astype(int) - lr[1]).mean() > 2


def test_nothing_to_train_on(tmp_path):
    with pytest.raises(DataError, match="found none"):
        _patches(tmp_path)
    (tmp_path / "a.png").write_bytes(b"")
    images.write(tmp_path / "b.png", images.Picture(np.zeros((9, 9, 3), np.uint8)))
    with pytest.raises(DataError, match="1 broken, 1 too small"):
        _take(_patches(tmp_path), 1)


def test_a_photograph_above_the_limit_is_refused_by_its_header(folder, caplog):
    """A bomb: 10 kB that are 72 million pixels."""
    Image.new("1", (9000, 8000)).save(folder / "bomb.png")
    assert (folder / "bomb.png").stat().st_size < 20_000
    patches = _patches(folder, workers=1)
    tracemalloc.start()
    _take(patches, 30)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert {path.name for path in patches.broken} == {"bomb.png"}
    (record,) = caplog.records
    assert "expected at most 64 megapixels, received 9000x8000" in record.getMessage()
    assert peak < 30e6
    with pytest.raises(ImageError, match="expected at most 64 megapixels"):
        painting(folder / "bomb.png", 64)


@pytest.mark.parametrize("patches", [1, 5])
def test_patches_of_a_photograph(folder, patches):
    assert len(_patches(folder, patches=patches)._cut(0)) == patches


def test_patches_keep_no_photograph_alive(folder):
    for lr, hr in _patches(folder)._cut(0):
        assert lr.base is None
        assert hr.base is None


def test_one_good_file_among_many_broken_is_found(tmp_path):
    for i in range(100):
        (tmp_path / f"{i}.png").write_bytes(b"")
    images.write(tmp_path / "good.png", images.Picture(np.full((16, 16, 3), 7, np.uint8)))
    logging.disable()
    try:
        assert all(np.all(hr == 7) for _, hr in _take(_patches(tmp_path), 200))
    finally:
        logging.disable(logging.NOTSET)


def test_split(tmp_path):
    paths = [tmp_path / str(i) for i in range(100)]
    training, validation = split(paths)
    assert len(validation) == 8
    assert sorted(training + validation) == sorted(paths)
    assert split(paths) == (training, validation)
    assert [len(part) for part in split(paths[:4])] == [3, 1]
    assert split(paths[:1]) == (paths[:1], paths[:1])


def test_a_painting_gets_the_area_asked_for(tmp_path, rng):
    pixels = rng.integers(0, 256, (50, 200, 3), dtype=np.uint8)
    images.write(tmp_path / "wide.png", images.Picture(pixels))
    resized = painting(tmp_path / "wide.png", 60)
    assert resized.shape == (30, 120, 3)
    assert resized.dtype == np.float32


def test_styles_are_drawn_evenly_and_the_same_again(folder):
    def chosen(start, count, styles=4):
        batches = with_styles(_patches(folder).batches(start), styles, 1, start)
        return [x[1] for x, _ in itertools.islice(batches, count)]

    drawn = np.concatenate(chosen(0, 40))
    assert drawn.shape == (120, 4)
    assert np.array_equal(drawn.sum(1), np.ones(120))
    assert drawn.sum(0).min() >= 20
    assert np.array_equal(chosen(7, 2), chosen(0, 9)[7:])
    lr, _ = next(with_styles(_patches(folder).batches(), 1, 1, 0))
    assert isinstance(lr, np.ndarray)  # one style needs no word


def test_broken_files_are_told_of_once_by_processes_too(folder, caplog):
    (folder / "broken.png").write_bytes(b"not an image")
    patches = _patches(folder, workers=3)
    _take(patches, 120)
    assert {path.name for path in patches.broken} == {"broken.png"}
    assert [r.getMessage().count("broken.png") for r in caplog.records] == [1]

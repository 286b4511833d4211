from __future__ import annotations

import numpy as np
import pytest

from keras_perceptual.errors import ImageError
from keras_perceptual.evaluation.metrics import psnr_y
from keras_perceptual.pixels.resampling import degrade, imresize
from keras_perceptual.training import degradations
from keras_perceptual.training.degradations import (
    DEGRADATIONS,
    Damage,
    compressed,
    damaged,
    degradation,
    noisy,
)


@pytest.fixture
def hr(rng):
    coarse = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
    return imresize(coarse, size=(96, 128))


def _draw(hr, seed, **changes):
    return damaged(hr, 4, Damage(**{"share": 1.0, **changes}), np.random.default_rng(seed))


def test_the_seed_decides(hr):
    assert np.array_equal(_draw(hr, 1), _draw(hr, 1))
    assert len({_draw(hr, seed).tobytes() for seed in range(20)}) == 20


def test_a_share_stays_clean(hr):
    clean = degrade(hr, 4)
    rng = np.random.default_rng(0)
    same = [np.array_equal(damaged(hr, 4, Damage(share=0.5), rng), clean) for _ in range(200)]
    assert 70 < sum(same) < 130
    assert np.array_equal(_draw(hr, 0, share=0.0), clean)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_it_stays_the_same_picture(hr, scale):
    """Damage moves nothing: what it leaves is nearer to the clean LR than one moved by a pixel."""
    clean = degrade(hr, scale).astype(float)
    moved = np.abs(clean[:, 1:] - clean[:, :-1]).mean()
    damage = Damage(share=1.0, blur=0.3 * scale, noise=6)
    for seed in range(30):
        lr = damaged(hr, scale, damage, np.random.default_rng(seed))
        assert lr.shape == clean.shape
        assert lr.dtype == np.uint8
        assert np.abs(lr - clean).mean() < moved
        assert np.abs(lr.mean((0, 1)) - clean.mean((0, 1))).max() < 8


def test_what_is_zero_does_nothing(hr):
    """Without blur and noise, what is not compressed is a plain reduction."""
    flat = np.full((64, 64, 3), 77, np.uint8)
    for seed in range(30):
        lr = _draw(flat, seed, blur=0.0, noise=0.0)
        assert (lr == lr[0, 0]).all()
        assert np.abs(lr - 77.0).max() <= 6  # JPEG quantises the mean of a block too


@pytest.mark.parametrize("name", ["blurred", "noisy", "compressed"])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_each_damage_has_its_share(name, share, hr, monkeypatch):
    monkeypatch.setattr(degradations, "_STORED_LARGER", 0.0)
    none = dict.fromkeys(("blurred", "noisy", "compressed"), 0.0)
    plain = {_draw(hr, seed, **none).tobytes() for seed in range(60)}
    assert len(plain) == 4  # by each kernel
    damage = {**none, name: share, "quality": 1}
    found = [_draw(hr, seed, **damage).tobytes() not in plain for seed in range(200)]
    assert abs(np.mean(found) - share) < 0.12


def test_blocks_begin_anywhere(rng):
    """The columns where one block ends and the next begins move with the offset."""
    picture = np.tile(rng.integers(0, 256, (1, 1, 3), dtype=np.uint8), (64, 64, 1))
    picture = np.clip(picture + np.linspace(-90, 90, 64)[None, :, None], 0, 255).astype(np.uint8)
    for left in range(8):
        stored = compressed(picture, 1, 0, (0, left)).astype(float)
        change = np.abs(np.diff(stored, axis=1)).mean((0, 2))
        assert set(np.flatnonzero(change) % 8) == {(7 - left) % 8}


def test_noise_is_as_strong_as_asked(rng):
    gray = np.full((200, 200, 3), 128, np.uint8)
    error = noisy(gray, 8.0, rng) - 128.0
    assert abs(error.std() - 8) < 0.2
    assert abs(np.corrcoef(error[..., 0].ravel(), error[..., 1].ravel())[0, 1]) < 0.05
    one = noisy(gray, 8.0, rng, gray=True)
    assert (one == one[..., :1]).all()
    dark, light = (noisy(np.full_like(gray, v), 8.0, rng, of_light=True).std() for v in (40, 160))
    assert abs(dark / light - 0.5) < 0.05


@pytest.mark.parametrize("name", [*DEGRADATIONS, "jpeg40", "jpeg95", "noise3"])
def test_each_named_one_makes_lr(name, hr):
    lr = degradation(name)(hr, 4, np.random.default_rng(0))
    assert lr.shape == (24, 32, 3)
    assert lr.dtype == np.uint8
    if name != "bicubic":
        assert psnr_y(lr, degrade(hr, 4)) < 45


def test_names_have_numbers(hr):
    jpeg, webp, avif, noise = (
        [
            psnr_y(degradation(f"{kind}{n}")(hr, 4, np.random.default_rng(0)), degrade(hr, 4))
            for n in ns
        ]
        for kind, ns in (
            *((kind, (30, 60, 90)) for kind in ("jpeg", "webp", "avif")),
            ("noise", (8, 4, 2)),
        )
    )
    assert jpeg == sorted(jpeg)
    assert webp == sorted(webp)
    assert avif == sorted(avif)
    assert noise == sorted(noise)
    for name in ("jpeg", "jpeg100", "noise0", "noise-3", "rain"):
        with pytest.raises(ValueError, match=f"heicQ, h264-R or noiseN, received '{name}'"):
            degradation(name)


def test_heic_where_its_package_is(hr):
    pytest.importorskip("pillow_heif")
    worse, better = (degradation(f"heic{n}")(hr, 4, np.random.default_rng(0)) for n in (20, 60))
    assert psnr_y(worse, degrade(hr, 4)) < psnr_y(better, degrade(hr, 4)) < 45


def test_frames_of_films(hr):
    pytest.importorskip("av", reason="needs PyAV")
    expected = degrade(hr[:, :124], 4)  # 24x31, which H.264 does not hold
    worse, better = (
        degradation(f"h264-{n}")(hr[:, :124], 4, np.random.default_rng(0)) for n in (35, 15)
    )
    assert psnr_y(worse, expected) < psnr_y(better, expected) < 45


def test_heic_names_the_package_that_it_needs(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    with pytest.raises(ImageError, match="pip install pillow-heif"):
        degradation("heic50")


@pytest.mark.parametrize(
    "numbers",
    [
        {"share": 1.5},
        {"noisy": -0.1},
        {"blurred": 2.0},
        {"compressed": 1.1},
        {"blur": -1},
        {"noise": -1},
        {"quality": 0},
        {"quality": 96},
    ],
)
def test_numbers_out_of_range(numbers):
    with pytest.raises(ValueError, match="expected a damage of"):
        Damage(**numbers)

from __future__ import annotations

import json

import numpy as np
import pytest

from keras_perceptual.errors import LPIPSError
from keras_perceptual.evaluation import judge
from keras_perceptual.evaluation.metrics import cross_hatch, psnr_y, ssim_y
from keras_perceptual.files import images
from keras_perceptual.pixels.levels import luma
from keras_perceptual.pixels.resampling import imresize
from tests.conftest import ROOT, SAMPLES
from tests.golden.make_lpips import pairs


def test_luma_of_primaries():
    primaries = np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]])
    np.testing.assert_allclose(luma(primaries), [16, 235, 81.481, 144.553, 40.966])


def test_psnr_by_hand():
    hr = np.zeros((20, 20, 3), np.uint8)
    # One level of green over all pixels: Y differs by 128.553 / 255.
    expected = 20 * np.log10(255 / (128.553 / 255))
    assert psnr_y(hr + np.uint8([0, 1, 0]), hr) == pytest.approx(expected)
    assert psnr_y(hr, hr) == float("inf")


def test_border_is_left_out():
    hr = np.zeros((20, 20, 3), np.uint8)
    sr = hr.copy()
    sr[:4] = 200
    assert psnr_y(sr, hr, border=4) == float("inf")
    assert psnr_y(sr, hr, border=3) < 30


def test_float_input_is_rounded_first():
    hr = np.full((20, 20, 3), 100, np.uint8)
    assert psnr_y(hr + 0.4, hr) == float("inf")


def test_ssim_of_constants_by_hand():
    a, b = (np.full((24, 24, 3), v, np.uint8) for v in (100, 130))
    ya, yb, c1 = luma(a)[0, 0], luma(b)[0, 0], (0.01 * 255) ** 2
    assert ssim_y(a, b) == pytest.approx((2 * ya * yb + c1) / (ya**2 + yb**2 + c1))
    assert ssim_y(a, a) == pytest.approx(1)


def test_ssim_equals_a_direct_computation(rng):
    a, b = rng.integers(0, 256, (2, 17, 19, 3), dtype=np.uint8)
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(window, window) / window.sum() ** 2
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for y in range(17 - 10):
        for x in range(19 - 10):
            p, q = (luma(i)[y : y + 11, x : x + 11] for i in (a, b))
            mp, mq = (window * p).sum(), (window * q).sum()
            vp, vq = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum()
            cov = (window * (p - mp) * (q - mq)).sum()
            values.append(
                (2 * mp * mq + c1) * (2 * cov + c2) / ((mp**2 + mq**2 + c1) * (vp + vq + c2))
            )
    assert ssim_y(a, b) == pytest.approx(np.mean(values), abs=1e-9)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="one shape"):
        psnr_y(np.zeros((8, 8, 3)), np.zeros((8, 9, 3)))
    with pytest.raises(ValueError, match="more than 8 pixels"):
        psnr_y(np.zeros((8, 8, 3)), np.zeros((8, 8, 3)), border=4)


@pytest.mark.parametrize(
    ("name", "psnr", "ssim", "lpips"),
    [
        ("Set5", 28.4318, 0.81126, 0.34064),
        ("Set14", 26.0928, 0.70491, 0.44011),
        pytest.param("BSD100", 25.9630, 0.66818, 0.52578, marks=pytest.mark.long),
    ],
)
def test_bicubic_golden_values(data, name, psnr, ssim, lpips):
    from keras_perceptual.evaluation.lpips import LPIPS

    distance = LPIPS(data("lpips/lpips_alex_v0.1.npz"))
    numbers = judge(
        lambda lr: imresize(lr.astype(np.float32), 4), data(f"test/{name}"), 4, distance
    )
    assert numbers["psnr_y"] == pytest.approx(psnr, abs=0.002)
    assert numbers["ssim_y"] == pytest.approx(ssim, abs=0.002)
    assert numbers["lpips"] == pytest.approx(lpips, abs=0.002)


def test_lpips_weights_that_are_missing(tmp_path):
    from keras_perceptual.evaluation.lpips import LPIPS

    with pytest.raises(LPIPSError, match="expected LPIPS weights"):
        LPIPS(tmp_path / "none.npz")


def test_lpips_of_equal_images_is_zero_and_grows(data, rng):
    from keras_perceptual.evaluation.lpips import LPIPS

    distance = LPIPS(data("lpips/lpips_alex_v0.1.npz"))
    hr = imresize(rng.integers(0, 256, (16, 16, 3)).astype(float), 4)
    noise = rng.normal(0, 1, hr.shape)
    assert distance(hr, hr) == 0
    assert 0 < distance(hr + 5 * noise, hr) < distance(hr + 20 * noise, hr)


def test_lpips_equals_pytorch(data):
    from keras_perceptual.evaluation.lpips import LPIPS

    distance = LPIPS(data("lpips/lpips_alex_v0.1.npz"))
    golden = json.loads((ROOT / "tests" / "golden" / "lpips.json").read_text("utf-8"))
    ours = {name: distance(sr, hr) for name, sr, hr in pairs()}
    assert ours == pytest.approx(golden, abs=1e-6)


def _cat():
    return images.read(SAMPLES / "HR" / "chelsea.png").pixels


@pytest.mark.parametrize("period", [2, 4, 8])
def test_cross_hatch_is_about_zero_on_noise(rng, period):
    hr = np.full((256, 256, 3), 128.0)
    for sigma in (1, 10):
        sr = hr + rng.normal(0, sigma, (256, 256, 1))
        assert abs(cross_hatch(sr, hr, period)) < 1.5


def test_cross_hatch_is_low_on_bicubic_errors():
    hr = _cat()
    sr = imresize(imresize(hr, 0.25).astype(np.float32), 4)
    assert cross_hatch(sr, hr, 4, border=4) < 6


@pytest.mark.parametrize("period", [2, 4, 8])
def test_cross_hatch_sees_a_planted_grid_of_one_level(rng, period):
    hr = np.full((256, 256, 3), 128.0) + rng.normal(0, 3, (256, 256, 1))
    grid = np.zeros((period, period, 1))
    grid[: period // 2] += 1
    grid[:, : period // 2] += 1
    planted = hr + np.tile(grid - 1, (256 // period, 256 // period, 1))
    noise = rng.normal(0, 1, (256, 256, 1))
    assert cross_hatch(planted, hr, period) > 20
    assert cross_hatch(planted + noise, hr, period) > 8
    assert cross_hatch(hr + noise, hr, period) < 2


def test_cross_hatch_refuses():
    with pytest.raises(ValueError, match="period"):
        cross_hatch(np.zeros((64, 64, 3)), np.zeros((64, 64, 3)), 3)
    with pytest.raises(ValueError, match="at least 64"):
        cross_hatch(np.zeros((64, 63, 3)), np.zeros((64, 63, 3)), 4)

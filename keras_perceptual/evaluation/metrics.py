"""Image quality on luma: PSNR and SSIM as the benchmarks define them, and the cross-hatch.

LPIPS, which needs a network, is in `lpips.py`.
"""

from __future__ import annotations

import numpy as np

from keras_perceptual.pixels.levels import luma
from keras_perceptual.pixels.resampling import to_uint8

__all__ = ["LPIPS_VARIABLE", "cross_hatch", "psnr_rgb", "psnr_y", "ssim_y"]


LPIPS_VARIABLE = "KERAS_PERCEPTUAL_LPIPS"  # of the environment; names LPIPS's weights


def psnr_y(sr: np.ndarray, hr: np.ndarray, border: int = 0) -> float:
    """Peak signal-to-noise ratio on luma, in dB: 10 log10(255^2 / mean((Y_sr - Y_hr)^2)).

    Args:
        sr: `[H, W, 3]` RGB in 0..255; rounded to 8 bits first.
        hr: the ground truth, of the same shape.
        border: pixels cut off each side; the benchmarks cut `scale`.

    Returns:
        Decibels, infinite for equal images.

    Raises:
        ValueError: if the shapes differ or nothing is left inside the border.
    """
    return _psnr(*_luma_pair(sr, hr, border))


def psnr_rgb(sr: np.ndarray, hr: np.ndarray, border: int = 0) -> float:
    """Peak signal-to-noise ratio over red, green and blue alike; otherwise as `psnr_y`."""
    sr, hr = _pair(sr, hr, border)
    return _psnr(sr.astype(np.float64), hr.astype(np.float64))


def ssim_y(sr: np.ndarray, hr: np.ndarray, border: int = 0) -> float:
    """Structural similarity on luma with an 11x11 Gaussian of 1.5 pixels over valid windows.

    Args:
        sr: `[H, W, 3]` RGB in 0..255; rounded to 8 bits first.
        hr: the ground truth, of the same shape.
        border: pixels cut off each side; the benchmarks cut `scale`.

    Returns:
        The mean similarity, 1 for equal images.

    Raises:
        ValueError: if the shapes differ or fewer than 11x11 pixels are left inside the border.

    Source: Wang et al., "Image quality assessment: from error visibility to structural
    similarity", 2004; scikit-image's implementation with the same constants.
    """
    from skimage.metrics import structural_similarity

    sr, hr = _luma_pair(sr, hr, border)
    _, similarity = structural_similarity(
        sr,
        hr,
        gaussian_weights=True,
        sigma=1.5,
        truncate=3.34,  # radius int(3.34 * 1.5 + 0.5) = 5: the 11x11 window
        use_sample_covariance=False,
        data_range=255.0,
        full=True,
    )
    return float(similarity[5:-5, 5:-5].mean())


def cross_hatch(sr: np.ndarray, hr: np.ndarray, period: int, border: int = 0) -> float:
    """How far a regular grid stands out of an image's error, in dB.

    The power spectrum of Y_sr - Y_hr is averaged over half-overlapping windows of 64x64 pixels
    under a Hann window. At each frequency of a grid, (i, j) / period but not (0, 0), the power is
    divided by the mean of those 3 to 5 bins away; the result is 10 log10 of the mean ratio.
    Rounding to 8 bits, 1/12 of a level squared, is the least power that counts as surroundings.

    About 0 for noise and for errors that follow the picture; a generator that works at LR size
    and puts a pattern into every LR pixel shows up at `period` = scale.

    Args:
        sr: `[H, W, 3]` RGB in 0..255.
        hr: the ground truth, of the same shape.
        period: of the grid in pixels: 2, 4 or 8.
        border: pixels cut off each side.

    Returns:
        Decibels.

    Raises:
        ValueError: for another period, or if fewer than 64x64 pixels are left.
    """
    size = 64
    if period not in (2, 4, 8):
        raise ValueError(f"expected a period of 2, 4 or 8, received {period}")
    sr, hr = _luma_pair(sr, hr, border)
    if min(hr.shape) < size:
        raise ValueError(f"expected at least {size} pixels a side, received {hr.shape}")
    windows = np.lib.stride_tricks.sliding_window_view(sr - hr, (size, size))
    windows = windows[:: size // 2, :: size // 2].reshape(-1, size, size)
    windows = windows - windows.mean(axis=(1, 2), keepdims=True)
    hann = np.hanning(size + 1)[:-1]
    hann = np.outer(hann, hann) / np.sqrt((np.outer(hann, hann) ** 2).sum())
    power = np.mean(np.abs(np.fft.fft2(windows * hann)) ** 2, axis=0)
    offsets = [(y, x) for y in range(-5, 6) for x in range(-5, 6) if 3 <= max(abs(y), abs(x)) <= 5]
    ratios = []
    for y in range(0, size, size // period):
        for x in range(0, size, size // period):
            if (y, x) != (0, 0):
                around = np.mean([power[(y + v) % size, (x + u) % size] for v, u in offsets])
                ratios.append(power[y, x] / max(around, 1 / 12))
    return float(10 * np.log10(max(np.mean(ratios), 1e-3)))


def _psnr(sr: np.ndarray, hr: np.ndarray) -> float:
    error = np.mean((sr - hr) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255.0**2 / error))


def _luma_pair(sr: np.ndarray, hr: np.ndarray, border: int) -> tuple[np.ndarray, np.ndarray]:
    sr, hr = _pair(sr, hr, border)
    return luma(sr), luma(hr)


def _pair(sr: np.ndarray, hr: np.ndarray, border: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns both images in 8 bits, without their borders."""
    if sr.shape != hr.shape:
        raise ValueError(f"expected images of one shape, received {sr.shape} and {hr.shape}")
    height, width = hr.shape[:2]
    if min(height, width) <= 2 * border:
        raise ValueError(f"expected more than {2 * border} pixels a side, received {hr.shape}")
    inside = slice(border, height - border), slice(border, width - border)
    return to_uint8(sr)[inside], to_uint8(hr)[inside]

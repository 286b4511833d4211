"""Benchmark sets to numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from keras_perceptual import images
from keras_perceptual.metrics import cross_hatch, psnr_y, ssim_y
from keras_perceptual.resampling import crop_to_multiple, degrade, to_uint8

__all__ = ["benchmark", "pairs"]


def pairs(folder: Path, scale: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yields (name, lr, hr), uint8, from `folder/HR`, and `folder/LRxSCALE` where that exists.

    Raises:
        ImageError: if `folder/HR` has no image or one cannot be read.
    """
    paths = images.list_images(folder / "HR")
    if not paths:
        raise images.ImageError(f"{folder / 'HR'}: expected images, found none")
    supplied = folder / f"LRx{scale}"
    for path in paths:
        hr = crop_to_multiple(images.read(path).pixels, scale)
        stored = supplied / path.name
        yield path.stem, images.read(stored).pixels if stored.exists() else degrade(hr, scale), hr


def benchmark(
    upscale: Callable[[np.ndarray], np.ndarray],
    folder: Path,
    scale: int,
    lpips: Callable[[np.ndarray, np.ndarray], float] | None = None,
) -> dict[str, float]:
    """Judges an upscaler on a set of images.

    Args:
        upscale: from `[H, W, 3]` uint8 to `[scale H, scale W, 3]` in 0..255.
        folder: the set, with `HR` inside.
        scale: HR size over LR size; as many pixels are cut off each side for PSNR and SSIM.
        lpips: distance of two images, if it is wanted.

    Returns:
        Means over the set: `psnr_y` in dB, `ssim_y`, `cross_hatch` in dB, and `lpips`.
    """
    rows = []
    for _, lr, hr in pairs(folder, scale):
        sr = to_uint8(upscale(lr))
        row = {
            "psnr_y": psnr_y(sr, hr, scale),
            "ssim_y": ssim_y(sr, hr, scale),
            "cross_hatch": cross_hatch(sr, hr, scale, scale),
        }
        if lpips is not None:
            row["lpips"] = lpips(sr, hr)
        rows.append(row)
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}

"""Benchmark sets to numbers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_perceptual.errors import ImageError
from keras_perceptual.evaluation.metrics import cross_hatch, psnr_rgb, psnr_y, ssim_y
from keras_perceptual.files import images
from keras_perceptual.pixels.resampling import crop_to_multiple, degrade, imresize, to_uint8

if TYPE_CHECKING:
    from keras_perceptual.losses.perceptual import PerceptualLoss

__all__ = [
    "METRICS",
    "bicubic",
    "evaluate",
    "judge",
    "mean",
    "middles",
    "pairs",
    "score",
    "sha256",
    "style_losses",
    "table",
]

# Name to (heading, decimals), in the order of a table's columns.
METRICS = {
    "psnr_y": ("PSNR", 2),
    "psnr_rgb": ("PSNR of RGB", 2),
    "ssim_y": ("SSIM", 4),
    "lpips": ("LPIPS", 4),
    "cross_hatch": ("cross-hatch", 1),
}

Upscale = Callable[[np.ndarray], np.ndarray]
Distance = Callable[[np.ndarray, np.ndarray], float]
Scores = dict[str, float]
Degradation = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


def bicubic(scale: int) -> Upscale:
    """Returns the enlargement that everything is compared with: MATLAB's, rounded once."""
    return lambda lr: imresize(lr.astype(np.float32), scale)


def pairs(
    folder: Path, scale: int, degradation: Degradation | None = None, given: Path | None = None
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yields (name, lr, hr), uint8, from `folder/HR` and the LR images that are supplied.

    Args:
        folder: a benchmark set.
        scale: HR size over LR size. HR is cut to a multiple of it at the bottom and right.
        degradation: what makes LR of HR, from a seed of the image's name. Without one LR is what
            is supplied, and where no file is, the bicubic reduction.
        given: folder of the supplied LR images; by default `folder/LRxSCALE`.

    Raises:
        ImageError: if `folder/HR` has no image, one cannot be read, or one that is supplied has
            another size than its HR image asks for.
    """
    paths = images.list_images(folder / "HR")
    if not paths:
        raise ImageError(f"{folder / 'HR'}: expected images, found none")
    supplied = given or folder / f"LRx{scale}"
    stored = {path.stem: path for path in images.list_images(supplied)} if supplied.exists() else {}
    for path in paths:
        hr = crop_to_multiple(images.read(path).pixels, scale)
        if degradation:
            rng = np.random.default_rng(list(path.stem.encode()))
            yield path.stem, degradation(hr, scale, rng), hr
        elif path.stem in stored:
            yield path.stem, _fitting(stored[path.stem], hr, scale), hr
        elif given:
            raise ImageError(f"{given}: expected an image {path.stem}, found none")
        else:
            yield path.stem, degrade(hr, scale), hr


def _fitting(path: Path, hr: np.ndarray, scale: int) -> np.ndarray:
    lr = images.read(path).pixels
    if tuple(side * scale for side in lr.shape[:2]) != hr.shape[:2]:
        raise ImageError(
            f"{path}: expected {hr.shape[1] // scale}x{hr.shape[0] // scale} pixels, "
            f"found {lr.shape[1]}x{lr.shape[0]}"
        )
    return lr


def score(
    sr: np.ndarray, hr: np.ndarray, scale: int, lpips: Distance | None = None, rgb: bool = False
) -> Scores:
    """Judges one image.

    Args:
        sr: `[H, W, 3]` RGB in 0..255.
        hr: the ground truth, of the same shape.
        scale: as many pixels are cut off each side, but for LPIPS.
        lpips: distance of two images, if it is wanted.
        rgb: whether PSNR of RGB is wanted too.

    Returns:
        The numbers of `METRICS` that can be had: no cross-hatch at scales other than 2, 4 and 8
        and of images below 64 pixels, no LPIPS below 32.
    """
    sr = to_uint8(sr)
    numbers = {"psnr_y": psnr_y(sr, hr, scale)}
    if rgb:
        numbers["psnr_rgb"] = psnr_rgb(sr, hr, scale)
    if min(hr.shape[:2]) >= 2 * scale + 11:
        numbers["ssim_y"] = ssim_y(sr, hr, scale)
    if lpips is not None and min(hr.shape[:2]) >= 32:
        numbers["lpips"] = lpips(sr, hr)
    if scale in (2, 4, 8) and min(hr.shape[:2]) >= 2 * scale + 64:
        numbers["cross_hatch"] = cross_hatch(sr, hr, scale, scale)
    return numbers


def evaluate(
    upscalers: Mapping[str, Upscale],
    folder: Path,
    scale: int,
    *,
    degradation: Degradation | None = None,
    given: Path | None = None,
    lpips: Distance | None = None,
    rgb: bool = False,
    seen: Callable[[str, np.ndarray, Mapping[str, np.ndarray], Mapping[str, Scores]], None]
    | None = None,
) -> dict[str, dict[str, Scores]]:
    """Judges upscalers on a set, image by image.

    Args:
        upscalers: by name, each from `[H, W, 3]` uint8 to `[scale H, scale W, 3]` in 0..255.
        folder: the set, with `HR` inside.
        scale: HR size over LR size.
        degradation: as for `pairs`.
        given: as for `pairs`.
        lpips: as for `score`.
        rgb: as for `score`.
        seen: called after each image with its name, HR, and SR and numbers by upscaler.

    Returns:
        For each upscaler, for each image, its numbers.
    """
    rows: dict[str, dict[str, Scores]] = {name: {} for name in upscalers}
    for image, lr, hr in pairs(folder, scale, degradation, given):
        results = {name: to_uint8(upscale(lr)) for name, upscale in upscalers.items()}
        for name, sr in results.items():
            rows[name][image] = score(sr, hr, scale, lpips, rgb)
        if seen:
            seen(image, hr, results, {name: rows[name][image] for name in rows})
    return rows


def mean(rows: Mapping[str, Scores]) -> Scores:
    """Returns the mean of each number over the images that have it."""
    names = [name for name in METRICS if any(name in row for row in rows.values())]
    return {n: float(np.mean([row[n] for row in rows.values() if n in row])) for n in names}


def judge(upscale: Upscale, folder: Path, scale: int, lpips: Distance | None = None) -> Scores:
    """Returns the means over a set of one upscaler's numbers; arguments as for `evaluate`."""
    return mean(evaluate({"it": upscale}, folder, scale, lpips=lpips)["it"])


def middles(folder: Path, side: int = 384) -> dict[str, np.ndarray]:
    """Reads the middle of each photograph of a folder, by name: small enough for any memory.

    Args:
        folder: of photographs.
        side: largest height and width.
    """
    paths = images.list_images(folder)
    return {path.stem: images.middle(images.read(path).pixels, side) for path in paths}


def style_losses(
    stylize: Upscale, photographs: Mapping[str, np.ndarray], loss: PerceptualLoss, style: int = 0
) -> dict[str, Scores]:
    """Judges a style by what its network was trained to make small.

    Args:
        stylize: from `[H, W, 3]` uint8 to the painting, of the same shape.
        photographs: `[H, W, 3]` uint8, by name.
        loss: with the paintings of one style or several.
        style: number of the style among them.

    Returns:
        For each photograph, each term of the loss and their weighted sum, `total`.
    """
    weights = np.eye(loss.paintings, dtype=np.float32)[style][None]
    rows = {}
    for name, photograph in photographs.items():
        painted = stylize(photograph)[None].astype(np.float32)
        terms = loss(photograph[None].astype(np.float32), painted, weights)
        rows[name] = {term: float(value) for term, value in terms.items()}
        rows[name]["total"] = float(loss.total(terms))
    return rows


def table(models: Mapping[str, Scores]) -> str:
    """Returns a Markdown table with a row a model, and a dash for a number that is not there."""
    rows = models.values()
    names = [n for n in METRICS if n != "psnr_rgb" or any(n in row for row in rows)]
    lines = [["", *(METRICS[n][0] for n in names)], ["---"] * (len(names) + 1)]
    for model, row in models.items():
        lines.append([model, *(f"{row[n]:.{METRICS[n][1]}f}" if n in row else "-" for n in names)])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def sha256(path: str | os.PathLike) -> str:
    """Returns the SHA-256 of a model's file, or of its folder's files in their order."""
    path = Path(path)
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    total = hashlib.sha256()
    for file in files:
        total.update(file.read_bytes())
    return total.hexdigest()

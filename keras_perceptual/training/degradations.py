"""Degradations: what happened to a photograph before somebody wants it larger.

Everything is drawn from a generator that the caller seeds, so patches and test images stay a pure
function of seed and place.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from keras_perceptual.files import formats
from keras_perceptual.files.video.containers import pyav
from keras_perceptual.pixels.resampling import degrade, to_uint8

__all__ = ["DEGRADATIONS", "Damage", "damaged", "degradation", "lr_of"]

_KERNELS = (
    Image.Resampling.BICUBIC,
    Image.Resampling.BILINEAR,
    Image.Resampling.LANCZOS,
    Image.Resampling.BOX,
)
_BLOCK = 8  # pixels a side of a JPEG's blocks
_SUBSAMPLINGS = (2, 0, 1)  # as Pillow numbers them: 4:2:0, 4:4:4, 4:2:2
_STORED_LARGER = 0.3  # share of the damaged photographs


@dataclass(frozen=True)
class Damage:
    """The ranges that the damage of a photograph is drawn from.

    Args:
        share: of photographs that are damaged; the others are reduced as benchmarks are.
        blur: largest standard deviation of the blur, in HR pixels.
        noise: largest standard deviation of the noise, in levels at middle gray.
        quality: lowest quality of JPEG compression, 1 to 95.
        blurred: share of the damaged photographs that are blurred. What one has of each damage is
            drawn by itself.
        noisy: the same of noise.
        compressed: the same of JPEG.

    Raises:
        ValueError: for a number out of its range.
    """

    share: float = 0.75
    blur: float = 2.2
    noise: float = 12.0
    quality: float = 30
    blurred: float = 0.5
    noisy: float = 0.5
    compressed: float = 0.75

    def __post_init__(self) -> None:
        shares = (self.share, self.blurred, self.noisy, self.compressed)
        if not all(0 <= share <= 1 for share in shares) or min(self.blur, self.noise) < 0:
            received = ", ".join(f"{name}={value:g}" for name, value in vars(self).items())
            raise ValueError(
                "expected a damage of shares 0 to 1 and of blur and noise of at least 0, received "
                f"{received}"
            )
        if not 1 <= self.quality <= 95:
            raise ValueError(f"expected a damage of quality 1 to 95, received {self.quality}")


def damaged(hr: np.ndarray, scale: int, damage: Damage, rng: np.random.Generator) -> np.ndarray:
    """Makes the low-resolution image of a photograph that went through cameras and programs.

    In this order, each at random: blur; a reduction part of the way, noise and JPEG at that size,
    as of a photograph that was stored larger; the reduction to LR, by one of four kernels; noise
    and JPEG, mostly in this order. Blocks begin anywhere, as in a cropped photograph.

    Args:
        hr: `[H, W, 3]` uint8, both sides multiples of `scale`.
        scale: the factor of the reduction.
        damage: the ranges.
        rng: what to draw from.

    Returns:
        lr: `[H/scale, W/scale, 3]` uint8.
    """
    if rng.random() >= damage.share:
        return degrade(hr, scale)
    size = (hr.shape[1] // scale, hr.shape[0] // scale)
    if damage.blur and rng.random() < damage.blurred:
        hr = _blurred(hr, damage.blur, rng)
    if rng.random() < _STORED_LARGER:
        larger = float(rng.uniform(1, min(scale, 2.0)))
        hr = _stored(_reduced(hr, [round(larger * side) for side in size], rng), damage, rng)
    return _stored(_reduced(hr, size, rng), damage, rng)


def lr_of(
    hr: np.ndarray, scale: int, blur: float, damage: Damage | None, rng: np.random.Generator
) -> np.ndarray:
    """Makes LR as a recipe says: `damaged` where it names a damage, else reduced after a blur.

    Args:
        hr: as for `damaged`.
        scale: the same.
        blur: as for `pixels.degrade`.
        damage: the ranges, or None.
        rng: what damage is drawn from.

    Returns:
        lr: `[H/scale, W/scale, 3]` uint8.
    """
    return damaged(hr, scale, damage, rng) if damage else degrade(hr, scale, blur)


def _blurred(image: np.ndarray, most: float, rng: np.random.Generator) -> np.ndarray:
    """Blurs with a Gaussian, in half of the images a longish one that points anywhere."""
    from scipy.signal import fftconvolve  # scikit-image brings it; importing it takes a while

    long = rng.uniform(0.2, most)
    wide = long if rng.random() < 0.5 else rng.uniform(0.2, long)
    angle = rng.uniform(0, np.pi)
    radius = int(np.ceil(3 * long))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    along, across = (
        x * np.cos(angle) + y * np.sin(angle),
        y * np.cos(angle) - x * np.sin(angle),
    )
    kernel = np.exp(-((along / long) ** 2 + (across / wide) ** 2) / 2)
    kernel = (kernel / kernel.sum()).astype(np.float32)[..., None]
    padded = np.pad(image.astype(np.float32), [(radius, radius)] * 2 + [(0, 0)], "symmetric")
    return to_uint8(fftconvolve(padded, kernel, "valid", axes=(0, 1)))


def _reduced(
    image: np.ndarray, size: list[int] | tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    kernel = _KERNELS[rng.choice(len(_KERNELS), p=(0.4, 0.2, 0.2, 0.2))]
    return np.asarray(Image.fromarray(image).resize(size, kernel))


def _stored(image: np.ndarray, damage: Damage, rng: np.random.Generator) -> np.ndarray:
    """Adds noise and compresses, each at random; one image in four is compressed first."""
    steps: list[Callable[[np.ndarray], np.ndarray]] = []
    if damage.noise and rng.random() < damage.noisy:
        level = rng.uniform(0.5, max(damage.noise, 0.5))
        steps.append(lambda pixels: noisy(pixels, level, rng, *(rng.random(2) < 0.5)))
    if rng.random() < damage.compressed:
        quality = round(rng.uniform(damage.quality, 95))
        subsampling = _SUBSAMPLINGS[rng.choice(3, p=(0.6, 0.3, 0.1))]
        offset = (int(rng.integers(_BLOCK)), int(rng.integers(_BLOCK)))
        steps.append(lambda pixels: compressed(pixels, quality, subsampling, offset))
    if rng.random() < 0.25:
        steps.reverse()
    for step in steps:
        image = step(image)
    return image


def noisy(
    image: np.ndarray,
    level: float,
    rng: np.random.Generator,
    gray: bool = False,
    of_light: bool = False,
) -> np.ndarray:
    """Adds noise.

    Args:
        image: `[H, W, 3]` uint8.
        level: standard deviation in levels, at middle gray where it depends on the signal.
        rng: what to draw from.
        gray: whether all colours have the same noise.
        of_light: whether its variance grows with the signal, as that of photons does.

    Returns:
        The same shape, uint8.
    """
    noise = rng.normal(0, level, (*image.shape[:2], 1 if gray else 3))
    if of_light:
        noise = noise * np.sqrt(image / 127.5)
    return to_uint8(image + noise)


def compressed(
    image: np.ndarray,
    quality: int,
    subsampling: int = 2,
    offset: tuple[int, int] = (0, 0),
    form: str = "JPEG",
) -> np.ndarray:
    """Compresses as JPEG, WebP, AVIF or HEIC.

    Args:
        image: `[H, W, 3]` uint8.
        quality: 1 to 95.
        subsampling: of a JPEG's colour: 0 for 4:4:4, 1 for 4:2:2, 2 for 4:2:0.
        offset: rows and columns, 0 to 7, that the first block begins before the image.
        form: "JPEG", or another of Pillow's names of formats that have a quality.

    Returns:
        The same shape, uint8.
    """
    top, left = offset
    padded = np.pad(image, ((top, 0), (left, 0), (0, 0)), "edge")
    file = io.BytesIO()
    options = {"subsampling": subsampling} if form == "JPEG" else {}
    Image.fromarray(padded).save(file, form, quality=quality, **options)
    with Image.open(file) as stored:
        return np.asarray(stored.convert("RGB"))[top:, left:]


def filmed(image: np.ndarray, rate: int) -> np.ndarray:
    """Takes a frame out of an H.264 film that moves by a row and two columns a frame.

    Args:
        image: `[H, W, 3]` uint8.
        rate: its constant rate factor, 1 to 51; the higher, the coarser.

    Returns:
        The same shape, uint8: the third of four frames.

    Raises:
        FilmError: if PyAV is not installed.
    """
    av, file = pyav("h264"), io.BytesIO()
    height, width = image.shape[:2]
    even = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
    with av.open(file, "w", format="matroska") as film:
        stream = film.add_stream("libx264", rate=25, options={"crf": str(rate)})
        stream.height, stream.width, stream.pix_fmt = *even.shape[:2], "yuv420p"
        for place in (-2, -1, 0, 1):
            moved = np.roll(even, (place, 2 * place), axis=(0, 1))
            film.mux(stream.encode(av.VideoFrame.from_ndarray(moved, "rgb24")))
        film.mux(stream.encode())
    file.seek(0)
    with av.open(file) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    return frames[2][:height, :width]


Degrade = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]

# What test images can be made by: hr, scale and a seeded generator to lr. Blurs are in HR pixels.
DEGRADATIONS: dict[str, Degrade] = {
    "bicubic": lambda hr, scale, rng: degrade(hr, scale),
    "blur-bicubic": lambda hr, scale, rng: degrade(hr, scale, blur=1.0),  # the paper's
    "noise": lambda hr, scale, rng: noisy(degrade(hr, scale), 8.0, rng),
    "blurjpeg": lambda hr, scale, rng: compressed(degrade(hr, scale, blur=0.4 * scale), 60),
    "random": lambda hr, scale, rng: damaged(hr, scale, Damage(share=1.0), rng),
}


def degradation(name: str) -> Degrade:
    """Returns what makes test images.

    Args:
        name: a key of `DEGRADATIONS`, or of bicubic reductions `jpegQ`, `webpQ`, `avifQ` or `heicQ`
            for that of quality Q, `h264-R` for a film's frame of rate R, or `noiseN` for colour
            noise of N levels.

    Raises:
        ValueError: for another name.
        ImageError: if a package is not installed that HEIC needs.
    """
    if name in DEGRADATIONS:
        return DEGRADATIONS[name]
    found = re.fullmatch(r"(jpeg|webp|avif|heic|h264-|noise)([1-9]\d?)", name)
    if not found:
        known = ", ".join(DEGRADATIONS)
        raise ValueError(
            f"expected a degradation of {known}, jpegQ, webpQ, avifQ, heicQ, h264-R or "
            f"noiseN, received {name!r}"
        )
    kind, number = found[1], int(found[2])
    if kind == "noise":
        return lambda hr, scale, rng: noisy(degrade(hr, scale), number, rng)
    if kind == "h264-":
        return lambda hr, scale, rng: filmed(degrade(hr, scale), number)
    form = formats.of(f"{name}.{kind}")
    codec = form.codec or form.name
    return lambda hr, scale, rng: compressed(degrade(hr, scale), number, form=codec)

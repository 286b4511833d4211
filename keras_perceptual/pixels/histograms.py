"""Histogram matching, the paper's post-process (section 4.2), and mixing with the input."""

from __future__ import annotations

import numpy as np

from keras_perceptual.pixels.levels import luma

__all__ = [
    "HISTOGRAM_MATCHES",
    "check_match",
    "histogram",
    "look_up",
    "match_histograms",
    "matching_table",
    "mix",
]

HISTOGRAM_MATCHES = ("affine", "paper", "none")


def check_match(histogram_match: str) -> str:
    """Returns the name of a post-process.

    Args:
        histogram_match: `affine`, which takes out a shift of colour and contrast that the network
            adds; `paper`, which gives the result the distribution of levels of its input; or
            `none`.

    Raises:
        ValueError: if it is something else.
    """
    if histogram_match not in HISTOGRAM_MATCHES:
        raise ValueError(
            f"expected histogram_match 'affine', 'paper' or 'none', received {histogram_match!r}"
        )
    return histogram_match


def histogram(image: np.ndarray) -> np.ndarray:
    """Counts the levels of each channel.

    Args:
        image: `[..., C]` uint8 or uint16.

    Returns:
        `[C, 256]` or `[C, 65536]` counts. Those of an image's parts add up to the image's own.
    """
    levels = np.iinfo(image.dtype).max + 1
    channels = image.reshape(-1, image.shape[-1]).T
    return np.stack([np.bincount(channel, minlength=levels) for channel in channels])


def matching_table(source: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Maps each level of one histogram to the level of equal quantile in another.

    Level v goes to np.interp(F_s(v), F_r(u), u), where F are the cumulative distributions and u
    runs over the levels that the reference has; then to the nearest integer.

    Args:
        source: `[C, L]` counts of the image to change, of 256 or 65536 levels.
        reference: `[C, L]` counts of the image to resemble.

    Returns:
        `[C, L]` uint8 or uint16, the new level of each old one.
    """
    table = np.empty(source.shape, np.uint8 if source.shape[1] == 256 else np.uint16)
    for channel, (s, r) in enumerate(zip(source, reference, strict=True)):
        levels = np.flatnonzero(r)
        quantiles = np.cumsum(r[levels]) / r.sum()
        table[channel] = np.rint(np.interp(np.cumsum(s) / s.sum(), quantiles, levels))
    return table


def look_up(table: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Gives each level of a `[H, W, C]` image its new one by a `[C, L]` table."""
    return np.stack([table[c][image[..., c]] for c in range(image.shape[-1])], axis=-1)


def match_histograms(image: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Gives every channel of an image the distribution of levels of a reference.

    Equal to scikit-image's `match_histograms` of one channel at a time, rounded to the nearest
    level. (On several uint8 channels at once scikit-image cuts the fraction off instead, which
    darkens by half a level.)

    Args:
        image: `[H, W, C]` uint8 or uint16.
        reference: `[h, w, C]` of the same type, of any size.

    Returns:
        `[H, W, C]` of the same type.

    Raises:
        ValueError: if the types are others or differ, either is empty, or the numbers of
            channels differ.
    """
    for each in (image, reference):
        if each.dtype not in (np.uint8, np.uint16) or each.ndim != 3 or each.size == 0:
            raise ValueError(
                "expected a non-empty [H, W, C] uint8 or uint16 image, "
                f"received {each.dtype} {each.shape}"
            )
    if image.dtype != reference.dtype:
        raise ValueError(f"expected images of one type, received {image.dtype}, {reference.dtype}")
    if image.shape[-1] != reference.shape[-1]:
        raise ValueError(f"expected as many channels, received {image.shape}, {reference.shape}")
    return look_up(matching_table(histogram(image), histogram(reference)), image)


def mix(
    image: np.ndarray, painting: np.ndarray, strength: float = 1.0, preserve_colour: bool = False
) -> np.ndarray:
    """Mixes an image with its painting.

    Args:
        image: `[H, W, 3]` float32 RGB in 0..255.
        painting: the same.
        strength: 0..1, the painting's share.
        preserve_colour: whether to take luma alone from the painting, chroma from the image.

    Returns:
        `[H, W, 3]` float32, neither rounded nor clipped.

    Source: Gatys et al., "Preserving color in neural artistic style transfer", 2016.
    """
    if preserve_colour:
        # Added to red, green and blue alike, a change of luma leaves both chroma as they are.
        change = (luma(painting) - luma(image)) * 255 / 219
        painting = image + change[..., None]
    return image + np.float32(strength) * (painting - image)

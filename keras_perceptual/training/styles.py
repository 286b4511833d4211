"""Paintings to style images, and a style to each image of a batch."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

import numpy as np
from PIL import Image

from keras_perceptual.files import images
from keras_perceptual.training.dataset import MOST_PIXELS

__all__ = ["painting", "with_styles"]


def painting(path: str | os.PathLike, size: int) -> np.ndarray:
    """Reads a style image.

    Args:
        path: its file.
        size: what it is resized to, in pixels: the side of a square of the same area.

    Returns:
        `[H, W, 3]` float32 in 0..255.

    Raises:
        ImageError: if it cannot be read.
    """
    image = Image.fromarray(images.read(path, most_pixels=MOST_PIXELS).pixels)
    factor = size / math.sqrt(image.width * image.height)
    sides = [max(16, round(side * factor)) for side in image.size]
    return np.asarray(image.resize(sides, Image.Resampling.LANCZOS), np.float32)


def with_styles(
    batches: Iterator[tuple[np.ndarray, np.ndarray]], styles: int, seed: int, start: int
) -> Iterator[tuple]:
    """Adds a style to each image of batches, where there are several.

    Args:
        batches: of (lr, hr), from number `start` on.
        styles: number of styles; up to 1 nothing is added.
        seed: of the choice, which also depends on the batch's number.
        start: number of the first batch.

    Yields:
        ((lr, style), hr), with `style` `[N, styles]` float32, one 1 a row.
    """
    for number, (lr, hr) in enumerate(batches, start):
        if styles > 1:
            rng = np.random.default_rng((seed, 3, number))
            chosen = rng.permutation(np.arange(len(lr)) + rng.integers(styles)) % styles
            yield (lr, np.eye(styles, dtype=np.float32)[chosen]), hr
        else:
            yield lr, hr

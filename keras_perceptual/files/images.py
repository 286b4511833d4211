"""Whole 8-bit images from files and to them, for those who work on all of one at once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from keras_perceptual.errors import ImageError
from keras_perceptual.files import formats
from keras_perceptual.files.metadata import Metadata
from keras_perceptual.files.sink import EIGHT_BITS, Sink
from keras_perceptual.files.source import MOST_PIXELS, open_source
from keras_perceptual.pixels.rows import cropped

__all__ = [
    "Picture",
    "is_image",
    "list_images",
    "middle",
    "natural",
    "read",
    "write",
]


@dataclass(frozen=True)
class Picture:
    """An image file's pixels and what belongs to them.

    Args:
        pixels: `[H, W, 3]` uint8 RGB.
        alpha: `[H, W]` uint8 opacity, or None.
        gray: whether the file has no colours; the three channels are then equal.
        metadata: colour profile, EXIF, XMP, resolution.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    gray: bool = False
    metadata: Metadata = field(default_factory=Metadata)

    def with_pixels(self, pixels: np.ndarray, alpha: np.ndarray | None = None) -> Picture:
        """Returns the same picture with other pixels and opacity."""
        return replace(self, pixels=pixels, alpha=alpha)


def read(
    path: str | os.PathLike,
    crop: tuple[int, int, int, int] | None = None,
    most_pixels: int = MOST_PIXELS,
) -> Picture:
    """Reads an image file, upright by its EXIF orientation; the first frame of several.

    Args:
        path: a file in any format of `formats.FORMATS`.
        crop: (x, y, width, height) in pixels of the part to read, by default all.
        most_pixels: beyond which it is refused by its header.

    Returns:
        The picture; 16 bits are divided down to 8.

    Raises:
        ImageError: as for `source.open_source`.
    """
    with open_source(path, most_pixels=most_pixels) as source:
        take = cropped(source.take, crop) if crop else source.take
        rows = take(crop[3] if crop else source.height)
        if source.bits == 16:
            rows = EIGHT_BITS[rows]
        alpha = np.ascontiguousarray(rows[..., 3]) if source.alpha else None
        pixels = np.ascontiguousarray(rows[..., :3])
        return Picture(pixels, alpha, source.gray, source.metadata)


def write(path: str | os.PathLike, picture: Picture) -> None:
    """Writes a picture in the format of the path's ending, all of it or nothing.

    JPEG is written at quality 95 without chroma subsampling. Formats without opacity get the
    picture over white.

    Args:
        path: where to; an existing file is replaced once the new one is complete, and folders
            that are missing are made.
        picture: what to write; a gray one is written with one channel.

    Raises:
        ImageError: if the ending names no format that is written, the format does not hold the
            picture's size, or writing fails.
    """
    rows, alpha = picture.pixels, picture.alpha
    if alpha is not None:
        rows = np.concatenate([rows, alpha[..., None]], axis=2)
    with Sink(
        Path(path),
        formats.of(path),
        *rows.shape[:2],
        gray=picture.gray,
        alpha=alpha is not None,
        metadata=picture.metadata,
        budget=rows.nbytes,
    ) as sink:
        sink.append(rows)
        sink.finish()


def middle(pixels: np.ndarray, side: int) -> np.ndarray:
    """Cuts the middle out of an image.

    Args:
        pixels: `[H, W, C]`.
        side: largest height and width of what is cut out.
    """
    top, left = (max(0, (length - side) // 2) for length in pixels.shape[:2])
    return pixels[top : top + side, left : left + side].copy()  # a view would keep all of them


def natural(name: str) -> list[str | int]:
    """Returns what names are sorted by, as people count: texts and the numbers between them."""
    parts: list[str | int] = [*re.split(r"([0-9]+)", name)]
    parts[1::2] = map(int, parts[1::2])
    return parts


def is_image(name: str, endings: Collection[str] = formats.READABLE) -> bool:
    """Returns whether a file is one to take, by its ending: not if it or a folder of it is hidden.

    Args:
        name: of the file, with the folders that it lies in.
        endings: of the files to take.
    """
    hidden = any(part.startswith(".") for part in name.split("/"))
    return not hidden and os.path.splitext(name)[1].lower() in endings


def list_images(
    folder: str | os.PathLike,
    recursive: bool = True,
    failed: Callable[[str], None] | None = None,
    endings: Collection[str] = formats.READABLE,
) -> list[Path]:
    """Lists the image files below a folder by their endings; hidden ones are left out.

    They are sorted as people count: img2 before img10.

    Args:
        folder: where to look.
        recursive: whether to look in folders inside it; links to folders are not followed.
        failed: called with a line for each inner folder that cannot be listed.
        endings: of the files.

    Returns:
        Paths that begin with `folder`.

    Raises:
        ImageError: if `folder` is not a folder that can be listed, or, without `failed`, one inside
            it is not.
    """

    def fail(error: OSError) -> None:
        line = f"{error.filename}: cannot be listed: {error.strerror}"
        if failed is None or error.filename == os.fspath(folder):
            raise ImageError(line) from None
        failed(line)

    found: list[Path] = []
    for root, folders, names in os.walk(os.fspath(folder), onerror=fail):
        folders[:] = (
            sorted((f for f in folders if not f.startswith(".")), key=natural) if recursive else []
        )
        found += [
            Path(root, name) for name in sorted(names, key=natural) if is_image(name, endings)
        ]
    return found

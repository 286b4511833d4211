"""Image files that Pillow decodes: what libvips does not, and animations."""

from __future__ import annotations

import contextlib
import logging

import numpy as np
from PIL import Image, ImageOps
from PIL.ExifTags import Base

from keras_perceptual.files import formats, tags
from keras_perceptual.files.decoded import ArrayRows, Given, Rows
from keras_perceptual.files.metadata import Metadata, clean, orientation
from keras_perceptual.system.quiet import quiet_warnings

__all__ = ["metadata_of", "open_image", "open_rows"]

logging.getLogger("PIL").addHandler(logging.NullHandler())  # errors are told once, by us


def open_image(given: Given) -> Image.Image:
    """Opens a file by Pillow's plugin of its format, past the limit of pixels that is Pillow's."""
    formats.open_codec(given.form, given.name)
    factory, _ = Image.OPEN[given.form.codec or given.form.name]
    image = factory(given.file, "")
    given.check_size(*image.size)
    return image


def open_rows(given: Given) -> Rows:
    """Decodes a file, as a whole."""
    with quiet_warnings(), open_image(given) as image:
        # PGM of 16 bits comes as 32-bit integers of 16 bits' range.
        deep = image.mode.startswith("I;16") or (image.mode == "I" and given.form.name == "PNM")
        if image.mode in ("F", "I") and not deep:
            raise given.wrong_type("floating point" if image.mode == "F" else "integers", 32)
        frames = getattr(image, "n_frames", 1)
        image.load()
        # Pillow turns TIFFs by itself.
        turn = 1 if given.directory else orientation(_tags_of(image))
        about = metadata_of(image, given.directory)
        if deep:
            pixels = np.asarray(image).astype(np.uint16)
        else:
            gray = image.mode in ("1", "L", "LA")
            opacity = "A" if image.has_transparency_data else ""
            plain = image.convert(("L" if gray else "RGB") + opacity)
            pixels = np.asarray(_upright(plain, turn))
    return ArrayRows(pixels.reshape(*pixels.shape[:2], -1), about, frames)


def _upright(image: Image.Image, turn: int) -> Image.Image:
    if turn == 1:
        return image
    image.info.clear()  # Pillow goes by XMP too, and fails on damaged EXIF
    image.getexif()[Base.Orientation] = turn
    return ImageOps.exif_transpose(image)


def _tags_of(image: Image.Image) -> tags.Directory | None:
    with contextlib.suppress(ValueError):
        return tags.parse(image.info.get("exif") or b"")
    return None


def metadata_of(image: Image.Image, directory: tags.Directory | None = None) -> Metadata:
    """Returns the metadata of an image that Pillow opened.

    Args:
        image: the image.
        directory: the tags of a TIFF.
    """
    info = image.info
    profile = info.get("icc_profile") if image.mode not in ("CMYK", "LAB") else None
    x, y = map(float, info.get("dpi") or (0, 0))
    return clean(directory or _tags_of(image), profile, info.get("xmp"), (x, y))

"""Image files that Pillow decodes: what libvips does not, and animations."""

from __future__ import annotations

import contextlib
import io
import logging

import numpy as np
from PIL import Image, ImageOps
from PIL.ExifTags import Base
from PIL.GifImagePlugin import GifImageFile

from keras_perceptual.errors import ImageError
from keras_perceptual.files import formats, gif, png, tags
from keras_perceptual.files.decoded import Given, Rows
from keras_perceptual.files.metadata import Metadata, clean, orientation
from keras_perceptual.system.quiet import quiet_stderr, quiet_warnings

__all__ = ["gif_frame", "metadata_of", "open_image", "open_rows"]

logging.getLogger("PIL").addHandler(logging.NullHandler())  # errors are told once, by us

# Bytes of memory a pixel while a picture is decoded.
_COSTS = {"GIF": 2, "BMP": 5, "PNM": 5, "TIFF": 9, "AVIF": 13, "HEIC": 16, "JPEG 2000": 26}
_COST = 10
_COST_PLACED = 5  # of a GIF whose first frame does not fill its screen


class _PillowRows(Rows):
    """Rows of an image that Pillow holds."""

    held = True

    def __init__(self, image: Image.Image, mode: str, about: Metadata, frames: int) -> None:
        bits = 16 if mode == "I" else 8
        bands = 1 if mode == "I" else len(mode)
        super().__init__((image.height, image.width, bands), bits, about, frames)
        self._image, self._mode = image, mode

    def fetch(self, top: int, count: int) -> np.ndarray:
        part = self._image.crop((0, top, self.width, top + count))
        deep = self.bits == 16
        pixels = np.asarray(part if deep else part.convert(self._mode))
        return pixels.astype(np.uint16 if deep else np.uint8).reshape(count, self.width, self.bands)


def open_image(given: Given) -> Image.Image:
    """Opens a file by Pillow's plugin of its format, past the limit of pixels that is Pillow's."""
    formats.open_codec(given.form, given.name)
    factory, _ = Image.OPEN[given.form.codec or given.form.name]
    if given.form.name == "GIF":
        return _first_of_gif(given)
    given.file.seek(0)
    image = factory(given.file, "")
    given.check_size(*image.size, _COSTS.get(given.form.name, _COST))
    return image


def _first_of_gif(given: Given) -> Image.Image:
    """Opens the first frame of a GIF; nothing is around it where it does not fill the screen."""
    frame = next(gif.frames(given.file), None)
    if frame is None:
        raise ValueError("it has no frame")
    size = gif.canvas(given.file, first=True)
    fills = size == (frame.width, frame.height)
    given.check_size(*size, _COSTS["GIF"] if fills else _COST_PLACED)
    image = GifImageFile(io.BytesIO(gif.still(given.file, frame)))
    if fills:
        return image
    whole = Image.new("RGBA", size)
    whole.paste(image.convert("RGBA"), (frame.left, frame.top))
    return whole


def gif_frame(given: Given, frame: gif.Frame) -> np.ndarray:
    """Decodes one frame of a GIF by itself: `[height, width, 4]`."""
    with quiet_warnings(), GifImageFile(io.BytesIO(gif.still(given.file, frame))) as image:
        return np.asarray(image.convert("RGBA"))


def open_rows(given: Given) -> Rows:
    """Decodes a file, as a whole."""
    if given.form.name == "PNG":  # of which Pillow does not say that rows are missing
        png.check_complete(given.file)
    # Of the libraries that Pillow decodes by, libtiff writes to standard error.
    quiet = quiet_stderr() if given.form.name == "TIFF" else contextlib.nullcontext()
    with quiet, quiet_warnings(), open_image(given) as image:
        # PGM of 16 bits comes as 32-bit integers of 16 bits' range.
        deep = image.mode.startswith("I;16") or (image.mode == "I" and given.form.name == "PNM")
        if image.mode in ("F", "I") and not deep:
            raise given.wrong_type("floating point" if image.mode == "F" else "integers", 32)
        _load(given, image)
        about, turn = metadata_of(given, image)
        frames = given.header.frames or _count(image)
        if deep:
            return _PillowRows(image, "I", about, frames)
        # A fourth byte of BMP that is 0 everywhere was never set.
        unset = (
            given.form.name == "BMP"
            and image.mode == "RGBA"
            and image.getchannel("A").getextrema() == (0, 0)
        )
        gray = image.mode in ("1", "L", "LA")
        alpha = image.has_transparency_data and not unset
        mode = ("L" if gray else "RGB") + ("A" if alpha else "")
        if turn > 1 or image.mode == "LAB":  # whose conversion takes time to prepare
            image = _upright(image.convert(mode), turn)
        return _PillowRows(image, mode, about, frames)


def _load(given: Given, image: Image.Image) -> None:
    """Decodes; a TIFF whose compression the libraries lack fails as a damaged one does."""
    try:
        image.load()
    except OSError as error:
        kind = image.info.get("compression")
        if given.form.name != "TIFF" or "decoder error" not in str(error):
            raise
        raise ImageError(
            f"{given.name}: cannot be read: it is damaged, or its compression ({kind}) is not read "
            "here"
        ) from error


def _count(image: Image.Image) -> int:
    """Counts frames; the first one is there, whatever is wrong with others."""
    try:
        return getattr(image, "n_frames", 1)
    except Exception:
        return 1


def _upright(image: Image.Image, turn: int) -> Image.Image:
    image.info.clear()  # Pillow goes by XMP too, and fails on damaged EXIF
    image.getexif()[Base.Orientation] = turn
    return ImageOps.exif_transpose(image)


def metadata_of(given: Given, image: Image.Image) -> tuple[Metadata, int]:
    """Returns the metadata of an image that Pillow opened, and its orientation."""
    info, header = image.info, given.header
    profile = info.get("icc_profile") if image.mode not in ("CMYK", "LAB") else None
    if given.form.name in ("PNG", "TIFF"):
        directory, xmp, dpi = header.directory, header.xmp, header.dpi
    else:
        directory, xmp, dpi = None, info.get("xmp"), info.get("dpi")
        with contextlib.suppress(ValueError):
            directory = tags.parse(info.get("exif") or b"")
    # Pillow turns TIFFs by itself.
    turn = 1 if given.form.name == "TIFF" else orientation(directory, xmp)
    x, y = map(float, dpi or (0, 0))
    return clean(directory, profile, xmp, (x, y)), turn

"""The image formats: what each can hold, and which one a file is in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from keras_perceptual.errors import ImageError

__all__ = ["FORMATS", "READABLE", "Format", "check", "check_quality", "of", "open_codec", "sniff"]

# Codecs other than libvips hold a picture in memory, at 4 bytes a pixel and more.
_IN_MEMORY = 2**28


@dataclass(frozen=True)
class Format:
    """What one file format can hold.

    Args:
        name: as people call it.
        endings: of its files, the usual one first.
        codec: Pillow's name of it; empty where libvips reads and writes it.
        longest_side: in pixels, that can be written.
        most_pixels: that can be written, or None.
        alpha: whether it holds opacity.
        sixteen_bit: whether it holds 16 bits a channel.
        gray: whether it holds pictures of one channel.
        icc: whether it holds a colour profile.
        exif: whether it holds EXIF.
        lossy: whether a quality can be chosen.
        lossless: whether it can also be written without a loss, where it is lossy.
        animated: whether it holds several frames that are read and written here.
    """

    name: str
    endings: tuple[str, ...]
    codec: str = ""
    longest_side: int = 100_000_000
    most_pixels: int | None = None
    alpha: bool = True
    sixteen_bit: bool = False
    gray: bool = True
    icc: bool = True
    exif: bool = True
    lossy: bool = False
    lossless: bool = False
    animated: bool = False

    def holds(self, width: int, height: int) -> bool:
        """Says whether a picture of a size in pixels can be written."""
        fits = self.most_pixels is None or width * height <= self.most_pixels
        return fits and max(width, height) <= self.longest_side


FORMATS = (
    Format("PNG", (".png", ".apng"), sixteen_bit=True, animated=True),
    Format("TIFF", (".tif", ".tiff"), sixteen_bit=True),
    # The standard says 65535; libjpeg stops at 65500.
    Format(
        "JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), longest_side=65500, alpha=False, lossy=True
    ),
    Format(
        "WebP", (".webp",), "WEBP", longest_side=16383, gray=False, lossy=True, lossless=True,
        animated=True,
    ),
    Format(
        "GIF", (".gif",), "GIF", longest_side=65535, most_pixels=_IN_MEMORY,
        icc=False, exif=False, animated=True,
    ),
    Format(
        "BMP", (".bmp", ".dib"), "BMP", most_pixels=_IN_MEMORY, alpha=False, icc=False, exif=False
    ),
    # libavif's own limits, beyond which it does not read what it wrote.
    Format(
        "AVIF", (".avif",), "AVIF", longest_side=32768, most_pixels=2**28, gray=False, lossy=True,
        lossless=True,
    ),
    Format(
        "HEIC", (".heic", ".heif"), "HEIF", longest_side=16384, most_pixels=2**28,
        gray=False, lossy=True,
    ),
    Format(
        "JPEG 2000", (".jp2", ".j2k", ".jpx"), "JPEG2000", most_pixels=_IN_MEMORY,
        icc=False, exif=False,
    ),
    Format(
        "PNM", (".ppm", ".pgm", ".pbm", ".pnm"), "PPM", most_pixels=_IN_MEMORY,
        alpha=False, icc=False, exif=False,
    ),
)  # fmt: skip

READABLE = frozenset(ending for each in FORMATS for ending in each.endings)
_BY_NAME = {each.name: each for each in FORMATS}
_BY_ENDING = {ending: each for each in FORMATS for ending in each.endings}
_STARTS = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    *((b"P%d" % number + space, "PNM") for number in range(1, 7) for space in (b"\n", b" ", b"\r")),
)


def of(path: str | os.PathLike) -> Format:
    """Returns the format that a path's ending stands for.

    Raises:
        ImageError: if the ending names no format that is written here, or one whose codec is not
            installed.
    """
    found = _BY_ENDING.get(Path(path).suffix.lower())
    if found is None:
        raise ImageError(f"{path}: expected an ending such as .png, .jpg, .webp or .tif")
    if found.codec:
        open_codec(found, os.fspath(path))
    return found


def sniff(head: bytes) -> Format | None:
    """Returns the format of a file by its first 64 bytes, or None."""
    for start, name in _STARTS:
        if head.startswith(start):
            return _BY_NAME[name]
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _BY_NAME["WebP"]
    if head[4:8] == b"ftyp":
        brands = {head[at : at + 4] for at in range(8, len(head), 4)}
        if brands & {b"avif", b"avis"}:
            return _BY_NAME["AVIF"]
        if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}:
            return _BY_NAME["HEIC"]
    return None


def check_quality(form: Format, quality: int | None, name: str) -> None:
    """Refuses to lose nothing where a format cannot.

    Args:
        form: the format to write.
        quality: 1 to 100, or None, which loses nothing.
        name: of the file, for the message.

    Raises:
        ImageError: names formats that can.
    """
    if quality is None and form.lossy and not form.lossless:
        raise ImageError(f"{name}: {form.name} is never lossless; .png, .webp and .avif can be")


def check(form: Format, width: int, height: int, name: str = "") -> None:
    """Refuses a picture that is too large for a format.

    Args:
        form: the format to write.
        width: of the picture, in pixels.
        height: of the picture, in pixels.
        name: of the file, for the message.

    Raises:
        ImageError: names the limit, and formats without it.
    """
    if form.holds(width, height):
        return
    if max(width, height) > form.longest_side:
        limit = f"{form.longest_side} pixels a side"
    else:
        limit = f"{(form.most_pixels or 0) / 1e6:.0f} megapixels"
    fitting = [other.endings[0] for other in reversed(FORMATS[:2]) if other.holds(width, height)]
    hint = f"; {' or '.join(fitting)} hold it" if fitting else ""
    prefix = f"{name}: " if name else ""
    raise ImageError(f"{prefix}{form.name} holds up to {limit}, received {width}x{height}{hint}")


def open_codec(form: Format, name: str) -> None:
    """Makes Pillow load the plugin of a format.

    Raises:
        ImageError: if it is not there; says what to install.
    """
    if form.codec == "HEIF":
        try:
            import pillow_heif
        except ImportError:
            raise ImageError(
                f"{name}: HEIC needs a package that is not installed: pip install pillow-heif"
            ) from None
        pillow_heif.register_heif_opener()
    Image.init()
    codec = form.codec or form.name
    if codec not in Image.OPEN or codec not in Image.SAVE:
        raise ImageError(f"{name}: this Pillow was built without {form.name}")

"""What belongs to a picture beside its pixels, cleaned of what describes the old file."""

from __future__ import annotations

import re
from dataclasses import dataclass

from keras_perceptual.files import tags

__all__ = ["Metadata", "clean", "orientation"]

# A TIFF's layout: sizes, sample format, compression, strips, tiles, thumbnails, pages; copies of
# what is carried by itself (XMP, IPTC, Photoshop's block, ICC); the ground that one pixel covers.
_STRUCTURE = {*range(254, 260), 262, 266, 273, 274, *range(277, 281), 284, 285, 297, 317, 320}
_STRUCTURE |= {*range(322, 326), 330, 338, 339, 340, 341, 347, *range(512, 522), *range(529, 533)}
_STRUCTURE |= {700, 33723, 34377, 34675, 37724, 33550, 33922, 34264, *range(34735, 34738)}
_STRUCTURE |= {42112, 42113}
_PIXELS = {273, 324}  # where the strips or tiles are
_RESOLUTION = {282, 283, 296}
_SIZES = {0xA002, 0xA003}  # the width and height that the EXIF directory repeats
_EXIF = 0x8769

_XMP_ORIENTATION = re.compile(rb"""((?<!/)tiff:Orientation\s*(?:=\s*["']|>)\s*)[2-8]""")


@dataclass(frozen=True)
class Metadata:
    r"""What belongs to a picture beside its pixels.

    Args:
        icc_profile: the colour profile, or None.
        exif: an EXIF block, without its `Exif\0\0`, that says nothing on orientation, size or
            layout; empty if there is none.
        xmp: an XMP packet, or None.
        dpi: pixels an inch, (x, y), or None.
    """

    icc_profile: bytes | None = None
    exif: bytes = b""
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None


def orientation(directory: tags.Directory | None) -> int:
    """Returns the EXIF orientation, 1 to 8; 1, upright, where there is none."""
    numbers = directory.numbers(tags.ORIENTATION) if directory else ()
    return numbers[0] if numbers and 1 <= numbers[0] <= 8 else 1


def clean(
    directory: tags.Directory | None,
    icc_profile: bytes | None = None,
    xmp: bytes | None = None,
    dpi: tuple[float, float] | None = None,
) -> Metadata:
    """Makes metadata of what a file holds.

    Args:
        directory: the file's first directory of tags, or its EXIF, or None.
        icc_profile: as in the file.
        xmp: as in the file; an orientation in it is reset.
        dpi: as in the file; what nobody means is left out.

    Returns:
        What is true of the upright picture, whatever becomes of its size.
    """
    exif = b""
    if directory is not None:
        # A TIFF's resolution is in `dpi`; in EXIF it is part of what is kept.
        dropped = _STRUCTURE | (_RESOLUTION if _PIXELS & set(directory.tags) else set())
        kept = {n: tag for n, tag in directory.tags.items() if n not in dropped}
        inside = dict(directory.inside)
        if _EXIF in inside:
            old = inside[_EXIF]
            rest = {n: tag for n, tag in old.tags.items() if n not in _SIZES}
            inside[_EXIF] = tags.Directory(old.order, rest, old.inside)
        exif = tags.dump(tags.Directory(directory.order, kept, inside))
    if xmp:
        xmp = _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)
    if dpi and not all(1 <= each <= 100_000 for each in dpi):
        dpi = None
    return Metadata(icc_profile or None, exif, xmp or None, dpi)

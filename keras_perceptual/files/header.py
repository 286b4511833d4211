"""What a file says of its picture beside the pixels, as far as it is read without a decoder."""

from __future__ import annotations

from dataclasses import dataclass

from keras_perceptual.files import tags

__all__ = ["Header"]


@dataclass(frozen=True)
class Header:
    """What a file says beside its pixels.

    Args:
        directory: the tags of a TIFF, or EXIF.
        xmp: an XMP packet.
        dpi: the resolution of the file itself, not of its EXIF: pixels an inch, (x, y).
        frames: how many it has; 0 where only a decoder can tell.
        whole: whether a decoder needs all of the picture at once.
    """

    directory: tags.Directory | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    frames: int = 0
    whole: bool = True

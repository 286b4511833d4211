"""The quality of a JPEG file, by its quantisation tables."""

from __future__ import annotations

from typing import BinaryIO

from PIL import JpegImagePlugin

from keras_perceptual.system.quiet import quiet_warnings

__all__ = ["jpeg_quality"]

_MIDDLE = 3688  # sum of the table of brightness at quality 50, annex K.1 of the JPEG standard


def jpeg_quality(file: BinaryIO) -> int | None:
    """Returns the quality, 1 to 100, at which libjpeg has a table as coarse as the file's.

    Args:
        file: a JPEG, open at its beginning.

    Returns:
        The quality, or None where the header cannot be read.
    """
    try:
        with quiet_warnings():
            tables = JpegImagePlugin.JpegImageFile(file).quantization
        share = sum(tables[min(tables)]) / _MIDDLE
    except Exception:  # whatever is wrong, the decoder says it better
        return None
    return max(1, round(50 / share if share > 1 else 100 - 50 * share))

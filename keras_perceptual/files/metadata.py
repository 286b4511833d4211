"""What belongs to a picture beside its pixels, cleaned of what describes the old file."""

from __future__ import annotations

import re
from dataclasses import dataclass

from PIL import TiffTags
from PIL.ExifTags import IFD, Base

from keras_perceptual.files import tags

__all__ = ["RESOLUTION", "Metadata", "clean", "orientation", "resolution"]

# A TIFF's layout: sizes, sample format, compression, strips, tiles, thumbnails, pages; copies of
# what is carried by itself (XMP, IPTC, Photoshop's block, ICC); the ground that one pixel covers.
_STRUCTURE = """
NewSubfileType SubfileType ImageWidth ImageLength BitsPerSample Compression
PhotometricInterpretation FillOrder StripOffsets Orientation SamplesPerPixel RowsPerStrip
StripByteCounts MinSampleValue PlanarConfiguration PageName PageNumber Predictor ColorMap
TileWidth TileLength TileOffsets TileByteCounts SubIFDs ExtraSamples SampleFormat
SMinSampleValue SMaxSampleValue JPEGTables JPEGProc JPEGInterchangeFormat
JPEGInterchangeFormatLength JPEGRestartInterval JPEGLosslessPredictors JPEGPointTransforms
JPEGQTables JPEGDCTables JPEGACTables YCbCrCoefficients YCbCrSubSampling YCbCrPositioning
ReferenceBlackWhite XMP IptcNaaInfo PhotoshopInfo ICCProfile ImageSourceData
ModelPixelScaleTag ModelTiepointTag ModelTransformationTag GeoKeyDirectoryTag
GeoDoubleParamsTag GeoAsciiParamsTag GDAL_METADATA GDAL_NODATA
"""
_NUMBERS = {name: number for number, name in TiffTags.TAGS.items()}
_DROPPED = {_NUMBERS[name] for name in _STRUCTURE.split()}
_PIXELS = {Base.StripOffsets, Base.TileOffsets}
RESOLUTION = frozenset({Base.XResolution, Base.YResolution, Base.ResolutionUnit})
_SIZES = {Base.ExifImageWidth, Base.ExifImageHeight}  # which the EXIF directory repeats

_XMP_ORIENTATION = re.compile(rb"""((?<!/)tiff:Orientation\s*(?:=\s*["']|>)\s*)([1-8])""")
_UNITS = {2: 1.0, 3: 2.54}  # of ResolutionUnit; 1 says how wide pixels are for their height


@dataclass(frozen=True)
class Metadata:
    r"""What belongs to a picture beside its pixels.

    Args:
        icc_profile: the colour profile, or None.
        exif: an EXIF block, without its `Exif\0\0`, that says nothing on orientation, size or
            layout; empty if there is none.
        xmp: an XMP packet, or None.
        dpi: pixels an inch, (x, y), or None; what EXIF says of it stands in EXIF.
    """

    icc_profile: bytes | None = None
    exif: bytes = b""
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None


def orientation(directory: tags.Directory | None, xmp: bytes | None = None) -> int:
    """Returns the orientation, 1 to 8, of EXIF or else XMP; 1, upright, where there is none."""
    numbers = directory.numbers(Base.Orientation) if directory else ()
    if numbers and 1 <= numbers[0] <= 8:
        return numbers[0]
    told = _XMP_ORIENTATION.search(xmp or b"")
    return int(told[2]) if told else 1


def resolution(directory: tags.Directory | None) -> tuple[float, float] | None:
    """Returns the resolution that a TIFF or EXIF states, in pixels an inch, or None."""
    if directory is None:
        return None
    x, y = (directory.ratio(tag) for tag in (Base.XResolution, Base.YResolution))
    (unit, *_) = directory.numbers(Base.ResolutionUnit) or (2,)
    return (x * _UNITS[unit], y * _UNITS[unit]) if x and y and unit in _UNITS else None


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
        dropped = _DROPPED | (RESOLUTION if _PIXELS & set(directory.tags) else set())
        kept = {n: tag for n, tag in directory.tags.items() if n not in dropped}
        inside = dict(directory.inside)
        if old := inside.get(IFD.Exif):
            rest = {n: tag for n, tag in old.tags.items() if n not in _SIZES}
            inside[IFD.Exif] = tags.Directory(old.order, rest, old.inside)
        exif = tags.dump(tags.Directory(directory.order, kept, inside))
    if xmp:
        xmp = _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)
    if dpi and not all(1 <= each <= 100_000 for each in dpi):
        dpi = None
    return Metadata(icc_profile or None, exif, xmp or None, dpi)

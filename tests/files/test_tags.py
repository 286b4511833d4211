from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from PIL.TiffImagePlugin import IFDRational
from PIL.TiffTags import LONG

from keras_perceptual.files import tags
from keras_perceptual.files.metadata import clean, orientation
from tests.files.image_files import tiff


def _exif(order: str = "II") -> bytes:
    exif = Image.Exif()
    exif.endian = "<" if order == "II" else ">"
    exif[Base.Orientation], exif[Base.ImageWidth] = 6, 640
    exif[Base.Artist] = "somebody with a long name"
    exif.get_ifd(IFD.Exif)[Base.ExposureTime] = IFDRational(1, 250)
    exif.get_ifd(IFD.Exif)[Base.ExifImageWidth] = 640
    exif.get_ifd(IFD.Exif)[Base.MakerNote] = b"maker's own bytes"
    exif.get_ifd(IFD.GPSInfo)[GPS.GPSLatitude] = (52.0, 31.0, 12.0)
    return exif.tobytes()


@pytest.mark.parametrize("order", ["II", "MM"])
def test_exif_passes_but_for_what_describes_the_file(order):
    directory = tags.parse(_exif(order))
    assert directory.order == ("<" if order == "II" else ">")
    assert orientation(directory) == 6
    kept = Image.Exif()
    kept.load(clean(directory).exif)
    assert dict(kept) == {
        Base.Artist: "somebody with a long name",
        IFD.Exif: kept[IFD.Exif],
        IFD.GPSInfo: kept[IFD.GPSInfo],
    }
    assert kept.get_ifd(IFD.Exif) == {
        Base.ExposureTime: 0.004,
        Base.MakerNote: b"maker's own bytes",
    }
    assert kept.get_ifd(IFD.GPSInfo)[GPS.GPSLatitude] == (52.0, 31.0, 12.0)


@pytest.mark.parametrize("order", ["II", "MM"])
@pytest.mark.parametrize("file_order", ["<", ">"])
def test_exif_goes_into_a_tiff_of_either_byte_order(order, file_order):
    pixels = np.arange(90, dtype=np.uint8).reshape(5, 6, 3)
    file = io.BytesIO(tiff(pixels, file_order))
    tags.add(file, tags.parse(clean(tags.parse(_exif(order))).exif))
    with Image.open(file) as image:
        assert np.array_equal(np.asarray(image), pixels)
        exif = image.getexif()
        assert exif[Base.Artist] == "somebody with a long name"
        assert exif.get_ifd(IFD.Exif)[Base.ExposureTime] == 0.004
        assert exif.get_ifd(IFD.GPSInfo)[GPS.GPSLatitude] == (52.0, 31.0, 12.0)
        assert exif[Base.ImageWidth] == 6


def test_exif_goes_into_a_bigtiff():
    directory = tags.Directory()
    directory.put(Base.ImageWidth, LONG, 7)
    file = io.BytesIO(tags.start(directory))
    tags.add(file, tags.parse(_exif("MM")))
    found = tags.parse(file.getvalue())
    assert found.numbers(Base.ImageWidth) == (7,)
    assert found.tags[Base.Artist].data == b"somebody with a long name\0"
    assert found.inside[IFD.Exif].tags[Base.ExposureTime].data == bytes([1, 0, 0, 0, 250, 0, 0, 0])


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_broken_exif_is_an_error_or_less(cut):
    block = _exif()
    for broken in (block[:cut], block[:cut] + b"\xff" * 8 + block[cut + 8 :]):
        try:
            tags.dump(tags.parse(broken))
        except ValueError:
            continue


def test_a_directory_that_points_to_itself():
    directory = tags.Directory(
        inside={IFD.Exif: tags.Directory(inside={IFD.Exif: tags.Directory()})}
    )
    block = bytearray(tags.dump(directory))
    at = block.index(b"\x69\x87")
    block[at + 8 : at + 12] = (8).to_bytes(4, "little")
    tags.parse(bytes(block))

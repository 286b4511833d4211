from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from keras_perceptual.files import tags
from keras_perceptual.files.metadata import clean, orientation
from tests.files.image_files import tiff

ARTIST, MAKE, EXIF, GPS = 0x013B, 0x010F, 0x8769, 0x8825


def _exif(order: str = "II") -> bytes:
    exif = Image.Exif()
    exif.endian = "<" if order == "II" else ">"
    exif[0x0112], exif[ARTIST], exif[0x0100] = 6, "somebody with a long name", 640
    exif.get_ifd(EXIF)[0x829A] = IFDRational(1, 250)
    exif.get_ifd(EXIF)[0xA002] = 640
    exif.get_ifd(EXIF)[0x927C] = b"maker's own bytes"
    exif.get_ifd(GPS)[2] = (52.0, 31.0, 12.0)
    return exif.tobytes()


@pytest.mark.parametrize("order", ["II", "MM"])
def test_exif_passes_but_for_what_describes_the_file(order):
    directory = tags.parse(_exif(order))
    assert directory.order == ("<" if order == "II" else ">")
    assert orientation(directory) == 6
    kept = Image.Exif()
    kept.load(clean(directory).exif)
    assert dict(kept) == {ARTIST: "somebody with a long name", EXIF: kept[EXIF], GPS: kept[GPS]}
    assert kept.get_ifd(EXIF) == {0x829A: 0.004, 0x927C: b"maker's own bytes"}
    assert kept.get_ifd(GPS)[2] == (52.0, 31.0, 12.0)


@pytest.mark.parametrize("order", ["II", "MM"])
@pytest.mark.parametrize("file_order", ["<", ">"])
def test_exif_goes_into_a_tiff_of_either_byte_order(order, file_order):
    pixels = np.arange(90, dtype=np.uint8).reshape(5, 6, 3)
    file = io.BytesIO(tiff(pixels, file_order))
    tags.add(file, tags.parse(clean(tags.parse(_exif(order))).exif))
    with Image.open(file) as image:
        assert np.array_equal(np.asarray(image), pixels)
        exif = image.getexif()
        assert exif[ARTIST] == "somebody with a long name"
        assert exif.get_ifd(EXIF)[0x829A] == 0.004
        assert exif.get_ifd(GPS)[2] == (52.0, 31.0, 12.0)
        assert exif[0x0100] == 6


def test_exif_goes_into_a_bigtiff():
    directory = tags.Directory()
    directory.put(256, 4, 7)
    file = io.BytesIO(tags.start(directory))
    tags.add(file, tags.parse(_exif("MM")))
    found = tags.parse(file.getvalue())
    assert found.numbers(256) == (7,)
    assert found.tags[ARTIST].data == b"somebody with a long name\0"
    assert found.inside[EXIF].tags[0x829A].data == bytes([1, 0, 0, 0, 250, 0, 0, 0])


def test_an_xmp_orientation_is_reset():
    for xmp in (b'<a tiff:Orientation="6" b="6"/>', b"<tiff:Orientation>8</tiff:Orientation>6"):
        cleaned = clean(None, xmp=xmp).xmp
        assert cleaned == xmp.replace(b'"6" b', b'"1" b').replace(b">8<", b">1<")


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_broken_exif_is_an_error_or_less(cut):
    block = _exif()
    for broken in (block[:cut], block[:cut] + b"\xff" * 8 + block[cut + 8 :]):
        try:
            tags.dump(tags.parse(broken))
        except ValueError:
            continue


def test_a_directory_that_points_to_itself():
    directory = tags.Directory(inside={EXIF: tags.Directory(inside={EXIF: tags.Directory()})})
    block = bytearray(tags.dump(directory))
    at = block.index(b"\x69\x87")
    block[at + 8 : at + 12] = (8).to_bytes(4, "little")
    tags.parse(bytes(block))

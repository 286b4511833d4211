"""Files whose data ends before their last row, and files that only look as if."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import Base

from keras_perceptual.errors import ImageError
from keras_perceptual.files import tags
from keras_perceptual.files.source import open_source
from tests.conftest import ROOT
from tests.files.image_files import RGB, by_pillow, chunk, pillow, png, read_rows
from tests.files.samples import samples
from tests.files.structure import structure

KINDS = {
    "baseline": {},
    "4:4:4": {"subsampling": 0},
    "restarts": {"restart_marker_rows": 1},
    "progressive": {"progressive": True},
    "gray": {},
    "cmyk": {},
}


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).integers(0, 256, (96, 80, 3), dtype=np.uint8)


def _jpeg(noise, kind, **options):
    mode = {"gray": "L", "cmyk": "CMYK"}.get(kind, "RGB")
    return pillow(Image.fromarray(noise).convert(mode), "JPEG", **KINDS[kind], **options)


def _ended(data: bytes, share: float) -> bytes:
    """Ends the last scan of a JPEG early, with its end marker."""
    scan = data.rindex(b"\xff\xda")
    return data[: scan + int((len(data) - scan) * share)].rstrip(b"\xff") + b"\xff\xd9"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_jpeg_whose_scan_ends_early(noise, kind, share):
    data = _jpeg(noise, kind)
    assert read_rows(data).shape == noise.shape
    with pytest.raises(ImageError, match="stdin: cannot be read: its data breaks off before"):
        read_rows(_ended(data, share))


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_turned_jpeg_whose_scan_ends_early(noise, orientation):
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    data = _jpeg(noise, "4:4:4", exif=exif)
    assert read_rows(data).size == noise.size
    with pytest.raises(ImageError, match="its data breaks off before"):
        read_rows(_ended(data, 0.98))


def test_the_last_eight_rows_of_a_jpeg(noise):
    data = pillow(Image.fromarray(noise[:8]), "JPEG", subsampling=0)
    with pytest.raises(ImageError, match="its data breaks off before"):
        read_rows(_ended(data, 0.7))


@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_without_its_end_marker_that_has_all_rows(noise, kind):
    data = _jpeg(noise, kind)
    assert np.array_equal(read_rows(data[:-2]), read_rows(data))


@pytest.mark.parametrize("kind", KINDS)
def test_stray_bytes_in_a_jpeg_are_nothing_that_is_missing(noise, kind):
    """As some cameras leave them, between segments and behind the data."""
    data = _jpeg(noise, kind)
    scan = data.index(b"\xff\xda")
    stray = data[:scan] + b"stray" + data[scan:-2] + b"stray" + data[-2:]
    assert np.array_equal(read_rows(stray), read_rows(data))


def test_a_gray_corner_is_nothing_that_is_missing(noise):
    pixels = noise.copy()
    pixels[:, 64:] = 128
    data = pillow(Image.fromarray(pixels), "JPEG", subsampling=0)
    assert np.array_equal(read_rows(data), by_pillow(data, "RGB"))


def test_a_thumbnail_in_exif_is_no_scan(noise):
    exif = Image.Exif()
    exif[Base.ImageDescription] = "\xff\xda" * 9 + "text"
    data = _jpeg(noise, "baseline", exif=exif)
    scan = data.rindex(b"\xff\xda")
    stray = data[:scan] + b"stray" + data[scan:]
    assert np.array_equal(read_rows(stray), read_rows(data))


@pytest.mark.parametrize("interlace", [False, True])
def test_a_png_whose_data_ends_early(noise, interlace):
    """Its stream is whole, and too short."""
    whole = png(noise, 8, RGB)
    rows = np.pad(noise[:60].reshape(60, -1), ((0, 0), (1, 0))).tobytes()
    header = bytearray(whole[16:29])
    header[-1] = interlace
    data = b"".join(
        [whole[:8], chunk(b"IHDR", bytes(header)), chunk(b"IDAT", zlib.compress(rows)), whole[-12:]]
    )
    with pytest.raises(ImageError, match="stdin: cannot be read: "):
        read_rows(data)


@pytest.mark.parametrize("left", [0.5, 0])
def test_a_gif_whose_data_ends_early(noise, left):
    data = pillow(Image.fromarray(noise).quantize(64), "GIF")
    at = begin = data.index(b"," + struct.pack("<HHHH", 0, 0, 80, 96)) + 11
    blocks = []
    while data[at]:
        blocks.append(data[at : at + 1 + data[at]])
        at += 1 + data[at]
    short = data[:begin] + b"".join(blocks[: int(left * len(blocks))]) + b"\0;"
    with pytest.raises(ImageError, match="stdin: cannot be read: "):
        read_rows(short)


def test_a_tiff_of_jpegs_of_which_one_ends_early(noise):
    data = bytearray(pillow(Image.fromarray(noise), "TIFF", compression="jpeg", strip_size=7680))
    sizes = tags.parse(bytes(data)).tags[Base.StripByteCounts].data
    at = data.index(sizes)
    unit = len(sizes) // 3
    last = int.from_bytes(sizes[-unit:], "little")
    assert read_rows(bytes(data)).shape == noise.shape
    data[at + len(sizes) - unit : at + len(sizes)] = (last // 2).to_bytes(unit, "little")
    with pytest.raises(ImageError, match="its data breaks off before"):
        read_rows(bytes(data))


@pytest.mark.parametrize("name", [name for name in samples() if name.startswith("tif")])
@pytest.mark.parametrize("tag", [Base.ImageWidth, Base.ImageLength])
def test_a_tiff_that_has_less_than_its_size_asks_for(name, tag):
    data = bytearray(samples()[name])
    order = "<" if data.startswith(b"II") else ">"
    for start, stop in structure(bytes(data)).parts:
        number, kind = struct.unpack_from(order + "HH", data, start)
        if number == tag:
            form, at = order + {3: "H", 4: "I"}[kind], start + (12 if stop - start == 20 else 8)
            struct.pack_into(form, data, at, 10 * struct.unpack_from(form, data, at)[0])
    with pytest.raises(ImageError, match="stdin: cannot be read: "):
        read_rows(bytes(data))


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp", "bmp"])
def test_a_file_that_another_program_shortens(tmp_path, ending):
    """In a process of its own: where a file is mapped, it is killed."""
    path = tmp_path / f"a.{ending}"
    y, x = np.mgrid[:1500, :1500]
    pixels = np.stack([x * y % 251, x % 256, y % 256], 2).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    program = """
import os, sys
from keras_perceptual.errors import ImageError
from keras_perceptual.files.source import open_source
try:
    with open_source(sys.argv[1]) as source:
        source.take(8)
        os.truncate(sys.argv[1], 3000)
        while len(source.take(64)):
            pass
    print("read before")
except ImageError as error:
    print(error)
"""
    told = subprocess.run(
        [sys.executable, "-c", program, path],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stderr == ""
    expected = "read before" if ending in ("webp", "bmp") else f"{path}: cannot be read: "
    assert told.stdout.startswith(expected)


def test_a_picture_is_read_from_the_open_file(tmp_path, noise):
    """So that one that replaces it meanwhile does not mix with it."""
    path = tmp_path / "a.png"
    path.write_bytes(png(noise, 8, RGB))
    with open_source(path) as source:
        first = source.take(10)
        path.unlink()
        path.write_bytes(png(255 - noise, 8, RGB))
        rows = np.concatenate([first, source.take(86)])
    assert np.array_equal(rows, noise)

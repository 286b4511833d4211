"""What one of the two libraries reads right is read."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import Base
from PIL.TiffTags import LONG, SHORT

from keras_perceptual.errors import ImageError
from keras_perceptual.files import tags
from keras_perceptual.files.source import open_source
from tests.files.image_files import RGB, chunk, pillow, png, read_rows, vips


def _bmp(opacity: np.ndarray) -> bytes:
    """Makes a BMP of 2x2 pixels of which the fourth byte is opacity."""
    pixels = np.full((2, 2, 4), [10, 20, 200, 0], np.uint8)
    pixels[..., 3] = opacity
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 108, 2, 2, 1, 32, 3, 16, 0, 0, 0, 0)
    header += masks + bytes(108 - len(header) - len(masks))
    start = 14 + len(header)
    return struct.pack("<2sIHHI", b"BM", start + 16, 0, 0, start) + header + pixels.tobytes()


def test_a_fourth_byte_of_bmp_that_is_0_everywhere_is_no_opacity():
    with open_source(_bmp(np.zeros((2, 2)))) as source:
        assert not source.alpha
        assert (source.take(2) == [200, 20, 10]).all()
    with open_source(_bmp(np.array([[0, 0], [0, 9]]))) as source:
        assert source.alpha
        assert source.take(2)[..., 3].sum() == 9


@pytest.mark.parametrize(
    "text",
    [
        chunk(b"tEXt", b"T\xedtulo\0hola"),
        chunk(b"zTXt", b"T\xedtulo\0\0no zlib"),
        chunk(b"iTXt", b"T\xedtulo\0\1\0\0\0no zlib"),
        chunk(b"tEXt", b"\xff" * 300 + b"\0\xff"),
        chunk(b"eXIf", b"no tags"),
    ],
)
def test_a_text_that_cannot_be_decoded_costs_no_picture(photograph, text):
    assert np.array_equal(read_rows(png(photograph, 8, RGB, text)), photograph)


def test_an_avif_that_pillow_refuses(photograph):
    pytest.importorskip("PIL._avif")
    alpha = np.dstack([photograph, photograph[..., 0]])
    data = bytearray(pillow(Image.fromarray(alpha), "AVIF", subsampling="4:4:4"))
    with open_source(bytes(data)) as source:
        expected = source.take(50).astype(int)
    data[data.index(b"pixi") + 4] = 1  # a version that libavif does not know
    with pytest.raises(SyntaxError):
        Image.OPEN["AVIF"][0](io.BytesIO(data), "")
    with open_source(bytes(data)) as source:
        assert source.alpha
        found = source.take(50).astype(int)
    assert np.abs(found - expected)[expected[..., 3] > 0].max() <= 3


def _tiled_planar(pixels: np.ndarray, side: int) -> bytes:
    """Makes a TIFF of tiles, a plane for each channel."""
    height, width, channels = pixels.shape
    pad = np.pad(pixels, ((0, -height % side), (0, -width % side), (0, 0)))
    tiles = [
        pad[y : y + side, x : x + side, channel].tobytes()
        for channel in range(channels)
        for y in range(0, height, side)
        for x in range(0, width, side)
    ]
    directory = tags.Directory("<")
    for tag, kind, *values in (
        (Base.ImageWidth, LONG, width),
        (Base.ImageLength, LONG, height),
        (Base.BitsPerSample, SHORT, *[8] * channels),
        (Base.Compression, SHORT, 1),
        (Base.PhotometricInterpretation, SHORT, 2),
        (Base.SamplesPerPixel, SHORT, channels),
        (Base.PlanarConfiguration, SHORT, 2),
        (Base.TileWidth, LONG, side),
        (Base.TileLength, LONG, side),
        (Base.TileOffsets, LONG, *range(8, 8 + len(tiles) * side**2, side**2)),
        (Base.TileByteCounts, LONG, *[side**2] * len(tiles)),
    ):
        directory.put(tag, kind, *values)
    at = 8 + len(tiles) * side**2
    block = tags._dump(directory, tags._Layout("<", False), at)
    return struct.pack("<2sHI", b"II", 42, at) + b"".join(tiles) + block


def test_a_tiff_of_tiled_planes(photograph):
    assert np.array_equal(read_rows(_tiled_planar(photograph, 32)), photograph)


def test_a_tiff_of_webp(photograph):
    """Which Pillow's wheels do not read."""
    data = vips(photograph, "srgb").tiffsave_buffer(compression="webp", lossless=True)
    assert np.array_equal(read_rows(data), photograph)


@pytest.mark.parametrize("frames", [0, 2])
def test_an_animated_png_whose_header_is_wrong(photograph, frames):
    data = png(photograph, 8, RGB, chunk(b"acTL", struct.pack(">II", frames, 0)))
    with open_source(data) as source:
        assert source.frames == max(1, frames)
        assert np.array_equal(source.take(50), photograph)


def test_a_png_of_no_pixels_is_an_error(photograph):
    data = png(photograph, 8, RGB, chunk(b"acTL", bytes(8)))
    with pytest.raises(ImageError, match="stdin: cannot be read: it breaks off or is damaged"):
        read_rows(data[: data.index(b"IDAT") - 4] + data[-12:])


def test_the_first_frame_of_a_gif_whose_others_are_broken(photograph):
    image = Image.fromarray(photograph).quantize(64)
    whole = pillow(image, "GIF", save_all=True, append_images=[image.rotate(90), image.rotate(9)])
    expected = read_rows(whole)
    second = whole.index(b"!\xf9", len(pillow(image, "GIF")) - 20)
    for data in (whole[: len(whole) // 2], whole[: second + 30] + b"\xff" * 300):
        assert np.array_equal(read_rows(data), expected)

from __future__ import annotations

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_perceptual.errors import ImageError
from keras_perceptual.files.source import open_source
from tests.files.image_files import RGB, png, vips


@pytest.mark.parametrize("kind", ["float", "double", "int", "uint", "short", "char", "complex"])
def test_pixels_without_a_known_range(photograph, kind):
    data = vips(photograph, "srgb").cast(kind).tiffsave_buffer()
    with pytest.raises(ImageError, match=r"stdin: expected unsigned channels of 8 or 16 bits, rec"):
        open_source(data)


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp", "bmp", "gif"])
def test_absurd_dimensions(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    image = Image.new("L", (1000, 600))
    image.save(path)
    with pytest.raises(ImageError) as error:
        open_source(path, most_pixels=500_000)
    told = f"{path}: expected at most 0.5 megapixels, received 1000x600"
    assert str(error.value).startswith(told)


def test_a_header_that_lies():
    data = bytearray(png(np.zeros((1, 1, 3), np.uint8), 8, RGB))
    _set_size(data, 2**31 - 1, 2**31 - 1)
    with pytest.raises(ImageError, match="stdin: "):
        open_source(bytes(data))


@pytest.mark.parametrize(
    "content", [b"", b"no image", b"\x89PNG\r\n\x1a\n", b"II*\0", b"GIF89a", b"\xff\xd8\xff"]
)
def test_next_to_nothing(tmp_path, content):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    expected = r"a\.jpg: (not an image|cannot be read)" if content else r"a\.jpg: is empty"
    with pytest.raises(ImageError, match=expected):
        open_source(path)


def test_what_is_no_file(tmp_path):
    with pytest.raises(ImageError, match=r"a\.png: no such file"):
        open_source(tmp_path / "a.png")
    with pytest.raises(ImageError, match=": is a folder"):
        open_source(tmp_path)
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match=r"pipe\.png: expected a file; pipes"):
        open_source(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match=r"b\.png: cannot be read: Not a directory"):
        open_source(tmp_path / "pipe.png" / "b.png")


@pytest.mark.parametrize("ending", ["png", "bmp"])
def test_a_decompression_bomb_is_refused(tmp_path, ending):
    Image.new("1", (8, 8)).save(tmp_path / f"a.{ending}")
    data = bytearray((tmp_path / f"a.{ending}").read_bytes())
    if ending == "png":
        _set_size(data, 30000, 20000)
    else:
        data[18:26] = struct.pack("<II", 30000, 20000)
    with pytest.raises(ImageError, match="at most 500 megapixels, received 30000x20000"):
        open_source(bytes(data))


def _set_size(data: bytearray, width: int, height: int) -> None:
    """Changes what the header of a PNG says."""
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")


def test_channels_that_nobody_sees():
    """All of them would be decoded, for three to be shown."""
    data = vips(np.zeros((8, 8, 40), np.uint8), "multiband").tiffsave_buffer()
    with pytest.raises(ImageError, match="stdin: expected gray or RGB, received 40 channels"):
        open_source(data)

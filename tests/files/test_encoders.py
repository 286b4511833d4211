from __future__ import annotations

import errno
import io
import os

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import Base

from keras_perceptual.files import encoders, formats, tags
from keras_perceptual.files.metadata import Metadata
from tests.files.image_files import read_rows, some_metadata, write_rows


def test_quality(tmp_path, photographs):
    for ending in ("jpg", "webp", "avif"):
        sizes = []
        for quality in (20, 95):
            write_rows(tmp_path / f"a.{ending}", photographs[0], quality=quality)
            sizes.append((tmp_path / f"a.{ending}").stat().st_size)
        assert sizes[0] < sizes[1] / 2


def test_jpeg_has_no_chroma_subsampling(tmp_path):
    y, x = np.mgrid[:32, :32]
    pixels = np.where(((x + y) % 2)[..., None], [255, 0, 0], [0, 0, 255]).astype(np.uint8)
    write_rows(tmp_path / "a.jpg", pixels)
    assert np.abs(read_rows(tmp_path / "a.jpg").astype(int) - pixels).max() < 25


def test_large_tiffs_have_tiles_and_64_bit_offsets(tmp_path, rows, monkeypatch):
    monkeypatch.setattr(encoders, "TILED", 1000)
    monkeypatch.setattr(encoders, "_CLASSIC", 3000)
    path = tmp_path / "a.tif"
    write_rows(path, rows, metadata=some_metadata())
    assert path.read_bytes()[:4] == b"II+\0"
    assert np.array_equal(read_rows(path), rows)
    with open(path, "rb") as file:
        directory = tags.parse(file)
    assert directory.numbers(Base.TileWidth) == (256,)
    assert directory.tags[Base.Artist].data == b"somebody\0"
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image), rows)


def test_an_error_of_the_file_is_told(rows):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    image = encoders.pyvips.Image.new_from_array(rows)
    with pytest.raises(OSError, match="No space left"):
        encoders.encode(image, formats.of("a.png"), Metadata(), 95, Full())

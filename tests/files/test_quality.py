from __future__ import annotations

import io

import pytest
from PIL import Image

from keras_perceptual.files import open_source
from keras_perceptual.files.quality import jpeg_quality
from tests.conftest import SAMPLES


def _file(quality, **options):
    file = io.BytesIO()
    with Image.open(SAMPLES / "LRx4" / "chelsea.png") as image:
        image.save(file, "JPEG", quality=quality, **options)
    file.seek(0)
    return file


@pytest.mark.parametrize("quality", [20, 50, 75, 92, 98])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_the_quality_it_was_saved_at(quality, options):
    assert abs(jpeg_quality(_file(quality, **options)) - quality) <= 1


def test_other_files_have_none():
    with open_source(SAMPLES / "LRx4" / "chelsea.png") as source:
        assert source.quality is None
    assert jpeg_quality(io.BytesIO(b"\xff\xd8\xff\xe0 no more")) is None


def test_a_source_knows_it():
    with open_source(_file(60).getvalue()) as source:
        assert source.quality == 60
        assert source.take(4).shape == (4, source.width, 3)

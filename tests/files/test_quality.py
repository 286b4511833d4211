from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from keras_perceptual.files import open_source
from keras_perceptual.files.quality import avif_quality, jpeg_quality, webp_quality
from tests.conftest import SAMPLES


def _file(quality, form="JPEG", **options):
    file = io.BytesIO()
    with Image.open(SAMPLES / "LRx4" / "chelsea.png") as image:
        if options.get("save_all"):
            options["append_images"] = [image.rotate(90)]
        image.save(file, form, quality=quality, **options)
    file.seek(0)
    return file


@pytest.mark.parametrize("quality", [20, 50, 75, 92, 98])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_the_quality_it_was_saved_at(quality, options):
    assert abs(jpeg_quality(_file(quality, **options)) - quality) <= 1


@pytest.mark.parametrize("quality", [0, 20, 60, 80, 90, 100])
@pytest.mark.parametrize(
    "options",
    [{}, {"method": 0}, {"exif": b"Exif\0\0II*\0" + bytes(60)}, {"save_all": True}],
    ids=str,
)
def test_the_quality_of_a_webp(quality, options):
    # Parts of the picture are quantised each in their own way.
    assert abs(webp_quality(_file(quality, "WebP", **options)) - quality) <= 10


@pytest.mark.parametrize("quality", [1, 20, 40, 60, 80, 95])
@pytest.mark.parametrize(
    "options", [{"mode": "RGB"}, {"mode": "RGBA"}, {"mode": "L", "subsampling": "4:0:0"}], ids=str
)
@pytest.mark.parametrize("size", [(1, 1), (70, 40), (4600, 90)])
def test_the_quality_of_an_avif(quality, options, size):
    image = Image.effect_noise(size, 60).convert(options["mode"])
    file = io.BytesIO()
    image.save(file, "AVIF", quality=quality, speed=10, **options)
    assert abs(avif_quality(file) - quality) <= 3


@pytest.mark.parametrize("size", [(8, 8), (48, 40), (600, 400)])
def test_the_quality_of_an_animated_avif(size):
    # Its header is a longer one, and the first frame is meant to be better than the others.
    frames = [Image.effect_noise(size, 60).convert("RGB") for _ in range(3)]
    file = io.BytesIO()
    frames[0].save(file, "AVIF", quality=50, save_all=True, append_images=frames[1:], speed=10)
    assert 50 <= avif_quality(file) <= 65


def test_the_quality_of_a_broken_avif():
    content = _file(50, "AVIF", speed=10).getvalue()
    rng = np.random.default_rng(0)
    for _ in range(300):
        broken = bytearray(content[: rng.integers(30, len(content))])
        broken[rng.integers(20, min(len(broken), 400))] = rng.integers(256)
        quality = avif_quality(io.BytesIO(broken))
        assert quality is None or 0 <= quality <= 100


def test_what_has_lost_nothing_has_none():
    assert avif_quality(_file(100, "AVIF", speed=10)) is None
    assert webp_quality(_file(50, "WebP", lossless=True)) is None
    content = _file(50, "WebP").getvalue()
    assert webp_quality(io.BytesIO(content[:30])) is None
    assert webp_quality(io.BytesIO(content[:23] + bytes(3) + content[26:])) is None


def test_other_files_have_none():
    with open_source(SAMPLES / "LRx4" / "chelsea.png") as source:
        assert source.quality is None
    assert jpeg_quality(io.BytesIO(b"\xff\xd8\xff\xe0 no more")) is None


def test_a_source_knows_it():
    with open_source(_file(60).getvalue()) as source:
        assert source.quality == 60
        assert source.take(4).shape == (4, source.width, 3)
    with open_source(_file(60, "WebP").getvalue()) as source:
        assert 50 <= source.quality <= 70
    with open_source(_file(60, "AVIF").getvalue()) as source:
        assert source.quality == 59

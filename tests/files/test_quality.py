from __future__ import annotations

import base64
import io
import sys

import numpy as np
import pytest
from PIL import Image

from keras_perceptual.errors import ImageError
from keras_perceptual.files import open_source
from keras_perceptual.files.quality import (
    QUALITIES,
    avif_quality,
    heic_quality,
    jpeg_quality,
    webp_quality,
)
from tests.conftest import SAMPLES

# 16x16 pixels of one gray, of quality 40.
HEIC = base64.b85decode(
    "0000SW^{RQXk}@500000ZE0pPXk}@5ZE0a<0004YZDn*}000000000XXk=`10000000000aA{+700000000000000000"
    "000B57=IV*mgE07O6l0RRC200001ng9U+00000001HY001LtX>Mi!000000RR916=`l}WdZ;I000310BCk&F#rGn01j|z"
    "bZr0t000010002?X>f9I0002iX>en20001SXm(>m0R#vD005u(000009`FGC{P_3)01pFT0096OKmiN^|NjIC00093pZE"
    "X(0{{RXx&lC90096dLID8;2mk;B0H62(00RI39>9VG7F(*iYnuW900RIr000930uW*V0RRR>0l{;@i2wiq6Ju{|a&BX6c"
    "mM$a4FCp!0000KX>)L8000000000$0000$0000eV{Bn?0000G000010000G00001|NsBc00002|NsBc000020000EaA|m"
    "H000000SEv902pa-ZD9Za00000009621%Uzs1%v<q04i-{VRQfh03Ij-uB0TPz_c<;|M$UPC=@`s2mjcBr|@Mon)L(V"
)


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


@pytest.mark.parametrize(
    ("quality", "expected"), [(0, 0), (20, 20), (50, 50), (92, 92), (-1, None)]
)
@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGB", {}),
        ("RGBA", {}),
        ("L", {}),
        ("RGB", {"chroma": 444}),
        ("RGB", {"enc_params": {"x265:scaling-list": "default", "x265:sao": "0"}}),
    ],
    ids=str,
)
def test_the_quality_of_a_heic(quality, expected, mode, options):
    pytest.importorskip("pillow_heif").register_heif_opener()
    file = io.BytesIO()
    image = Image.effect_noise((70, 40), 60).convert(mode)
    image.save(file, "HEIF", quality=quality, **options)
    assert heic_quality(file) == expected


def test_the_quality_of_a_heic_without_its_decoder():
    assert heic_quality(io.BytesIO(HEIC)) == 40


def test_a_heic_that_cannot_be_decoded_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match="pip install pillow-heif"):
        open_source(HEIC)


@pytest.mark.parametrize("form", ["AVIF", "HEIC"])
def test_the_quality_of_a_broken_file(form):
    content = HEIC if form == "HEIC" else _file(50, form, speed=10).getvalue()
    found = set()
    rng = np.random.default_rng(0)
    for number in range(500):
        length = rng.integers(30, len(content)) if number % 2 else len(content)
        broken = bytearray(content[:length])
        broken[rng.integers(20, min(length, 500))] = rng.integers(256)
        found.add(QUALITIES[form](io.BytesIO(broken)))
    assert None in found
    assert len(found) > 2
    assert all(quality is None or 0 <= quality <= 100 for quality in found)


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

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin
from PIL.ExifTags import IFD, Base

from keras_perceptual.files import images
from keras_perceptual.files.metadata import Metadata, clean
from keras_perceptual.files.source import open_source
from tests.files.image_files import RGB, chunk, pillow, png, some_metadata, srgb, write_rows


def test_metadata_is_read():
    exif = Image.Exif()
    exif[Base.Artist] = "somebody"
    profile, xmp = srgb(), b'<x:xmpmeta tiff:Orientation="6"/>'
    image = Image.new("RGB", (4, 6))
    for codec in ("PNG", "JPEG", "WEBP", "TIFF"):
        about = {"icc_profile": profile, "exif": exif, "dpi": (300, 300)}
        if codec == "PNG":
            about["pnginfo"] = PngImagePlugin.PngInfo()
            about["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode())
        elif codec == "TIFF":
            about["tiffinfo"] = {Base.XMLPacket: xmp, Base.Artist: "somebody"}
        else:
            about["xmp"] = xmp
        with open_source(pillow(image, codec, **about)) as source:
            metadata = source.metadata
        assert metadata.icc_profile == profile
        assert metadata.xmp == xmp.replace(b"6", b"1")
        assert b"somebody" in metadata.exif
        if codec != "WEBP":
            assert metadata.dpi == pytest.approx((300, 300), abs=0.1)
        with open_source(pillow(image, codec)) as source:
            assert source.metadata.dpi is None
            assert source.metadata.exif == b""


def test_exif_of_old_pngs():
    exif = Image.Exif()
    exif[Base.Orientation] = 6
    block = exif.tobytes()
    about = PngImagePlugin.PngInfo()
    about.add_text("Raw profile type exif", f"\nexif\n{len(block):8}\n{block.hex()}\n", zip=True)
    with open_source(pillow(Image.new("RGB", (4, 6)), "PNG", pnginfo=about)) as source:
        assert (source.width, source.height) == (6, 4)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("codec", ["PNG", "TIFF", "JPEG", "WEBP", "AVIF", "deep PNG"])
def test_orientation_is_that_of_pillow(rng, orientation, codec):
    deep = codec == "deep PNG"
    pixels = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    if codec == "AVIF":
        pytest.importorskip("PIL._avif")
    if deep:
        block = chunk(b"eXIf", exif.tobytes()[6:])
        data = png(pixels.astype(np.uint16) * 257, 16, RGB, block)
    else:
        data = pillow(Image.fromarray(pixels), codec, exif=exif)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB")).astype(int)
    with open_source(data) as source:
        assert (source.height, source.width) == expected.shape[:2]
        parts = [source.take(5) for _ in range(10)]
        rows = np.concatenate(parts).astype(int)
        assert b"\x12\x01" not in source.metadata.exif[8:12]
    assert np.array_equal(rows // (257 if deep else 1), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_orientation_is_applied_and_reset(tmp_path, orientation, ending):
    upright = np.zeros((16, 24, 3), np.uint8)
    upright[:8, :8] = 255  # a white corner at the top left
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = Image.fromarray(upright)
    if orientation > 1:
        stored = stored.transpose(turn[orientation])
    exif = Image.Exif()
    exif[Base.Orientation], exif[Base.Artist] = orientation, "somebody"
    stored.save(tmp_path / f"a.{ending}", exif=exif)
    picture = images.read(tmp_path / f"a.{ending}")
    assert picture.pixels.shape == upright.shape
    assert np.abs(picture.pixels.astype(int) - upright).max() < 16
    images.write(tmp_path / f"b.{ending}", picture)
    with Image.open(tmp_path / f"b.{ending}") as written:
        assert written.getexif().get(Base.Orientation, 1) == 1
        assert written.getexif()[Base.Artist] == "somebody"
        assert written.size == (24, 16)


def test_an_xmp_orientation_is_reset():
    for xmp in (b'<a tiff:Orientation="6" b="6"/>', b"<tiff:Orientation>8</tiff:Orientation>6"):
        cleaned = clean(None, xmp=xmp).xmp
        assert cleaned == xmp.replace(b'"6" b', b'"1" b').replace(b">8<", b">1<")


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp", "avif"])
@pytest.mark.parametrize("budget", [0, 10**9])
def test_metadata_is_carried(tmp_path, rows, ending, budget):
    if ending == "avif":
        pytest.importorskip("PIL._avif")
    path = tmp_path / f"a.{ending}"
    metadata = some_metadata()
    write_rows(path, rows, budget=budget, metadata=metadata)
    with open_source(path) as source:
        kept = source.metadata
    assert kept.icc_profile == metadata.icc_profile
    assert kept.xmp.rstrip(b"\0") == metadata.xmp
    if ending not in ("webp", "avif"):
        assert kept.dpi == pytest.approx(metadata.dpi, abs=0.1)
    with Image.open(path) as image:
        exif = image.getexif()
        assert exif[Base.Artist] == "somebody"
        assert exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] == "2024:01:01 00:00:00"
        assert exif.get(Base.Orientation, 1) == 1


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp"])
def test_files_without_metadata_have_none(tmp_path, rows, ending):
    write_rows(tmp_path / f"a.{ending}", rows)
    with open_source(tmp_path / f"a.{ending}") as source:
        assert source.metadata == Metadata()

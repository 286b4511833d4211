from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin
from PIL.ExifTags import IFD, Base

from keras_perceptual.files import images
from keras_perceptual.files.metadata import Metadata, clean
from keras_perceptual.files.png import chunks as png_chunks
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
@pytest.mark.parametrize("codec", ["PNG", "TIFF", "JPEG", "WEBP", "AVIF", "HEIF", "deep PNG"])
def test_orientation_is_that_of_pillow(rng, orientation, codec):
    deep = codec == "deep PNG"
    pixels = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    if codec == "AVIF":
        pytest.importorskip("PIL._avif")
    if codec == "HEIF":  # where EXIF does not turn a picture
        pytest.importorskip("pillow_heif").register_heif_opener()
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


def test_xmp_is_an_international_text_in_png(tmp_path, rows):
    xmp = some_metadata().xmp
    write_rows(tmp_path / "a.png", rows, metadata=Metadata(xmp=xmp))
    with open(tmp_path / "a.png", "rb") as file:
        kinds = {chunk.kind: chunk.body for chunk in png_chunks(file)}
    assert kinds[b"iTXt"] == b"XML:com.adobe.xmp\0\0\0\0\0" + xmp
    assert not {b"zTXt", b"tEXt"} & {*kinds}
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["xmp"] == xmp


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt"])
@pytest.mark.parametrize("behind", [False, True])
def test_xmp_of_png_however_it_is_stored(kind, behind):
    xmp = b'<x tiff:Orientation="6"/>'
    bodies = {
        b"tEXt": xmp,
        b"zTXt": b"\0" + zlib.compress(xmp),
        b"iTXt": b"\1\0en\0translated\0" + zlib.compress(xmp),
    }
    text = chunk(kind, b"XML:com.adobe.xmp\0" + bodies[kind])
    data = png(np.zeros((4, 6, 3), np.uint8), 8, RGB)
    at = -12 if behind else data.index(b"IDAT") - 4
    with open_source(data[:at] + text + data[at:]) as source:
        assert source.metadata.xmp == xmp.replace(b"6", b"1")
        assert (source.width, source.height) == (4, 6)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("codec", ["PNG", "TIFF", "zstd", "JPEG", "WEBP", "AVIF"])
@pytest.mark.parametrize("element", [False, True])
def test_orientation_that_stands_in_xmp_alone(rng, orientation, codec, element):
    if codec == "AVIF":
        pytest.importorskip("PIL._avif")
    pixels = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    xmp = b"<x:xmpmeta><tiff:Orientation>%d</tiff:Orientation></x:xmpmeta>" % orientation
    if not element:
        xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>' % orientation
    if codec == "PNG":
        about = {"pnginfo": PngImagePlugin.PngInfo()}
        about["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode())
    elif codec in ("TIFF", "zstd"):
        about = {"tiffinfo": {Base.XMLPacket: xmp}}
        if codec == "zstd":
            codec, about["compression"] = "TIFF", "zstd"
    else:
        about = {"xmp": xmp}
    plain = pillow(Image.fromarray(pixels), codec)
    with open_source(plain) as source:
        stored = Image.fromarray(source.take(32))
    exif = stored.getexif()
    exif[Base.Orientation] = orientation
    expected = np.asarray(ImageOps.exif_transpose(stored))
    with open_source(pillow(Image.fromarray(pixels), codec, **about)) as source:
        assert np.array_equal(source.take(100), expected)
        assert b"%d" % orientation not in source.metadata.xmp or orientation == 1


def test_exif_decides_where_it_states_an_orientation():
    exif = Image.Exif()
    exif[Base.Orientation] = 1
    xmp = b'<x tiff:Orientation="6"/>'
    data = pillow(Image.new("RGB", (4, 6)), "JPEG", exif=exif, xmp=xmp)
    with open_source(data) as source:
        assert (source.width, source.height) == (4, 6)


def _segment(body):
    return struct.pack(">HH", 0xFFE1, 2 + len(body)) + body


def _with_segments(*bodies):
    data = pillow(Image.new("RGB", (4, 6)), "JPEG")
    return data[:20] + b"".join(map(_segment, bodies)) + data[20:]


def test_exif_in_two_segments(tmp_path, rows):
    exif = Image.Exif()
    exif[Base.Orientation], exif[Base.Artist] = 6, "somebody"
    exif.get_ifd(IFD.Exif)[37500] = bytes(range(256)) * 400  # MakerNote
    block = exif.tobytes()[6:]
    data = _with_segments(b"Exif\0\0" + block[:60_000], b"Exif\0\0" + block[60_000:])
    with open_source(data) as source:
        assert (source.width, source.height) == (6, 4)
        kept = source.metadata
    assert b"somebody" in kept.exif
    assert bytes(range(256)) * 400 in kept.exif
    write_rows(tmp_path / "a.jpg", rows, metadata=kept)
    with open_source(tmp_path / "a.jpg") as source:
        assert source.metadata == kept


def test_the_first_of_two_exif_blocks_counts():
    first, second = Image.Exif(), Image.Exif()
    first[Base.Artist], second[Base.Artist] = "first", "second"
    with open_source(_with_segments(first.tobytes(), second.tobytes())) as source:
        assert b"first" in source.metadata.exif
        assert b"second" not in source.metadata.exif


ENDINGS = ["png", "jpg", "tif", "webp", "bmp", "jp2"]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("dpi", [None, (72.0, 72.0), (300.0, 150.0)])
def test_a_resolution_is_kept_and_never_made_up(tmp_path, rows, ending, dpi):
    path = tmp_path / f"a.{ending}"
    write_rows(path, rows, metadata=Metadata(dpi=dpi))
    with Image.open(path) as image:
        info = image.info
        assert info.get("jfif_unit", 0) == (dpi is not None and ending == "jpg")
        assert Base.XResolution not in image.getexif() or (ending == "tif" and dpi)
    with open_source(path) as source:
        found = source.metadata.dpi
    if dpi is None or ending == "webp":
        assert not any(info.get("dpi", (0, 0))) or (ending == "tif" and dpi is None)
        assert found is None
    else:
        assert info["dpi"] == pytest.approx(dpi, abs=0.1)
        assert found == pytest.approx(dpi, abs=0.1)


@pytest.mark.parametrize("unit", [0, 1, 2])
def test_the_resolution_of_exif_is_not_that_of_the_file(tmp_path, rows, unit):
    exif = Image.Exif()
    exif[Base.XResolution] = exif[Base.YResolution] = 240
    exif[Base.ResolutionUnit] = 2
    data = bytearray(pillow(Image.new("RGB", (4, 6)), "JPEG", exif=exif))
    data[13:18] = struct.pack(">BHH", unit, 100, 50)
    with open_source(bytes(data)) as source:
        kept = source.metadata
    assert kept.dpi == {0: None, 1: (100, 50), 2: (254, 127)}[unit]
    for ending in ENDINGS:
        path = tmp_path / f"a.{ending}"
        write_rows(path, rows, metadata=kept)
        with Image.open(path) as image:
            states = image.getexif().get(Base.XResolution)
            info = image.info
        if ending in ("png", "jpg", "webp"):
            assert states == 240
        if ending == "jpg":
            assert info["jfif_unit"] == (unit > 0)
        if ending in ("bmp", "jp2", "tif"):  # which have one place for it
            assert info["dpi"] == pytest.approx(kept.dpi or (240, 240), abs=0.1)


def test_the_resolution_of_a_tiff_in_centimetres():
    data = pillow(Image.new("RGB", (4, 6)), "TIFF", resolution_unit=3, resolution=100)
    with open_source(data) as source:
        assert source.metadata.dpi == (254, 254)
        assert source.metadata.exif == b""

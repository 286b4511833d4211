from __future__ import annotations

import io
import os
import threading
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from keras_perceptual.errors import ImageError
from keras_perceptual.files import formats
from keras_perceptual.files.source import open_source
from tests.files.image_files import (
    GRAY,
    GRAY_ALPHA,
    PALETTE,
    RGB,
    RGB_ALPHA,
    chunk,
    pillow,
    png,
    srgb,
    tiff,
    vips,
)


@pytest.fixture(scope="module")
def photograph():
    y, x = np.mgrid[:50, :70]
    waves = [128 + 100 * np.sin(x / 9 + c) * np.cos(y / (7 + c)) for c in range(3)]
    return np.stack(waves, 2).astype(np.uint8)


def _read(data: bytes) -> np.ndarray:
    with open_source(data) as source:
        return source.take(source.height)


def _by_pillow(data: bytes, mode: str) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert(mode))


ALL = {"1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "YCbCr"}


@pytest.mark.parametrize(
    ("codec", "modes"),
    [
        ("PNG", {"1", "L", "LA", "P", "RGB", "RGBA"}),
        ("TIFF", ALL - {"YCbCr"}),  # which Pillow 12 writes and cannot read
        ("JPEG", {"1", "L", "RGB", "CMYK", "YCbCr"}),
        ("WEBP", ALL),
        ("GIF", {"1", "L", "LA", "P", "RGB", "RGBA"}),
        ("BMP", {"1", "L", "P", "RGB", "RGBA"}),
        ("JPEG2000", {"L", "LA", "RGB", "RGBA", "YCbCr"}),
        ("PPM", {"1", "L", "RGB", "RGBA"}),
    ],
)
def test_8_bit_pixels_are_those_of_pillow(photograph, codec, modes):
    for mode in modes:
        image = Image.fromarray(photograph).convert("RGBA" if mode == "LA" else "RGB")
        if mode == "RGBA":
            image.putalpha(Image.fromarray(photograph[..., 0]))
        data = pillow(image.convert(mode), codec)
        with open_source(data) as source:
            expected = _by_pillow(data, "RGBA" if source.alpha else "RGB")
            assert source.bits == 8
            assert (source.height, source.width) == photograph.shape[:2]
            assert np.array_equal(source.take(50), expected)
            if codec in ("PNG", "TIFF"):
                assert source.gray == (mode in ("1", "L", "LA"))
                assert source.alpha == (mode in ("LA", "RGBA"))


@pytest.mark.parametrize("most", [40, 65535])
@pytest.mark.parametrize(
    ("colour", "channels"), [(GRAY, 1), (GRAY_ALPHA, 2), (RGB, 3), (RGB_ALPHA, 4)]
)
def test_16_bit_png_whatever_its_brightness(rng, most, colour, channels):
    samples = rng.integers(0, most, (9, 13, channels), dtype=np.uint16, endpoint=True)
    with open_source(png(samples, 16, colour)) as source:
        assert source.bits == 16
        assert (source.gray, source.alpha) == (channels < 3, channels in (2, 4))
        rows = source.take(9)
    assert rows.dtype == np.uint16
    if channels < 3:
        assert np.array_equal(rows[..., :3], np.repeat(samples[..., :1], 3, 2))
    else:
        assert np.array_equal(rows[..., :3], samples[..., :3])
    if channels in (2, 4):
        assert np.array_equal(rows[..., 3], samples[..., -1])


@pytest.mark.parametrize("most", [40, 65535])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("channels", "extra"), [(1, None), (3, None), (4, 2), (2, 2)])
def test_16_bit_tiff_whatever_its_brightness(rng, most, order, channels, extra):
    samples = rng.integers(0, most, (9, 13, channels), dtype=np.uint16, endpoint=True)
    with open_source(tiff(samples, order, extra=extra)) as source:
        assert (source.bits, source.gray, source.alpha) == (16, channels < 3, bool(extra))
        rows = source.take(9)
    if channels > 2:
        assert np.array_equal(rows, samples)
    assert np.array_equal(rows[..., 0], samples[..., 0])
    assert np.array_equal(rows[..., -1], samples[..., -1])


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_few_bits_and_palettes(rng, depth):
    samples = rng.integers(0, 2**depth, (9, 13, 1), dtype=np.uint8)
    rows = _read(png(samples, depth, GRAY))
    assert np.array_equal(rows, np.repeat(samples * (255 // (2**depth - 1)), 3, 2))
    palette = rng.integers(0, 256, (2**depth, 3), dtype=np.uint8)
    data = png(samples, depth, PALETTE, chunk(b"PLTE", palette.tobytes()), chunk(b"tRNS", b"\x10"))
    rows = _read(data)
    assert np.array_equal(rows[..., :3], palette[samples[..., 0]])
    assert np.array_equal(rows[..., 3], np.where(samples[..., 0] == 0, 16, 255))


def test_a_transparent_colour(rng):
    samples = rng.integers(0, 3, (9, 13, 1), dtype=np.uint16)
    rows = _read(png(samples, 16, GRAY, chunk(b"tRNS", b"\0\1")))
    assert np.array_equal(rows[..., 3], np.where(samples[..., 0] == 1, 0, 65535))


@pytest.mark.parametrize("extra", [0, 1, 2])
def test_what_a_fourth_channel_of_a_tiff_is(extra):
    samples = np.array([[[100, 50, 0, 128], [0, 0, 0, 0]]], np.uint8)
    with open_source(tiff(samples, extra=extra)) as source:
        assert source.alpha == (extra > 0)
        rows = source.take(1)
    straight = [199, 100, 0, 128] if extra == 1 else [100, 50, 0, 128]
    assert np.abs(rows[0, 0].astype(int) - straight[: rows.shape[2]]).max() <= 1


def test_interlaced_progressive_and_tiled(photograph):
    image = vips(photograph, "srgb")
    assert np.array_equal(_read(image.pngsave_buffer(interlace=True)), photograph)
    for options in (
        {"tile": True, "tile_width": 16, "tile_height": 32},
        {"compression": "lzw", "predictor": "horizontal"},
        {"pyramid": True, "tile": True, "bigtiff": True},
    ):
        assert np.array_equal(_read(image.tiffsave_buffer(**options)), photograph)
    data = image.jpegsave_buffer(interlace=True)
    assert np.array_equal(_read(data), _by_pillow(data, "RGB"))


@pytest.mark.parametrize(
    "compression", ["tiff_lzw", "tiff_deflate", "packbits", "jpeg", "zstd", "lzma"]
)
def test_compressed_tiffs(photograph, compression):
    data = pillow(Image.fromarray(photograph), "TIFF", compression=compression)
    assert np.array_equal(_read(data), _by_pillow(data, "RGB"))


@pytest.mark.parametrize("compression", [None, "group3", "group4"])
@pytest.mark.parametrize("white", [0, 1])
def test_scans_of_one_bit(photograph, compression, white):
    image = Image.fromarray(photograph).convert("1")
    data = pillow(image, "TIFF", compression=compression, tiffinfo={262: white})
    with open_source(data) as source:
        assert source.gray
        assert np.array_equal(source.take(50), _by_pillow(data, "RGB"))


def test_inks_go_through_their_profile(photograph):
    inks = vips(photograph, "srgb").icc_export(output_profile="cmyk")
    assert inks.interpretation == "cmyk"
    for save in ("jpegsave_buffer", "tiffsave_buffer"):
        with open_source(getattr(inks, save)(keep="icc")) as source:
            assert not source.metadata.icc_profile
            through = source.take(50).astype(int)
        naive = _read(getattr(inks, save)(keep="none")).astype(int)
        assert np.abs(through - photograph).mean() < 8 < np.abs(naive - photograph).mean()


def test_inks_of_16_bits(photograph):
    deep = vips(photograph.astype(np.uint16) * 257, "rgb16")
    inks = deep.icc_export(output_profile="cmyk", depth=16)
    for keep in ("icc", "none"):
        with open_source(inks.tiffsave_buffer(keep=keep)) as source:
            assert (source.bits, source.alpha) == (16, False)
            rows = source.take(50)
    light = 65535 - inks.numpy().astype(float)
    assert np.abs(rows - light[..., :3] * light[..., 3:] / 65535).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("codec", ["PNG", "TIFF", "JPEG", "WEBP", "AVIF", "deep PNG"])
def test_orientation_is_that_of_pillow(rng, orientation, codec):
    deep = codec == "deep PNG"
    pixels = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    exif = Image.Exif()
    exif[0x0112] = orientation
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


def test_exif_of_old_pngs():
    exif = Image.Exif()
    exif[0x0112] = 6
    block = exif.tobytes()
    about = PngImagePlugin.PngInfo()
    about.add_text("Raw profile type exif", f"\nexif\n{len(block):8}\n{block.hex()}\n", zip=True)
    with open_source(pillow(Image.new("RGB", (4, 6)), "PNG", pnginfo=about)) as source:
        assert (source.width, source.height) == (6, 4)


def test_metadata():
    exif = Image.Exif()
    exif[0x013B] = "somebody"
    profile, xmp = srgb(), b'<x:xmpmeta tiff:Orientation="6"/>'
    image = Image.new("RGB", (4, 6))
    for codec in ("PNG", "JPEG", "WEBP", "TIFF"):
        about = {"icc_profile": profile, "exif": exif, "dpi": (300, 300)}
        if codec == "PNG":
            about["pnginfo"] = PngImagePlugin.PngInfo()
            about["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode())
        elif codec == "TIFF":
            about["tiffinfo"] = {700: xmp, 0x013B: "somebody"}
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


@pytest.mark.parametrize("kind", ["float", "double", "int", "uint", "short", "char", "complex"])
def test_pixels_without_a_known_range(photograph, kind):
    data = vips(photograph, "srgb").cast(kind).tiffsave_buffer()
    with pytest.raises(ImageError, match=r"stdin: expected unsigned channels of 8 or 16 bits, rec"):
        open_source(data)


def test_the_first_page_and_how_many_there_are(photograph):
    image = Image.fromarray(photograph)
    for codec in ("TIFF", "GIF", "PNG", "WEBP"):
        more = {"save_all": True, "append_images": [image.rotate(180), image]}
        with open_source(pillow(image, codec, **more)) as source:
            assert source.frames == 3
            first = source.take(50)
        assert np.abs(first.astype(int) - photograph).mean() < 6
        with open_source(pillow(image, codec)) as source:
            assert source.frames == 1


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
    data[16:24] = b"\x7f\xff\xff\xff" * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    with pytest.raises(ImageError, match="stdin: "):
        open_source(bytes(data))


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n", b"II*\0", b"GIF89a", b"\xff\xd8\xff"]
)
def test_next_to_nothing(tmp_path, content):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.jpg: (not an image|cannot be read)"):
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


@pytest.mark.parametrize("name", ["a b.png", "[page=1].png", "ünïcode.png", b"\xff\xfe.png"])
def test_names_of_any_kind(tmp_path, photograph, name):
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(pillow(Image.fromarray(photograph), "PNG"))
    with open_source(path) as source:
        assert np.array_equal(source.take(50), photograph)
        assert source.take(1).shape == (0, 70, 3)
    with pytest.raises(ValueError, match="is closed"):
        source.take(1)


def test_bytes_need_not_be_held(photograph):
    source = open_source(pillow(Image.fromarray(photograph), "PNG"))
    others = [bytes(5000) for _ in range(100)]
    assert np.array_equal(source.take(50), photograph)
    assert others


def test_rows_may_be_taken_in_another_thread(photograph):
    results = []
    with open_source(pillow(Image.fromarray(photograph), "JPEG", quality=100)) as source:
        results.append(source.take(20))
        thread = threading.Thread(target=lambda: results.append(source.take(50)))
        thread.start()
        thread.join()
    assert [len(part) for part in results] == [20, 30]
    assert np.abs(np.concatenate(results).astype(int) - photograph).max() < 30


def test_every_format_has_a_sniffed_start():
    assert formats.sniff(b"RIFF\0\0\0\0WEBPVP8 ").name == "WebP"
    assert formats.sniff(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf").name == "AVIF"
    assert formats.sniff(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic").name == "HEIC"
    assert formats.sniff(b"\0\0\0\x18ftypisom\0\0\0\0isommp42") is None
    assert formats.sniff(b"P6 4 4 255\n").name == "PNM"

from __future__ import annotations

import os
import threading

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import Base

from keras_perceptual.files.source import open_source
from tests.files.image_files import (
    GRAY,
    GRAY_ALPHA,
    PALETTE,
    RGB,
    RGB_ALPHA,
    by_pillow,
    chunk,
    pillow,
    png,
    read_rows,
    tiff,
    vips,
)

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
            expected = by_pillow(data, "RGBA" if source.alpha else "RGB")
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
    rows = read_rows(png(samples, depth, GRAY))
    assert np.array_equal(rows, np.repeat(samples * (255 // (2**depth - 1)), 3, 2))
    palette = rng.integers(0, 256, (2**depth, 3), dtype=np.uint8)
    data = png(samples, depth, PALETTE, chunk(b"PLTE", palette.tobytes()), chunk(b"tRNS", b"\x10"))
    rows = read_rows(data)
    assert np.array_equal(rows[..., :3], palette[samples[..., 0]])
    assert np.array_equal(rows[..., 3], np.where(samples[..., 0] == 0, 16, 255))


def test_a_transparent_colour(rng):
    samples = rng.integers(0, 3, (9, 13, 1), dtype=np.uint16)
    rows = read_rows(png(samples, 16, GRAY, chunk(b"tRNS", b"\0\1")))
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
    assert np.array_equal(read_rows(image.pngsave_buffer(interlace=True)), photograph)
    for options in (
        {"tile": True, "tile_width": 16, "tile_height": 32},
        {"compression": "lzw", "predictor": "horizontal"},
        {"pyramid": True, "tile": True, "bigtiff": True},
    ):
        assert np.array_equal(read_rows(image.tiffsave_buffer(**options)), photograph)
    data = image.jpegsave_buffer(interlace=True)
    assert np.array_equal(read_rows(data), by_pillow(data, "RGB"))


@pytest.mark.parametrize(
    "compression", ["tiff_lzw", "tiff_deflate", "packbits", "jpeg", "zstd", "lzma"]
)
def test_compressed_tiffs(photograph, compression):
    data = pillow(Image.fromarray(photograph), "TIFF", compression=compression)
    assert np.array_equal(read_rows(data), by_pillow(data, "RGB"))


@pytest.mark.parametrize("compression", [None, "group3", "group4"])
@pytest.mark.parametrize("white", [0, 1])
def test_scans_of_one_bit(photograph, compression, white):
    image = Image.fromarray(photograph).convert("1")
    data = pillow(
        image, "TIFF", compression=compression, tiffinfo={Base.PhotometricInterpretation: white}
    )
    with open_source(data) as source:
        assert source.gray
        assert np.array_equal(source.take(50), by_pillow(data, "RGB"))


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

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import Base

from keras_perceptual.errors import ImageError
from keras_perceptual.files import formats
from keras_perceptual.files.formats import Format
from keras_perceptual.files.metadata import Metadata
from keras_perceptual.files.sink import Sink
from keras_perceptual.files.source import open_source
from tests.conftest import ROOT
from tests.files.image_files import srgb


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.png", "PNG"), ("A.JPG", "JPEG"),
     ("b.tiff", "TIFF"), ("c.WebP", "WebP"), ("d.jp2", "JPEG 2000")],
)  # fmt: skip
def test_a_format_by_its_ending(name, expected):
    assert formats.of(name).name == expected


@pytest.mark.parametrize("name", ["a.txt", "a", ".png", "a.pdf", "a.eps"])
def test_endings_that_nobody_writes(name):
    with pytest.raises(ImageError, match=r"expected an ending such as \.png"):
        formats.of(name)


def test_a_codec_that_is_not_there(monkeypatch):
    monkeypatch.delitem(Image.SAVE, "AVIF", raising=False)
    monkeypatch.setattr(Image, "init", lambda: None)
    with pytest.raises(ImageError, match=r"a\.avif: this Pillow was built without AVIF"):
        formats.of("a.avif")
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"a\.heic: .* pip install pillow-heif"):
        formats.of("a.heic")


@pytest.mark.parametrize(
    ("name", "width", "height", "message"),
    [
        ("a.jpg", 80000, 60000, "a.jpg: JPEG holds up to 65500 pixels a side, received "
         "80000x60000; .tif or .png hold it"),
        ("a.webp", 16384, 10, "WebP holds up to 16383 pixels a side"),
        ("a.gif", 20000, 20000, "GIF holds up to 268 megapixels, received 20000x20000; .tif or"),
        ("a.bmp", 40000, 40000, "BMP holds up to 268 megapixels"),
        ("a.png", 200_000_000, 1, "PNG holds up to 100000000 pixels a side"),
    ],
)  # fmt: skip
def test_what_is_too_large_for_a_format(tmp_path, name, width, height, message):
    with pytest.raises(ImageError) as error:
        formats.check(formats.of(name), width, height, name)
    assert str(error.value).startswith(message) or message in str(error.value)
    with pytest.raises(ImageError, match=name):
        Sink(tmp_path / name, formats.of(name), height, width)
    assert not list(tmp_path.iterdir())


def test_a_size_that_no_format_holds_has_no_hint():
    with pytest.raises(ImageError, match=r"received 200000000x1$"):
        formats.check(formats.of("a.tif"), 200_000_000, 1)


@pytest.mark.parametrize("ending", ["jpg", "webp", "gif", "bmp", "png", "tif"])
@pytest.mark.parametrize("upright", [False, True])
def test_the_longest_side_can_be_written_and_read(tmp_path, ending, upright):
    path = tmp_path / f"a.{ending}"
    form = formats.of(path)
    side = min(form.longest_side, 1_200_000)
    height, width = (side, 1) if upright else (1, side)
    with Sink(path, form, height, width) as sink:
        sink.append(np.full((height, width, 3), 200, np.uint8))
        sink.finish()
    with open_source(path) as source:
        assert (source.height, source.width) == (height, width)
        assert abs(source.take(height).astype(int) - 200).max() <= 2


def test_every_ending_that_is_written_is_read():
    for form in formats.FORMATS:
        assert set(form.endings) <= formats.READABLE


HEAD = (
    "| format | endings | largest, pixels | 16 bit | opacity | gray | ICC | EXIF, XMP | quality "
    "| animated | in memory |"
)


def _row(form: Format) -> str:
    """Returns what docs/formats.md has to say of a format."""
    largest = f"{form.longest_side:,} a side"
    if form.most_pixels:
        largest += f", {form.most_pixels / 1e6:.0f} million"
    facts = (
        form.sixteen_bit, form.alpha, form.gray, form.icc, form.exif, form.lossy, form.animated,
    )  # fmt: skip
    held = "all" if form.codec else "rows"
    said = ["yes" if fact else "no" for fact in facts]
    return "| " + " | ".join([form.name, " ".join(form.endings), largest, *said, held]) + " |"


def test_the_table_of_the_documentation_is_that_of_the_program():
    lines = (ROOT / "docs" / "formats.md").read_text().splitlines()
    first = lines.index(HEAD)
    table = lines[first : lines.index("", first)]
    assert table[2:] == [_row(form) for form in formats.FORMATS]


@pytest.mark.parametrize("form", formats.FORMATS, ids=lambda form: form.name)
@pytest.mark.parametrize("gray", [False, True])
def test_a_format_holds_what_it_says_and_no_more(tmp_path, form, gray):
    try:
        formats.open_codec(form, form.name)
    except ImageError as error:
        pytest.skip(str(error))
    path = tmp_path / f"a{form.endings[0]}"
    exif = Image.Exif()
    exif[Base.Artist] = "somebody"
    about = Metadata(None if gray else srgb(), exif.tobytes()[6:], b"<x:xmpmeta/>")
    rows = np.full((8, 8, 4), 40_000, np.uint16)
    rows[:4, :, 3] = 0
    with Sink(path, form, 8, 8, bits=16, gray=gray, alpha=True, metadata=about) as sink:
        sink.append(rows)
        sink.finish()
    with open_source(path) as source:
        assert source.format is form
        assert source.bits == (16 if form.sixteen_bit else 8)
        assert source.gray == (gray and form.gray and form.name != "GIF")  # of a palette
        assert bool(source.metadata.icc_profile) == (form.icc and not gray)
        assert (b"somebody" in source.metadata.exif) == form.exif
        assert bool(source.metadata.xmp) == form.exif
        assert source.alpha == form.alpha


def test_every_format_has_a_sniffed_start():
    assert formats.sniff(b"RIFF\0\0\0\0WEBPVP8 ").name == "WebP"
    assert formats.sniff(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf").name == "AVIF"
    assert formats.sniff(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic").name == "HEIC"
    assert formats.sniff(b"\0\0\0\x18ftypisom\0\0\0\0isommp42") is None
    assert formats.sniff(b"P6 4 4 255\n").name == "PNM"

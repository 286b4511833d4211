"""What the page makes of pictures is what Python makes of them."""

from __future__ import annotations

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms

from keras_perceptual import Stylizer, Upscaler
from keras_perceptual.files.source import open_source
from tests.conftest import SAMPLES
from tests.graphics import drawn
from tests.web.browsers import download, pixels

LR = SAMPLES / "LRx4"
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" '
    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/"/></x:xmpmeta>'
)


@pytest.fixture
def small():
    """A photograph of 48x40 pixels."""
    with Image.open(LR / "chelsea.png") as image:
        return image.convert("RGB").crop((30, 15, 78, 55))


@pytest.fixture
def expected(tmp_path):
    """Returns a function from a file to the PNG that Python makes of it."""

    def make(file, scale=4, precision="int8", **how):
        upscaler = Upscaler(scale=scale, precision=precision, threads=1, **how)
        upscaler.upscale_file(file, tmp_path / "expected.png")
        return tmp_path / "expected.png"

    return make


def _difference(result, expected):
    ours, theirs = pixels(result), pixels(expected)
    assert ours.shape == theirs.shape
    return np.abs(ours - theirs).max()


@pytest.mark.both
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"scale": 3, "restore": "1"},
        {"restore": "part", "part": "0.3"},
    ],
    ids=["x4", "x3, restored", "restored in part"],
)
def test_a_photograph(result, expected, small, tmp_path, settings):
    small.save(tmp_path / "a.png")
    restore = {"1": 1.0, "part": 0.3}.get(settings.get("restore", ""), "auto")
    made = expected(tmp_path / "a.png", settings.get("scale", 4), restore=restore)
    assert _difference(result(tmp_path / "a.png", **settings), made) == 0


def test_fidelity_blends_weights(result, expected, small, tmp_path):
    small.save(tmp_path / "a.png")
    made = expected(tmp_path / "a.png", precision="auto", fidelity=0.7)
    assert _difference(result(tmp_path / "a.png", fidelity="0.7"), made) == 0


def test_tiles_leave_no_seams(result, expected, tmp_path):
    file = SAMPLES / "HR" / "chelsea.png"
    with Image.open(file) as image:
        image.convert("RGB").crop((0, 0, 420, 280)).save(tmp_path / "a.png")
    made = expected(tmp_path / "a.png", scale=2, restore=0)
    assert _difference(result(tmp_path / "a.png", scale="2", restore="0"), made) == 0


@pytest.mark.both
@pytest.mark.parametrize("mode", ["RGBA", "LA", "L", "P", "1", "RGB;16", "interlaced"])
def test_kinds_of_png(result, expected, small, tmp_path, mode):
    file = tmp_path / "a.png"
    alpha = Image.radial_gradient("L").resize(small.size).point(lambda level: 255 - level)
    precision = "int8"
    if mode == "RGB;16":
        deep = np.asarray(small).astype(np.uint16) * 257 + 13
        pyvips.Image.new_from_array(deep, interpretation="rgb16").pngsave(str(file))
        precision = "float32"
    elif mode == "interlaced":
        pyvips.Image.new_from_array(np.asarray(small)).pngsave(str(file), interlace=True)
    elif mode == "P":
        small.quantize(30).save(file, transparency=3)
    else:
        image = small.convert(mode)
        if mode.endswith("A"):
            image.putalpha(alpha)
        image.save(file)
    made = expected(file, precision=precision)
    ours = result(file)
    assert _difference(ours, made) == 0
    with open_source(ours) as mine, open_source(made) as theirs:
        assert (mine.bits, mine.gray, mine.alpha) == (theirs.bits, theirs.gray, theirs.alpha)


def _jpeg(image, path, quality=96):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8769).update({0x9003: "2026:01:02 03:04:05", 0xA002: 48})
    exif.get_ifd(0x8825)[1] = "N"
    image.save(
        path, quality=quality, exif=exif.tobytes(), dpi=(300, 300), icc_profile=_wide_gamut(),
        xmp=XMP,
    )  # fmt: skip
    return path


def _wide_gamut():
    """Returns a profile whose colours a browser would change, were it let to."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile = profile.replace(b"rXYZ", b"tXYZ").replace(b"gXYZ", b"rXYZ")  # red for green
    return bytes(profile.replace(b"tXYZ", b"gXYZ"))


@pytest.mark.both
@pytest.mark.parametrize("quality", [96, 94, 40])
def test_a_jpeg_is_upright_and_keeps_its_profile_and_exif(
    result, expected, small, tmp_path, quality
):
    file = _jpeg(small, tmp_path / "a.jpg", quality)
    ours, made = result(file), expected(file)
    assert _difference(ours, made) == 0
    with Image.open(ours) as mine, Image.open(made) as theirs:
        assert mine.size == (160, 192)
        assert mine.info["icc_profile"] == theirs.info["icc_profile"]
        assert mine.info["exif"] == theirs.info["exif"]
        assert mine.info["dpi"] == theirs.info["dpi"]
        assert mine.info["XML:com.adobe.xmp"] == theirs.info["XML:com.adobe.xmp"]


def test_a_gray_jpeg_stays_gray(result, expected, small, tmp_path):
    small.convert("L").save(tmp_path / "a.jpg", quality=95)
    ours = result(tmp_path / "a.jpg")
    assert _difference(ours, expected(tmp_path / "a.jpg")) == 0
    with Image.open(ours) as image:
        assert image.mode == "L"


def test_webp_with_opacity(site, result, expected, small, tmp_path):
    small.putalpha(Image.linear_gradient("L").resize(small.size))
    small.save(tmp_path / "a.webp", lossless=True, exact=True)
    ours, theirs = pixels(result(tmp_path / "a.webp")), pixels(expected(tmp_path / "a.webp"))
    assert np.abs(ours - theirs)[..., 3].max() <= 2
    shown = theirs[..., 3] > 128
    # Firefox gives colours only multiplied by opacity, rounded.
    most = 2 if site.kind == "chromium" else 10
    assert np.abs(ours - theirs)[shown].max() <= most


@pytest.mark.both
@pytest.mark.parametrize("animated", [False, True])
@pytest.mark.parametrize("form", ["webp", "avif"])
def test_a_lossy_file_is_restored(result, expected, small, tmp_path, form, animated):
    file = tmp_path / f"a.{form}"
    small.save(file, quality=40, save_all=animated, append_images=[small.rotate(90)] * animated)
    made = result(file)
    restored, clean = (
        np.abs(pixels(made) - pixels(expected(file, restore=restore))).mean() for restore in (1, 0)
    )
    # Browsers decode WebP a little differently, and AVIF by more.
    assert restored < (0.1 if form == "webp" else 0.8 * clean)
    assert clean > 0.1


@pytest.mark.parametrize(("form", "quality"), [("JPEG", 10), ("WEBP", 50)])
def test_what_was_a_lossy_file_is_restored_by_its_blocks(result, expected, tmp_path, form, quality):
    with Image.open(LR / "coffee.png") as image:
        image.convert("RGB").save(tmp_path / "lossy", form, quality=quality)
    with Image.open(tmp_path / "lossy") as image:
        image.convert("RGB").save(tmp_path / "a.png")
    made = result(tmp_path / "a.png")
    assert _difference(made, expected(tmp_path / "a.png", restore=1)) == 0


def test_flat_parts_stay_as_they_are(result, tmp_path):
    image = np.full((40, 60, 3), (200, 30, 90), np.uint8)
    image[:, 45:] = 10
    Image.fromarray(image).save(tmp_path / "a.png")
    made = pixels(result(tmp_path / "a.png"))
    assert (made[:, : 4 * 42] == (200, 30, 90)).all()


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_gradients_are_interpolated(result, expected, tmp_path, scale):
    image = Image.fromarray(drawn()["gradient"])
    image.paste((255, 255, 255), (30, 20, 50, 40))
    wave = 127 + 120 * np.sin(np.arange(30)[:, None] / 2 + np.arange(30) / 3)
    image.paste(Image.fromarray(wave.astype(np.uint8)), (60, 30))
    image.save(tmp_path / "a.png")
    made = expected(tmp_path / "a.png", scale, precision="auto")
    assert _difference(result(tmp_path / "a.png", scale=str(scale)), made) == 0


@pytest.mark.parametrize("how", [{}, {"strength": 0.5, "preserve_colour": True}], ids=str)
def test_a_style(site, result, tmp_path, how):
    with Image.open(LR / "rocket.png") as image:
        image.convert("RGB").crop((0, 0, 66, 50)).save(tmp_path / "a.png")
    Stylizer("great-wave", threads=1, **how).stylize_file(tmp_path / "a.png", tmp_path / "b.png")
    settings = {"task": "paint", "style": "great-wave"}
    if how:
        settings |= {"strength": "0.5", "preserveColour": True}
    # Sums over the picture are in another order, which tips a pixel in a hundred thousand.
    assert _difference(result(tmp_path / "a.png", **settings), tmp_path / "b.png") <= 1


@pytest.mark.parametrize("format", ["jpg", "webp"])
def test_other_formats_have_all_that_belongs_to_the_picture(site, result, small, tmp_path, format):
    made = result(_jpeg(small, tmp_path / "a.jpg"))
    other = download(site, tmp_path / f"b.{format}", format)
    with Image.open(made) as png, Image.open(other) as mine:
        assert mine.format == {"jpg": "JPEG", "webp": "WEBP"}[format]
        assert mine.size == png.size
        assert mine.info["icc_profile"] == png.info["icc_profile"]
        assert mine.getexif()[0x010F] == "Maker"
        assert mine.getexif().get(0x0112, 1) == 1
        difference = np.abs(np.asarray(png).astype(int) - np.asarray(mine.convert("RGB")))
        assert difference.mean() < 3
    assert site.evaluate("window.saved.then(([, name]) => name)") == f"a_x4.{format}"

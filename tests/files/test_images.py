from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_perceptual.errors import ImageError
from keras_perceptual.files import images
from keras_perceptual.files.images import Picture


@pytest.fixture
def pixels(rng):
    return rng.integers(0, 256, (6, 9, 3), dtype=np.uint8)


def test_png_round_trip(tmp_path, pixels):
    alpha = np.arange(54, dtype=np.uint8).reshape(6, 9)
    images.write(tmp_path / "a.png", Picture(pixels, alpha))
    picture = images.read(tmp_path / "a.png")
    assert np.array_equal(picture.pixels, pixels)
    assert np.array_equal(picture.alpha, alpha)
    assert not picture.gray


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "RGBX", "CMYK", "LAB"])
def test_every_mode_becomes_rgb(tmp_path, pixels, mode):
    through = "RGBA" if mode in ("LA", "PA") else "RGB"
    source = Image.fromarray(pixels).convert(through).convert(mode)
    source.save(tmp_path / "a.tif")
    picture = images.read(tmp_path / "a.tif")
    assert picture.pixels.shape == pixels.shape
    assert picture.pixels.dtype == np.uint8
    assert picture.gray == (mode in ("1", "L", "LA"))
    assert (picture.alpha is not None) == (mode in ("LA", "PA", "RGBA"))


def test_gray_stays_gray(tmp_path):
    gray = np.arange(48, dtype=np.uint8).reshape(6, 8)
    Image.fromarray(gray).save(tmp_path / "a.png")
    picture = images.read(tmp_path / "a.png")
    assert np.array_equal(picture.pixels, np.repeat(gray[..., None], 3, 2))
    images.write(tmp_path / "b.png", picture)
    with Image.open(tmp_path / "b.png") as written:
        assert written.mode == "L"
        assert np.array_equal(np.asarray(written), gray)


def test_palette_with_a_transparent_colour(tmp_path):
    source = Image.new("P", (4, 4), 1)
    source.putpalette([0, 0, 0, 10, 20, 30])
    source.putpixel((0, 0), 0)
    source.save(tmp_path / "a.png", transparency=0)
    picture = images.read(tmp_path / "a.png")
    assert picture.alpha[0, 0] == 0
    assert picture.alpha[1, 1] == 255
    assert picture.pixels[1, 1].tolist() == [10, 20, 30]


def test_16_bit_gray_is_divided_and_not_guessed(tmp_path):
    dark = np.array([[0, 257, 300], [514, 1000, 65535]], np.uint16)
    Image.fromarray(dark).save(tmp_path / "a.png")
    picture = images.read(tmp_path / "a.png")
    assert picture.pixels[..., 0].tolist() == [[0, 1, 1], [2, 4, 255]]
    assert picture.gray


def test_opacity_over_white_where_a_format_has_none(tmp_path, pixels):
    alpha = np.zeros(pixels.shape[:2], np.uint8)
    images.write(tmp_path / "a.jpg", Picture(pixels, alpha))
    assert images.read(tmp_path / "a.jpg").pixels.min() > 250


def test_ending_that_nobody_writes(tmp_path, pixels):
    with pytest.raises(ImageError, match="expected an ending"):
        images.write(tmp_path / "a.txt", Picture(pixels))
    assert not list(tmp_path.iterdir())


def test_list_images(tmp_path, pixels):
    for name in ("b.png", "a.JPG", "notes.txt", ".hidden.png", "inside/c.webp", ".git/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "inside" / "loop").symlink_to(tmp_path)
    names = [str(p.relative_to(tmp_path)) for p in images.list_images(tmp_path)]
    assert names == ["a.JPG", "b.png", "inside/c.webp"]
    assert len(images.list_images(tmp_path, recursive=False)) == 2
    with pytest.raises(ImageError, match="cannot be listed"):
        images.list_images(tmp_path / "none")


def test_a_folder_that_cannot_be_listed_does_not_hide_the_others(tmp_path, pixels, monkeypatch):
    for name in ("a/locked/x.png", "a/open/y.png"):
        images.write(tmp_path / name, images.Picture(pixels))
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    told: list[str] = []
    found = images.list_images(tmp_path / "a", failed=told.append)
    assert found == [tmp_path / "a" / "open" / "y.png"]
    assert told == [f"{tmp_path / 'a' / 'locked'}: cannot be listed: Permission denied"]
    with pytest.raises(ImageError, match="locked: cannot be listed"):
        images.list_images(tmp_path / "a")


def test_reads_a_part(tmp_path, pixels):
    images.write(tmp_path / "a.png", images.Picture(pixels))
    part = images.read(tmp_path / "a.png", (3, 2, 5, 4)).pixels
    assert np.array_equal(part, pixels[2:6, 3:8])

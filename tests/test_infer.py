"""infer.py as people run it."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from keras_perceptual import images

from .conftest import ROOT, SAMPLES


@pytest.fixture
def folder(tmp_path):
    shutil.copy(SAMPLES / "LRx4" / "rocket.png", tmp_path / "low.png")
    return tmp_path


def _files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_one_photograph(run_script, folder):
    result = run_script("infer.py", "low.png", "--scale", 4, cwd=folder)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[0] == "low_x4.png"
    assert _files(folder) == ["low.png", "low_x4.png"]
    small, large = images.read(folder / "low.png"), images.read(folder / "low_x4.png")
    assert large.pixels.shape[:2] == tuple(4 * s for s in small.pixels.shape[:2])
    assert "delegate" not in result.stderr


def test_output_file_and_folder_and_figure(run_script, folder):
    assert run_script("infer.py", "low.png", "-o", "new/big.webp", cwd=folder).returncode == 0
    assert run_script("infer.py", "low.png", "-o", "out", "--compare", cwd=folder).returncode == 0
    assert _files(folder) == [
        "low.png", "new/big.webp", "out/low_x4.png", "out/low_x4_compare.png",
    ]  # fmt: skip


def test_folders_mirror(run_script, folder):
    (folder / "photos" / "inside").mkdir(parents=True)
    shutil.copy(folder / "low.png", folder / "photos" / "a.png")
    shutil.copy(folder / "low.png", folder / "photos" / "inside" / "b.png")
    (folder / "photos" / "notes.txt").write_text("not an image")
    assert run_script("infer.py", "photos", cwd=folder).returncode == 0
    assert _files(folder / "photos_x4") == ["a_x4.png", "inside/b_x4.png"]


def test_one_broken_file_does_not_stop_the_others(run_script, folder):
    (folder / "broken.png").write_bytes((folder / "low.png").read_bytes()[:500])
    (folder / "empty.png").touch()
    names = ["broken.png", "missing.png", "empty.png", "low.png"]
    result = run_script("infer.py", *names, cwd=folder)
    assert result.returncode == 1
    lines = [line for line in result.stderr.splitlines() if line.startswith("infer.py:")]
    assert len(lines) == 3
    assert _files(folder) == ["broken.png", "empty.png", "low.png", "low_x4.png"]


def test_gray_alpha_and_orientation(run_script, folder):
    gray = Image.open(folder / "low.png").convert("L")
    gray.save(folder / "gray.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    gray.convert("RGB").save(folder / "turned.jpg", exif=exif)
    rgba = Image.open(folder / "low.png").convert("RGBA")
    rgba.putalpha(gray)
    rgba.save(folder / "alpha.png")
    names = ["gray.png", "turned.jpg", "alpha.png"]
    assert run_script("infer.py", *names, cwd=folder).returncode == 0
    with Image.open(folder / "gray_x4.png") as image:
        assert image.mode == "L"
    with Image.open(folder / "alpha_x4.png") as image:
        assert image.mode == "RGBA"
    with Image.open(folder / "turned_x4.jpg") as image:
        assert image.size == (4 * gray.height, 4 * gray.width)
        assert image.getexif().get(0x0112, 1) == 1


def test_engines_models_and_no_histogram_match(run_script, folder):
    outputs = []
    for flags in (
        [],
        ["--engine", "keras"],
        ["--no-histogram-match"],
        ["--model", "x4-pixel"],
        ["--model", ROOT / "keras_perceptual" / "zoo" / "x4-pixel" / "model.keras"],
        ["--threads", 1],
    ):
        result = run_script("infer.py", "low.png", "-o", "out.png", *flags, cwd=folder)
        assert result.returncode == 0, result.stderr
        outputs.append(images.read(folder / "out.png").pixels.astype(int))
    default, keras, unmatched, pixel, pixel_file, one_thread = outputs
    assert np.abs(default - keras).max() <= 2
    assert np.abs(default - unmatched).max() > 0
    assert np.abs(default - pixel).max() > 2
    assert np.abs(pixel - pixel_file).max() <= 2
    assert np.abs(default - one_thread).max() <= 1


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["low.png", "--scale", "3"], 2, "expected a scale of"),
        (["low.png", "--model", "x9"], 2, "expected a model of"),
        (["low.png", "--model", "x4-pixel", "--scale", "2"], 2, "has scale 4"),
        (["low.png", "--model", "none.keras"], 2, "no such model file"),
        (["low.png", "-o", "low.png"], 2, "is an input"),
        (["low.png", "./low.png"], 2, "would both be written"),
        (["low.png", "other.png", "-o", "out.png"], 2, "would both be written"),
        (["low.png", "-o", "out.txt"], 1, "expected an ending"),
        (["low.png", "-o", "low.png/out"], 1, "low.png"),
        (["empty"], 1, "found none"),
        (["missing"], 1, "no such file"),
        (["missing", "-o", "new/folder/"], 1, "no such file"),
        (["low.png", "--threads", "0"], 2, "threads"),
        ([], 2, "required"),
    ],
)
def test_what_goes_wrong_is_one_line_and_writes_nothing(
    run_script, folder, arguments, status, message
):
    (folder / "empty").mkdir()
    result = run_script("infer.py", *arguments, cwd=folder)
    assert result.returncode == status, result.stderr
    assert message in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert sorted(p.name for p in folder.iterdir()) == ["empty", "low.png"]


def test_a_link_to_the_input_is_the_input(run_script, folder):
    os.link(folder / "low.png", folder / "linked.png")
    before = (folder / "low.png").read_bytes()
    result = run_script("infer.py", "low.png", "-o", "linked.png", cwd=folder)
    assert result.returncode == 1
    assert "is the input" in result.stderr
    assert (folder / "low.png").read_bytes() == before


def test_a_missing_input_leaves_an_existing_output(run_script, folder):
    before = (folder / "low.png").read_bytes()
    result = run_script("infer.py", "missing.png", "-o", "low.png", cwd=folder)
    assert result.returncode == 1
    assert result.stderr.splitlines() == ["infer.py: missing.png: no such file"]
    assert (folder / "low.png").read_bytes() == before


def test_names_of_any_script(run_script, folder):
    name = "fotografía \N{CJK UNIFIED IDEOGRAPH-5199} 'x'.png"
    (folder / "low.png").rename(folder / name)
    assert run_script("infer.py", name, cwd=folder).returncode == 0
    assert len(_files(folder)) == 2

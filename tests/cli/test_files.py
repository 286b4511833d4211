"""infer.py and the files around it: formats, times, order, targets, standard streams."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_perceptual.cli import jobs as batch
from keras_perceptual.files import images
from keras_perceptual.files.source import open_source
from tests.conftest import ROOT


@pytest.fixture
def folder(tmp_path, rng):
    (tmp_path / "photos" / "inside").mkdir(parents=True)
    for name in ("a.png", "inside/b.jpg", "c.tif"):
        pixels = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / name)
    return tmp_path


def _names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("given", ["webp", ".WEBP"])
def test_the_format_of_a_whole_folder(run_script, folder, given):
    flags = ["--scale", 2, "--recursive", "--format", given]
    result = run_script("infer.py", "photos", *flags, cwd=folder)
    assert result.returncode == 0, result.stderr
    expected = ["a_x2.webp", "c_x2.webp", "inside/b_x2.webp"]
    assert _names(folder / "photos_x2") == expected
    for name in expected:
        with Image.open(folder / "photos_x2" / name) as image:
            assert image.format == "WEBP"


def test_the_format_of_stdout(folder):
    command = [sys.executable, ROOT / "infer.py", "-", "--scale", "2", "--format", "jpg"]
    data = (folder / "photos" / "a.png").read_bytes()
    done = subprocess.run(command, input=data, capture_output=True, check=True)
    with Image.open(io.BytesIO(done.stdout)) as image:
        assert (image.format, image.size) == ("JPEG", (32, 24))


def test_formats_that_cannot_be(run_script, folder):
    for flags, message in {
        ("--format", "pdf"): "argument --format: pdf: expected an ending such as .png",
        ("--format", "jpg", "-o", "a.png"): "expected an output of the format of --format, rec",
        ("--lossless", "--quality", "90"): "not allowed with argument",
    }.items():
        result = run_script("infer.py", "photos/a.png", *flags, cwd=folder)
        assert result.returncode == 2
        assert message in result.stderr.splitlines()[-1]
    result = run_script("infer.py", "photos/a.png", "-o", "a.jpg", "--lossless", cwd=folder)
    assert result.returncode == 1
    assert (
        result.stderr == "infer.py: a.jpg: JPEG is never lossless; .png, .webp and .avif can be\n"
    )
    assert _names(folder) == ["photos/a.png", "photos/c.tif", "photos/inside/b.jpg"]


@pytest.mark.parametrize("ending", ["webp", "avif"])
def test_lossless(run_script, folder, ending):
    if ending == "avif":
        pytest.importorskip("PIL._avif")
    for target in (f"a.{ending}", "a.png"):
        flags = ["-o", target, "--scale", 2, "--lossless"]
        result = run_script("infer.py", "photos/a.png", *flags, cwd=folder)
        assert result.returncode == 0, result.stderr
    made, expected = (images.read(folder / name).pixels for name in (f"a.{ending}", "a.png"))
    assert np.array_equal(made, expected)


def test_times_are_kept(run_script, folder):
    os.utime(folder / "photos" / "a.png", (1_000_000_000, 1_100_000_000))
    for flags, kept in ((["--keep-times"], True), ([], False)):
        result = run_script("infer.py", "photos/a.png", "-o", "a.png", *flags, cwd=folder)
        assert result.returncode == 0, result.stderr
        assert ((folder / "a.png").stat().st_mtime == 1_100_000_000) == kept


def test_the_order_is_that_in_which_people_count(tmp_path):
    names = ["img1.png", "img2.png", "img10.png", "img10a.png", "img11.png", "inside/2.png",
             "inside/10.png", "inside2/1.png", "inside10/1.png"]  # fmt: skip
    for name in reversed(names):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).touch()
    found = batch.plan(tmp_path / "photos", None, "_x2", True)
    assert [str(job.source.relative_to(tmp_path / "photos")) for job in found] == names


def test_targets(run_script, folder):
    os.mkfifo(folder / "pipe.png")
    (folder / "locked.png").write_bytes(b"old")
    (folder / "locked.png").chmod(0o444)
    (folder / "private.png").write_bytes(b"old")
    (folder / "private.png").chmod(0o600)
    (folder / "link.png").symlink_to("private.png")
    for name, message in {
        "pipe.png": "expected a file, found a pipe or a device; - stands for stdout",
        "locked.png": "it is write-protected",
        "photos/a.png/b.png": "photos/a.png is not a folder",
    }.items():
        result = run_script("infer.py", "photos/c.tif", "-o", name, "--scale", 2, cwd=folder)
        assert result.returncode == 1
        assert result.stderr.startswith(f"infer.py: {name}: cannot be written: ")
        assert result.stderr.endswith(f"{message}\n")
        assert len(result.stderr.splitlines()) == 1
    result = run_script("infer.py", "photos/c.tif", "-o", "link.png", "--scale", 2, cwd=folder)
    assert result.returncode == 0, result.stderr
    assert (folder / "link.png").is_symlink()
    assert (folder / "private.png").stat().st_mode & 0o777 == 0o600
    with open_source(folder / "private.png") as source:
        assert (source.width, source.height) == (32, 24)


@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_standard_streams_that_are_closed(folder, closed):
    words = [sys.executable, ROOT / "infer.py", "photos/a.png", "-o", "a.png", "--scale", "2"]
    line = f"{shlex.join(map(str, words))} {closed}"
    assert subprocess.run(["sh", "-c", line], cwd=folder, check=False).returncode == 0
    with open_source(folder / "a.png") as source:
        assert (source.width, source.height) == (32, 24)


def test_libraries_are_not_heard(run_script, folder):
    """That of TIFF writes lines of its own on damaged data, from whatever thread."""
    for number in range(6):
        path = folder / "damaged" / f"{number}.tif"
        path.parent.mkdir(exist_ok=True)
        Image.effect_noise((40, 40), 99).save(path, compression="lzma")
        data = bytearray(path.read_bytes())
        data[8:48] = bytes(40)
        path.write_bytes(data)
    result = run_script("infer.py", "damaged", "photos/a.png", cwd=folder)
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    told = [line for line in lines if line.startswith("infer.py: damaged/")]
    assert len(told) == 6
    assert len(set(told)) == 6
    assert lines[len(told)] == "infer.py: 6 failed:"
    assert len(lines) == 13

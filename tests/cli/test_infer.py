"""infer.py as people run it."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_perceptual import zoo
from keras_perceptual.cli import infer
from keras_perceptual.files import images
from tests.conftest import ROOT, SAMPLES


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
    assert _files(folder / "photos_x4") == ["a_x4.png"]
    assert run_script("infer.py", "photos", "--recursive", cwd=folder).returncode == 0
    assert _files(folder / "photos_x4") == ["a_x4.png", "inside/b_x4.png"]


@pytest.mark.parametrize(
    ("flags", "expected"), [("--threads=1", 1), ("--threads=9", 4), ("--workers=9", 9)]
)
def test_as_many_files_at_a_time_as_cores(flags, expected, folder, monkeypatch):
    asked = []
    monkeypatch.setattr(infer.batch, "run", lambda *given: asked.append(given[2]) or iter(()))
    infer.main([str(folder / "low.png"), flags])
    assert asked == [expected]


def test_an_output_folder_inside_the_input_is_no_input(run_script, folder):
    flags = ["photos", "--recursive", "-o", "photos/large", "--workers", "1"]
    (folder / "photos").mkdir()
    shutil.copy(folder / "low.png", folder / "photos" / "a.png")
    for _ in range(2):
        assert run_script("infer.py", *flags, cwd=folder).returncode == 0
        assert _files(folder / "photos") == ["a.png", "large/a_x4.png"]


def test_skip_existing_and_report(run_script, folder):
    (folder / "photos").mkdir()
    for name in "abc":
        shutil.copy(folder / "low.png", folder / "photos" / f"{name}.png")
    (folder / "photos" / "c.png").write_bytes(b"no image")
    (folder / "photos_x4").mkdir()
    (folder / "photos_x4" / "a_x4.png").write_bytes(b"there already")
    flags = ["--skip-existing", "--report", "report.json"]
    result = run_script("infer.py", "photos", *flags, cwd=folder)
    assert result.returncode == 1
    assert (folder / "photos_x4" / "a_x4.png").read_bytes() == b"there already"
    rows = {Path(r["input"]).name: r for r in json.loads((folder / "report.json").read_text())}
    assert [rows[f"{n}.png"]["error"] is None for n in "abc"] == [True, True, False]
    assert rows["b.png"]["size"] == [640, 424]
    assert Path(rows["b.png"]["output"]) == Path("photos_x4", "b_x4.png")
    assert rows["c.png"]["output"] is None
    assert result.stderr.splitlines()[-2] == "infer.py: 1 failed:"
    assert result.stderr.splitlines()[-1].startswith("  photos/c.png: ")


@pytest.mark.parametrize(
    ("flags", "name", "size"),
    [
        (["--scale", "2.5"], "low_x2.5.png", (400, 265)),
        (["--scale", "1"], "low_x1.png", (160, 106)),
        (["--size", "300x200"], "low_300x200.png", (300, 200)),
        (["--max-side", "500"], "low_500.png", (500, 331)),
        (["--crop", "10,20,30,16"], "low_x4.png", (120, 64)),
        (["--crop", "0,0,12,10", "--scale", "11"], "low_x11.png", (132, 110)),
    ],
)
def test_any_size(run_script, folder, flags, name, size):
    result = run_script("infer.py", "low.png", *flags, cwd=folder)
    assert result.returncode == 0, result.stderr
    with Image.open(folder / name) as image:
        assert image.size == size


def test_crop_is_that_part(run_script, folder):
    lr = images.read(folder / "low.png").pixels[20:36, 10:40]
    images.write(folder / "part.png", images.Picture(lr))
    run_script("infer.py", "low.png", "--crop", "10,20,30,16", "-o", "a.png", cwd=folder)
    run_script("infer.py", "part.png", "-o", "b.png", cwd=folder)
    assert np.array_equal(*(images.read(folder / n).pixels for n in ("a.png", "b.png")))


def test_pipes(folder):
    command = [sys.executable, ROOT / "infer.py", "-", "--scale", "3"]
    result = subprocess.run(
        command, input=(folder / "low.png").read_bytes(), capture_output=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    with Image.open(io.BytesIO(result.stdout)) as image:
        assert (image.format, image.size) == ("PNG", (480, 318))
    result = subprocess.run(command, input=b"no image", capture_output=True, timeout=300)
    assert result.returncode == 1
    assert result.stderr.decode().splitlines()[-1].startswith("infer.py: stdin: ")
    assert result.stdout == b""


def test_sixteen_bits_stay(run_script, folder):
    lr = images.read(folder / "low.png").pixels[..., 0].astype(np.uint16) * 3
    Image.fromarray(lr).save(folder / "deep.png")
    assert run_script("infer.py", "deep.png", "-o", "out.png", cwd=folder).returncode == 0
    with Image.open(folder / "out.png") as image:
        deep = np.asarray(image)
    assert image.mode.startswith("I;16")
    assert deep.max() < 3 * 256 + 2 * 257  # overshoots by a level or two
    assert len(np.unique(deep)) > 256


def test_list_models(run_script):
    result = run_script("infer.py", "--list-models")
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:-2]] == zoo.names()
    assert lines[-1] == "styles: " + ", ".join(zoo.styles())
    assert "31" in next(line for line in lines if line.startswith("x4-pixel"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("sign", ["SIGKILL", "SIGINT"])
def test_a_stopped_run_leaves_whole_files_only_and_goes_on(folder, sign):
    (folder / "photos").mkdir()
    for number in range(30):
        shutil.copy(SAMPLES / "HR" / "chelsea.png", folder / "photos" / f"{number}.png")
    command = [sys.executable, ROOT / "infer.py", "photos", "--skip-existing"]
    # Children inherit it when Ctrl-C is ignored, as it is where tests run in the background.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    out = folder / "photos_x4"
    deadline = time.monotonic() + 120
    while len(list(out.glob("[0-9]*.png"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(getattr(signal, sign))
    _, stderr = process.communicate(timeout=60)
    assert "Traceback" not in stderr
    assert process.returncode == (130 if sign == "SIGINT" else -9)
    written = [path for path in out.iterdir() if not path.name.startswith(".")]
    assert 2 <= len(written) < 30
    for path in written:
        assert images.read(path).pixels.shape == (1184, 1792, 3)
    if sign == "SIGINT":
        assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_one_broken_file_does_not_stop_the_others(run_script, folder):
    (folder / "broken.png").write_bytes((folder / "low.png").read_bytes()[:500])
    (folder / "empty.png").touch()
    names = ["broken.png", "missing.png", "empty.png", "low.png"]
    result = run_script("infer.py", *names, cwd=folder)
    assert result.returncode == 1
    lines = [line for line in result.stderr.splitlines() if line.startswith("infer.py:")]
    assert len(lines) == 4  # one each, and the summary
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


def test_engines_models_and_histogram_matches(run_script, folder):
    outputs = []
    for flags in (
        [],
        ["--engine", "keras"],
        ["--no-histogram-match"],
        ["--histogram-match", "none"],
        ["--histogram-match", "paper"],
        ["--model", "x4-pixel"],
        ["--model", zoo.checkpoint("x4-pixel")],
        ["--threads", 1],
    ):
        flags = ["-o", "out.png", "--precision", "float32", *flags]
        result = run_script("infer.py", "low.png", *flags, cwd=folder)
        assert result.returncode == 0, result.stderr
        outputs.append(images.read(folder / "out.png").pixels.astype(int))
    default, keras, short, none, paper, pixel, pixel_file, one_thread = outputs
    assert np.abs(default - keras).max() <= 2
    assert np.array_equal(short, none)
    assert np.array_equal(default, none)  # this model shifts nothing
    assert np.abs(paper - none).max() > 2
    assert np.abs(default - pixel).max() > 2
    assert np.abs(pixel - pixel_file).max() <= 2
    assert np.abs(default - one_thread).max() <= 1


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["low.png", "--scale", "17"], 2, "expected a number from 1 to 16"),
        (["low.png", "--size", "100"], 2, "expected WIDTHxHEIGHT"),
        (["low.png", "--crop", "150,0,20,20"], 1, "expected a crop inside 160x106 pixels"),
        (["low.png", "--memory", "much"], 2, "expected bytes such as"),
        (["low.png", "--size", "70000x70", "-o", "new.jpg"], 1, "JPEG holds up to 65500"),
        (["low.png", "--model", "x9"], 2, "expected a model of"),
        (["low.png", "--model", "none.keras"], 2, "no such model file"),
        (["low.png", "-o", "low.png"], 2, "is an input"),
        (["low.png", "./low.png"], 2, "would both be written"),
        (["low.png", "other.png", "-o", "out.png"], 2, "would both be written"),
        (["low.png", "-o", "out.txt"], 1, "expected an ending"),
        (["low.png", "-o", "low.png/out"], 1, "low.png"),
        (["empty"], 1, "found none"),
        (["missing"], 1, "no such file"),
        (["missing", "-o", "new/folder/"], 1, "no such file"),
        (["low.png", "--max-side", "5000"], 1, "expected a scale of at most 16"),
        (["low.png", "--report", "missing/report.json"], 2, "--report"),
        (["low.png", "--threads", "0"], 2, "threads"),
        ([], 2, "expected image files"),
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


def test_circles_of_links_end(run_script, folder):
    (folder / "photos" / "inside").mkdir(parents=True)
    shutil.copy(folder / "low.png", folder / "photos" / "inside" / "a.png")
    (folder / "photos" / "self.png").symlink_to("self.png")
    (folder / "photos" / "inside" / "up").symlink_to(folder / "photos")
    result = run_script("infer.py", "photos", "--recursive", "-o", "out", cwd=folder)
    assert result.returncode == 1
    assert "photos/self.png: cannot be read" in result.stderr
    assert _files(folder / "out") == ["inside/a_x4.png"]


def test_all_frames_need_a_format_that_has_them(run_script, folder):
    frame = Image.open(folder / "low.png").resize((20, 12))
    frame.save(folder / "a.gif", save_all=True, append_images=[frame.rotate(9)], duration=50)
    assert run_script("infer.py", "a.gif", "--frames", "-o", "b.webp", cwd=folder).returncode == 0
    with Image.open(folder / "b.webp") as image:
        assert (image.n_frames, image.size) == (2, (80, 48))
    assert run_script("infer.py", "a.gif", "-o", "c.jpg", cwd=folder).returncode == 0
    result = run_script("infer.py", "a.gif", "--frames", "-o", "d.jpg", cwd=folder)
    assert result.returncode == 1
    assert "JPEG is not animated" in result.stderr
    assert _files(folder) == ["a.gif", "b.webp", "c.jpg", "low.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_a_name_is_told_in_one_line(run_script, folder):
    for name in (b"two\nlines.png", b"no text \xff.png"):
        os.link(folder / "low.png", os.path.join(os.fsencode(folder), name))
    result = run_script("infer.py", ".", "-o", "out", cwd=folder)
    assert result.returncode == 0, result.stderr
    lines = sorted(line.split(" (")[0] for line in result.stdout.splitlines())
    assert lines == ["out/low_x4.png", "out/no text \\udcff_x4.png", "out/two\\nlines_x4.png"]


def test_names_of_any_script(run_script, folder):
    name = "fotografía \N{CJK UNIFIED IDEOGRAPH-5199} 'x'.png"
    (folder / "low.png").rename(folder / name)
    assert run_script("infer.py", name, cwd=folder).returncode == 0
    assert len(_files(folder)) == 2


def test_what_was_restored_is_told(run_script, folder):
    (folder / "photos").mkdir()
    with Image.open(folder / "low.png") as image:
        image.crop((0, 0, 64, 48)).save(folder / "photos" / "worn.jpg", quality=60)
        image.resize((40, 26), Image.Resampling.BOX).save(folder / "photos" / "clean.png")
    flags = ["--report", "report.json"]
    result = run_script("infer.py", "photos", *flags, cwd=folder)
    assert result.returncode == 0, result.stderr
    assert "worn_x4.jpg (256x192), restored: JPEG of quality 60\n" in result.stdout
    assert "clean_x4.png (160x104)\n" in result.stdout
    rows = {Path(r["input"]).name: r for r in json.loads((folder / "report.json").read_text())}
    told = ("model", "restore", "reason")
    assert [rows["worn.jpg"][key] for key in told] == ["x4-photo", 1.0, "JPEG of quality 60"]
    assert [rows["clean.png"][key] for key in told] == ["x4-feature", 0.0, None]
    result = run_script("infer.py", "photos/worn.jpg", "--restore", "0.5", *flags, cwd=folder)
    assert "restored" not in result.stdout
    (row,) = json.loads((folder / "report.json").read_text())
    assert [row[key] for key in told] == ["x4-feature, restore 0.5", 0.5, None]


@pytest.mark.parametrize("value", ["some", "1.1", "-0.5", "nan"])
def test_restore_out_of_range(run_script, value):
    result = run_script("infer.py", "a.png", f"--restore={value}")
    assert result.returncode == 2
    assert f"expected auto or a number from 0 to 1, received '{value}'" in result.stderr

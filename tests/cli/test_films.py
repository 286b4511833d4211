"""infer.py on films, as people run it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from keras_perceptual.cli import infer, options
from tests import films
from tests.conftest import ROOT

pytest.importorskip("av")


def _infer(folder, *arguments, monkeypatch):
    monkeypatch.chdir(folder)
    return infer.main([*map(str, arguments)])


def test_films_beside_pictures(tmp_path, monkeypatch, capsys, tiny):
    (tmp_path / "in").mkdir()
    films.make(tmp_path / "in" / "a.mp4", 3)
    films.make(tmp_path / "in" / "b.ts", 30)
    (tmp_path / "in" / "c.mkv").write_text("no film")
    status = _infer(tmp_path, "in", "--model", tiny, "-o", "out", monkeypatch=monkeypatch)
    out, err = capsys.readouterr()
    assert status == 1
    assert {*os.listdir(tmp_path / "out")} == {"a_x4.mp4", "b_x4.mkv"}, err
    assert sorted(out.split("\n"))[1:] == ["out/a_x4.mp4 (192x128)", "out/b_x4.mkv (192x128)"]
    assert "in/c.mkv: cannot be read as a film: Invalid data found" in err
    before = (tmp_path / "out" / "a_x4.mp4").stat().st_mtime_ns
    arguments = ("in/a.mp4", "--model", tiny, "-o", "out/a_x4.mp4", "--skip-existing")
    assert _infer(tmp_path, *arguments, monkeypatch=monkeypatch) == 0
    assert (tmp_path / "out" / "a_x4.mp4").stat().st_mtime_ns == before
    status = _infer(tmp_path, "in/a.mp4", "--model", tiny, "-o", "-", monkeypatch=monkeypatch)
    assert status == 1
    assert "written to files" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1:30.5", 90.5), ("1:00:01", 3601), ("0", 0)]
)
def test_times(text, seconds):
    assert options.parser("infer.py").parse_args(["a.mp4", "--start", text]).start == seconds


@pytest.mark.parametrize("text", ["-1", "1:60", "1:2:3:4", "soon", "1/0"])
def test_no_times(text, capsys):
    with pytest.raises(SystemExit) as end:
        options.parser("infer.py").parse_args(["a.mp4", f"--start={text}"])
    assert end.value.code == 2
    assert "expected seconds or H:MM:SS" in capsys.readouterr().err


def test_a_killed_run_leaves_no_film_and_goes_on(tmp_path, run_script):
    source = films.make(tmp_path / "a.mp4", 300)
    command = ["infer.py", source, "--model", "x4-video", "--threads", "1"]
    process = subprocess.Popen(
        [sys.executable, *map(str, command)], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    folder = tmp_path / ".a_x4.mp4.parts"
    limit = time.monotonic() + 120
    while not (folder / "000000.json").exists() and time.monotonic() < limit:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert {*os.listdir(tmp_path)} == {"a.mp4", folder.name}
    result = run_script(*command, "--resume")
    assert result.returncode == 0, result.stderr
    assert {*os.listdir(tmp_path)} == {"a.mp4", "a_x4.mp4"}
    assert films.times_of(tmp_path / "a_x4.mp4") == films.times_of(source)

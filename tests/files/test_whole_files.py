from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from keras_perceptual.errors import ImageError
from keras_perceptual.files import formats
from keras_perceptual.files import sink as sinks
from keras_perceptual.files.sink import Sink
from keras_perceptual.system import atomic
from tests.conftest import ROOT
from tests.files.image_files import read_rows, write_rows


def test_folders_are_made_when_all_is_well(tmp_path, rows):
    path = tmp_path / "new" / "folder" / "a.png"
    with Sink(path, formats.of(path), 40, 50, budget=0) as sink:
        sink.append(rows)
        assert not list(tmp_path.iterdir())
        sink.finish()
    assert np.array_equal(read_rows(path), rows)


def test_targets_that_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    form = formats.of("a.png")
    with pytest.raises(ImageError, match=r"a\.png: cannot be written: .*is not a folder"):
        Sink(tmp_path / "file" / "a.png", form, 4, 4)
    with pytest.raises(ImageError, match=r"folder\.png: is a folder"):
        Sink(tmp_path / "folder.png", form, 4, 4)


def test_a_disk_without_room_is_seen_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(sinks.shutil, "disk_usage", lambda _: _Usage)
    with pytest.raises(ImageError, match=r"a\.tif: needs 3\.0 GB of disk .* 0\.1 GB are free"):
        Sink(tmp_path / "a.tif", formats.of("a.tif"), 10_000, 100_000)


class _Usage:
    free = 10**8


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp", "bmp", "gif"])
@pytest.mark.parametrize("budget", [0, 10**9])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, rng, ending, budget):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(b"old")
    pixels = rng.integers(0, 256, (200, 200, 3), dtype=np.uint8)
    with pytest.raises(ImageError) as error, _files_of_at_most(20_000):
        write_rows(path, pixels, budget=budget)
    assert str(error.value) == f"{path}: cannot be written: File too large"
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"old"


@contextlib.contextmanager
def _files_of_at_most(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("ending", ["png", "tif", "jpg"])
def test_kill_9_leaves_nothing(tmp_path, ending):
    program = f"""
import numpy as np
from pathlib import Path
from keras_perceptual.files import formats
from keras_perceptual.files.sink import Sink
path = Path({str(tmp_path)!r}) / "a.{ending}"
rows = np.random.default_rng(0).integers(0, 256, (4000, 4000, 3), dtype=np.uint8)
with Sink(path, formats.of(path), 4000, 4000, budget=0) as sink:
    sink.append(rows)
    print("encoding", flush=True)
    sink.finish()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "encoding\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    if sys.platform == "linux":
        assert list(tmp_path.iterdir()) == []
    assert not (tmp_path / f"a.{ending}").exists()


def test_disks_without_nameless_files(tmp_path, rows, monkeypatch):
    monkeypatch.setattr(atomic, "_nameless", lambda _: None)
    monkeypatch.setattr(atomic.os.path, "isdir", lambda _: False)
    write_rows(tmp_path / "a.png", rows)
    monkeypatch.undo()
    assert np.array_equal(read_rows(tmp_path / "a.png"), rows)


def test_two_writers_of_one_target(tmp_path, rows):
    form = formats.of("a.png")
    with (
        Sink(tmp_path / "a.png", form, 40, 50) as one,
        Sink(tmp_path / "a.png", form, 40, 50) as two,
    ):
        one.append(rows)
        two.append(255 - rows)
        two.finish()
        one.finish()
    assert np.array_equal(read_rows(tmp_path / "a.png"), rows)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_the_mode_of_a_file_follows_the_umask(tmp_path, rows):
    old = os.umask(0o027)
    try:
        write_rows(tmp_path / "a.png", rows)
    finally:
        os.umask(old)
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o640

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from keras_perceptual.system import atomic
from keras_perceptual.system.atomic import atomic_file, atomic_path, hidden_folder
from tests.conftest import ROOT


def _by_path(target, content):
    with atomic_path(target) as beside:
        beside.write_text(content)


def _by_file(target, content):
    with atomic_file(target) as file:
        file.write(content.encode())


WRITERS = [_by_path, _by_file]


def test_atomic_path_leaves_nothing_behind_on_failure(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def write_half():
        with atomic_path(target) as beside:
            beside.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
    _by_path(target, "new")
    assert target.read_text() == "new"


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_followed(tmp_path, write, there):
    (tmp_path / "other").mkdir()
    real, link = tmp_path / "other" / "real.txt", tmp_path / "link.txt"
    if there:
        real.write_text("old")
    link.symlink_to("other/real.txt")
    write(link, "new")
    assert link.is_symlink()
    assert real.read_text() == "new"


@pytest.mark.parametrize("write", WRITERS)
def test_permissions_of_a_file_stay(tmp_path, write):
    target = tmp_path / "a.txt"
    old = os.umask(0o027)
    try:
        write(target, "first")
        assert target.stat().st_mode & 0o777 == 0o640
        for mode in (0o600, 0o664):
            target.chmod(mode)
            write(target, "again")
            assert target.stat().st_mode & 0o777 == mode
        with hidden_folder(tmp_path) as hidden:
            assert hidden.stat().st_mode & 0o777 == 0o750
    finally:
        os.umask(old)


@pytest.mark.parametrize("write", WRITERS)
def test_what_is_no_file_is_refused(tmp_path, write):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "locked").write_text("old")
    (tmp_path / "locked").chmod(0o444)
    (tmp_path / "link").symlink_to("pipe")
    for name, message in {
        "pipe": "found a pipe or a device",
        "link": "found a pipe or a device",
        "/dev/null": "found a pipe or a device",
        "folder": "is a folder",
        "locked": "is write-protected",
    }.items():
        with pytest.raises(OSError, match=message):
            write(tmp_path / name, "new")
    assert (tmp_path / "locked").read_text() == "old"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_leftovers_of_the_killed_go_and_those_of_the_living_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "_cleared", set())
    program = """
import sys, time
from pathlib import Path
from keras_perceptual.system.atomic import atomic_path, hidden_folder
with atomic_path("a.txt") as beside, hidden_folder(Path(".").absolute()) as hidden:
    beside.write_text("half")
    (hidden / "part").write_text("half")
    print("half", flush=True)
    time.sleep(60)
"""
    (tmp_path / ".keep").touch()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program]
    told = {"stdout": subprocess.PIPE, "cwd": tmp_path, "env": environment}
    with subprocess.Popen(command, **told) as dead, subprocess.Popen(command, **told) as living:
        for process in (dead, living):
            assert process.stdout.readline() == b"half\n"
        dead.send_signal(signal.SIGKILL)
        dead.wait()
        assert len(list(tmp_path.iterdir())) == 5
        _by_path(tmp_path / "b.txt", "whole")
        left = sorted(path.name for path in tmp_path.iterdir())
        living.kill()
    assert len(left) == 4
    _by_file(tmp_path / "c.txt", "whole")  # the folder has been seen to
    monkeypatch.setattr(atomic, "_cleared", set())
    _by_file(tmp_path / "c.txt", "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".keep", "b.txt", "c.txt"]


def test_what_is_like_a_leftover_by_its_name_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "_cleared", set())
    for name in (".0123456789ab", ".0123456789abc.txt", "0123456789ab.txt", ".written.txt"):
        (tmp_path / name).touch()
    _by_path(tmp_path / "a.txt", "whole")
    assert len(list(tmp_path.iterdir())) == 5

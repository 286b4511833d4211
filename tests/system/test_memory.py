"""What this process may still take, in containers of both kinds, and by `ulimit -v`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from keras_perceptual.system import memory
from tests.conftest import ROOT

MB = 2**20


def _group(folder: Path, limit: str, held: int, files: int, version: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if version == 1 else (
        "memory.max", "memory.current"
    )  # fmt: skip
    begin = "total_" if version == 1 else ""
    for name, value in zip(names, (limit, held), strict=True):
        (folder / name).write_text(f"{value}\n")
    (folder / "memory.stat").write_text(
        f"{begin}active_file {files}\n{begin}inactive_file 0\nanon 5\n"
    )


@pytest.fixture
def process(tmp_path, monkeypatch):
    """Returns a function that makes /proc/self say where this process is; gives its mount."""

    def make(version: int, group: str, root: str = "/") -> Path:
        monkeypatch.setattr(memory, "_PROCESS", tmp_path)
        mount = tmp_path / "groups"
        kind, options, line = (
            ("cgroup2", "rw", f"0::{group}"),
            ("cgroup", "rw,memory", f"4:memory:{group}\n3:cpu:/other"),
        )[version == 1]
        (tmp_path / "cgroup").write_text(f"{line}\n")
        (tmp_path / "mountinfo").write_text(
            "22 1 0:5 / / rw - ext4 /dev/vda rw\n"
            "33 32 0:30 / /sys/cpu rw shared:1 - cgroup cgroup rw,cpu\n"
            f"35 31 0:32 {root} {mount} rw,relatime shared:9 - {kind} cgroup {options}\n"
        )
        return mount

    return make


@pytest.mark.parametrize("version", [1, 2])
def test_the_closest_of_nested_groups_counts(process, version):
    """Files that were read or written give way, so they are not counted as held."""
    mount = process(version, "/outer/inner/own")
    unlimited = "9223372036854771712" if version == 1 else "max"
    _group(mount / "outer/inner/own", unlimited, 30 * MB, 0, version)
    _group(mount / "outer/inner", str(100 * MB), 60 * MB, 10 * MB, version)
    _group(mount / "outer", str(200 * MB), 90 * MB, 0, version)
    assert memory.available() == 50 * MB


@pytest.mark.parametrize("version", [1, 2])
def test_a_container_has_its_own_group_mounted(process, version):
    mount = process(version, "/docker/abc", root="/docker/abc")
    _group(mount, str(70 * MB), 20 * MB, 0, version)
    assert memory.available() == 50 * MB


@pytest.mark.parametrize("version", [1, 2])
def test_a_group_that_holds_more_than_it_may(process, version):
    _group(process(version, "/"), str(10 * MB), 20 * MB, 0, version)
    assert memory.available() == 0


@pytest.mark.parametrize("version", [1, 2])
def test_no_group_with_a_limit(process, version):
    process(version, "/somewhere")
    assert memory.available() > 2**20
    assert memory.available() <= psutil.virtual_memory().total


def test_a_system_without_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_PROCESS", tmp_path)
    assert memory.available() > 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="ulimit -v is Linux's")
@pytest.mark.parametrize(
    ("command", "megabytes"), [("infer", 500), ("infer", 100), ("train", 2000), ("evaluate", 300)]
)
def test_a_low_ulimit_is_one_line(command, megabytes):
    code = f'from keras_perceptual.cli.main import run; raise SystemExit(run("{command}", []))'
    result = subprocess.run(
        ["bash", "-c", f"ulimit -v {megabytes * 1000}; exec {sys.executable} -c '{code}'"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"{command}.py: expected at least")
    assert f"received {megabytes * 1.024:.0f} MB; raise ulimit -v" in line

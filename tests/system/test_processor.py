from __future__ import annotations

import subprocess
import sys

import pytest

from keras_perceptual.system import processor

VNNI = "processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_vnni\n\nprocessor\t: 1\n"


@pytest.fixture
def fast(tmp_path, monkeypatch):
    """Returns a function from the text of a /proc/cpuinfo to what is made of it."""

    def told(text):
        monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "cpuinfo")
        if text is not None:
            (tmp_path / "cpuinfo").write_text(text)
        return processor.fast_int8.__wrapped__()

    monkeypatch.setattr(sys, "platform", "linux")
    return told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (VNNI, True),
        ("flags\t\t: fpu avx2 avx_vnni fma\n", True),
        ("flags\t\t: fpu avx2 avx512f avx512_vnni_2\n", False),
        ("Features\t: fp asimd asimddp\n", True),
        ("Features\t: fp asimd i8mm\n", True),
        ("Features\t: fp asimd\n", False),
        ("Features\t: fp asimd asimddp\n\nFeatures\t: fp asimd\n", False),
        ("isa\t: rv64imafdc\n", False),
        (None, False),
    ],
)
def test_on_linux(fast, text, expected):
    assert fast(text) is expected


@pytest.mark.parametrize(("answer", "expected"), [("1\n1\n", True), ("0\n", False), ("", False)])
def test_on_macos(fast, monkeypatch, answer, expected):
    asked = []

    def run(command, **options):
        asked.append(command[:2])
        return subprocess.CompletedProcess(command, 1, stdout=answer)

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(subprocess, "run", run)
    assert fast(VNNI) is expected
    assert asked == [["sysctl", "-n"]]


def test_on_a_macos_without_sysctl(fast, monkeypatch):
    def run(command, **options):
        raise FileNotFoundError(command[0])

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(subprocess, "run", run)
    assert fast(VNNI) is False

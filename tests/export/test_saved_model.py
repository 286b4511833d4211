"""Versions in a folder that a server polls: whole, each with a number of its own, or not there."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest

from keras_perceptual.errors import ExportError
from keras_perceptual.export.saved_model import next_version


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_version_is_hidden_until_it_is_whole(tmp_path):
    (tmp_path / "7").mkdir()
    (tmp_path / "not-a-version").mkdir()
    with next_version(tmp_path) as version:
        (version.path / "file").write_text("whole")
        (hidden,) = _names(tmp_path) - {"7", "not-a-version"}
        assert not hidden.isdecimal()
        assert version.path == tmp_path / hidden
    assert version.path == tmp_path / "8"
    assert (tmp_path / "8" / "file").read_text() == "whole"
    assert version.path.stat().st_mode & 0o777 == 0o755
    assert _names(tmp_path) == {"7", "8", "not-a-version"}


def test_of_two_exports_at_once_the_later_gets_the_next_number(tmp_path, monkeypatch):
    rename = Path.rename

    def after_another(path: Path, target: Path) -> Path:
        monkeypatch.undo()
        with next_version(tmp_path) as other:
            (other.path / "file").write_text("earlier")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", after_another)
    with next_version(tmp_path) as version:
        (version.path / "file").write_text("later")
    assert version.path == tmp_path / "2"
    texts = {path.name: (path / "file").read_text() for path in tmp_path.iterdir()}
    assert texts == {"1": "earlier", "2": "later"}


def test_what_fails_inside_leaves_nothing(tmp_path):
    with contextlib.suppress(KeyboardInterrupt), next_version(tmp_path) as version:
        (version.path / "file").write_text("half")
        raise KeyboardInterrupt
    assert not _names(tmp_path)


def test_a_rename_that_fails_says_why_and_leaves_nothing(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    with (
        pytest.raises(ExportError, match=r"^\S+: cannot be written: Permission denied$"),
        next_version(tmp_path) as version,
    ):
        (version.path / "file").write_text("whole")
    assert not _names(tmp_path)


def test_a_folder_that_vanishes_says_so(tmp_path):
    with (
        pytest.raises(ExportError, match="cannot be written: No such file or directory"),
        next_version(tmp_path / "model") as version,
    ):
        shutil.rmtree(version.path.parent)
    assert not _names(tmp_path)


def test_a_folder_that_cannot_be_made_says_why(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(ExportError, match=r"cannot be written: (Not a directory|File exists)"),
        next_version(tmp_path / "file"),
    ):
        raise AssertionError("nothing to write to")
    assert _names(tmp_path) == {"file"}

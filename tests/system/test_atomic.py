from __future__ import annotations

import pytest

from keras_perceptual.system.atomic import atomic_path


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
    with atomic_path(target) as beside:
        beside.write_text("new")
    assert target.read_text() == "new"

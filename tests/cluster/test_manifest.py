from __future__ import annotations

import json

import pytest

from keras_perceptual.cluster import manifest
from keras_perceptual.cluster.stores import Store
from keras_perceptual.errors import ClusterError

MADE = {
    "model": "x4-feature",
    "files": "0" * 64,
    "options": {"scale": None, "quality": 95},
    "version": "1.0",
    "made_with": {"python": "3.11.7"},
}


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "out"))


def test_it_lies_beside_the_outputs(store, tmp_path):
    manifest.claim(store, MADE, force=False, folder=tmp_path)
    assert json.loads((tmp_path / "out" / "keras_perceptual.json").read_text()) == MADE
    manifest.check(store, MADE)
    manifest.claim(store, {**MADE, "made_with": {}}, force=False, folder=tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"options": {"scale": 2.0, "quality": 95}}, "scale None, received 2.0"),
        ({"options": {"scale": None}}, "quality 95, received None"),
        ({"model": "x4-pixel"}, "model x4-feature, received x4-pixel"),
        ({"files": "1" * 64}, "files 000000000000, received 111111111111"),
        ({"version": "2.0"}, "version 1.0, received 2.0"),
    ],
)
def test_other_options_do_not_go_on(store, tmp_path, change, message):
    manifest.claim(store, MADE, force=False, folder=tmp_path)
    with pytest.raises(ClusterError, match=f"was begun with {message}; go on with the same"):
        manifest.claim(store, {**MADE, **change}, force=False, folder=tmp_path)
    with pytest.raises(ClusterError, match="all machines share"):
        manifest.check(store, {**MADE, **change})
    manifest.claim(store, {**MADE, **change}, force=True, folder=tmp_path)
    manifest.check(store, {**MADE, **change})


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff"])
def test_what_is_no_manifest_is_another(store, tmp_path, content):
    store.write(manifest.NAME, content, tmp_path)
    with pytest.raises(ClusterError, match="was begun with"):
        manifest.claim(store, MADE, force=False, folder=tmp_path)


def test_a_machine_that_does_not_see_it(store):
    with pytest.raises(ClusterError, match="all machines share"):
        manifest.check(store, MADE)


def test_a_fingerprint_is_of_all_files_in_their_order(tmp_path):
    for name in ("a", "folder/b", "folder/c"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    both = [tmp_path / "a", tmp_path / "folder"]
    before = manifest.fingerprint(both)
    assert before == manifest.fingerprint(both)
    (tmp_path / "folder" / "c").write_text("else")
    assert manifest.fingerprint(both) != before

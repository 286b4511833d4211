"""Folders and fsspec's stores, by what a user would find in them."""

from __future__ import annotations

import sys

import pytest

from keras_perceptual.cluster import stores
from keras_perceptual.cluster.stores import Store, is_url
from keras_perceptual.errors import ClusterError, ImageError

NAMES = ["img10.jpg", "img2.jpg", "deep/a.png", "notes.txt", ".hidden.jpg", ".cache/b.png"]


@pytest.fixture
def memory():
    """Fsspec's store in memory, which like most has files that grow under their names."""
    fsspec = pytest.importorskip("fsspec")
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/", recursive=True)


@pytest.fixture
def failing(memory, monkeypatch):
    """Returns a function after which calls of a method of `memory` fail, a number of times."""
    monkeypatch.setattr(stores, "_WAITS", (0.0, 0.0, 0.0))

    def fail(method, times, error):
        works, calls = getattr(type(memory), method), []

        def replaced(self, *arguments, **named):
            calls.append(arguments)
            if len(calls) <= times:
                works(self, *arguments, **named)  # what came through of it is there
                raise error
            return works(self, *arguments, **named)

        monkeypatch.setattr(type(memory), method, replaced)
        return calls

    return fail


@pytest.fixture(params=["folder", "memory"])
def filled(request, tmp_path, memory):
    """A store that has `NAMES`."""
    store = Store(str(tmp_path / "in") if request.param == "folder" else "memory://bucket/in")
    for name in NAMES:
        store.write(name, name.encode(), tmp_path)
    return store


def test_what_is_a_url():
    assert is_url("s3://bucket/in")
    assert not is_url("photos/in")
    assert not is_url("C:\\photos")


def test_images_come_as_people_count(filled):
    assert filled.images(True, pytest.fail) == ["img2.jpg", "img10.jpg", "deep/a.png"]
    assert filled.images(False, pytest.fail) == ["img2.jpg", "img10.jpg"]
    assert filled.files() == {*NAMES}


def test_a_place_that_is_not_there_has_no_files(tmp_path, memory):
    assert Store(str(tmp_path / "none")).files() == set()
    assert Store("memory://bucket/none").files() == set()
    assert Store("memory://bucket/none").read("a.json") is None
    with pytest.raises(ImageError, match="cannot be listed"):
        Store(str(tmp_path / "none")).images(True, pytest.fail)


def test_there_and_back(filled, tmp_path):
    (tmp_path / "out.png").write_bytes(b"pixels")
    if is_url(filled.place):
        filled.put(tmp_path / "out.png", "new/out.png")
        assert filled.read("new/out.png") == b"pixels"
    assert filled.fetch("deep/a.png", tmp_path).read_bytes() == b"deep/a.png"


def test_an_error_that_passes_is_tried_again(failing, memory, tmp_path):
    store = Store("memory://bucket/in")
    memory.pipe_file("/bucket/in/a.png", b"pixels")
    calls = failing("get_file", 2, ConnectionResetError("by peer"))
    assert store.fetch("a.png", tmp_path).read_bytes() == b"pixels"
    assert len(calls) == 3


def test_an_error_that_stays_is_told(failing, memory, tmp_path):
    store = Store("memory://bucket/in")
    memory.pipe_file("/bucket/in/a.png", b"pixels")
    calls = failing("get_file", 99, ConnectionResetError("by peer"))
    with pytest.raises(ImageError, match=r"^memory://bucket/in/a.png: cannot be fetched: by peer$"):
        store.fetch("a.png", tmp_path)
    assert len(calls) == 4
    with pytest.raises(ImageError, match=r"^memory://bucket/in/b.png: cannot be fetched: no such"):
        Store("memory://bucket/in").fetch("b.png", tmp_path)


def test_what_cannot_be_stored_leaves_nothing(failing, memory, tmp_path):
    (tmp_path / "a.png").write_bytes(b"pixels")
    failing("put_file", 99, OSError(28, "No space left on device"))
    with pytest.raises(ImageError, match=r"a\.png: cannot be stored: No space left on device"):
        Store("memory://bucket/out").put(tmp_path / "a.png", "a.png")
    assert memory.find("/bucket/out") == []


def test_a_file_that_is_stored_is_never_half_there(memory, tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"pixels")
    names = []
    put = type(memory).put_file
    monkeypatch.setattr(
        type(memory), "put_file", lambda self, *a, **k: names.append(a[1]) or put(self, *a, **k)
    )
    Store("memory://bucket/out").put(tmp_path / "a.png", "deep/a.png")
    assert memory.find("/bucket/out") == ["/bucket/out/deep/a.png"]
    assert names
    assert not any(name.endswith("/a.png") for name in names)


@pytest.mark.parametrize(
    ("place", "message"),
    [("nonsense://a/b", "cannot be opened"), ("memory://", "expected a bucket")],
)
def test_a_url_that_cannot_be(memory, place, message):
    with pytest.raises(ClusterError, match=message):
        Store(place)


@pytest.mark.parametrize("missing", ["fsspec", "s3fs"])
def test_without_its_package_it_says_what_to_install(monkeypatch, missing):
    if missing == "s3fs":
        pytest.importorskip("fsspec")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ClusterError, match="pip install fsspec, and s3fs for s3://"):
        Store("s3://bucket/in")

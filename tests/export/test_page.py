"""The page's folder: what is in it, what it replaces, and where LiteRT.js comes from."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile

import numpy as np
import pytest

from keras_perceptual import zoo
from keras_perceptual.errors import ExportError
from keras_perceptual.export import litert_js, page
from keras_perceptual.export.unpadded import CUT, MULTIPLE, padding, unpadded
from keras_perceptual.inference.engines import LiteRTEngine, open_engine
from keras_perceptual.inference.litert import interpreter
from keras_perceptual.inference.stylizer import Stylizer
from keras_perceptual.inference.tiling import Pass
from tests.conftest import ROOT

SCRIPT = b'import { createWasmLib } from "@litertjs/wasm-utils";'


def _pack(folder, package, files):
    """Makes an archive as npm does; returns its SHA-512."""
    path = folder / litert_js.archive(package)
    with tarfile.open(path, "w:gz") as made:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return hashlib.sha512(path.read_bytes()).digest()


@pytest.fixture
def archives(tmp_path, monkeypatch):
    """Archives of the shape of LiteRT.js's, and a cache without any."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    builds = [f"wasm/{b}.{e}" for b in litert_js._BUILDS for e in ("js", "wasm")]
    files = {"dist/index.js": SCRIPT, **dict.fromkeys(builds, b"wasm" * 100)}
    folder = tmp_path / "archives"
    folder.mkdir()
    core = _pack(folder, "@litertjs/core", files)
    tools = _pack(folder, "@litertjs/wasm-utils", {"dist/index.js": b"export {};"})
    for package, digest in zip(litert_js.PACKAGES, (core, tools), strict=True):
        monkeypatch.setitem(litert_js.PACKAGES, package, base64.b64encode(digest).decode())
    return folder


def _gives_the_levels_of(small, path):
    """Asserts that a file of float32 gives what a shipped one of int8 does."""
    lr = np.random.default_rng(0).integers(0, 256, (1, 9, 12, 3), np.uint8)
    floats, levels = LiteRTEngine(path, threads=1), LiteRTEngine(small, threads=1)
    assert floats.run_levels is None
    assert np.array_equal(floats.run(lr.astype(np.float32)), levels.run_levels(lr))


def test_the_folder_has_all_that_the_page_asks_for(archives, tmp_path):
    target = tmp_path / "page"
    size = page.build(target, archives)
    found = [p for p in target.rglob("*") if p.is_file() and p.suffix != ".gz"]
    assert size == sum(path.stat().st_size for path in found)
    listed = json.loads((target / "models.json").read_text("utf-8"))
    for_films = {name for name in zoo.names() if zoo.descriptor(name).generator == "plain"}
    assert {each["name"] for each in listed["models"]} == {*zoo.names()} - for_films
    for each in listed["models"]:
        assert (target / each["file"]).read_bytes() == zoo.file(each["name"]).read_bytes()
        small = zoo.quantized(each["name"])
        assert (each["int8"] is None) == (small is None)
        if small:
            _gives_the_levels_of(small, target / each["int8"])
    for each in listed["scales"]:
        assert each["clean"] == zoo.default_models(each["scale"])
        assert each["restoring"] == zoo.default_models(each["scale"], restore=True)
    assert (target / listed["styles"]["file"]).is_file()
    assert (target / "litert" / "core.js").read_bytes() == SCRIPT.replace(
        b"@litertjs/wasm-utils", b"./wasm-utils.js"
    )
    assert "Apache License" in (target / "litert" / "LICENSE.txt").read_text("utf-8")
    worker = (target / "service-worker.js").read_text("utf-8")
    assert "'VERSION'" not in worker
    assert '"page/main.js"' in worker
    for path in target.rglob("*.gz"):
        assert gzip.decompress(path.read_bytes()) == path.with_suffix("").read_bytes()


def test_another_content_is_another_version(archives, tmp_path, monkeypatch):
    page.build(tmp_path / "a", archives)
    page.build(tmp_path / "b", archives)
    monkeypatch.setattr(page, "SCALES", (2,))
    page.build(tmp_path / "c", archives)
    a, b, c = ((tmp_path / n / "service-worker.js").read_bytes() for n in "abc")
    assert a == b != c


def test_an_older_page_is_replaced_and_nothing_else(archives, tmp_path):
    page.build(tmp_path / "page", archives)
    (tmp_path / "page" / "old.js").write_text("old")
    page.build(tmp_path / "page", archives)
    assert not (tmp_path / "page" / "old.js").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    for target in (tmp_path / "mine", tmp_path / "mine" / "thesis.txt"):
        with pytest.raises(ExportError, match="it holds other files"):
            page.build(target, archives)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "mine"


def test_an_archive_that_was_changed_is_refused(archives, tmp_path):
    path = archives / litert_js.archive("@litertjs/core")
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(ExportError, match=r"expected @litertjs/core 2\.\S+, received another"):
        page.build(tmp_path / "page", archives)
    assert not (tmp_path / "page").exists()
    assert not litert_js.cache_folder().joinpath(f"litert-js-{litert_js.VERSION}").exists()


def test_without_npm_it_says_what_to_do(archives, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExportError, match=r"install Node\.js, or name a folder .* by --packages"):
        page.build(tmp_path / "page")


def test_what_npm_says_is_handed_on(archives, tmp_path, monkeypatch):
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'no connection' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExportError, match=r"cannot be fetched by 'npm pack .*': no connection"):
        page.build(tmp_path / "page")


def _padded(lr, blocks):
    """Mirrors an image around its edges, as the network does inside."""
    for axis in (1, 2):
        length, size = lr.shape[axis], padding(blocks)
        period = max(2 * length - 2, 1)
        indices = np.arange(-size, length + size + -length % MULTIPLE) % period
        lr = lr.take(np.minimum(indices, period - indices), axis)
    return np.ascontiguousarray(lr)


def test_a_style_padded_from_outside_is_the_same(rng):
    ((model, _), *_) = zoo.styles().values()
    content = zoo.file(model).read_bytes()
    lr = rng.uniform(0, 255, (1, 37, 50, 3)).astype(np.float32)
    style = np.array([[0, 1, 0, 0]], np.float32)
    whole, bare = (interpreter(each, 1) for each in (content, unpadded(content)))
    padded = _padded(lr, zoo.descriptor(model).blocks)
    expected = whole.get_signature_runner("paint")(lr=lr, style=style)
    made = bare.get_signature_runner("paint")(lr=padded, style=style)
    cut = np.s_[:, CUT : CUT + 37, CUT : CUT + 50]
    assert np.array_equal(made["sr"][cut], expected["sr"])
    assert np.array_equal(made["statistics"], expected["statistics"])
    given = {"lr": padded, "style": style, "statistics": expected["statistics"]}
    tile = bare.get_signature_runner("tile")(**given)["sr"]
    assert np.array_equal(tile, made["sr"])


def test_another_model_has_no_padding_to_take_out():
    with pytest.raises(ExportError, match="expected a style generator"):
        unpadded(zoo.file("x4-srcnn").read_bytes())


def _constant(module, name):
    """Returns a number of one of the page's modules."""
    text = (ROOT / "web" / module).read_text("utf-8")
    (line,) = [each for each in text.splitlines() if each.startswith(f"const {name} = ")]
    return int(line.partition(" = ")[2].partition(";")[0])


@pytest.mark.parametrize("name", ["x2-photo", "x4-feature", "x4-photo", "x8-photo"])
def test_tiles_see_as_far_as_the_models(name):
    reach = Pass(open_engine(zoo.file(name), threads=1), name).reach
    assert reach <= _constant("engine/pass.js", "REACH")


def test_tiles_of_paintings_see_as_far_as_strokes_depend():
    stylizer = Stylizer("starry-night", threads=1)
    assert stylizer._pass.reach <= _constant("engine/paint.js", "AROUND")

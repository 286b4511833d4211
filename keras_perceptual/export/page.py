"""The page that enlarges and paints in a browser: a folder that any web server serves."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras_perceptual
from keras_perceptual import zoo
from keras_perceptual.errors import ExportError, reason
from keras_perceptual.export import litert_js
from keras_perceptual.export.ending import with_floats
from keras_perceptual.export.unpadded import CUT, MULTIPLE, padding, unpadded
from keras_perceptual.inference.restoration import EXPLAINED, LEAST, OWN, limits_of
from keras_perceptual.pixels.grain import GRAIN, headroom, waves
from keras_perceptual.system.atomic import hidden_folder

__all__ = ["SCALES", "build"]

SCALES = (2, 3, 4, 6, 8, 16)  # that the page offers
_COMPRESSED = {".html", ".css", ".js", ".json", ".svg", ".txt", ".webmanifest"}
_MARK = "service-worker.js"  # what a folder of ours has, so that it may be replaced
_VERSION = b"'VERSION'"


def build(target: Path, archives: Path | None = None) -> int:
    """Makes the folder: the page, LiteRT.js and the models that ship.

    Args:
        target: the folder; where it is there, it is empty or an older page, which is replaced.
        archives: of LiteRT.js, as for `litert_js.runtime`.

    Returns:
        Its size in bytes, without what is compressed beside.

    Raises:
        ExportError: if the folder holds something else or cannot be written, or LiteRT.js cannot
            be had.
    """
    if target.exists() and not (target / _MARK).is_file() and (not target.is_dir() or _any(target)):
        raise ExportError(f"{target}: expected a new folder or an older page; it holds other files")
    runtime = litert_js.runtime(archives)
    try:
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
        with hidden_folder(target.absolute().parent) as made:
            shutil.copytree(_source(), made, dirs_exist_ok=True)
            shutil.copytree(runtime, made / "litert")
            os.replace(made / "litert-license.txt", made / "litert" / "LICENSE.txt")
            _write_models(made)
            _write_version(made)
            size = sum(path.stat().st_size for path in _files(made))
            _compress(made)
            if target.exists():
                shutil.rmtree(target)
            os.replace(made, target)
    except OSError as error:
        raise ExportError(f"{target}: cannot be written: {reason(error)}") from None
    return size


def _source() -> Path:
    """Returns the folder of the page: in a clone, or in the installed package."""
    package = Path(keras_perceptual.__file__).parent
    places = (package.parent / "web", package / "web")
    for place in places:
        if (place / _MARK).is_file():
            return place
    raise ExportError(f"{places[1]}: the page is missing; install the package again")


def _any(folder: Path) -> bool:
    return next(folder.iterdir(), None) is not None


def _files(folder: Path) -> Iterator[Path]:
    """Yields the files of a page, without what is compressed."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".gz":
            yield path


def _write_models(folder: Path) -> None:
    """Puts the models beside the page, and a list that says which scale and dial takes which."""
    models = folder / "models"
    models.mkdir()
    (style, *_) = {model for model, _ in zoo.styles().values()}
    names = list(zoo.descriptor(style).styles)
    content = unpadded(zoo.file(style).read_bytes())
    (models / f"{style}.tflite").write_bytes(content)
    down, right, phases = waves()
    about = {
        "version": keras_perceptual.__version__,
        "models": [_model(name, models) for name in zoo.names() if not _for_films(name)],
        "scales": [
            {
                "scale": scale,
                "clean": zoo.default_models(scale),
                "restoring": zoo.default_models(scale, restore=True),
                "limits": limits_of(scale)._asdict(),
            }
            for scale in SCALES
        ],
        "least": LEAST,
        "explained": EXPLAINED,
        "own": OWN,
        "styles": {
            "file": f"models/{style}.tflite",
            "names": names,
            "padding": padding(zoo.descriptor(style).blocks),
            "cut": CUT,
            "multiple": MULTIPLE,
            "statistics": _statistics(content),
            "grain": {
                "levels": GRAIN,
                "headroom": headroom(GRAIN),
                "down": down.tolist(),
                "right": right.tolist(),
                "phases": phases.tolist(),
            },
        },
    }
    (folder / "models.json").write_text(json.dumps(about), "utf-8")


def _for_films(name: str) -> bool:
    """Says whether a model is for films, of which a page shows none: it cuts its result, too."""
    return zoo.descriptor(name).generator == "plain"


def _model(name: str, folder: Path) -> dict[str, Any]:
    """Copies the files of a model; returns what the page knows of it."""
    about = zoo.descriptor(name)
    small = zoo.quantized(name)
    contents = {
        "file": (f"{name}.tflite", zoo.file(name).read_bytes()),
        # LiteRT.js has no tensors of int8.
        "int8": (f"{name}-int8.tflite", small and with_floats(small.read_bytes())),
    }
    places = {}
    for which, (file, content) in contents.items():
        places[which] = f"models/{file}" if content else None
        if content:
            (folder / file).write_bytes(content)
    return {"name": name, "scale": about.scale, "faithful": zoo.faithful(about), **places}


def _statistics(content: bytes) -> int:
    """Returns how many numbers a style generator measures."""
    from ai_edge_litert.interpreter import Interpreter

    tile = Interpreter(model_content=content).get_signature_runner("tile")
    return int(tile.get_input_details()["statistics"]["shape"][0])


def _write_version(folder: Path) -> None:
    """Tells the service worker which files there are, and of which content."""
    digest = hashlib.sha256()
    for path in _files(folder):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    page = [
        path.relative_to(folder).as_posix()
        for path in _files(folder)
        if path.parent.name not in ("models", "wasm") and path.name != _MARK
    ]
    worker = folder / _MARK
    content = worker.read_bytes().replace(_VERSION, f"'{digest.hexdigest()[:16]}'".encode())
    worker.write_bytes(content.replace(b"[/* FILES */]", json.dumps(page).encode()))


def _compress(folder: Path) -> None:
    for path in _files(folder):
        beside = path.with_name(f"{path.name}.gz")
        if path.suffix in _COMPRESSED and not beside.exists():
            beside.write_bytes(gzip.compress(path.read_bytes(), 6, mtime=0))

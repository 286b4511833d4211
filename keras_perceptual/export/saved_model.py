"""SavedModels as TF Serving takes them: whole versions in a folder that it polls."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf

from keras_perceptual.errors import ExportError, reason
from keras_perceptual.export import signatures, warmup
from keras_perceptual.system.atomic import hidden_folder

__all__ = ["Version", "next_version", "save", "save_serving", "write_errors", "write_serving"]


def save_serving(
    generator: keras.Model,
    scale: int,
    folder: Path,
    histogram_match: str = "affine",
    grain: float = 0.0,
    pixel_limit: int = 4_000_000,
) -> Path:
    """Writes the next version of a model for TF Serving.

    Args:
        generator: a functional model from `lr` to `sr`, float32.
        scale: its scale.
        folder: the model's own, `exports/<model>`; the new version is a folder in it, named by
            the integer after the largest there.
        histogram_match: `affine`, `paper` or `none`, the post-process of `serving_default` and
            `serve_bytes`.
        grain: that these two give their input, in levels.
        pixel_limit: largest number of pixels of an image that `serve_bytes` takes.

    Returns:
        The version's folder. It appears whole: a server that polls never sees half of it.

    Raises:
        ExportError: if it cannot be written; nothing is left behind.
    """
    with next_version(folder) as version:
        write_serving(version.path, generator, scale, histogram_match, grain, pixel_limit)
    return version.path


@dataclass
class Version:
    """A version of a model: `path` is a hidden folder until it is whole and has its number."""

    path: Path


@contextlib.contextmanager
def next_version(folder: Path) -> Iterator[Version]:
    """Gives a hidden folder to write to, and renames it to a model's next version at the end.

    Of several writers at once each gets a version of its own.

    Args:
        folder: the model's own, `exports/<model>`.

    Raises:
        ExportError: if the folder cannot be made or renamed. Then, and after any exception inside,
            nothing is left behind.
    """
    with contextlib.ExitStack() as held:
        with write_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            # Its name is not an integer, so a server that polls passes over it.
            version = Version(held.enter_context(hidden_folder(folder)))
        yield version
        with write_errors(folder):
            version.path = _renamed_to_next(version.path)


def _renamed_to_next(hidden: Path) -> Path:
    while True:
        taken = [int(path.name) for path in hidden.parent.iterdir() if path.name.isdecimal()]
        target = hidden.with_name(str(max(taken, default=0) + 1))
        try:
            return hidden.rename(target)
        except OSError:
            if not target.exists():  # so it was not another writer, who took the number first
                raise


def write_serving(
    folder: Path,
    generator: keras.Model,
    scale: int,
    histogram_match: str,
    grain: float,
    pixel_limit: int,
) -> None:
    """Writes one version, as `save_serving` has it, to its folder `exports/<model>/<version>`."""
    endpoints = signatures.endpoints(generator, histogram_match, grain, [None, None, None, 3])
    serve_bytes = signatures.serve_bytes(generator, scale, histogram_match, grain, pixel_limit)
    endpoints["serve_bytes"] = serve_bytes, tf.TensorSpec([None], tf.string, "image_bytes")
    model = folder.parent
    with write_errors(model):
        save(folder, generator, endpoints)
        warmup.write(folder / "assets.extra" / "tf_serving_warmup_requests", model.name)


def save(folder: str | Path, generator: keras.Model, endpoints: dict[str, tuple]) -> None:
    """Writes a SavedModel with these functions, each with what it takes, as its signatures."""
    archive = keras.export.ExportArchive()
    archive.track(generator)
    for name, (function, *specs) in endpoints.items():
        archive.add_endpoint(name, function, specs)
    archive.write_out(str(folder), verbose=False)


@contextlib.contextmanager
def write_errors(place: str | Path) -> Iterator[None]:
    """Turns what goes wrong in writing inside into an ExportError of one line."""
    try:
        yield
    except OSError as error:
        raise ExportError(f"{place}: cannot be written: {reason(error)}") from error
    except tf.errors.OpError as error:
        # A full disk is one: a path and, behind a semicolon, the reason.
        told = error.message.rpartition("; ")[2]
        raise ExportError(f"{place}: cannot be written: {told}") from error

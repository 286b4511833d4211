"""`infer --cluster`: the work of infer.py on each file, handed to the workers of a cluster."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import posixpath
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import keras_perceptual
from keras_perceptual import zoo
from keras_perceptual.cli import infer, reports
from keras_perceptual.cli import jobs as batch
from keras_perceptual.cli.options import STREAM
from keras_perceptual.cluster import manifest
from keras_perceptual.cluster.actors import Cluster, Do
from keras_perceptual.cluster.stores import Store, is_url
from keras_perceptual.errors import ClusterError, ImageError, PerceptualError
from keras_perceptual.files import images
from keras_perceptual.inference.converter import Converter
from keras_perceptual.system.atomic import hidden_folder
from keras_perceptual.system.quiet import private_stderr

__all__ = ["main"]

# Options that say where and how the work is done, and not what becomes of a picture.
_ASIDE = {
    "inputs", "output", "recursive", "skip_existing", "keep_times", "report", "list_models",
    "device", "threads", "workers", "memory", "cluster", "force", "model", "compare",
}  # fmt: skip
_PACKAGES = ("ai-edge-litert", "numpy", "pillow", "pyvips")
EVERY = 30  # seconds between lines of progress, where nobody watches a bar


class File(NamedTuple):
    """A file to do: paths or URLs, as `batch.Job` has them for one machine."""

    source: str
    target: str


class Outcome(NamedTuple):
    """What became of a file, as `batch.Result` says it."""

    job: File
    done: batch.Done | None
    seconds: float
    error: str


def main(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Does what the arguments say; returns the exit status."""
    if wrong := _misused(arguments):
        parser.error(wrong)
    errors: list[str] = []
    try:
        model = infer.open_model(arguments)
        files = _plan(arguments, infer.suffix(arguments, model), errors)
        wanted = _manifest(arguments, model)
        roots = sorted({root for _, root in files})
        with tempfile.TemporaryDirectory() as scratch:
            for root in roots:
                manifest.claim(Store(root), wanted, arguments.force, Path(scratch))
        present = {root: _present(root, arguments.skip_existing) for root in roots}
    except (PerceptualError, ValueError) as error:
        parser.error(str(error))
    there = [file for file, root in files if file.target in present[root]]
    todo = [file for file, root in files if file.target not in present[root]]
    keep = arguments.report is not None
    every = [file for file, _ in files]
    with (
        private_stderr(),
        reports.Reporter(parser.prog, every, errors, keep=keep, every=EVERY) as reporter,
    ):
        for file in there:
            reporter.ended(Outcome(file, None, 0.0, ""))
        try:
            for outcome in _converted(arguments, todo, roots, wanted) if todo else ():
                reporter.ended(outcome)
        except ClusterError as error:
            reporter.failed(str(error))
    return reporter.conclude(arguments.report)


def _misused(arguments: argparse.Namespace) -> str | None:
    """Returns what is wrong with the usage, or None."""
    places = [str(place) for place in (*arguments.inputs, arguments.output) if place]
    urls = [place for place in places if is_url(place)]
    if not arguments.cluster:
        return f"{urls[0]}: is opened with --cluster ADDRESS or --cluster local only"
    if str(STREAM) in places:
        return "--cluster takes files, folders and URLs, not -"
    if urls and not arguments.output:
        return f"expected -o FOLDER or URL for {urls[0]}"
    if urls and arguments.keep_times:
        return f"--keep-times is of folders, received {urls[0]}"
    output = str(arguments.output or "")
    if not is_url(output) and os.path.isfile(output):
        return f"expected a folder or URL to write to with --cluster, received the file {output}"
    return None


def _plan(arguments: argparse.Namespace, suffix: str, errors: list[str]) -> list[tuple[File, str]]:
    """Returns each file with the place that its tree begins in; what is wrong joins the errors.

    Raises:
        ValueError: if two files would be written to one, or over an input.
    """
    planned: list[tuple[File, str]] = []
    for given in map(str, arguments.inputs):
        output = arguments.output and str(arguments.output)
        try:
            if images.is_image(posixpath.basename(given)) and not os.path.isdir(given):
                folder, name = posixpath.split(given)
                store, names, output = Store(folder or "."), [name], output or folder or "."
            else:
                store = Store(given)
                output = output or f"{store.place}{suffix}"
                names = _outside(store, output, store.images(arguments.recursive, errors.append))
                if not names:
                    where = "" if arguments.recursive else "; --recursive looks in those inside it"
                    errors.append(f"{given}: expected images in this folder, found none{where}")
        except ImageError as error:
            errors.append(str(error))
            continue
        root = Store(output)
        for name in names:
            path = PurePosixPath(name)
            target = str(path.with_name(batch.named(path, suffix, arguments.format)))
            planned.append((File(store.path(name), root.path(target)), root.place))
    if wrong := batch.clash([file for file, _ in planned]):
        raise ValueError(wrong)
    return planned


def _outside(store: Store, output: str, names: list[str]) -> list[str]:
    """Leaves out what lies in an output folder inside the input."""
    root, inside = batch.real(store.place), batch.real(output)
    if not inside.startswith(f"{root}/"):
        return names
    below = f"{inside[len(root) + 1 :].rstrip('/')}/"
    return [name for name in names if not name.startswith(below)]


def _present(root: str, wanted: bool) -> set[str]:
    """Lists once what is there already, if that is to be left."""
    store = Store(root)
    return {store.path(name) for name in store.files()} if wanted else set()


def _manifest(arguments: argparse.Namespace, model: Converter) -> dict[str, Any]:
    """Returns what makes the outputs: no two of these belong in one place."""
    files = [each for name in zoo.names() for each in sorted(zoo.folder(name).glob("*.tflite"))]
    styles = arguments.style if isinstance(arguments.style, dict) else [arguments.style]
    given = [arguments.model, *styles]
    files += [Path(each) for each in given if each and Path(each).exists()]
    options = {name: value for name, value in vars(arguments).items() if name not in _ASIDE}
    return {
        "model": model.name,
        "files": manifest.fingerprint(files),
        "options": json.loads(json.dumps(options)),  # as they will be read
        "version": keras_perceptual.__version__,
        "made_with": {"python": platform.python_version(), **_versions()},
    }


def _versions() -> dict[str, str]:
    """Returns the versions of the packages that a picture goes through, of those that say it."""
    found = {}
    for package in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _converted(
    arguments: argparse.Namespace, files: list[File], roots: list[str], wanted: Mapping[str, Any]
) -> Iterator[Outcome]:
    """Yields what becomes of each file on the cluster."""
    cores = arguments.threads or 1
    ours = argparse.Namespace(**{**vars(arguments), "threads": cores, "skip_existing": False})
    with Cluster(arguments.cluster, cores, arguments.workers) as cluster:
        print(f"{len(files)} files, {cluster.workers} processes", file=sys.stderr, flush=True)
        work = partial(_open_work, ours, roots, wanted, os.getcwd())
        for number, outcome in cluster.run(files, work):
            file = files[number]
            if outcome is None:
                error = f"{file.source}: ended its worker each time, for want of memory?"
                outcome = (None, 0.0, error)
            yield Outcome(file, *outcome)


def _open_work(
    arguments: argparse.Namespace, roots: list[str], wanted: Mapping[str, Any], folder: str
) -> Do:
    """Returns the function that does a file in a worker, in a process of another machine.

    Raises:
        ClusterError: if it has other models, or does not see the outputs.
    """
    if os.path.isdir(folder):  # what paths without a root begin in
        os.chdir(folder)
    model = infer.open_model(arguments)
    here = _manifest(arguments, model)
    if any(here[key] != wanted[key] for key in ("model", "files", "version")):
        raise ClusterError(
            f"{platform.node()}: expected keras_perceptual {wanted['version']} with the models of "
            f"the machine that began, found {here['version']}, {here['model']}; install the same"
        )
    for root in roots:
        manifest.check(Store(root), wanted)
    return partial(_convert, infer.worker(arguments, model))


@lru_cache(64)
def _store(place: str) -> Store:
    return Store(place)


def _convert(work: batch.Work, source: str, target: str) -> tuple[Any, float, str]:
    """Does a file, fetched and stored where it has to be; returns the rest of its `Outcome`."""
    if not is_url(source) and not is_url(target):
        return _attempt(work, Path(source), Path(target))
    with hidden_folder(Path(tempfile.gettempdir())) as scratch:
        scratch.chmod(0o700)
        (scratch / "out").mkdir()
        read, written = Path(source), Path(target)
        try:
            if is_url(source):
                place, name = posixpath.split(source)
                read = _store(place).fetch(name, scratch)
            if is_url(target):
                place, name = posixpath.split(target)
                written = scratch / "out" / name
            done, seconds, error = _attempt(work, read, written)
            if is_url(target) and not error:
                # The output itself comes last: where it is, all is.
                for path in sorted(written.parent.iterdir(), key=lambda each: each == written):
                    _store(place).put(path, path.name)
        except ImageError as failure:
            return None, 0.0, str(failure)
    error = error.replace(str(read), source).replace(str(written), target)
    return done, seconds, error


def _attempt(work: batch.Work, source: Path, target: Path) -> tuple[Any, float, str]:
    result = batch.attempt(batch.Job(source, target), work, lambda done: None)
    return result.done, result.seconds, result.error

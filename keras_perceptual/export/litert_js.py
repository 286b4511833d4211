"""LiteRT.js, which runs models in a browser: fetched once, checked, kept in the user's cache."""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from keras_perceptual.errors import ExportError, reason
from keras_perceptual.system.atomic import hidden_folder
from keras_perceptual.system.cache import cache_folder

__all__ = ["PACKAGES", "VERSION", "runtime"]

VERSION = "2.5.3"
# npm's packages, and the SHA-512 of their archives as npm states it.
PACKAGES = {
    "@litertjs/core": "PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8I"
    "wqgqCIkviYGr9OFDL1kCnN4nzWoyJQ==",
    "@litertjs/wasm-utils": "4fJiw6tBQnIs+0jH/OQ16nYOiSl8/+zZnn5h2ul8aTKHi05sVqZW580T"
    "mk78pC2kT39A9OYBVdFawteZ/sI1kQ==",
}
# With threads, without, and for browsers without relaxed SIMD; each a script and a .wasm file.
_BUILDS = ("litert_wasm_threaded_internal", "litert_wasm_internal", "litert_wasm_compat_internal")
_MINUTES = 10 * 60  # seconds


def runtime(archives: Path | None = None) -> Path:
    """Returns a folder with LiteRT.js as the page loads it, with a .gz beside each large file.

    Args:
        archives: a folder with the archives of `PACKAGES` as `npm pack` names them; by default npm
            fetches them, once.

    Raises:
        ExportError: if they cannot be had, or are not those that were tested.
    """
    try:
        folder = cache_folder() / f"litert-js-{VERSION}"
    except RuntimeError as error:
        raise ExportError(f"LiteRT.js cannot be kept: {error}") from None
    if (folder / "core.js").is_file():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with hidden_folder(folder.parent) as made, tempfile.TemporaryDirectory() as fetched:
            _unpack(archives or _fetched(Path(fetched)), made)
            if not folder.exists():  # somebody else may have been as quick
                os.replace(made, folder)
    except OSError as error:
        raise ExportError(f"LiteRT.js cannot be kept in {folder}: {reason(error)}") from None
    return folder


def archive(package: str) -> str:
    """Returns the name that `npm pack` gives the archive of a package."""
    return f"{package.removeprefix('@').replace('/', '-')}-{VERSION}.tgz"


def _fetched(folder: Path) -> Path:
    """Has npm fetch the archives into a folder."""
    npm = shutil.which("npm")
    wanted = [f"{package}@{VERSION}" for package in PACKAGES]
    command = f"npm pack {' '.join(wanted)}"
    if npm is None:
        raise ExportError(
            "LiteRT.js is not here yet, and npm, which fetches it, neither: install Node.js, or "
            f"name a folder with what '{command}' makes elsewhere by --packages"
        )
    try:
        subprocess.run(
            [npm, "pack", "--silent", *wanted],
            cwd=folder, check=True, capture_output=True, text=True, timeout=_MINUTES,
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        told = [line for line in error.stderr.splitlines() if line.strip()] or ["no reason given"]
        raise ExportError(f"LiteRT.js cannot be fetched by '{command}': {told[0]}") from None
    except subprocess.TimeoutExpired:
        raise ExportError(f"LiteRT.js cannot be fetched by '{command}': no answer") from None
    return folder


def _unpack(archives: Path, target: Path) -> None:
    """Takes what the page loads out of checked archives."""
    core, tools = (_members(archives / archive(package), package) for package in PACKAGES)
    # A worker finds no package by its name.
    script = core["dist/index.js"].replace(b'"@litertjs/wasm-utils"', b'"./wasm-utils.js"')
    _write(target / "core.js", script)
    _write(target / "wasm-utils.js", tools["dist/index.js"])
    for build in _BUILDS:
        for ending in ("js", "wasm"):
            _write(target / "wasm" / f"{build}.{ending}", core[f"wasm/{build}.{ending}"])


def _members(path: Path, package: str) -> dict[str, bytes]:
    """Returns the files of an archive by their names, once it is clear that it is the right one."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ExportError(f"{path}: expected LiteRT.js: {reason(error)}") from None
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != PACKAGES[package]:
        raise ExportError(f"{path}: expected {package} {VERSION}, received another archive")
    found = {}
    with tarfile.open(path) as opened:
        for member in opened:
            if file := opened.extractfile(member):
                found[member.name.partition("/")[2]] = file.read()
    return found


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(content, 9, mtime=0))

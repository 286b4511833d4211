"""The manifest beside the outputs: what made them, so that nothing else goes on among them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from keras_perceptual.cluster.stores import Store
from keras_perceptual.errors import ClusterError

__all__ = ["NAME", "check", "claim", "fingerprint"]

NAME = "keras_perceptual.json"
_COMPARED = ("model", "files", "options", "version")


def fingerprint(paths: Iterable[Path]) -> str:
    """Returns the SHA-256 of files together, and of all files below those that are folders."""
    digest = hashlib.sha256()
    for path in paths:
        below = sorted(each for each in path.rglob("*") if each.is_file())
        for file in below if path.is_dir() else [path]:
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def claim(store: Store, manifest: Mapping[str, Any], force: bool, folder: Path) -> None:
    """Writes the manifest of the outputs in a store.

    Args:
        store: that the outputs go to.
        manifest: `model`, `files`, `options` and `version` that make them, and what else is of use.
        force: whether to go on where another manifest is.
        folder: on this machine, for the way there.

    Raises:
        ClusterError: if there is another manifest.
    """
    found = store.read(NAME)
    if found is not None and not force:
        different = _differences(_parsed(found), manifest)
        if different:
            raise ClusterError(
                f"{store.place}: was begun with {'; '.join(different)}; go on with the same, name "
                "another -o, or --force"
            )
    content = (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode()
    if content != found:
        store.write(NAME, content, folder)


def check(store: Store, manifest: Mapping[str, Any]) -> None:
    """Raises a ClusterError unless a store, as this machine sees it, has this manifest."""
    found = store.read(NAME)
    if found is None or _differences(_parsed(found), manifest):
        raise ClusterError(
            f"{store.path(NAME)}: expected what the run has written there; a folder has to be one "
            "that all machines share"
        )


def _parsed(content: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Returns what two manifests do not have in common, such as `scale 2, received 4`."""
    said = []
    for field in _COMPARED:
        before, now = old.get(field), new[field]
        if not isinstance(now, dict):
            before, now = {field: before}, {field: now}
        elif not isinstance(before, dict):
            before = {}
        said += [
            f"{name.replace('_', ' ')} {_short(before.get(name))}, received {_short(now.get(name))}"
            for name in sorted({*before, *now})
            if before.get(name) != now.get(name)
        ]
    return said


def _short(value: Any) -> str:
    return value[:12] if isinstance(value, str) and len(value) == 64 else str(value)

"""The models that ship: names, cards, files.

Each has a folder in `zoo/` with `model.keras`, `model.tflite` and `card.json`.
"""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["ZooError", "card", "folder", "names"]

_ROOT = Path(__file__).parent / "zoo"


class ZooError(Exception):
    """A model that does not ship."""


def folder(name: str) -> Path:
    """Returns the folder of a shipped model.

    Raises:
        ZooError: if there is no such model.
    """
    path = _ROOT / name
    if not name or Path(name).name != name or not (path / "card.json").is_file():
        raise ZooError(f"expected a model of {names()}, received {name!r}")
    return path


def card(name: str) -> dict:
    """Returns what the card of a shipped model says: scale, numbers, recipe, and so on.

    Raises:
        ZooError: if there is no such model.
    """
    return json.loads((folder(name) / "card.json").read_text("utf-8"))


def names(scale: int | None = None) -> list[str]:
    """Returns the names of the shipped generators, those of one scale if it is given."""
    paths = sorted(_ROOT.glob("*/card.json"))
    cards = {path.parent.name: json.loads(path.read_text("utf-8")) for path in paths}
    return [n for n, c in cards.items() if "scale" in c and scale in (None, c["scale"])]

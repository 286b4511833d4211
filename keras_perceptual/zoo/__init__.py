"""The models that ship: names, cards, files, and which one a scale gets.

Each has a folder in `zoo/` with `model.keras`, `model.tflite` and `card.json`.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

from keras_perceptual.errors import ZooError

__all__ = [
    "card",
    "default_models",
    "find_style",
    "folder",
    "names",
    "short_name",
    "styles",
]

_ROOT = Path(__file__).parent / "weights"


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


def styles() -> dict[str, tuple[str, int]]:
    """Returns the shipped styles by name: the model that paints each, and its number there."""
    found = {}
    for path in sorted(_ROOT.glob("*/card.json")):
        for number, style in enumerate(json.loads(path.read_text("utf-8")).get("styles", {})):
            found[style] = path.parent.name, number
    return found


def find_style(style: str) -> tuple[Path, int]:
    """Returns the model that paints a style, and the style's number in it, from 0.

    Args:
        style: name of a shipped style, or the path of a model, with `#2` behind it for the
            second of its styles.

    Raises:
        ZooError: if it is neither.
    """
    shipped = styles()
    if style in shipped:
        model, number = shipped[style]
        return folder(model), number
    path, mark, count = style.rpartition("#")
    if mark and count.isdecimal() and int(count):
        return Path(path), int(count) - 1
    if not Path(style).suffix and not Path(style).exists():
        raise ZooError(f"expected a style of {sorted(shipped)}, received {style!r}")
    return Path(style), 0


def short_name(model: str) -> str:
    """Returns a name for files made by a model or a style: `sea` of runs/sea.keras."""
    path, _, number = model.partition("#")
    stem = Path(path).stem if Path(path).suffix in (".keras", ".tflite") else Path(path).name
    return "-".join(filter(None, [stem, number]))


def default_models(scale: float) -> list[str]:
    """Returns the models that a scale gets when none is named: those trained on features.

    The next native scale up, whose result is reduced; beyond the largest x2 comes first.

    Args:
        scale: output size over input size; none is needed up to 1.

    Raises:
        ZooError: if no shipped models reach that scale.
    """
    if scale <= 1:
        return []
    shipped = names()
    native = [s for s in range(2, 17) if f"x{s}-feature" in shipped]
    chains = [*((s,) for s in native), *((native[0], s) for s in native)]
    for chain in chains:
        if scale <= math.prod(chain):
            return [f"x{s}-feature" for s in chain]
    raise ZooError(f"expected a scale of at most {math.prod(chains[-1])}, received {scale:g}")

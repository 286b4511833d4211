"""The models that ship: names, cards, files, and which one a scale gets.

Each has a folder in `weights/` with `card.json` and `model.tflite`, and `model-int8.tflite` if its
pictures bear 8 bits. Its `.keras` file, which only training and export need, is in a package of its
own, `keras_perceptual_checkpoints`.
"""

from __future__ import annotations

import json
import math
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from keras_perceptual.errors import ZooError, reason
from keras_perceptual.zoo.descriptor import ModelDescriptor

__all__ = [
    "ModelDescriptor",
    "broken",
    "card",
    "checkpoint",
    "default_models",
    "descriptor",
    "faithful",
    "file",
    "find_style",
    "folder",
    "names",
    "quantized",
    "ships",
    "short_name",
    "styles",
]

_ROOT = Path(__file__).parent / "weights"
_CHECKPOINTS = "keras_perceptual_checkpoints"


@cache
def _cards() -> dict[str, dict[str, Any] | str]:
    """Returns what each card says, or what is wrong with it: one does not stop the others."""
    return {path.parent.name: _read_card(path) for path in sorted(_ROOT.glob("*/card.json"))}


def _read_card(path: Path) -> dict[str, Any] | str:
    try:
        card = json.loads(path.read_text("utf-8"))
        if not isinstance(card, dict):
            raise ValueError(f"received a {type(card).__name__}")
        if "descriptor" in card:
            ModelDescriptor(**card["descriptor"])
        return card
    except Exception as error:  # a file may hold anything
        return f"{path}: expected the card of a model: {reason(error)}"


@cache
def _descriptors() -> dict[str, ModelDescriptor]:
    """Returns those of the generators: the loss network has none."""
    cards = _cards().items()
    return {
        n: ModelDescriptor(**c["descriptor"])
        for n, c in cards
        if isinstance(c, dict) and "descriptor" in c
    }


def broken() -> list[str]:
    """Returns what is wrong with cards that cannot be read, a line each."""
    return [card for card in _cards().values() if isinstance(card, str)]


def folder(name: str) -> Path:
    """Returns the folder of a shipped model.

    Raises:
        ZooError: if there is no such model, or its card is broken.
    """
    card(name)
    return _ROOT / name


def ships(folder: Path) -> bool:
    """Returns whether a folder is that of a shipped model."""
    return folder.parent == _ROOT and folder.name in _cards()


def card(name: str) -> dict[str, Any]:
    """Returns what the card of a shipped model says: descriptor, numbers, recipe, and so on.

    Raises:
        ZooError: if there is no such model, or its card is broken.
    """
    found = _cards().get(name)
    if isinstance(found, dict):
        return found
    raise ZooError(found or f"expected a model of {names()}, received {name!r}")


def descriptor(name: str) -> ModelDescriptor:
    """Returns what a shipped generator is.

    Raises:
        ZooError: if there is no such generator.
    """
    if "descriptor" not in card(name):
        raise ZooError(f"expected a model of {names()}, received {name!r}")
    return _descriptors()[name]


def file(name: str, ending: str = ".tflite") -> Path:
    """Returns a file of a shipped model: `.tflite`, or `.keras` as for `checkpoint`.

    Raises:
        ZooError: if there is no such model, or its `.keras` file is not installed.
    """
    return checkpoint(name) if ending == ".keras" else folder(name) / f"model{ending}"


def quantized(name: str) -> Path | None:
    """Returns the 8-bit file of a shipped model, or None where it has none.

    Raises:
        ZooError: if there is no such model.
    """
    file = folder(name) / "model-int8.tflite"
    return file if file.is_file() else None


def checkpoint(name: str) -> Path:
    """Returns the `.keras` file of a shipped model.

    It is in the repository, or in the package that `pip install ./checkpoints` installs from there.

    Raises:
        ZooError: if there is no such model, or its file is in neither place.
    """
    file = f"{folder(name).name}.keras"
    places = [Path(__file__).parents[2] / "checkpoints" / _CHECKPOINTS]
    spec = find_spec(_CHECKPOINTS)
    places += [Path(place) for place in (spec and spec.submodule_search_locations) or ()]
    for place in places:
        if (place / file).is_file():
            return place / file
    raise ZooError(
        f"{name}: its .keras file is not installed; pip install ./checkpoints, from a clone of the "
        "repository, has it"
    )


def names(scale: int | None = None) -> list[str]:
    """Returns the names of the shipped models that enlarge, those of one scale if it is given."""
    found = _descriptors().items()
    return [n for n, d in found if d.task == "upscale" and scale in (None, d.scale)]


def styles() -> dict[str, tuple[str, int]]:
    """Returns the shipped styles by name: the model that paints each, and its number there."""
    found = _descriptors().items()
    return {style: (name, i) for name, d in found for i, style in enumerate(d.styles)}


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


def faithful(about: ModelDescriptor) -> str:
    """Returns the shipped model trained on pixels that a model's fidelity leads to.

    It has the model's own architecture where there is one.
    """
    pixel = [n for n in names(about.scale) if n.endswith("-pixel")]
    return next((n for n in pixel if descriptor(n) == about), f"x{about.scale}-pixel")


def default_models(scale: float, restore: bool = False) -> list[str]:
    """Returns the models that a scale gets when none is named: those trained on features.

    The next native scale up, whose result is reduced; beyond the largest x2 comes first.

    Args:
        scale: output size over input size; none is needed up to 1.
        restore: whether the first is one that takes damage out.

    Raises:
        ZooError: if no shipped models reach that scale.
    """
    if scale <= 1:
        return []
    native = [s for s in range(2, 17) if f"x{s}-feature" in _cards()]
    chains = [*((s,) for s in native), *((native[0], s) for s in native)]
    for chain in chains:
        if scale <= math.prod(chain):
            found = [f"x{s}-feature" for s in chain]
            return [f"x{chain[0]}-photo", *found[1:]] if restore else found
    raise ZooError(f"expected a scale of at most {math.prod(chains[-1])}, received {scale:g}")

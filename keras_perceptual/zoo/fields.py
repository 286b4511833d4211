"""Types of what a dataclass was given, which may come from a file that anybody wrote."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

__all__ = ["check_fields"]

_FITS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "None": (type(None),),
    "tuple[str, ...]": (tuple,),
    "Mapping[str, float]": (Mapping,),
}


def check_fields(record: Any) -> None:
    """Checks that each field of a dataclass has its type; lists, as JSON has them, become tuples.

    Args:
        record: whose annotations are strings, as `from __future__ import annotations` makes them.

    Raises:
        ValueError: if one has not.
    """
    for field in dataclasses.fields(record):
        value, kinds = getattr(record, field.name), [k.strip() for k in field.type.split(" | ")]
        if isinstance(value, list) and "tuple[str, ...]" in kinds:
            value = tuple(value)
            object.__setattr__(record, field.name, value)
        fits = any(isinstance(value, _FITS[kind]) for kind in kinds)
        if isinstance(value, bool):
            fits = "bool" in kinds
        if isinstance(value, tuple):
            fits = fits and all(isinstance(each, str) for each in value)
        if isinstance(value, Mapping):
            fits = fits and all(type(each) in _FITS["float"] for each in value.values())
        if not fits:
            raise ValueError(f"expected {field.name} as {field.type}, received {value!r:.80}")

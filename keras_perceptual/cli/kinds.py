"""Kinds of arguments: from the text of one to its value, or argparse's error."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from keras_perceptual.cluster.stores import is_url
from keras_perceptual.errors import ImageError
from keras_perceptual.files import formats

__all__ = [
    "POSITIVE",
    "bytes_",
    "ending",
    "named_weights",
    "number",
    "numbers",
    "place",
    "restore",
    "seconds",
    "style",
]


def number(kind: type, least: float, most: float, what: str) -> Callable[[str], Any]:
    """Returns what parses a number from `least` to `most`, or says that `what` was expected."""

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            raise argparse.ArgumentTypeError(f"expected {what}, received {text!r}")
        return value

    return parse


POSITIVE = number(int, 1, sys.maxsize, "an integer of at least 1")


def bytes_(text: str) -> int:
    """Parses a number of bytes such as 500M."""
    units = {"K": 2**10, "M": 2**20, "G": 2**30}
    number, unit = (text[:-1], text[-1:].upper()) if text[-1:].upper() in units else (text, "")
    try:
        size = int(float(number) * units.get(unit, 1))
    except ValueError:
        size = 0
    if size < 1:
        raise argparse.ArgumentTypeError(f"expected bytes such as 500M or 2G, received {text!r}")
    return size


def numbers(separator: str, count: int, what: str) -> Callable[[str], tuple[int, ...]]:
    """Returns what parses so many integers, or says that `what` was expected."""

    def parse(text: str) -> tuple[int, ...]:
        parts = text.lower().split(separator)
        if len(parts) != count or not all(part.strip().isdecimal() for part in parts):
            raise argparse.ArgumentTypeError(f"expected {what}, received {text!r}")
        return tuple(int(part) for part in parts)

    return parse


def named_weights(text: str, what: str) -> dict[str, float]:
    """Parses NAME=WEIGHT,NAME=WEIGHT, or says that `what` was expected."""
    try:
        pairs = [part.rpartition("=") for part in text.split(",")]
        return {name.strip(): float(weight) for name, _, weight in pairs}
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected {what}, received {text!r}") from None


def place(text: str) -> Path | str:
    """Returns a path, or a URL as it is: a path would have one slash where it has two."""
    return text if is_url(text) else Path(text)


def ending(text: str) -> str:
    """Parses the name of an image format to the ending of its files, such as `.png`."""
    ending = f".{text.lower().removeprefix('.')}"
    try:
        formats.of(f"image{ending}")
    except ImageError as error:
        said = str(error).partition(": ")[2]
        raise argparse.ArgumentTypeError(f"{text}: {said}") from None
    return ending


def restore(text: str) -> str | float:
    """Parses `auto` or a share."""
    return text if text == "auto" else number(float, 0, 1, "auto or a number from 0 to 1")(text)


def style(text: str) -> str | dict[str, float]:
    """Parses a style, or several with their weights; a file may have any name."""
    if "=" not in text or Path(text).exists():
        return text
    return named_weights(text, "a style, or NAME=WEIGHT,NAME=WEIGHT to mix some")


def seconds(text: str) -> Fraction:
    """Parses seconds, or hours, minutes and seconds."""
    try:
        parts = [Fraction(part) for part in text.split(":")]
        if len(parts) > 3 or any(part < 0 for part in parts) or any(p >= 60 for p in parts[1:]):
            raise ValueError
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(
            f"expected seconds or H:MM:SS, such as 90.5 or 1:30, received {text!r}"
        ) from None
    return sum((part * 60**i for i, part in enumerate(reversed(parts))), Fraction(0))

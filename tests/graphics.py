"""Flat graphics as people enlarge them, drawn with Pillow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw


def _canvas(colour: str | tuple, size: tuple[int, int] = (120, 90)) -> tuple:
    image = Image.new("RGB", size, colour)
    return image, ImageDraw.Draw(image)


def _text() -> Image.Image:
    image, draw = _canvas("white")
    for row in range(6):
        draw.text((4, 2 + 14 * row), f"the quick brown {row}", fill="black")
    return image


def _fax() -> Image.Image:
    page = Image.new("1", (120, 60), 1)
    draw = ImageDraw.Draw(page)
    draw.rectangle((4, 4, 40, 8), fill=0)
    for row in range(3):
        draw.text((4, 12 + 14 * row), f"fax page {row} 0123", fill=0)
    return page.convert("RGB")


def _frame() -> Image.Image:
    image, draw = _canvas((245, 245, 245))
    draw.rectangle((20, 20, 99, 69), fill=(30, 60, 90))
    return image


def _disc() -> Image.Image:
    image, draw = _canvas("white")
    draw.ellipse((20, 10, 90, 80), fill=(250, 250, 200))
    return image


def _pixel_art() -> Image.Image:
    rng = np.random.default_rng(0)
    palette = rng.integers(0, 256, (8, 3), dtype=np.uint8)
    return Image.fromarray(palette[rng.integers(0, 8, (24, 24))])


def _lines() -> Image.Image:
    image, draw = _canvas("white")
    for i in range(12):
        draw.line((10 * i, 0, 119 - 7 * i, 89), fill="black")
        draw.arc((4 * i, 3 * i, 118 - 4 * i, 88 - 3 * i), 0, 270, fill="black")
    return image


def _screenshot() -> Image.Image:
    image, draw = _canvas((236, 236, 236), (160, 120))
    draw.rectangle((0, 0, 159, 16), fill=(50, 80, 160))
    draw.text((4, 3), "File Edit View", fill="white")
    draw.rectangle((10, 26, 100, 110), fill="white", outline=(120, 120, 120))
    for row in range(5):
        draw.text((14, 30 + 14 * row), f"item {row}", fill=(20, 20, 20))
    draw.rectangle((115, 40, 150, 56), fill=(70, 160, 90))
    return image


def _gradient() -> Image.Image:
    across, down = np.linspace(0, 255, 96), np.linspace(0, 255, 64)[:, None]
    channels = np.broadcast_arrays(across, across[::-1], down)
    return Image.fromarray(np.dstack(channels).astype(np.uint8))


_DRAWN: dict[str, Callable[[], Image.Image]] = {
    "text": _text,
    "fax": _fax,
    "frame": _frame,
    "disc": _disc,
    "pixel art": _pixel_art,
    "lines": _lines,
    "screenshot": _screenshot,
    "gradient": _gradient,
    "one colour": lambda: Image.new("RGB", (40, 30), (200, 30, 128)),
    "white": lambda: Image.new("RGB", (40, 30), "white"),
    "one pixel": lambda: Image.new("RGB", (1, 1), (90, 120, 200)),
}


def drawn() -> dict[str, np.ndarray]:
    """Returns `[H, W, 3]` uint8 pictures by name."""
    return {name: np.asarray(draw()) for name, draw in _DRAWN.items()}

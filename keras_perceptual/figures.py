"""Pictures for people: labelled sheets of images, curves of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_perceptual import images
from keras_perceptual.resampling import imresize

__all__ = ["before_after", "curves", "sheet"]

_GAP, _LABEL = 8, 26


def sheet(rows: Sequence[Sequence[tuple[str, np.ndarray]]]) -> np.ndarray:
    """Lays labelled images out in rows.

    Args:
        rows: for each row its (label, `[H, W, 3]` uint8 image) cells.

    Returns:
        `[H, W, 3]` uint8, white between the images.
    """
    height = _GAP + sum(max(i.shape[0] for _, i in row) + _LABEL + _GAP for row in rows)
    width = _GAP + max(sum(i.shape[1] + _GAP for _, i in row) for row in rows)
    canvas = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(16)
    y = _GAP
    for row in rows:
        x = _GAP
        for label, image in row:
            draw.text((x, y), label, "black", font)
            canvas.paste(Image.fromarray(image), (x, y + _LABEL))
            x += image.shape[1] + _GAP
        y += max(i.shape[0] for _, i in row) + _LABEL + _GAP
    return np.asarray(canvas)


def before_after(lr: np.ndarray, sr: np.ndarray, scale: int, name: str) -> np.ndarray:
    """Shows the middle of an image before and after, at one size.

    Args:
        lr: `[H, W, 3]` uint8.
        sr: `[scale H, scale W, 3]` uint8.
        scale: of the two.
        name: what made `sr`.

    Returns:
        `[h, w, 3]` uint8: pixels of LR, bicubic, and SR side by side.
    """
    side = 640 // scale
    top, left = (max(0, (s - side) // 2) for s in lr.shape[:2])
    part = lr[top : top + side, left : left + side]
    bicubic = imresize(part, scale)
    after = sr[top * scale :, left * scale :][: bicubic.shape[0], : bicubic.shape[1]]
    nearest = part.repeat(scale, 0).repeat(scale, 1)
    return sheet([[("input", nearest), (f"bicubic x{scale}", bicubic), (name, after)]])


def curves(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draws every column of a training's history against the step, a panel each.

    Args:
        history: rows with `step`, `seconds` and any other numbers.
        path: PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [name for name in history[-1] if name not in ("step", "seconds")]
    figure = Figure(figsize=(5 * len(names), 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        axes.plot([r["step"] for r in history], [r.get(name, np.nan) for r in history], ".-")
        axes.set(title=name, xlabel="step")
        axes.grid(alpha=0.3)
    with images.atomic_path(path) as beside:
        figure.savefig(beside)

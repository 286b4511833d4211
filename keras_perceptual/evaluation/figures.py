"""Pictures for people: labelled sheets of images, curves of a training, an evaluation's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_perceptual.files import images
from keras_perceptual.files.source import open_source
from keras_perceptual.pixels.levels import luma
from keras_perceptual.pixels.resampling import imresize
from keras_perceptual.system.atomic import atomic_path

__all__ = ["Crops", "before_after", "curves", "perception_distortion", "sheet"]

_GAP, _LINE = 8, 20


def sheet(rows: Sequence[Sequence[tuple[str, np.ndarray]]]) -> np.ndarray:
    """Lays labelled images out in rows.

    Args:
        rows: for each row its (label, `[H, W, 3]` uint8 image) cells; a label may have lines.

    Returns:
        `[H, W, 3]` uint8, white between the images.
    """
    labels = [_LINE * max(label.count("\n") + 1 for label, _ in row) + 6 for row in rows]
    tall = [max(image.shape[0] for _, image in row) for row in rows]
    height = _GAP + sum(labels) + sum(tall) + _GAP * len(rows)
    width = _GAP + max(sum(i.shape[1] + _GAP for _, i in row) for row in rows)
    canvas = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(16)
    y = _GAP
    for row, label_height, image_height in zip(rows, labels, tall, strict=True):
        x = _GAP
        for label, image in row:
            draw.multiline_text((x, y), label, "black", font, spacing=2)
            canvas.paste(Image.fromarray(image), (x, y + label_height))
            x += image.shape[1] + _GAP
        y += label_height + image_height + _GAP
    return np.asarray(canvas)


def before_after(
    source: Path, target: Path, name: str, crop: tuple[int, int, int, int] | None = None
) -> np.ndarray:
    """Shows the middle of a picture before and after, at one size.

    Args:
        source: the file that was enlarged.
        target: what became of it, at any size.
        name: what made it.
        crop: (x, y, width, height) in pixels of the part of `source` that was enlarged.

    Returns:
        `[h, w, 3]` uint8: pixels of LR, bicubic, and SR side by side.

    Raises:
        ImageError: if either file cannot be read.
    """
    with open_source(source) as lr, open_source(target) as sr:
        left, top, *sides = crop or (0, 0, lr.width, lr.height)
        enlarged = sr.width, sr.height
    scales = [large / small for small, large in zip(sides, enlarged, strict=True)]
    part = [min(side, max(1, int(640 / max(*scales, 1.0)))) for side in sides]
    first = [(side - taken) // 2 for side, taken in zip(sides, part, strict=True)]
    begin = [round(f * scale) for f, scale in zip(first, scales, strict=True)]
    end = [round((f + s) * scale) for f, s, scale in zip(first, part, scales, strict=True)]
    size = [max(1, e - b) for b, e in zip(begin, end, strict=True)]
    begin = [min(b, whole - s) for b, s, whole in zip(begin, size, enlarged, strict=True)]
    before = _on_white(images.read(source, (left + first[0], top + first[1], part[0], part[1])))
    after = _on_white(images.read(target, (begin[0], begin[1], size[0], size[1])))
    nearest = np.asarray(Image.fromarray(before).resize(size, Image.Resampling.NEAREST))
    bicubic = imresize(before, size=after.shape[:2])
    return sheet([[("input", nearest), ("bicubic", bicubic), (name, after)]])


def _on_white(picture: images.Picture) -> np.ndarray:
    if picture.alpha is None:
        return picture.pixels
    alpha = picture.alpha[..., None] / 255
    return np.rint(picture.pixels * alpha + 255 * (1 - alpha)).astype(np.uint8)


def curves(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draws every column of a training's history against the step, a panel each.

    Args:
        history: rows with `step`, `seconds` and any other numbers.
        path: PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [name for name in history[-1] if name not in ("step", "seconds", "skipped")]
    figure = Figure(figsize=(5 * len(names), 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        axes.plot([r["step"] for r in history], [r.get(name, np.nan) for r in history], ".-")
        axes.set(title=name, xlabel="step")
        axes.grid(alpha=0.3)
    with atomic_path(path) as beside:
        figure.savefig(beside)


class Crops:
    """The same detail of a few images of a set, enlarged by each model, as papers print them.

    Shows the images where the first model, which is meant to be bicubic, errs most in a window.

    Args:
        rows: number of images.
        side: of the window in HR pixels.
        zoom: times that the window is magnified.
    """

    def __init__(self, rows: int = 3, side: int = 96, zoom: int = 2) -> None:
        self.rows, self.side, self.zoom = rows, side, zoom
        self._kept: list[tuple[float, list[tuple[str, np.ndarray]]]] = []

    def see(
        self,
        image: str,
        hr: np.ndarray,
        results: Mapping[str, np.ndarray],
        numbers: Mapping[str, Mapping[str, float]],
    ) -> None:
        """Takes an image in, as `evaluation.evaluate` gives it to `seen`."""
        error, top, left = self._worst(hr, next(iter(results.values())))
        if len(self._kept) == self.rows and error <= self._kept[-1][0]:
            return
        cells = [(image, self._overview(hr, top, left)), ("HR", self._window(hr, top, left))]
        for name, sr in results.items():
            lines = [name, f"{numbers[name]['psnr_y']:.2f} dB"]
            if "lpips" in numbers[name]:
                lines[1] += f", {numbers[name]['lpips']:.3f}"
            cells.append(("\n".join(lines), self._window(sr, top, left)))
        self._kept = sorted([*self._kept, (error, cells)], key=lambda e: -e[0])[: self.rows]

    def sheet(self) -> np.ndarray:
        """Returns `[H, W, 3]` uint8: a row an image, PSNR and LPIPS above each crop."""
        return sheet([cells for _, cells in self._kept])

    def _worst(self, hr: np.ndarray, sr: np.ndarray) -> tuple[float, int, int]:
        """Returns the largest mean square error of a window, and its top and left."""
        side = [min(self.side, s) for s in hr.shape[:2]]
        error = np.pad(((luma(hr) - luma(sr)) ** 2).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        sums = (
            error[side[0] :, side[1] :]
            - error[side[0] :, : -side[1]]
            - error[: -side[0], side[1] :]
            + error[: -side[0], : -side[1]]
        )
        top, left = np.unravel_index(np.argmax(sums), sums.shape)
        return float(sums[top, left]) / (side[0] * side[1]), int(top), int(left)

    def _window(self, image: np.ndarray, top: int, left: int) -> np.ndarray:
        window = image[top : top + self.side, left : left + self.side]
        return window.repeat(self.zoom, 0).repeat(self.zoom, 1)

    def _overview(self, hr: np.ndarray, top: int, left: int) -> np.ndarray:
        """Returns the image at the height of a window, with the window's frame."""
        picture = Image.fromarray(hr)
        factor = min(self.side, hr.shape[0]) * self.zoom / hr.shape[0]
        picture = picture.resize([max(1, round(s * factor)) for s in picture.size])
        corners = (left, top, left + self.side, top + self.side)
        ImageDraw.Draw(picture).rectangle([c * factor for c in corners], outline="red", width=2)
        return np.asarray(picture)


def perception_distortion(
    sets: Mapping[str, Mapping[str, Mapping[str, float]]], path: Path
) -> None:
    """Draws LPIPS against PSNR, one point a model and one panel a set; best is low and right.

    Args:
        sets: for each set, for each model, its `psnr_y` and `lpips`.
        path: PNG to write.

    Source: Blau and Michaeli, "The perception-distortion tradeoff", 2018.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(sets), 4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(sets), squeeze=False)[0]
    for axes, (name, models) in zip(panels, sets.items(), strict=True):
        for model, numbers in models.items():
            point = numbers["psnr_y"], numbers["lpips"]
            axes.plot(*point, "o")
            axes.annotate(model, point, (5, 5), textcoords="offset points", fontsize=8)
        axes.margins(0.25)
        axes.set(title=name, xlabel="PSNR on luma, dB (more is better)")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("LPIPS (less is better)")
    with atomic_path(path) as beside:
        figure.savefig(beside)

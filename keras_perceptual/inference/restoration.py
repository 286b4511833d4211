"""Whether a picture is restored while it is enlarged: one decision, by what it shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from keras_perceptual import zoo
from keras_perceptual.files.quality import QUALITIES
from keras_perceptual.files.source import Source
from keras_perceptual.pixels.condition import Condition, inspect

__all__ = ["EXPLAINED", "LEAST", "OWN", "Limits", "condition_of", "limits_of", "restoration"]

# Up to this quality of a JPEG, blocks that stand out are its own; above it, up to so much.
EXPLAINED, OWN = 92, 0.41


class Limits(NamedTuple):
    """What a scale's clean model still does better with; clean pictures stay below.

    Args:
        quality: of a lossy file, by its format; up to it the restoring model does better.
        blocks: as `Condition` has them; in a JPEG at least `OWN`.
        webp_blocks: the same; in a lossy WebP they are its own.
        both_blocks: the same; in a lossy file they are its own.
        noise: as `Condition` has it.
        colour_noise: the same.
    """

    quality: Mapping[str, int]
    blocks: float
    webp_blocks: float
    both_blocks: float
    noise: float
    colour_noise: float


# By scale, where the default models give the same LPIPS (docs/restoring.md).
LIMITS = {
    2: Limits({"JPEG": 92, "WebP": 80, "AVIF": 72, "HEIC": 50}, 0.38, 0.2, 0.04, 1.2, 0.75),
    4: Limits({"JPEG": 95, "WebP": 85, "AVIF": 80, "HEIC": 62}, 0.27, 0.13, 0.03, 1.2, 0.65),
    8: Limits({"JPEG": 92, "WebP": 80, "AVIF": 70, "HEIC": 54}, 0.37, 0.2, 0.04, 1.5, 0.25),
}
# What is restored at any scale.
LEAST = {form: min(limits.quality[form] for limits in LIMITS.values()) for form in QUALITIES}


def limits_of(factor: float) -> Limits:
    """Returns the limits of the default model that enlarges by a factor, or of the first of two.

    A scale that nothing was measured for has those of the nearest.

    Raises:
        ZooError: if no shipped models reach that factor.
    """
    scale = zoo.descriptor(zoo.default_models(factor)[0]).scale
    return LIMITS[min(LIMITS, key=lambda measured: abs(measured - scale))]


def condition_of(source: Source, look: Callable[[], Condition] | None = None) -> Condition:
    """Looks at a picture in a file, at its pixels only if its header does not decide.

    Args:
        source: of the picture.
        look: looks at its pixels; by default they are read beside.

    Raises:
        ImageError: if the file breaks off or is damaged.
    """
    quality, form = source.quality, source.format.name
    if quality is not None and quality <= LEAST[form]:
        return Condition(quality=quality, form=form)
    return (look or partial(_seen, source))()._replace(quality=quality, form=form)


def _seen(source: Source) -> Condition:
    with source.again() as again:
        return inspect(again.take, again.height, again.width)


def restoration(condition: Condition, factor: float = 4) -> tuple[float, str]:
    """Decides on a picture.

    Args:
        condition: what is known of it.
        factor: by which it is enlarged, above 1.

    Returns:
        (share of the restoring model, 0 or 1; what was found that it is for).
    """
    found, limits = [], limits_of(factor)
    quality, form = condition.quality, condition.form
    own = 0.0
    if quality is not None and form == "JPEG":
        own = OWN if quality > EXPLAINED else math.inf
    if quality is not None and quality <= limits.quality[form]:
        found.append(f"{form} of quality {quality}")
    elif condition.blocks > max(limits.blocks, own):
        found.append("blocks of JPEG")
    elif condition.webp_blocks > limits.webp_blocks and (quality is None or form != "WebP"):
        found.append("blocks of WebP")
    elif condition.both_blocks > limits.both_blocks and quality is None:
        found.append("blocks of a film, AVIF or HEIC")
    if condition.noise > limits.noise or condition.colour_noise > limits.colour_noise:
        found.append("noise")
    return float(bool(found)), " and ".join(found)

"""Whether a picture is restored while it is enlarged: one decision, by what it shows."""

from __future__ import annotations

from keras_perceptual.files.source import Source
from keras_perceptual.pixels.condition import Condition, inspect

__all__ = ["condition_of", "restoration"]

# Beyond these the restoring models do better (docs/restoring.md); clean pictures stay below.
QUALITY = 92
BLOCKS = 0.25
NOISE = 1.2
COLOUR_NOISE = 0.35


def condition_of(source: Source) -> Condition:
    """Looks at a picture in a file, at its pixels only if its header does not decide.

    Args:
        source: of the picture; it is read beside.

    Raises:
        ImageError: if the file breaks off or is damaged.
    """
    if source.quality is not None and source.quality <= QUALITY:
        return Condition(quality=source.quality)
    with source.again() as again:
        seen = inspect(again.take, again.height, again.width)
    return seen._replace(quality=source.quality)


def restoration(condition: Condition) -> tuple[float, str]:
    """Decides on a picture.

    Returns:
        (share of the restoring model, 0 or 1; what was found that it is for).
    """
    found = []
    if condition.quality is not None and condition.quality <= QUALITY:
        found.append(f"JPEG of quality {condition.quality}")
    elif condition.blocks > BLOCKS:
        found.append("blocks of JPEG")
    if condition.noise > NOISE or condition.colour_noise > COLOUR_NOISE:
        found.append("noise")
    return float(bool(found)), " and ".join(found)

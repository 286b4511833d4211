"""The recipes by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from keras_perceptual.pixels.grain import GRAIN
from keras_perceptual.training.degradations import Damage
from keras_perceptual.training.recipe import Recipe

__all__ = ["RECIPES", "get_recipe"]

_PAPER = Recipe(
    "paper_x4",
    generator="johnson",
    channels=64,
    blocks=4,
    loss={"feature:block2_conv2": 1.0},
    steps=200_000,
    epoch_steps=1000,
    batch_size=4,
    patch_size=288,
    blur=1.0,
    decay="constant",
)

_X4_FEATURE = Recipe(
    "x4-feature",
    loss={
        "feature:block2_conv2": 1.0,
        "feature:block3_conv3_linear": 2.0,
        "texture:block1_conv2": 3e6,
        "phase_bias": 10_000.0,
    },
    start="x4-pixel",
    steps=2500,
    epoch_steps=250,
    patch_size=128,
    shrink=0.5,
    learning_rate=3e-4,
    ema=0.99,
)
# Restores while it enlarges. Wider and deeper than the clean ones: beside the loss network that
# costs little.
_X4_PHOTO_PIXEL = Recipe(
    "x4-photo-pixel",
    channels=64,
    blocks=10,
    start="x4-pixel",
    steps=12_000,
    epoch_steps=500,
    shrink=0.5,
    damage=vars(Damage()),
    learning_rate=5e-4,
    warmup=200,
    clip_norm=1.0,
    ema=0.999,
)
_X4_PHOTO = replace(
    _X4_PHOTO_PIXEL,
    name="x4-photo",
    loss={**_X4_FEATURE.loss, "chroma": 5000.0},
    start="x4-photo-pixel",
    steps=3000,
    epoch_steps=250,
    patch_size=128,
    learning_rate=3e-4,
    warmup=0,
    clip_norm=0.0,
    ema=0.99,
)
# At other scales. An LR pixel sees the same blur as at x4.
_X8_PHOTO: dict[str, Any] = {"scale": 8, "patch_size": 192, "damage": vars(Damage(blur=4.4))}
_X2_PHOTO: dict[str, Any] = {"scale": 2, "patch_size": 96, "damage": vars(Damage(blur=1.1))}
_X8_PIXEL = Recipe(
    "x8-pixel",
    scale=8,
    start="x4-pixel",
    steps=4000,
    epoch_steps=500,
    batch_size=16,
    patch_size=192,
    shrink=0.5,
    learning_rate=5e-4,
    warmup=100,
    clip_norm=1.0,
    ema=0.999,
)
_JOHNSON_PIXEL = Recipe(
    "x4-johnson-pixel",
    generator="johnson",
    channels=64,
    blocks=4,
    loss={"pixel_squared": 1.0},
    steps=8000,
    epoch_steps=500,
    batch_size=4,
    patch_size=144,
    shrink=0.5,
    warmup=100,
    ema=0.999,
)

_STYLES = Recipe(
    "styles",
    generator="style",
    channels=16,
    blocks=5,
    scale=1,
    loss={
        "feature:block3_conv3": 2e-6,
        "style:block1_conv2": 1.0,
        "style:block2_conv2": 1.0,
        "style:block3_conv3": 1.0,
        "style:block3_conv3/2": 1.0,
        "style:block3_conv3/4": 1.0,
        "palette/4": 2.0,
        "total_variation": 1e-4,
        "stability": 2e-3,
    },
    steps=5000,
    epoch_steps=500,
    batch_size=2,
    patch_size=256,
    shrink=0.5,
    clipping=0.4,
    grain=GRAIN,
    learning_rate=1.5e-3,
    warmup=200,
    ema=0.995,
)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "x4-pixel",
            steps=24_000,
            epoch_steps=500,
            shrink=0.5,
            warmup=500,
            clip_norm=1.0,
            ema=0.999,
        ),
        _X4_FEATURE,
        replace(
            _X4_FEATURE,
            name="x4-gan",
            loss={
                "feature:block2_conv2": 1.0,
                "feature:block3_conv3": 1.0,
                "phase_bias": 3000.0,
                "adversarial": 15_000.0,
            },
            learning_rate=2e-4,
            start="x4-feature",
            steps=1500,
            patch_size=96,
        ),
        _X4_PHOTO_PIXEL,
        _X4_PHOTO,
        _X8_PIXEL,
        replace(
            _X4_FEATURE,
            name="x8-feature",
            scale=8,
            start="x8-pixel",
            steps=1200,
            epoch_steps=200,
            batch_size=4,
            patch_size=192,
        ),
        replace(_X8_PIXEL, name="x2-pixel", scale=2, batch_size=8, patch_size=96),
        replace(_X4_FEATURE, name="x2-feature", scale=2, start="x2-pixel", steps=1000),
        replace(
            _X4_PHOTO_PIXEL, name="x8-photo-pixel", start="x4-photo-pixel", steps=1500, **_X8_PHOTO
        ),
        replace(
            _X4_PHOTO,
            name="x8-photo",
            start="x8-photo-pixel",
            steps=1200,
            epoch_steps=200,
            batch_size=4,
            **_X8_PHOTO,
        ),
        replace(
            _X4_PHOTO_PIXEL, name="x2-photo-pixel", start="x4-photo-pixel", steps=1000, **_X2_PHOTO
        ),
        replace(_X4_PHOTO, name="x2-photo", start="x2-photo-pixel", steps=1000, **_X2_PHOTO),
        # Fast enough for films.
        Recipe(
            "x4-video",
            generator="plain",
            channels=64,
            blocks=4,
            steps=36_000,
            epoch_steps=2000,
            batch_size=16,
            shrink=0.5,
            warmup=500,
            clip_norm=1.0,
            ema=0.999,
        ),
        # What the paper compares, and compares itself with.
        Recipe(
            "x4-srcnn",
            generator="srcnn",
            channels=64,
            blocks=1,
            loss={"pixel_squared": 1.0},
            steps=5000,
            epoch_steps=500,
            batch_size=16,
            patch_size=96,
            shrink=0.5,
            warmup=200,
            ema=0.999,
        ),
        _JOHNSON_PIXEL,
        replace(
            _JOHNSON_PIXEL,
            name="x4-johnson-feature",
            loss={"feature:block2_conv2": 1.0},
            start="x4-johnson-pixel",
            steps=500,
            epoch_steps=100,
            learning_rate=2e-4,
            fixed_statistics=True,
            ema=0.99,
        ),
        _PAPER,
        replace(_PAPER, name="paper_x8", scale=8),
        _STYLES,
        # A style more: what the shipped network knows of photographs is there already. From the
        # mean of its styles, flat dark parts turn green for as long as this runs.
        replace(
            _STYLES,
            name="style",
            start="starry-night",
            steps=600,
            epoch_steps=100,
            learning_rate=1e-3,
            warmup=50,
            ema=0.99,
        ),
        # The paper's; needs all of VGG16.
        replace(
            _STYLES,
            name="style_paper",
            channels=32,
            normalization="batch",
            loss={
                "feature:block2_conv2": 3e-6,
                "style:block1_conv2": 1.0,
                "style:block2_conv2": 1.0,
                "style:block3_conv3": 1.0,
                "style:block4_conv3": 1.0,
                "total_variation": 1e-4,
            },
            style_size=256,
            steps=40_000,
            epoch_steps=1000,
            batch_size=4,
            clipping=0.0,
            learning_rate=1e-3,
            warmup=0,
            decay="constant",
            ema=0.0,
        ),
    )
}


def get_recipe(name: str, **changes: Any) -> Recipe:
    """Returns the named recipe with some of its numbers changed.

    Args:
        name: a key of `RECIPES`.
        **changes: fields of `Recipe` to replace.

    Returns:
        The recipe.

    Raises:
        ValueError: if there is no such recipe, or a number is out of its range.
    """
    if name not in RECIPES:
        raise ValueError(f"expected a recipe of {sorted(RECIPES)}, received {name!r}")
    return replace(RECIPES[name], **changes)

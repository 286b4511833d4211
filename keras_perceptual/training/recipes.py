"""Recipes: every number of a training run, by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from keras_perceptual.pixels.grain import GRAIN
from keras_perceptual.training.degradations import Damage

__all__ = ["RECIPES", "Recipe", "get_recipe"]


@dataclass(frozen=True)
class Recipe:
    """Every number of a training run.

    Args:
        name: what runs of it are called.
        generator: a key of `generators.GENERATORS`.
        channels: filters of the generator's inner convolutions.
        blocks: residual blocks of the generator.
        scale: HR size over LR size.
        loss: loss name to weight, as `losses.PerceptualLoss` takes them; `adversarial` and
            `stability` are `trainer.PerceptualTrainer`'s.
        normalization: of a style generator, `instance` or `batch`.
        style_size: what style images are resized to, in pixels: the side of a square of the same
            area.
        start: name or path of the model to start from; empty starts at random. What does not fit
            (the last convolution, at another scale) starts at random.
        steps: optimiser steps in all.
        epoch_steps: steps between validations, samples and checkpoints.
        batch_size: patches a step.
        patch_size: side of an HR patch in pixels, a multiple of `scale`.
        blur: standard deviation in HR pixels of the blur before the reduction.
        shrink: smallest factor, up to 1, by which a photograph is reduced at random before a
            patch is cut: it cleans compression artefacts and varies the size of what is seen.
        clipping: largest share, below 0.5, of the levels that become black, and of those that
            become white, in half of the photographs: flat parts are rare otherwise.
        grain: standard deviation in levels of the smooth noise that LR patches get, for a style
            generator to paint by where a photograph is flat.
        damage: what happens to LR patches, as `degradations.Damage` takes it, such as share=0.75;
            its own numbers where one is not given. Nothing at all where it is empty.
        learning_rate: Adam's, at its peak.
        warmup: steps over which the learning rate rises from 0.
        decay: `cosine` to 0 at the last step, or `constant`.
        fixed_statistics: whether batch normalisation keeps the statistics it starts with.
        clip_norm: largest norm of the whole gradient; 0 does not clip.
        ema: momentum of the moving average of the weights, which is what is validated and saved;
            0 keeps none.
        precision: `float32`, or `mixed_bfloat16` where the processor or GPU has it.
        seed: of weights, patches and order.
    """

    name: str
    generator: str = "subpixel"
    channels: int = 48
    blocks: int = 7
    scale: int = 4
    loss: Mapping[str, float] = field(default_factory=lambda: {"pixel_absolute": 1.0})
    normalization: str = "instance"
    style_size: int = 384
    start: str = ""
    steps: int = 1000
    epoch_steps: int = 100
    batch_size: int = 8
    patch_size: int = 160
    blur: float = 0.0
    shrink: float = 1.0
    clipping: float = 0.0
    grain: float = 0.0
    damage: Mapping[str, float] = field(default_factory=dict)
    learning_rate: float = 1e-3
    warmup: int = 0
    decay: str = "cosine"
    fixed_statistics: bool = False
    clip_norm: float = 0.0
    ema: float = 0.0
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("loss", "damage"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        unknown = set(self.damage) - {f.name for f in dataclasses.fields(Damage)}
        if unknown:
            raise ValueError(
                f"expected a damage of {', '.join(f.name for f in dataclasses.fields(Damage))}, "
                f"received {', '.join(sorted(unknown))}"
            )
        if self.damage and self.blur:
            raise ValueError("expected a blur or a damage, received both")
        self.damages  # noqa: B018 - says what is out of its range
        for name in ("scale", "steps", "epoch_steps", "batch_size", "patch_size", "style_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} of at least 1, received {getattr(self, name)}")
        if self.patch_size % self.scale:
            raise ValueError(
                f"expected a patch_size in a multiple of the scale {self.scale}, "
                f"received {self.patch_size}"
            )
        if "stability" in self.loss and self.patch_size < 32 * self.scale:
            raise ValueError(
                f"expected a patch_size of at least {32 * self.scale} for stability, "
                f"received {self.patch_size}"
            )
        if self.decay not in ("cosine", "constant"):
            raise ValueError(f"expected a decay of cosine or constant, received {self.decay!r}")
        if not 0 < self.shrink <= 1:
            raise ValueError(f"expected a shrink above 0 and up to 1, received {self.shrink}")
        if not 0 <= self.clipping < 0.5:
            raise ValueError(f"expected a clipping from 0 to below 0.5, received {self.clipping}")
        if not 0 <= self.grain <= 255:
            raise ValueError(f"expected a grain of 0 to 255 levels, received {self.grain}")
        if not 0 <= self.ema < 1:
            raise ValueError(f"expected an ema of at least 0 and below 1, received {self.ema}")
        if not self.learning_rate > 0:
            raise ValueError(f"expected a learning_rate above 0, received {self.learning_rate}")

    @property
    def damages(self) -> Damage | None:
        """What happens to LR patches, if they are not clean."""
        return Damage(**self.damage) if self.damage else None

    def to_dict(self) -> dict:
        """Returns the fields as a dict that JSON takes."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {**fields, "loss": dict(self.loss), "damage": dict(self.damage)}


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
    loss={"feature:block2_conv2": 1.0, "feature:block3_conv3": 1.0, "phase_bias": 5000.0},
    start="x4-pixel",
    steps=1000,
    epoch_steps=100,
    patch_size=128,
    shrink=0.5,
    learning_rate=2e-4,
    ema=0.99,
)
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
            start="x4-feature",
            steps=1500,
            patch_size=96,
            epoch_steps=250,
        ),
        # Wider and deeper than the clean ones: beside the loss network that costs little.
        Recipe(
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
        ),
        _X8_PIXEL,
        replace(
            _X4_FEATURE,
            name="x8-feature",
            scale=8,
            start="x8-pixel",
            steps=600,
            batch_size=4,
            patch_size=192,
        ),
        replace(_X8_PIXEL, name="x2-pixel", scale=2, batch_size=8, patch_size=96),
        replace(_X4_FEATURE, name="x2-feature", scale=2, start="x2-pixel", steps=500),
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

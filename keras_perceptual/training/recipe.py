"""`Recipe`: every number of a training run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from keras_perceptual.training.degradations import Damage
from keras_perceptual.zoo.descriptor import ModelDescriptor
from keras_perceptual.zoo.fields import check_fields

__all__ = ["Recipe"]


@dataclass(frozen=True)
class Recipe:
    """Every number of a training run.

    Args:
        name: what runs of it are called.
        generator: a key of `models.GENERATORS`: `subpixel`, `plain`, `johnson`, `srcnn` or `style`.
        channels: filters of the generator's inner convolutions.
        blocks: residual blocks of the generator.
        scale: HR size over LR size.
        loss: loss name to weight, as `losses.PerceptualLoss` takes them; `adversarial`,
            `rounding` and `stability` are `trainer.PerceptualTrainer`'s.
        discriminator: against which `adversarial` is: `patches`, or `unet`, which judges each pixel
            and takes more time.
        normalization: of a style generator, `instance` or `batch`.
        style_size: what style images are resized to, in pixels: the side of a square of the same
            area.
        start: name or path of the model to start from; empty starts at random. What does not fit
            (the last convolution, at another scale) starts at random.
        steps: optimiser steps in all.
        epoch_steps: steps between validations, samples and checkpoints.
        batch_size: patches a step.
        patch_size: side of an HR patch in pixels, a multiple of `scale`.
        patches: how many are cut from a photograph each time it is decoded; what a GPU waits for
            is decoding.
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
    discriminator: str = "patches"
    normalization: str = "instance"
    style_size: int = 384
    start: str = ""
    steps: int = 1000
    epoch_steps: int = 100
    batch_size: int = 8
    patch_size: int = 160
    patches: int = 8
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
        check_fields(self)
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
        counts = ("steps", "epoch_steps", "batch_size", "patch_size", "patches", "style_size")
        for name in ("scale", *counts):
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
        if self.discriminator not in ("patches", "unet"):
            raise ValueError(
                f"expected a discriminator of patches or unet, received {self.discriminator!r}"
            )
        if self.discriminator == "unet" and self.patch_size % 8:
            raise ValueError(
                f"expected a patch_size in a multiple of 8 for the discriminator unet, "
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

    @property
    def task(self) -> str:
        """What its model is for: `upscale` or `style`."""
        return "style" if self.generator == "style" else "upscale"

    def descriptor(self, styles: Sequence[str] = ()) -> ModelDescriptor:
        """Returns what its model is.

        Args:
            styles: names of the styles that it paints, for a style generator.
        """
        return ModelDescriptor(
            self.task,
            self.scale,
            tuple(styles),
            self.generator,
            self.channels,
            self.blocks,
            self.normalization if self.task == "style" else "",
        )

    def to_dict(self) -> dict:
        """Returns the fields as a dict that JSON takes."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {**fields, "loss": dict(self.loss), "damage": dict(self.damage)}

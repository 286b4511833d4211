"""A recipe and its sources to what a run needs: patches, generator, loss and trainer."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras

from keras_perceptual.errors import LossNetworkError, TrainingError
from keras_perceptual.files import images
from keras_perceptual.losses import vgg
from keras_perceptual.losses.perceptual import PerceptualLoss, check_names, layer_of
from keras_perceptual.models import generators
from keras_perceptual.models.loading import load_generator, transfer
from keras_perceptual.training import processes
from keras_perceptual.training.dataset import Patches, split
from keras_perceptual.training.optimizer import SteadyAdam
from keras_perceptual.training.recipe import Recipe
from keras_perceptual.training.styles import painting
from keras_perceptual.training.trainer import PerceptualTrainer
from keras_perceptual.zoo.fields import check_fields

__all__ = [
    "Sources",
    "build_generator",
    "build_loss",
    "build_patches",
    "build_trainer",
    "find_photographs",
    "precision",
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sources:
    """Where a run's photographs, paintings and weights come from; kept in its recipe.json.

    Args:
        data: folder of photographs to train on.
        loss_network: as `vgg.load` takes it.
        vgg_weights: the same.
        workers: that decode: threads up to 2, processes above.
        styles: files of style images, for a style generator; one style each.
        samples: folder of photographs to validate on; by default some of `data` are set aside.
    """

    data: str
    loss_network: str = "auto"
    vgg_weights: str | None = None
    workers: int = 2
    styles: tuple[str, ...] = ()
    samples: str | None = None

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def style_names(self) -> tuple[str, ...]:
        """What the styles are called: `starry-night` of paintings/starry_night.jpg."""
        return tuple(Path(style).stem.replace("_", "-") for style in self.styles)


@contextlib.contextmanager
def precision(policy: str) -> Iterator[None]:
    """What is built inside gets this dtype policy; afterwards the one before is back."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def find_photographs(sources: Sources) -> tuple[list[Path], list[Path]]:
    """Returns the photographs to train on, and those to validate on."""
    training, validation = split(images.list_images(sources.data))
    return training, images.list_images(sources.samples) if sources.samples else validation


def build_patches(recipe: Recipe, paths: list[Path], workers: int) -> Patches:
    """Builds the stream of patches that a recipe cuts from photographs."""
    return Patches(
        paths,
        batch_size=recipe.batch_size,
        patch_size=recipe.patch_size,
        patches=recipe.patches,
        scale=recipe.scale,
        blur=recipe.blur,
        shrink=recipe.shrink,
        clipping=recipe.clipping,
        grain=recipe.grain,
        damage=recipe.damages,
        seed=recipe.seed,
        workers=workers,
        part=(processes.rank(), processes.count()),
        gather=processes.gather,
    )


def build_generator(recipe: Recipe, sources: Sources) -> keras.Model:
    """Builds a recipe's generator, of random weights."""
    if sources.styles and recipe.task != "style":
        raise TrainingError(f"{recipe.name}: takes no style image; --recipe style does")
    if recipe.task == "style" and not sources.styles:
        raise TrainingError(f"{recipe.name}: expected a style image: --style painting.jpg")
    return generators.build(recipe.descriptor(sources.style_names))


def build_loss(recipe: Recipe, sources: Sources) -> PerceptualLoss:
    """Builds a recipe's loss.

    Features that the loss network has no layer for are left out, with a notice: the distilled one
    stands in for VGG16 in super-resolution. It has no layers that carry a style.

    Raises:
        ValueError: if the recipe names a loss, or a layer of VGG16, that does not exist.
        LossNetworkError: if the loss network cannot be had, or cannot see a style.
        ImageError: if a painting cannot be read.
    """
    weights = {n: w for n, w in recipe.loss.items() if n not in PerceptualTrainer.OWN_LOSSES}
    check_names(weights, vgg.OUTPUTS, bool(sources.styles))
    paintings = [painting(style, recipe.style_size) for style in sources.styles]
    layers = {n: layer for n in weights if (layer := layer_of(n))}
    if not layers:
        return PerceptualLoss(weights, recipe.scale, paintings=paintings)
    kind = "vgg16" if sources.styles and sources.loss_network == "auto" else sources.loss_network
    network = vgg.load(kind, tuple(dict.fromkeys(layers.values())), sources.vgg_weights)
    missing = [n for n, layer in layers.items() if layer not in network.output]
    if any(name.startswith("style:") for name in missing):
        raise LossNetworkError(
            f"the {network.name} loss network has no {', '.join(missing)}: style needs "
            f"VGG16's weights; {vgg.WAYS_OUT}"
        )
    for name in missing:
        del weights[name]
        logger.warning("%s is left out: the %s loss network has no such layer", name, network.name)
    return PerceptualLoss(weights, recipe.scale, network, paintings)


def build_trainer(recipe: Recipe, sources: Sources, start: bool = True) -> PerceptualTrainer:
    """Builds a trainer that is ready for its first step.

    Args:
        recipe: every number of it.
        sources: paintings and the loss network.
        start: whether its generator begins with the weights of the model that the recipe starts
            from; a run that goes on has weights of its own.
    """
    with precision(recipe.precision):
        generator = build_generator(recipe, sources)
        if recipe.start and start:
            transfer(load_generator(recipe.start), generator)
        trainer = PerceptualTrainer(
            generator,
            build_loss(recipe, sources),
            **{name: recipe.loss.get(name, 0.0) for name in PerceptualTrainer.OWN_LOSSES},
            fixed_statistics=recipe.fixed_statistics,
            seed=recipe.seed,
            discriminator=recipe.discriminator,
        )
        trainer.compile(
            optimizer=_optimizer(recipe),
            # XLA's convolutions are several times slower than oneDNN's on a CPU.
            jit_compile=keras.backend.backend() == "jax",
        )
        trainer.build()
        trainer.optimizer.build(trainer.trainable_variables)
    return trainer


def _optimizer(recipe: Recipe) -> keras.optimizers.Optimizer:
    rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if recipe.warmup else recipe.learning_rate,
        decay_steps=max(1, recipe.steps - recipe.warmup),
        alpha=0.0 if recipe.decay == "cosine" else 1.0,
        warmup_target=recipe.learning_rate if recipe.warmup else None,
        warmup_steps=recipe.warmup,
    )
    return SteadyAdam(
        rate,
        global_clipnorm=recipe.clip_norm or None,
        use_ema=recipe.ema > 0,
        ema_momentum=recipe.ema or 0.99,
    )

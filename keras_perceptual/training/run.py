"""Training: `train`, which makes a run, and `resume`, which goes on with one."""

from __future__ import annotations

import json
import logging
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

import keras_perceptual
from keras_perceptual.errors import LossNetworkError, TrainingError
from keras_perceptual.files import images
from keras_perceptual.losses import vgg as loss_network
from keras_perceptual.losses.perceptual import PerceptualLoss, layer_of
from keras_perceptual.models import generators
from keras_perceptual.models.loading import load_generator, transfer
from keras_perceptual.training import callbacks
from keras_perceptual.training.dataset import Patches, painting, split, with_styles
from keras_perceptual.training.optimizer import SteadyAdam
from keras_perceptual.training.recipes import Recipe
from keras_perceptual.training.trainer import PerceptualTrainer

__all__ = [
    "PerceptualTrainer",
    "Sources",
    "TrainingError",
    "build_loss",
    "load_generator",
    "resume",
    "train",
    "transfer",
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sources:
    """Where a run's photographs, paintings and weights come from; kept in its recipe.json.

    Args:
        data: folder of photographs to train on.
        loss_network: as `loss_network.load` takes it.
        vgg_weights: the same.
        workers: threads that decode.
        styles: files of style images, for a style generator; one style each.
        samples: folder of photographs to validate on; by default some of `data` are set aside.
    """

    data: str
    loss_network: str = "auto"
    vgg_weights: str | None = None
    workers: int = 2
    styles: tuple[str, ...] = ()
    samples: str | None = None


def train(recipe: Recipe, sources: Sources, out: Path) -> dict:
    """Makes a new run.

    Args:
        recipe: every number of it.
        sources: photographs and weights.
        out: the run's folder, which must not hold a run yet.

    Returns:
        The last epoch's row of history.csv.

    Raises:
        TrainingError: if `out` holds a run, or the loss stops being a number.
        DataError, ImageError, LossNetworkError, ZooError, ValueError: from what is used.
    """
    if (out / "recipe.json").exists():
        raise TrainingError(f"{out}: holds a run already; --resume it or name another --out")
    return _run(recipe, sources, out, resumed=None)


def resume(out: Path) -> dict:
    """Goes on with a run from its last checkpoint, with the same recipe and sources.

    Args:
        out: the run's folder.

    Returns:
        The last epoch's row of history.csv.

    Raises:
        TrainingError: if `out` holds no run, or its loss network is another one now.
    """
    path = out / "recipe.json"
    try:
        stored = json.loads(path.read_text("utf-8"))
        recipe, sources = Recipe(**stored["recipe"]), Sources(**stored["sources"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path}: expected the recipe of a run: {error}") from None
    return _run(recipe, sources, out, resumed=stored)


def _run(recipe: Recipe, sources: Sources, out: Path, resumed: Mapping | None) -> dict:
    config = _config(recipe, sources)
    keras.utils.set_random_seed(recipe.seed)
    keras.config.set_dtype_policy(recipe.precision)
    training_paths, validation_paths = split(images.list_images(sources.data))
    if sources.samples:
        validation_paths = images.list_images(sources.samples)
    patches = Patches(
        training_paths,
        batch_size=recipe.batch_size,
        patch_size=recipe.patch_size,
        scale=recipe.scale,
        blur=recipe.blur,
        shrink=recipe.shrink,
        clipping=recipe.clipping,
        grain=recipe.grain,
        damage=recipe.damages,
        seed=recipe.seed,
        workers=sources.workers,
    )
    checkpoint = out / "checkpoint.weights.h5"
    loss = build_loss(recipe, sources)
    generator = generators.build(recipe.generator, **config)
    if recipe.start and not checkpoint.exists():
        transfer(load_generator(recipe.start), generator)
    trainer = PerceptualTrainer(
        generator,
        loss,
        **{name: recipe.loss.get(name, 0.0) for name in PerceptualTrainer.OWN_LOSSES},
        fixed_statistics=recipe.fixed_statistics,
        seed=recipe.seed,
    )
    trainer.compile(
        optimizer=_optimizer(recipe),
        # XLA's convolutions are several times slower than oneDNN's on a CPU.
        jit_compile=keras.backend.backend() == "jax",
    )
    trainer.build()
    trainer.optimizer.build(trainer.trainable_variables)

    # What is validated and saved: the average of the weights, in float32 whatever the precision.
    keras.config.set_dtype_policy("float32")
    result = generators.build(recipe.generator, **config)
    about = {
        "recipe": recipe.to_dict(),
        "sources": vars(sources),
        "photographs": {"training": len(training_paths), "validation": len(validation_paths)},
        **_about(trainer),
    }
    if resumed is None:
        out.mkdir(parents=True, exist_ok=True)
        with images.atomic_path(out / "recipe.json") as beside:
            beside.write_text(json.dumps(about, indent=2) + "\n", "utf-8")
    elif resumed["loss_network"] != about["loss_network"]:
        raise TrainingError(
            f"{out}: was trained against {resumed['loss_network']}, "
            f"received {about['loss_network']}"
        )
    elif checkpoint.exists():
        trainer.load_weights(checkpoint)
    done = trainer.step
    history = callbacks.History(out / "history.csv", keep=done)
    if done < recipe.steps:
        trainer.fit(
            with_styles(patches.batches(done), len(sources.styles), recipe.seed, done),
            steps_per_epoch=min(recipe.epoch_steps, recipe.steps),
            initial_epoch=done // recipe.epoch_steps,
            epochs=math.ceil(recipe.steps / recipe.epoch_steps),
            shuffle=False,
            verbose=0,
            callbacks=[
                callbacks.Guard(recipe.steps, checkpoint),
                callbacks.Progress(done, recipe.steps),
                _validation(recipe, sources, validation_paths, result, loss, out, checkpoint),
                history,
                callbacks.Checkpoint(checkpoint, result, out / "model.keras"),
            ],
        )
    if patches.too_small:
        logger.warning("%d photographs were too small and skipped", len(patches.too_small))
    return history.rows[-1]


def _config(recipe: Recipe, sources: Sources) -> dict[str, Any]:
    """Returns what the recipe's generator is built with."""
    config = {"scale": recipe.scale, "channels": recipe.channels, "blocks": recipe.blocks}
    if recipe.generator != "style":
        if sources.styles:
            raise TrainingError(f"{recipe.name}: takes no style image; --recipe style does")
        return config
    if not sources.styles:
        raise TrainingError(f"{recipe.name}: expected a style image: --style painting.jpg")
    return {**config, "styles": len(sources.styles), "normalization": recipe.normalization}


def _validation(
    recipe: Recipe,
    sources: Sources,
    paths: list[Path],
    result: keras.Model,
    loss: PerceptualLoss,
    out: Path,
    checkpoint: Path,
) -> keras.callbacks.Callback:
    if sources.styles:
        names = [Path(style).stem for style in sources.styles]
        return callbacks.StyleValidation(paths, result, loss, names, recipe.grain, out, checkpoint)
    return callbacks.Validation(
        paths, result, recipe.scale, recipe.blur, recipe.damages, out, checkpoint
    )


def build_loss(recipe: Recipe, sources: Sources) -> PerceptualLoss:
    """Builds a recipe's loss.

    Features that the loss network has no layer for are left out: the distilled one stands in for
    VGG16 in super-resolution. It has no layers that carry a style.
    """
    weights = {n: w for n, w in recipe.loss.items() if n not in PerceptualTrainer.OWN_LOSSES}
    paintings = [painting(style, recipe.style_size) for style in sources.styles]
    layers = {n: layer for n in weights if (layer := layer_of(n))}
    if not layers:
        return PerceptualLoss(weights, recipe.scale, paintings=paintings)
    kind = "vgg16" if sources.styles and sources.loss_network == "auto" else sources.loss_network
    network = loss_network.load(kind, tuple(dict.fromkeys(layers.values())), sources.vgg_weights)
    missing = {n for n, layer in layers.items() if layer not in network.output}
    if any(name.startswith("style:") for name in missing):
        raise LossNetworkError(
            f"the {network.name} loss network has no {', '.join(sorted(missing))}: style needs "
            f"VGG16's weights; {loss_network.WAYS_OUT}"
        )
    weights = {n: w for n, w in weights.items() if n not in missing}
    return PerceptualLoss(weights, recipe.scale, network, paintings)


def _about(trainer: PerceptualTrainer) -> dict:
    network = trainer.perceptual_loss.loss_network
    return {
        "loss_network": network
        and {
            "name": network.name,
            "sha256": loss_network.sha256(network),
            "layers": list(network.output),
        },
        "parameters": trainer.generator.count_params(),
        "versions": {
            "keras_perceptual": keras_perceptual.__version__,
            "python": platform.python_version(),
            "keras": keras.__version__,
            "numpy": np.__version__,
            "backend": keras.backend.backend(),
        },
    }


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

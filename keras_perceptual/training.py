"""Training: `PerceptualTrainer`, and `train`, which makes or goes on with a run."""

from __future__ import annotations

import json
import logging
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import ops

import keras_perceptual
from keras_perceptual import adversary, callbacks, generators, images, loss_network, zoo
from keras_perceptual.dataset import Patches, split
from keras_perceptual.errors import first_line
from keras_perceptual.losses import PerceptualLoss
from keras_perceptual.recipes import Recipe

__all__ = ["PerceptualTrainer", "TrainingError", "load_generator", "resume", "train"]

logger = logging.getLogger(__name__)
TrainingError = callbacks.TrainingError


class PerceptualTrainer(keras.Model):
    """Trains a generator against a perceptual loss, with `compile` and `fit`.

    Metrics are `loss` and one per term of the loss, unweighted, under the term's name.

    Args:
        generator: a model from `lr` to `sr`, both RGB in 0..255.
        loss: what to minimise, with its loss network.
        adversarial: weight of the generator's loss against a discriminator that learns beside
            it; none at 0.
        fixed_statistics: whether batch normalisation keeps the statistics it has.
    """

    def __init__(
        self,
        generator: keras.Model,
        loss: PerceptualLoss,
        adversarial: float = 0.0,
        fixed_statistics: bool = False,
    ) -> None:
        super().__init__(name="perceptual_trainer")
        self.generator = generator
        self.perceptual_loss = loss
        self.adversarial = adversarial
        self.fixed_statistics = fixed_statistics
        names = list(loss.weights)
        if adversarial:
            self.discriminator = adversary.discriminator()
            names += ["adversarial", "discriminator"]
        self.term_metrics = {n: keras.metrics.Mean(_metric_name(n)) for n in names}

    def call(self, lr, training=False):
        return self.generator(lr, training=training and not self.fixed_statistics)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Returns the weighted loss of `y_pred` (sr) against `y` (hr), and records its terms."""
        terms = self.perceptual_loss(y, y_pred)
        total = self.perceptual_loss.total(terms)
        if self.adversarial:
            fooling, telling = adversary.versus(self.discriminator, y, y_pred)
            terms.update(adversarial=fooling, discriminator=telling)
            total += self.adversarial * fooling + telling
        for name, value in terms.items():
            self.term_metrics[name].update_state(value)
        return total

    if keras.backend.backend() == "tensorflow":

        def train_step(self, data):
            """One step of gradient descent on a batch of (lr, hr)."""
            import tensorflow as tf

            lr, hr, _ = keras.utils.unpack_x_y_sample_weight(data)
            with tf.GradientTape() as tape:
                sr = self(lr, training=True)
                loss = self.compute_loss(lr, hr, sr)
                scaled = self.optimizer.scale_loss(loss)
            gradients = tape.gradient(scaled, self.trainable_variables)
            self.optimizer.apply(gradients, self.trainable_variables)
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
            return self.get_metrics_result()

    @property
    def step(self) -> int:
        """Number of optimiser steps made."""
        return int(ops.convert_to_numpy(self.optimizer.iterations))

    def averaged_weights(self) -> list[np.ndarray]:
        """Returns the generator's weights, moving averages where the optimiser keeps them."""
        if not self.optimizer.use_ema or not self.step:
            return self.generator.get_weights()
        latest = self.get_weights()
        self.optimizer.finalize_variable_values(self.trainable_variables)
        averaged = self.generator.get_weights()
        self.set_weights(latest)
        return averaged


def _metric_name(term: str) -> str:
    return term.replace(":", "_")


@dataclass(frozen=True)
class Sources:
    """Where a run's photographs and weights come from; kept in its recipe.json."""

    data: str
    loss_network: str = "auto"
    vgg_weights: str | None = None
    workers: int = 2


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
    keras.utils.set_random_seed(recipe.seed)
    keras.config.set_dtype_policy(recipe.precision)
    training_paths, validation_paths = split(images.list_images(sources.data))
    patches = Patches(
        training_paths,
        batch_size=recipe.batch_size,
        patch_size=recipe.patch_size,
        scale=recipe.scale,
        blur=recipe.blur,
        shrink=recipe.shrink,
        seed=recipe.seed,
        workers=sources.workers,
    )
    checkpoint = out / "checkpoint.weights.h5"
    loss = _loss(recipe, sources)
    config = {"scale": recipe.scale, "channels": recipe.channels, "blocks": recipe.blocks}
    generator = generators.build(recipe.generator, **config)
    if recipe.start and not checkpoint.exists():
        transfer(load_generator(recipe.start), generator)
    trainer = PerceptualTrainer(
        generator, loss, recipe.loss.get("adversarial", 0.0), recipe.fixed_statistics
    )
    trainer.compile(
        optimizer=_optimizer(recipe),
        # XLA's convolutions are several times slower than oneDNN's on a CPU.
        jit_compile=keras.backend.backend() == "jax",
    )
    trainer.build((None, None, None, 3))
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
            patches.batches(done),
            steps_per_epoch=min(recipe.epoch_steps, recipe.steps),
            initial_epoch=done // recipe.epoch_steps,
            epochs=math.ceil(recipe.steps / recipe.epoch_steps),
            shuffle=False,
            verbose=0,
            callbacks=[
                callbacks.Guard(recipe.steps, checkpoint),
                callbacks.Progress(done, recipe.steps),
                callbacks.Validation(
                    validation_paths, result, recipe.scale, recipe.blur, out, checkpoint
                ),
                history,
                callbacks.Checkpoint(checkpoint, result, out / "model.keras"),
            ],
        )
    if patches.too_small:
        logger.warning("%d photographs were too small and skipped", len(patches.too_small))
    return history.rows[-1]


def _loss(recipe: Recipe, sources: Sources) -> PerceptualLoss:
    """Builds the recipe's loss, less what the loss network that could be had has no layer for."""
    weights = {n: w for n, w in recipe.loss.items() if n != "adversarial"}
    layers = {n: n.partition(":")[2] for n in weights if ":" in n}
    if not layers:
        return PerceptualLoss(weights, recipe.scale)
    network = loss_network.load(sources.loss_network, tuple(layers.values()), sources.vgg_weights)
    weights = {n: w for n, w in weights.items() if layers.get(n) in (None, *network.output)}
    return PerceptualLoss(weights, recipe.scale, network)


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
    return keras.optimizers.Adam(
        rate,
        global_clipnorm=recipe.clip_norm or None,
        use_ema=recipe.ema > 0,
        ema_momentum=recipe.ema or 0.99,
    )


def load_generator(name: str) -> keras.Model:
    """Loads a generator by the name of a shipped model or the path of a `.keras` file.

    Raises:
        ZooError: if it is neither, or the file cannot be loaded.
    """
    path = Path(name)
    if path.suffix != ".keras":
        path = zoo.folder(name) / "model.keras"
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # zipfile, h5py and Keras each raise their own
        raise zoo.ZooError(
            f"{path}: cannot be loaded as a Keras model: {first_line(error)}"
        ) from None


def transfer(source: keras.Model, target: keras.Model) -> list[str]:
    """Copies weights from layer to layer of the same name and shapes.

    Args:
        source: where from.
        target: where to, changed in place.

    Returns:
        Names of the layers that were copied.

    Raises:
        ZooError: if no layer fits.
    """
    copied = []
    for layer in target.layers:
        try:
            weights = source.get_layer(layer.name).get_weights()
        except ValueError:
            continue
        if weights and [w.shape for w in weights] == [tuple(w.shape) for w in layer.weights]:
            layer.set_weights(weights)
            copied.append(layer.name)
    if not copied:
        raise zoo.ZooError(f"no layer of {source.name} fits {target.name}")
    return copied

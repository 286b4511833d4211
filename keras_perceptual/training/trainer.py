"""`PerceptualTrainer`: a generator and its loss, with a train_step of their own."""

from __future__ import annotations

import re

import keras
import numpy as np
from keras import ops

from keras_perceptual.losses import adversary
from keras_perceptual.losses.discriminators import DISCRIMINATORS
from keras_perceptual.losses.perceptual import PerceptualLoss
from keras_perceptual.models.rounding import rounded, shown
from keras_perceptual.training.optimizer import FiniteMean

__all__ = ["PerceptualTrainer"]


class PerceptualTrainer(keras.Model):
    """Trains a generator against a perceptual loss, with `compile` and `fit`.

    Batches are `(lr, hr)`, or `((lr, style), hr)` for a generator of several styles. Metrics are
    `loss` and one per term of the loss, unweighted, under the term's name.

    Args:
        generator: a model from `lr` to `sr`, both RGB in 0..255.
        loss: what to minimise, with its loss network.
        adversarial: weight of the generator's loss against a discriminator that learns beside
            it; none at 0.
        rounding: weight of what changes in the result, squared, where the convolutions of residual
            blocks round as in 8 bits; none at 0.
        stability: weight of what changes in the result, squared, when the LR image moves by up
            to `SHIFT` pixels and has noise of `NOISE` levels, as from frame to frame of a video;
            none at 0.
        fixed_statistics: whether batch normalisation keeps the statistics it has.
        seed: of movement and noise.
        discriminator: a key of `losses.DISCRIMINATORS`, where there is an adversarial loss.
    """

    OWN_LOSSES = ("adversarial", "rounding", "stability")  # those that take more than hr and sr
    SHIFT, NOISE = 3, 3.0
    BORDER = 8  # LR pixels that see what moved in

    def __init__(
        self,
        generator: keras.Model,
        loss: PerceptualLoss,
        adversarial: float = 0.0,
        rounding: float = 0.0,
        stability: float = 0.0,
        fixed_statistics: bool = False,
        seed: int = 0,
        discriminator: str = "patches",
    ) -> None:
        super().__init__(name="perceptual_trainer")
        self.generator = generator
        self.perceptual_loss = loss
        self.adversarial, self.rounding, self.stability = adversarial, rounding, stability
        self.fixed_statistics = fixed_statistics
        names = list(loss.weights)
        if adversarial:
            self.discriminator = DISCRIMINATORS[discriminator]()
            names += ["adversarial", "discriminator"]
        if rounding:
            self.in_eight_bits = rounded(generator).__call__  # of the same weights
            names += ["rounding"]
        if stability:
            self.seed, self.random = seed, keras.random.SeedGenerator(seed)
            names += ["stability"]
        self.term_metrics = {n: FiniteMean(_metric_name(n)) for n in names}

    def compile(self, *args, **kwargs):
        super().compile(*args, **kwargs)
        self._loss_tracker = FiniteMean("loss")

    def build(self, input_shape=None):
        self.built = True  # functional models are from the start

    def call(self, lr, training=False):
        return self.generator(lr, training=training and not self.fixed_statistics)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Returns the weighted loss of `y_pred` (sr) against `y` (hr), and records its terms."""
        style = x[1] if isinstance(x, (tuple, list)) else None
        terms = self.perceptual_loss(y, y_pred, style)
        total = self.perceptual_loss.total(terms)
        if self.adversarial:
            fooling, telling = adversary.versus(self.discriminator, y, y_pred)
            terms.update(adversarial=fooling, discriminator=telling)
            total += self.adversarial * fooling + telling
        if self.rounding:
            off = shown(self.in_eight_bits(x)) - shown(y_pred)
            terms["rounding"] = ops.mean(ops.square(off))
            total += self.rounding * terms["rounding"]
        if self.stability:
            terms["stability"] = self._instability(x, y_pred, training)
            total += self.stability * terms["stability"]
        for name, value in terms.items():
            self.term_metrics[name].update_state(value)
        return total

    def _instability(self, x, sr, training):
        """Returns the mean square by which the result changes when the camera moves a little.

        Source: Gupta et al., "Characterizing and improving stability in neural style transfer",
        2017, with a known movement in place of a video's.
        """
        lr, *style = x if isinstance(x, (tuple, list)) else (x,)
        batch, height, width, _ = ops.shape(lr)
        scale = ops.shape(sr)[1] // height
        shift = keras.random.randint((2,), 0, self.SHIFT + 1, seed=self.random)

        def moved(image, factor, border):
            sides = [factor * (side - self.SHIFT - 2 * border) for side in (height, width)]
            start = ops.pad(factor * (shift + border), (1, 1))
            return ops.slice(image, start, (batch, *sides, 3))

        noisy = moved(ops.cast(lr, "float32"), 1, 0)
        noisy += keras.random.normal(ops.shape(noisy), stddev=self.NOISE, seed=self.random)
        again = self([noisy, *style] if style else noisy, training=training)
        edge = scale * self.BORDER
        expected = moved(sr, scale, self.BORDER)
        return ops.mean(ops.square(again[:, edge:-edge, edge:-edge] - expected))

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

    def load_weights(self, *args, **kwargs):
        super().load_weights(*args, **kwargs)
        if self.stability:
            # Keras does not store it: a run that goes on moves as it would have, two draws a step.
            self.random.state.assign([self.seed, 2 * self.step])

    @property
    def step(self) -> int:
        """Number of optimiser steps made."""
        return int(ops.convert_to_numpy(self.optimizer.iterations))

    @property
    def skipped(self) -> tuple[int, int]:
        """Steps that were left out for their gradients: in all, and in a row up to now."""
        if keras.backend.backend() == "jax":
            self.jax_state_sync()  # between steps its variables are empty
        return int(self.optimizer.skipped), int(self.optimizer.in_a_row)

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
    """Returns the name under which a term of the loss is logged."""
    return re.sub(r"\W", "_", term)

"""`PerceptualTrainer`: a generator and its loss, with a train_step of their own."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from keras_perceptual import adversary
from keras_perceptual.losses import PerceptualLoss

__all__ = ["PerceptualTrainer", "metric_name"]


class PerceptualTrainer(keras.Model):
    """Trains a generator against a perceptual loss, with `compile` and `fit`.

    Batches are `(lr, hr)`, or `((lr, style), hr)` for a generator of several styles. Metrics are
    `loss` and one per term of the loss, unweighted, under the term's name.

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
        self.term_metrics = {n: keras.metrics.Mean(metric_name(n)) for n in names}

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


def metric_name(term: str) -> str:
    """Returns the name under which a term of the loss is logged."""
    return term.replace(":", "_")

"""Weights fine-tuned for 8 bits, so that rounding changes less of what they give."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_perceptual.errors import ExportError
from keras_perceptual.export.equalization import equalized
from keras_perceptual.export.quantization import Ranges, activation_ranges, patches, quantized
from keras_perceptual.export.tflite import to_tflite
from keras_perceptual.export.verification import open_tflite
from keras_perceptual.files import images
from keras_perceptual.models.rounding import convolved, shown, stepped
from keras_perceptual.pixels.resampling import imresize, to_uint8
from keras_perceptual.training.callbacks import Progress

__all__ = ["PHOTOGRAPHS", "STEPS", "finetuned", "read_photographs", "rounding"]

STEPS, BATCH = 1500, 8
PHOTOGRAPHS = 150  # at the most, each in three sizes
LEARNING_RATE = 5e-5
# Batches of patches that are tried, and half of those that are kept: the ones that 8 bits change
# most. In most patches all is well, and it is the few that show. Some are black and white, as text.
TRIED, WORST = 400, 60
SIDE, DRAWN = 32, 64
FOURTH = 0.003  # weight of the fourth power of a difference in levels, beside its square


def finetuned(
    generator: keras.Model, photographs: Sequence[np.ndarray], steps: int = STEPS
) -> tuple[keras.Model, Ranges]:
    """Trains a generator to give in 8 bits what it gives now.

    In the forward pass the convolutions of its residual blocks round as 8 bits do; backwards
    rounding is taken for the identity. Weights, which are `equalized` before, and ranges of
    activations are trained, against the result without rounding.

    Args:
        generator: `subpixel` in float32; it is not changed.
        photographs: `[H, W, 3]` uint8 LR images to train on.
        steps: of Adam, on 8 patches of 32x32 pixels each.

    Returns:
        A generator of the same architecture, and the ranges that `quantized` takes with it.

    Raises:
        ExportError: if it is another generator, or litert-quantizer is not installed.

    Source: Jacob et al., "Quantization and training of neural networks for efficient
    integer-arithmetic-only inference", 2018, section 3; the ranges, Esser et al., "Learned step
    size quantization", 2020.
    """
    keras.utils.set_random_seed(0)  # of the order of patches
    batches = list(patches(photographs))
    generator = equalized(generator, batches)
    content = to_tflite(generator, "none")
    ranges = activation_ranges(content, batches)
    lr, sr = _examples(content, ranges, photographs)
    student = rounding(generator, ranges)
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    student.compile(keras.optimizers.Adam(schedule, beta_2=0.99), loss=_difference)
    epoch = -(-len(lr) // BATCH)
    epochs = -(-steps // epoch)
    with closing(Progress(0, epochs * epoch)) as progress:
        student.fit(lr, sr, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=[progress])
    result = keras.models.clone_model(generator)
    _copy(student, result)
    learned = {(name, end): student.get_layer(name).range(end) for name, end in ranges}
    return result, {key: (float(low), float(high)) for key, (low, high) in learned.items()}


def read_photographs(folder: Path) -> list[np.ndarray]:
    """Reads what `finetuned` takes, up to `PHOTOGRAPHS` images from all over a folder.

    Raises:
        ExportError: if there are none.
        ImageError: if the folder or an image cannot be read.
    """
    paths = images.list_images(folder)
    if not paths:
        raise ExportError(f"{folder}: expected photographs to fine-tune on, found none")
    return [images.read(path).pixels for path in paths[:: -(-len(paths) // PHOTOGRAPHS)]]


class _Rounded(keras.layers.Conv2D):
    """A convolution that rounds its weights, what it takes and what it gives as 8 bits do."""

    def __init__(self, ranges: Sequence[tuple[float, float]], **config: Any) -> None:
        super().__init__(**config)
        self.ranges = ranges

    def build(self, input_shape):
        super().build(input_shape)
        self.steps, self.zeros = [], []
        for number, (low, high) in enumerate(self.ranges):
            step = max(high - low, 1e-6) / 255
            start = keras.initializers.Constant(step)
            self.steps.append(self.add_weight((), start, name=f"step{number}"))
            self.zeros.append(float(np.rint(-low / step)))

    def range(self, end: int) -> tuple[Any, Any]:
        """Returns what 8 bits are spread over: of what it takes (0), or gives (1)."""
        step, zero = self.steps[end], self.zeros[end]
        return -zero * step, (255 - zero) * step

    def call(self, inputs):
        return self._activation(convolved(self, self._activation(inputs, 0)), 1)

    def _activation(self, x, end):
        return stepped(ops.clip(x, *self.range(end)), self.steps[end])


def rounding(generator: keras.Model, ranges: Ranges) -> keras.Model:
    """Returns a copy of a generator whose convolutions that have ranges round as 8 bits do."""

    def copied(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        if (layer.name, 0) not in ranges:
            return type(layer).from_config(config)
        return _Rounded([ranges[layer.name, end] for end in (0, 1)], **config)

    result = keras.models.clone_model(generator, clone_function=copied)
    _copy(generator, result)
    return result


def _copy(source: keras.Model, target: keras.Model) -> None:
    """Copies kernels and biases; what only one of the two has, such as ranges, stays."""
    for layer in source.layers:
        for old, new in zip(layer.weights, target.get_layer(layer.name).weights, strict=False):
            new.assign(old)


def _examples(
    content: bytes, ranges: Ranges, photographs: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns patches and what a generator makes of them, clipped."""
    exact = open_tflite(content).upscale
    larger = np.concatenate(list(patches(photographs[:DRAWN], DRAWN, 2 * SIDE)))[:DRAWN]
    tried = [*patches(photographs, TRIED * BATCH, SIDE), np.stack([_drawn(x) for x in larger])]
    many = np.concatenate(tried).astype(np.float32)
    rounded = quantized(content, [many[:BATCH]], ranges=ranges)
    eight = open_tflite(rounded).upscale
    given, made, largest = [], [], []
    for lr in np.array_split(many, len(many) // BATCH):
        sr = shown(exact(lr))
        given.append(lr)
        made.append(sr)
        largest.append(np.abs(shown(eight(lr)) - sr).max((1, 2, 3)))
    order = np.argsort(-np.concatenate(largest))
    chosen = [*order[: WORST * BATCH], *order[WORST * BATCH :: TRIED // WORST]]
    return np.concatenate(given)[chosen], np.concatenate(made)[chosen]


def _drawn(patch: np.ndarray) -> np.ndarray:
    """Returns a patch of twice the size as black and white, reduced: as text is in a picture."""
    luma = patch.mean(2, keepdims=True)
    return to_uint8(imresize(np.repeat(255.0 * (luma > np.median(luma)), 3, axis=2), 0.5))


def _difference(sr, rounded):
    """Squares of differences in levels, and a little of their fourth powers."""
    squared = ops.square(shown(rounded) - sr)
    return ops.mean(squared + FOURTH * ops.square(squared))

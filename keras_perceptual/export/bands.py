"""Large pictures in a TensorFlow graph: band by band, in a fraction of the memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_perceptual.errors import EngineError
from keras_perceptual.inference.tiling import Pass

__all__ = ["in_bands", "reach_of"]

AREA = 2**19  # LR pixels of a band, with what it sees around it


def reach_of(generator: keras.Model) -> int | None:
    """Returns how many LR pixels to each side an output pixel sees; None if it sees too many."""

    class Bare:
        path = Path(generator.name)

        def run(self, lr: np.ndarray) -> np.ndarray:
            return keras.ops.convert_to_numpy(generator(lr, training=False))

    try:
        return Pass(Bare(), generator.name).reach
    except EngineError:
        return None


def in_bands(enlarge: Callable[[Any], Any], pixels: Any, scale: int, reach: int) -> Any:
    """Enlarges a picture in bands that are cut across its longer side.

    Args:
        enlarge: from uint8 `[H, W, C]` to uint8 `[scale H, scale W, C]`.
        pixels: uint8 `[H, W, C]`, of any size.
        scale: SR size over LR size.
        reach: LR pixels that an output pixel sees to each side, a multiple of 4.

    Returns:
        uint8 `[scale H, scale W, C]`, as `enlarge` makes it of the whole.
    """
    size = tf.shape(pixels)[:2]
    tall = size[0] >= size[1]
    length, across = tf.reduce_max(size), tf.reduce_min(size)
    # A multiple of 4, as the strides of generators need.
    step = tf.maximum(4 * reach, AREA // across - 2 * reach) // 4 * 4

    def band(start: Any, parts: Any) -> tuple[Any, Any]:
        stop = tf.minimum(start + step, length)
        first, last = tf.maximum(start - reach, 0), tf.minimum(stop + reach, length)
        part = tf.cond(tall, lambda: pixels[first:last], lambda: pixels[:, first:last])
        sr = enlarge(part)
        own = slice((start - first) * scale, (stop - first) * scale)
        sr = tf.cond(tall, lambda: sr[own], lambda: tf.transpose(sr[:, own], (1, 0, 2)))
        return stop, parts.write(parts.size(), sr)

    parts = tf.TensorArray(
        tf.uint8, 0, dynamic_size=True, infer_shape=False, element_shape=[None, None, None]
    )
    _, parts = tf.while_loop(
        lambda start, _: start < length, band, (0, parts), parallel_iterations=1
    )
    joined = parts.concat()
    return tf.cond(tall, lambda: joined, lambda: tf.transpose(joined, (1, 0, 2)))

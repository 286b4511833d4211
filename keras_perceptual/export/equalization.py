"""Channels of like ranges, so that steps of 8 bits fit all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable

import keras
import numpy as np

from keras_perceptual.errors import ExportError

__all__ = ["equalized"]

MOST = 16.0  # times that a channel is enlarged


def equalized(generator: keras.Model, batches: Iterable[np.ndarray]) -> keras.Model:
    """Enlarges channels of a residual network that hold little, where nothing but sums is between.

    What the first convolution and each block add up is linear: a channel that all of them give
    enlarged, and that all who take it reduce again, changes no result. In 8 bits the channels of
    an activation have one step, which the largest decides.

    Args:
        generator: `subpixel`; it is not changed.
        batches: `[N, H, W, 3]` LR images in 0..255, that ranges are measured on.

    Returns:
        A generator of the same architecture that gives the same.

    Raises:
        ExportError: if it is another generator.

    Source: Nagel et al., "Data-free quantization through weight equalization and bias correction",
    2019, section 4.1, over the whole sum in place of pairs of layers.
    """
    names = [layer.name for layer in generator.layers]
    if "body_add" not in names:  # others have more than sums between their blocks
        raise ExportError("expected blocks of subpixel to fine-tune for 8 bits, and there are none")
    blocks = {
        part: [name for name in names if re.fullmatch(rf"block\d+_{part}", name)]
        for part in ("conv0", "conv1", "add")
    }
    giving, taking = ["head", *blocks["conv1"]], [*blocks["conv0"], "tail"]
    held = [*giving, *blocks["add"]]
    result = keras.models.clone_model(generator)
    result.set_weights(generator.get_weights())
    outputs = keras.Model(generator.input, [generator.get_layer(name).output for name in held])
    extremes = np.max([_extremes(outputs, batch) for batch in batches], axis=0)
    shares = extremes / extremes.max(1, keepdims=True)  # of its activation's range
    reach = np.sqrt(np.square(shares).mean(0))
    factors = reach.max() / np.maximum(reach, reach.max() / MOST)
    for name in giving:
        kernel, bias = result.get_layer(name).get_weights()
        result.get_layer(name).set_weights([kernel * factors, bias * factors])
    for name in taking:
        kernel, bias = result.get_layer(name).get_weights()
        result.get_layer(name).set_weights([kernel / factors[:, None], bias])
    return result


def _extremes(outputs: keras.Model, lr: np.ndarray) -> list[np.ndarray]:
    """Returns the largest value of each channel of each output."""
    return [np.abs(each).max((0, 1, 2)) for each in outputs.predict(lr, verbose=0)]

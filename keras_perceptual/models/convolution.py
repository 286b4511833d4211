"""Convolutions as the generators have them, with initial weights that fit."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import layers

__all__ = ["conv", "normal"]


def normal(x: Any, size: int, gain: float) -> keras.initializers.Initializer:
    """Returns normal weights of variance gain / fan-in: He's for gain 2, LeCun's for 1.

    (VarianceScaling itself is saved with arguments that older versions of Keras do not know.)
    """
    return keras.initializers.RandomNormal(stddev=math.sqrt(gain / (size**2 * x.shape[-1])))


def conv(
    x: Any,
    filters: int,
    size: int,
    name: str,
    gain: float = 2.0,
    activation: str | None = None,
    strides: int = 1,
    padding: str = "same",
) -> Any:
    return layers.Conv2D(
        filters,
        size,
        strides,
        padding=padding,
        activation=activation,
        kernel_initializer=normal(x, size, gain),
        name=name,
    )(x)

"""Generators from files and to them, and weights from one generator to another."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from keras_perceptual import zoo
from keras_perceptual.errors import ZooError, first_line
from keras_perceptual.models.describing import describe
from keras_perceptual.models.normalization import InstanceNormalization
from keras_perceptual.models.style import in_style
from keras_perceptual.zoo.descriptor import embed, read

__all__ = ["load_file", "load_generator", "save_generator", "transfer"]


def load_file(path: Path) -> keras.Model:
    """Loads a generator from a `.keras` file, with its descriptor; it cannot run code.

    Raises:
        ZooError: if the file cannot be loaded.
    """
    try:
        generator = keras.saving.load_model(path, compile=False, safe_mode=True)
        return describe(generator, read(path))
    except ZooError:
        raise
    except Exception as error:  # zipfile, h5py and Keras each raise their own
        raise ZooError(f"{path}: cannot be loaded as a Keras model: {first_line(error)}") from error


def save_generator(generator: keras.Model, path: Path) -> None:
    """Writes a generator to a `.keras` file, its descriptor inside."""
    generator.save(path)
    embed(path, describe(generator).descriptor)


def load_generator(name: str) -> keras.Model:
    """Loads a generator.

    Args:
        name: of a shipped model or style, or the path of a `.keras` file, with `#2` behind it for
            the second style of several.

    Returns:
        A model from `lr` to `sr`, or, of several styles none of which was chosen, from `lr` and
        `style`; what it is is its `descriptor`.

    Raises:
        ZooError: if it is neither, the file cannot be loaded, or there is no such style.
    """
    chosen = name in zoo.styles() or "#" in name
    place, number = zoo.find_style(name) if chosen else (Path(name), 0)
    path = place if place.suffix == ".keras" else zoo.checkpoint(place.name if chosen else name)
    generator = load_file(path)
    styles = generator.descriptor.styles
    if chosen and number >= max(1, len(styles)):
        raise ZooError(f"{name}: expected a style up to #{len(styles)}")
    if chosen and len(styles) > 1:
        return in_style(generator, np.eye(len(styles))[number])
    return generator


def transfer(source: keras.Model, target: keras.Model) -> list[str]:
    """Copies weights from layer to layer of the same name and shapes.

    Instance normalisations of another number of styles get the mean of the source's. A wider
    target gets the source's filters as its first ones, which see nothing of the others, so it
    begins where the source ended.

    Args:
        source: where from.
        target: where to, changed in place.

    Returns:
        Names of the layers that were copied.

    Raises:
        ZooError: if no layer fits.
    """
    copied = []
    wider = _width(source), _width(target)
    for layer in target.layers:
        try:
            weights = source.get_layer(layer.name).get_weights()
        except ValueError:
            continue
        if isinstance(layer, InstanceNormalization) and len(weights[0]) != layer.styles:
            weights = [np.repeat(w.mean(0, keepdims=True), layer.styles, 0) for w in weights]
        if wider[0] < wider[1]:
            weights = [
                _widened(old, new, *wider)
                for old, new in zip(weights, layer.get_weights(), strict=False)
            ]
        if weights and [w.shape for w in weights] == [tuple(w.shape) for w in layer.weights]:
            layer.set_weights(weights)
            copied.append(layer.name)
    if not copied:
        raise ZooError(
            f"no layer of {source.name} fits {target.name}; another --start, or an empty one, may"
        )
    return copied


def _width(generator: keras.Model) -> int:
    """Returns the number of filters of a generator's inner convolutions."""
    return next((layer.filters for layer in generator.layers if layer.name == "head"), 0)


def _widened(old: np.ndarray, new: np.ndarray, narrow: int, wide: int) -> np.ndarray:
    """Returns the weights `new` of a wider layer with `old` in the place of its first filters.

    Each axis is either as long in both or grows from `narrow` to `wide`; others stay as they are.
    """
    grown = [(a, b) == (narrow, wide) for a, b in zip(old.shape, new.shape, strict=True)]
    if any(a != b and not g for a, b, g in zip(old.shape, new.shape, grown, strict=True)):
        return old
    result = new.copy()
    if old.ndim > 1 and grown[-2]:
        result[..., narrow:, : old.shape[-1]] = 0
    result[tuple(slice(side) for side in old.shape)] = old
    return result

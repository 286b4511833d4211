"""The functions of an exported model, as TensorFlow graphs without a Python function inside."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_perceptual.export import image_files
from keras_perceptual.export.bands import in_bands, reach_of
from keras_perceptual.models.matching import AffineMatching, HistogramMatching
from keras_perceptual.models.normalization import (
    InstanceNormalization,
    given_statistics,
    recorded_statistics,
)
from keras_perceptual.pixels.grain import headroom, waves
from keras_perceptual.pixels.histograms import check_match
from keras_perceptual.pixels.transparency import CELL, LEVELS, TRUSTED

__all__ = ["endpoints", "paint", "serve_bytes", "serving_default", "tile", "upscale"]

_LEAST = 1e-12  # where nothing is, instead of 0


def endpoints(
    generator: keras.Model, histogram_match: str, grain: float, shape: list
) -> dict[str, tuple]:
    """Returns the functions that every artefact has, by name, each with what it takes.

    Args:
        generator: a functional model from `lr` to `sr`, float32.
        histogram_match: `affine`, `paper` or `none`, the post-process of `serving_default`.
        grain: that `serving_default` gives its input, in levels.
        shape: of `lr`, None where it is dynamic.
    """
    lr = tf.TensorSpec(shape, tf.float32, "lr")
    functions: dict[str, tuple] = {}
    if len(generator.inputs) == 1:
        serve = serving_default(generator, histogram_match, grain)
        functions["serving_default"] = serve, tf.TensorSpec(shape, tf.uint8, "lr")
        functions["upscale"] = upscale(generator), lr
    norms = [each for each in generator.layers if isinstance(each, InstanceNormalization)]
    if norms:
        styles = [tf.TensorSpec([1, i.shape[1]], tf.float32, "style") for i in generator.inputs[1:]]
        measured = 2 * sum(each.gamma.shape[1] for each in norms)
        statistics = tf.TensorSpec([measured], tf.float32, "statistics")
        functions["paint"] = paint(generator), lr, *styles
        functions["tile"] = tile(generator), lr, *styles, statistics
    return functions


def upscale(generator: keras.Model) -> Callable[[Any], dict[str, Any]]:
    """Returns `lr` float32 `[N, H, W, 3]` -> `sr` float32, the bare generator."""
    return lambda lr: {"sr": generator(lr)}


def paint(generator: keras.Model) -> Callable[..., dict[str, Any]]:
    """Returns `lr`, `style` -> `sr`, `statistics`: a style generator that tells what it measured.

    `lr` is float32 `[N, H, W, 3]`, parts of one image; `style` float32 `[1, styles]`, missing
    where there is one; `statistics` float32 `[K]`, as `tile` takes them.
    """

    def painted(*inputs: Any) -> dict[str, Any]:
        with recorded_statistics() as record:
            sr = generator(_one_or_all(inputs))
        return {"sr": sr, "statistics": tf.concat(record, axis=0)}

    return painted


def tile(generator: keras.Model) -> Callable[..., dict[str, Any]]:
    """Returns `lr`, `style`, `statistics` -> `sr`: a part of an image that was measured before."""

    def painted(*inputs: Any) -> dict[str, Any]:
        with given_statistics(inputs[-1]):
            return {"sr": generator(_one_or_all(inputs[:-1]))}

    return painted


def _one_or_all(inputs: tuple) -> Any:
    return list(inputs) if len(inputs) > 1 else inputs[0]


def serving_default(
    generator: keras.Model, histogram_match: str = "affine", grain: float = 0.0
) -> Callable[[Any], dict[str, Any]]:
    """Returns `lr` uint8 `[N, H, W, 3]` -> `sr` uint8, with all that comes before and after."""
    check_match(histogram_match)
    affine = AffineMatching.of(generator) if histogram_match == "affine" else None
    match = HistogramMatching()

    def serve(lr: Any) -> dict[str, Any]:
        levels = tf.cast(lr, tf.float32)
        sr = generator(_grained(levels, grain) if grain else levels)
        if affine:
            sr = affine(sr)
        elif histogram_match == "paper":
            sr = match(sr, levels)
        return {"sr": tf.cast(tf.round(tf.clip_by_value(sr, 0.0, 255.0)), tf.uint8)}

    return serve


def _grained(levels: Any, deviation: float) -> Any:
    """Returns images `[N, H, W, 3]` with grain, as `grain.grained` has it."""
    down, right, phases = waves()
    height, width = tf.shape(levels)[1], tf.shape(levels)[2]
    y = tf.cast(tf.range(height), tf.float32)[:, None] * down.astype(np.float32)
    x = tf.cast(tf.range(width), tf.float32)[:, None] * right.astype(np.float32)
    x = x[:, :, None] + phases.astype(np.float32)
    rows = tf.concat([tf.cos(y), -tf.sin(y)], axis=1)
    columns = tf.concat([tf.cos(x), tf.sin(x)], axis=1)
    columns = tf.reshape(tf.transpose(columns, (1, 0, 2)), (2 * len(down), -1))
    noise = tf.reshape(tf.matmul(rows, columns), (1, height, width, 3))
    room = headroom(deviation)
    grained = levels * (1 - 2 * room / 255) + room + noise * (deviation * math.sqrt(2 / len(down)))
    return tf.round(tf.clip_by_value(grained, 0.0, 255.0))


def serve_bytes(
    generator: keras.Model,
    scale: int,
    histogram_match: str = "affine",
    grain: float = 0.0,
    pixel_limit: int = 4_000_000,
) -> Callable[[Any], dict[str, Any]]:
    """Returns `image_bytes` string `[N]` -> `sr_bytes` string `[N]`, PNG files.

    Takes what `image_files.decode` does; sizes in one batch may differ. Gray and opacity come out
    as they went in. The size is read from the file's header and checked before a pixel is decoded.
    What cannot be decoded fails with InvalidArgument.

    A large picture is enlarged in bands, if its pixels depend on those near them alone: not with
    `paper` or `grain`, and not by most style generators.

    Args:
        generator: from `lr` to `sr`.
        scale: its scale.
        histogram_match: the post-process, as `histograms.check_match` has them.
        grain: that the input gets, in levels.
        pixel_limit: largest number of pixels of an input image.
    """
    enlarge = serving_default(generator, histogram_match, grain)
    reach = None if histogram_match == "paper" or grain else reach_of(generator)

    def enlarge_one(pixels: Any) -> Any:
        channels = tf.shape(pixels)[-1]
        sr = enlarge(_colour(pixels)[None])["sr"][0]
        sr = tf.cond(channels < 3, lambda: _gray(sr), lambda: sr)
        return tf.cond(
            channels % 2 == 0,
            lambda: tf.concat([sr, _resized(pixels[..., -1:], scale)], -1),
            lambda: sr,
        )

    def serve_one(content: Any) -> Any:
        pixels = image_files.decode(content, pixel_limit)
        pixels = tf.cond(
            tf.shape(pixels)[-1] % 2 == 0, lambda: _without_hidden(pixels), lambda: pixels
        )
        pixels.set_shape([None, None, None])
        sr = in_bands(enlarge_one, pixels, scale, reach) if reach else enlarge_one(pixels)
        sr.set_shape([None, None, None])
        return tf.io.encode_png(sr, compression=1)

    def serve(image_bytes: Any) -> dict[str, Any]:
        return {
            "sr_bytes": tf.map_fn(
                serve_one,
                image_bytes,
                fn_output_signature=tf.TensorSpec([], tf.string),
                parallel_iterations=1,  # one image's memory at a time
            )
        }

    return serve


def _colour(pixels: Any) -> Any:
    gray = tf.shape(pixels)[-1] < 3
    colour = tf.cond(gray, lambda: tf.repeat(pixels[..., :1], 3, axis=-1), lambda: pixels[..., :3])
    colour.set_shape([None, None, 3])
    return colour


def _gray(sr: Any) -> Any:
    return tf.cast(tf.round(tf.reduce_mean(tf.cast(sr, tf.float32), -1, True)), tf.uint8)


def _resized(opacity: Any, scale: int) -> Any:
    resized = tf.image.resize(opacity, tf.shape(opacity)[:2] * scale, "bicubic")
    return tf.cast(tf.round(tf.clip_by_value(resized, 0.0, 255.0)), tf.uint8)


def _without_hidden(pixels: Any) -> Any:
    """Gives pixels with opacity, gray or not, the colours that `_fill_transparent` finds."""
    colour, alpha = _fill_transparent(_colour(pixels), pixels[..., -1:]), pixels[..., -1:]
    return tf.concat([colour[..., : tf.shape(pixels)[-1] - 1], alpha], -1)


def _fill_transparent(colour: Any, alpha: Any) -> Any:
    """Gives pixels that hardly show the colours around them, as `transparency.fill_transparent`.

    The same pyramid of opacity-weighted means, as a graph; the last bit of a level may differ.

    Args:
        colour: `[H, W, 3]` uint8.
        alpha: `[H, W, 1]` uint8.

    Returns:
        `[H, W, 3]` uint8.
    """
    size = tf.shape(colour)
    pad = [[0, 0], [0, -size[0] % CELL], [0, -size[1] % CELL], [0, 0]]
    weight = tf.pad(tf.cast(alpha, tf.float32)[None] / 255, pad)
    colour = tf.pad(tf.cast(colour, tf.float32)[None], pad)
    trusted = weight * _trust(weight)
    levels = [(colour * trusted, trusted, weight)]
    for _ in range(LEVELS):
        levels.append(tuple(map(_halve, levels[-1])))
    total, trusted, _ = (tf.nn.avg_pool2d(each, 3, 1, "SAME") for each in levels[-1])
    filled = total / tf.maximum(trusted, _LEAST)
    for number, (total, trusted, weight) in enumerate(reversed(levels)):
        share = trusted / tf.maximum(weight, _LEAST)
        around = _double(filled) if number else filled
        filled = total / tf.maximum(trusted, _LEAST) * share + around * (1 - share)
    return tf.cast(tf.round(filled[0, : size[0], : size[1]]), tf.uint8)


def _trust(weight: Any) -> Any:
    total, squares = (
        tf.nn.avg_pool2d(_halve(_halve(each)), 3, 1, "SAME") for each in (weight, weight**2)
    )
    near = _double(_double(squares / tf.maximum(total, _LEAST)))
    return tf.minimum(1.0, weight / tf.maximum(TRUSTED * near, _LEAST))


def _halve(x: Any) -> Any:
    return tf.nn.avg_pool2d(x, 2, 2, "VALID")


def _double(x: Any) -> Any:
    return tf.repeat(tf.repeat(x, 2, axis=1), 2, axis=2)

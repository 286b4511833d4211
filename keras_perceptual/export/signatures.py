"""The functions of an exported model, as TensorFlow graphs without a Python function inside."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

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

    Takes PNG, JPEG, WebP, GIF (its first frame) and BMP; sizes in one batch may differ. Gray and
    opacity come out as they went in. The size is read from the file's header and checked before
    a pixel is decoded. What cannot be decoded fails with InvalidArgument.

    Args:
        generator: from `lr` to `sr`.
        scale: its scale.
        histogram_match: the post-process, as `histograms.check_match` has them.
        grain: that the input gets, in levels.
        pixel_limit: largest number of pixels of an input image.
    """
    enlarge = serving_default(generator, histogram_match, grain)

    def serve_one(content: Any) -> Any:
        height, width = _size(content)
        fits = tf.debugging.Assert(
            tf.logical_and(height * width <= pixel_limit, tf.minimum(height, width) > 0),
            [f"expected an image of 1 to {pixel_limit} pixels, received", width, "x", height],
        )
        with tf.control_dependencies([fits] if fits is not None else []):
            pixels = _decode(tf.identity(content))
        colour, alpha = _colour(pixels), _alpha(pixels)
        channels = tf.shape(pixels)[-1]
        colour = tf.cond(
            channels % 2 == 0, lambda: _fill_transparent(colour, alpha), lambda: colour
        )
        sr = enlarge(colour[None])["sr"][0]
        gray = tf.cast(tf.round(tf.reduce_mean(tf.cast(sr, tf.float32), -1, True)), tf.uint8)
        sr = tf.cond(channels < 3, lambda: gray, lambda: sr)
        opacity = tf.image.resize(alpha, tf.shape(alpha)[:2] * scale, "bicubic")
        opacity = tf.cast(tf.round(tf.clip_by_value(opacity, 0.0, 255.0)), tf.uint8)
        sr = tf.cond(channels % 2 == 0, lambda: tf.concat([sr, opacity], -1), lambda: sr)
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


def _decode(content: Any) -> Any:
    """Decodes to uint8 `[H, W, C]`, C 1 to 4: gray, gray and opacity, RGB, RGBA."""
    webp = tf.strings.substr(_padded(content), 8, 4) == b"WEBP"
    pixels = tf.cond(
        webp,
        # decode_image drops WebP's opacity.
        lambda: tf.io.decode_webp(content)[0],
        lambda: tf.io.decode_image(content, channels=0, expand_animations=False),
    )
    pixels.set_shape([None, None, None])
    return pixels


def _colour(pixels: Any) -> Any:
    gray = tf.shape(pixels)[-1] < 3
    colour = tf.cond(gray, lambda: tf.repeat(pixels[..., :1], 3, axis=-1), lambda: pixels[..., :3])
    colour.set_shape([None, None, 3])
    return colour


def _alpha(pixels: Any) -> Any:
    return pixels[..., -1:]


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


def _size(content: Any) -> tuple[Any, Any]:
    """Reads (height, width), int64, from the header of an image file.

    Files too short or of other kinds are left to the decoder, whose error says what is wrong.
    """
    padded = _padded(content)
    header = tf.cast(tf.io.decode_raw(tf.strings.substr(padded, 0, 32), tf.uint8), tf.int64)

    def number(first: int, count: int, order: int = 1) -> Any:
        places = range(count)[::order]
        return tf.add_n([header[first + i] * 256**place for i, place in enumerate(places)])

    def begins(magic: bytes, at: int = 0) -> Any:
        return tf.strings.substr(padded, at, len(magic)) == magic

    def jpeg() -> Any:
        return tf.cast(tf.image.extract_jpeg_shape(content)[:2], tf.int64)

    def webp(kind: bytes) -> Any:
        return tf.logical_and(begins(b"WEBP", 8), begins(kind, 12))

    half = 2**14  # VP8 and VP8L have 14 bits a side
    cases = [
        (begins(b"\x89PNG"), lambda: [number(20, 4, -1), number(16, 4, -1)]),
        (begins(b"\xff\xd8\xff"), lambda: tf.unstack(jpeg(), 2)),
        (begins(b"GIF8"), lambda: [number(8, 2), number(6, 2)]),
        (begins(b"BM"), lambda: [_signed_magnitude(number(22, 4)), number(18, 4)]),
        (webp(b"VP8X"), lambda: [1 + number(27, 3), 1 + number(24, 3)]),
        (webp(b"VP8L"), lambda: [1 + number(21, 4) // half % half, 1 + number(21, 4) % half]),
        (webp(b"VP8 "), lambda: [number(28, 2) % half, number(26, 2) % half]),
    ]
    one = tf.constant(1, tf.int64)
    height, width = tf.case(cases, default=lambda: [one, one])
    return height, width


def _padded(content: Any) -> Any:
    """A file's bytes, at least 32 of them."""
    return tf.strings.join([content, b"\0" * 32])


def _signed_magnitude(value: Any) -> Any:
    """A BMP whose rows run downwards has a negative height, in 32 bits."""
    return tf.where(value >= 2**31, 2**32 - value, value)

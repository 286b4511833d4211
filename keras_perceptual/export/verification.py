"""Whether an exported artefact gives the same picture as the Keras model it was made from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_perceptual.inference.litert import interpreter
from keras_perceptual.pixels.affine import IDENTITY, measured
from keras_perceptual.pixels.grain import grained
from keras_perceptual.pixels.histograms import histogram, look_up, matching_table
from keras_perceptual.pixels.resampling import to_uint8
from keras_perceptual.system.quiet import quiet_stderr

__all__ = ["Agreement", "Signatures", "compare", "open_saved_model", "open_tflite"]

NOISE = 0.02  # levels by which two runtimes' sums of the same products may differ


@dataclass(frozen=True)
class Signatures:
    """An artefact's functions of a batch: `serving_default` of uint8 and `upscale` of float32."""

    serving_default: Callable[[np.ndarray], np.ndarray]
    upscale: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Agreement:
    """How far an artefact is from its Keras model.

    Args:
        largest: largest difference of a pixel, in levels.
        mean: mean absolute difference, in levels.
        psnr: of the one against the other, in dB, over all three channels.
        seconds: time of `serving_default` for one photograph, the best of three, in the mean.
    """

    largest: int
    mean: float
    psnr: float
    seconds: float


def open_tflite(content: bytes) -> Signatures:
    """Opens a .tflite file's bytes."""
    with quiet_stderr():
        opened = interpreter(content, threads=None)
        opened.allocate_tensors()
    runners = [opened.get_signature_runner(n) for n in ("serving_default", "upscale")]
    return Signatures(*(lambda lr, run=run: run(lr=lr)["sr"] for run in runners))


def open_saved_model(folder: Path) -> Signatures:
    """Opens a SavedModel's folder."""
    loaded = tf.saved_model.load(str(folder))

    def function(name: str) -> Callable[[np.ndarray], np.ndarray]:
        # By way of `loaded`: a signature does not keep alive what it belongs to.
        return lambda lr: loaded.signatures[name](lr=tf.constant(lr))["sr"].numpy()

    return Signatures(function("serving_default"), function("upscale"))


def compare(
    artefact: Signatures,
    generator: keras.Model,
    photographs: Iterable[np.ndarray],
    histogram_match: str = "affine",
    grain: float = 0.0,
) -> Agreement:
    """Compares an artefact with its Keras model on photographs.

    A value that lies on the border between two levels is rounded to the one by one runtime and
    to the other by the next, and histogram matching may map the two far apart. A pixel therefore
    counts as equal if it has either of the levels that the Keras model's value gets when it is
    moved by 0.02 of a level; its difference is to the nearer of them.

    Args:
        artefact: what was exported.
        generator: what it was made from.
        photographs: `[H, W, 3]` uint8 LR images.
        histogram_match: `affine`, `paper` or `none`, the post-process of its `serving_default`.
        grain: that it gives its input, in levels.

    Returns:
        The agreement over all pixels of all photographs.
    """
    run = partial(_run, generator)
    affine = measured(run, least=0.0) if histogram_match == "affine" else IDENTITY
    largest, absolute, squared, seconds, pixels = 0, 0.0, 0.0, [], 0
    for lr in photographs:
        batch = lr[None]
        plain = run(batch)[0]
        exact = affine(run(grained(lr, grain)[None])[0] if grain else plain)
        low, high = to_uint8(exact - NOISE), to_uint8(exact + NOISE)
        expected = to_uint8(exact)
        if histogram_match == "paper":
            table = matching_table(histogram(expected), histogram(lr))
            low, high, expected = (look_up(table, x) for x in (low, high, expected))
        times = []
        for _ in range(3):
            start = time.perf_counter()
            result = artefact.serving_default(batch)[0]
            times.append(time.perf_counter() - start)
        seconds.append(min(times))
        given = result.astype(int)
        off = np.maximum(np.maximum(low.astype(int) - given, given - high.astype(int)), 0)
        bare = artefact.upscale(batch.astype(np.float32))[0] - plain
        largest = max(largest, int(off.max()), int(np.rint(np.abs(bare).max())))
        difference = given - expected.astype(int)
        absolute += float(np.abs(difference).sum())
        squared += float((difference**2).sum())
        pixels += difference.size
    error = squared / pixels
    return Agreement(
        largest,
        absolute / pixels,
        float("inf") if error == 0 else float(10 * np.log10(255**2 / error)),
        float(np.mean(seconds)),
    )


def _run(generator: keras.Model, lr: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(generator(lr.astype(np.float32)))

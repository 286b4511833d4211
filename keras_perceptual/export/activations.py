"""What the activations of a .tflite file hold when it enlarges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from keras_perceptual.export.model_file import packed, unpacked, upscaling
from keras_perceptual.inference.litert import interpreter
from keras_perceptual.system.quiet import quiet_stderr

__all__ = ["Activation", "activations", "outputs"]

EVERY = 101  # values, of which one is kept: no channel is left out


class Activation(NamedTuple):
    """What an activation holds.

    Args:
        low: its least value, or 0.
        high: its greatest value, or 0.
        values: a part of them.
    """

    low: float
    high: float
    values: np.ndarray


def outputs(
    content: bytes, names: Sequence[str], batches: Iterable[np.ndarray]
) -> Iterator[list[np.ndarray]]:
    """Runs the graph of `upscale` and yields what some of its tensors hold.

    Args:
        content: a float32 .tflite file with a signature `upscale`.
        names: of the tensors.
        batches: `[N, H, W, 3]` LR images in 0..255, float32.

    Yields:
        The tensors' values for each batch.
    """
    model = unpacked(content)
    graph = upscaling(model)
    numbers = {tensor.name.decode(): i for i, tensor in enumerate(graph.tensors)}
    model.subgraphs, model.signatureDefs = [graph], []
    graph.outputs = [numbers[name] for name in names]
    with quiet_stderr():
        run = interpreter(packed(model), threads=None)
    for lr in batches:
        run.resize_tensor_input(graph.inputs[0], lr.shape)
        run.allocate_tensors()
        run.set_tensor(graph.inputs[0], lr)
        run.invoke()
        yield [run.get_tensor(number) for number in graph.outputs]


def activations(
    content: bytes, names: Sequence[str], batches: Iterable[np.ndarray]
) -> dict[str, Activation]:
    """Returns what tensors hold, by their names; the arguments are those of `outputs`."""
    lows, highs = (dict.fromkeys(names, 0.0) for _ in range(2))
    kept: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for each in outputs(content, names, batches):
        for name, values in zip(names, each, strict=True):
            lows[name] = min(lows[name], float(values.min()))
            highs[name] = max(highs[name], float(values.max()))
            kept[name].append(values.ravel()[::EVERY])
    return {name: Activation(lows[name], highs[name], np.concatenate(kept[name])) for name in names}

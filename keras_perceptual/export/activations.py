"""What the activations of a .tflite file hold when it enlarges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from keras_perceptual.export.model_file import packed, unpacked, upscaling
from keras_perceptual.inference.litert import interpreter
from keras_perceptual.system.quiet import quiet_stderr

__all__ = ["Activation", "activations"]

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


def activations(
    content: bytes, names: Iterable[str], batches: Iterable[np.ndarray]
) -> dict[str, Activation]:
    """Returns what activations hold, by the names of their tensors.

    Args:
        content: a .tflite file with a signature `upscale` from float32 to float32.
        names: of float32 tensors in that signature's graph; what is not there is left out.
        batches: `[N, H, W, 3]` LR images in 0..255.
    """
    model = unpacked(content)
    numbers = {tensor.name.decode(): i for i, tensor in enumerate(upscaling(model).tensors)}
    found = {name: numbers[name] for name in names if name in numbers}
    lows, highs = (dict.fromkeys(found, 0.0) for _ in range(2))
    kept: dict[str, list[np.ndarray]] = {name: [] for name in found}
    for held in _runs(model, found, batches):
        for name, values in held.items():
            lows[name] = min(lows[name], float(values.min()))
            highs[name] = max(highs[name], float(values.max()))
            kept[name].append(values.ravel()[::EVERY])
    return {name: Activation(lows[name], highs[name], np.concatenate(kept[name])) for name in found}


def _runs(
    model: Any, numbers: Mapping[str, int], batches: Iterable[np.ndarray]
) -> Iterator[dict[str, np.ndarray]]:
    """Runs the graph of `upscale` and yields what its tensors of these numbers hold."""
    graph = upscaling(model)
    model.subgraphs, model.signatureDefs = [graph], []
    graph.outputs = list(numbers.values())
    with quiet_stderr():
        run = interpreter(packed(model), threads=None)
    for lr in batches:
        run.resize_tensor_input(graph.inputs[0], lr.shape)
        run.allocate_tensors()
        run.set_tensor(graph.inputs[0], lr.astype(np.float32))
        run.invoke()
        yield {name: run.get_tensor(number) for name, number in numbers.items()}

"""Blends of two models of one architecture, weight by weight."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_perceptual.errors import BlendError

__all__ = ["Blend", "blend_tflite", "blend_weights"]


class Blend(NamedTuple):
    """A model to blend into another, weight by weight.

    Args:
        path: its file, of the same format and architecture.
        share: of its weights, 0..1.
    """

    path: Path
    share: float


def blend_weights(
    first: list[np.ndarray], second: list[np.ndarray], share: float
) -> list[np.ndarray]:
    """Interpolates between two models' weights.

    Args:
        first: weights in their order.
        second: those of a model of the same architecture.
        share: of the second, 0..1.

    Returns:
        (1 - share) first + share second.

    Raises:
        BlendError: if the shapes differ.

    Source: Wang et al., "ESRGAN: enhanced super-resolution generative adversarial networks",
    2018, equation 4.
    """
    shapes = [[w.shape for w in weights] for weights in (first, second)]
    if shapes[0] != shapes[1]:
        raise BlendError("expected models of one architecture, received different weights")
    return [(1 - share) * a + share * b for a, b in zip(first, second, strict=True)]


def blend_tflite(first: bytes, second: bytes, share: float) -> bytes:
    """Interpolates between two .tflite files of one architecture.

    Args:
        first: content of a file.
        second: content of the other.
        share: of the second, 0..1.

    Returns:
        The first's content with every floating constant of `upscale` blended in place.

    Raises:
        BlendError: if the files do not hold the same such tensors.
    """
    blended = bytearray(first)
    targets, others = _constants(blended), _constants(second)
    if not targets or len(targets) != len(others):
        raise BlendError("expected models of one architecture, received different tensors")
    both = ([each.astype(np.float32) for each in found] for found in (targets, others))
    weights = blend_weights(next(both), next(both), share)
    for target, weight in zip(targets, weights, strict=True):
        target[:] = weight
    return bytes(blended)


def _constants(content: bytes | bytearray) -> list[np.ndarray]:
    """Returns the floating constants of the signature `upscale`, as views of `content`.

    The other signatures share them, and may have some of their own.
    """
    from ai_edge_litert import schema_py_generated as schema

    kinds = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.FLOAT16: np.float16}
    model = schema.Model.GetRootAs(content, 0)
    signatures = map(model.SignatureDefs, range(model.SignatureDefsLength()))
    graphs = [s.SubgraphIndex() for s in signatures if s.SignatureKey() == b"upscale"]
    found = {}
    for graph in map(model.Subgraphs, graphs):
        for tensor in map(graph.Tensors, range(graph.TensorsLength())):
            buffer = model.Buffers(tensor.Buffer())
            if tensor.Type() in kinds and buffer.DataLength():
                found[tensor.Buffer()] = buffer.DataAsNumpy().view(kinds[tensor.Type()])
    return list(found.values())

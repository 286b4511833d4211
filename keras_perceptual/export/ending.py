"""The ends of a generator in 8 bits: levels in, levels out, and hardly anything lost."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_perceptual.errors import ExportError
from keras_perceptual.export.activations import activations
from keras_perceptual.export.assembly import Assembly
from keras_perceptual.export.model_file import packed, unpacked, upscaling
from keras_perceptual.inference.levels import LEVELS

__all__ = ["with_floats", "with_levels"]

FINE = 24.0  # levels to each side of the repeated input that come in steps of a fifth
DEVIATIONS = 6  # of what rounding left, that are kept
MARGIN = 2.0  # the last convolution takes as much more than was measured: there are bits for it


def with_levels(content: bytes, batches: Iterable[np.ndarray]) -> bytes:
    """Makes a file take levels and give levels, with its last convolution in 8 bits too.

    8 bits are too few for what that convolution takes and gives: edges of two hundred levels, and
    fractions of one. So it is made of four, of which each takes a tenth of its time in float32: of
    its input in 8 bits and of what rounding left of that, both up to `FINE` levels, and of what is
    above and below those.

    Args:
        content: a .tflite file whose signature `upscale` ends in a float32 convolution, the
            addition of the repeated input and DEPTH_TO_SPACE.
        batches: `[N, H, W, 3]` LR images in 0..255, that the convolution's input is measured on.

    Returns:
        The bytes of a file that has the signature `upscale` alone. It takes and gives levels less
        128; what is beyond black and white is cut off.

    Raises:
        ExportError: if the file does not end so.
    """
    model = unpacked(content)
    graph, (tail, _, last) = _ends(model)
    name = graph.tensors[tail.inputs[0]].name.decode()
    held = activations(content, [name], batches)[name]
    step = MARGIN * max(held.high, -held.low) / 127
    weights, biases = (_values(model, graph.tensors[i]) for i in tail.inputs[1:])
    none = np.zeros_like(biases)
    before = _needed(graph.operators, tail.inputs[0])
    graph.operators = []
    build = Assembly(model, graph)
    lr = build.integers(3, "lr", LEVELS)
    build.operator("DEQUANTIZE", [lr], graph.inputs[0], "Dequantize")
    graph.operators += before

    coarse = build.quantize(tail.inputs[0], "tail_coarse", (step, 0))
    left = build.difference(tail.inputs[0], build.dequantize(coarse, "tail_back"), "tail_left")
    rest = build.quantize(left, "tail_rest", (step / 254, 0))
    spread = step / np.sqrt(12) * np.sqrt(np.square(weights).sum((1, 2, 3)).max())
    fine, beyond = (FINE / 127, 0), ((255 - FINE) / 255, -128)
    added = build.sum(
        build.convolution(coarse, weights, biases, "tail_fine", fine),
        build.convolution(rest, weights, none, "tail_finer", (DEVIATIONS * spread / 127, 0)),
        "tail_added",
        fine,
    )
    above = build.convolution(coarse, weights, biases - FINE, "tail_above", beyond)
    below = build.convolution(coarse, -weights, -biases - FINE, "tail_below", beyond)
    sr = build.convolution(lr, _repetition(len(biases)), none, "repeat", LEVELS)
    sr = build.sum(sr, added, "sr_added", LEVELS)
    sr = build.sum(sr, above, "sr_above", LEVELS)
    sr = build.sum(sr, below, "sr_below", LEVELS, minus=True)
    last.inputs, last.outputs = [sr], [build.integers(3, "sr", LEVELS)]
    graph.operators.append(last)
    graph.inputs, graph.outputs = [lr], last.outputs
    _keep(model, graph)
    return packed(model)


def with_floats(content: bytes) -> bytes:
    """Makes a file of levels take and give float32 ones, for what has no int8 outside a network."""
    model = unpacked(content)
    graph = upscaling(model)
    (given,), (made,), operators = graph.inputs, graph.outputs, graph.operators
    graph.operators = []
    build = Assembly(model, graph)
    lr = build.floats(3, "lr_levels")
    build.operator("QUANTIZE", [lr], given, "Quantize")
    graph.operators += operators
    graph.inputs, graph.outputs = [lr], [build.dequantize(made, "sr_levels")]
    _keep(model, graph)
    return packed(model)


def _needed(operators: list[Any], tensor: int) -> list[Any]:
    """Returns the operators that a tensor is made by, in their order."""
    tensors, needed = {tensor}, []
    for operator in reversed(operators):
        if tensors.intersection(operator.outputs):
            tensors.update(operator.inputs)
            needed.append(operator)
    return needed[::-1]


def _repetition(channels: int) -> np.ndarray:
    """Returns the kernel that repeats three channels."""
    kernel = np.tile(np.eye(3), (channels // 3, 1))
    return kernel[:, None, None, :]


def _values(model: Any, tensor: Any) -> np.ndarray:
    """Returns the float32 values of a constant tensor."""
    data = bytes(model.buffers[tensor.buffer].data)
    return np.frombuffer(data, np.float32).reshape(tensor.shape)


def _keep(model: Any, graph: Any) -> None:
    """Leaves one graph in a model, as its signature `upscale`, and what that needs."""
    (signature,) = (each for each in model.signatureDefs if each.signatureKey == b"upscale")
    signature.subgraphIndex = 0
    signature.inputs[0].tensorIndex = graph.inputs[0]
    signature.outputs[0].tensorIndex = graph.outputs[0]
    model.subgraphs, model.signatureDefs = [graph], [signature]
    used = {i for each in graph.operators for i in (*each.inputs, *each.outputs)}
    buffers = {graph.tensors[i].buffer for i in used}
    buffers.update(each.buffer for each in model.metadata or ())
    for number, buffer in enumerate(model.buffers):
        if number not in buffers:
            buffer.data = None
    for number, tensor in enumerate(graph.tensors):
        if number not in used:
            tensor.buffer = 0


def _ends(model: Any) -> tuple[Any, list[Any]]:
    """Returns the graph of `upscale` and its last three operators."""
    graph = upscaling(model)
    codes = [model.operatorCodes[each.opcodeIndex].builtinCode for each in graph.operators[-3:]]
    known = schema.BuiltinOperator
    if codes != [known.CONV_2D, known.ADD, known.DEPTH_TO_SPACE]:
        raise ExportError(
            "expected a network that ends in a convolution, an addition and DEPTH_TO_SPACE"
        )
    return graph, graph.operators[-3:]

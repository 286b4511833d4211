"""LiteRT's operators, as far as the generators have them, written as those of ONNX."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from keras_perceptual.errors import OnnxError
from keras_perceptual.inference.onnx_graph import NCHW, NHWC, Graph, Operator

__all__ = ["OPERATORS"]

LARGEST = 2**31 - 1  # an end that is none
SAME = 0  # of LiteRT's enumeration

Write = Callable[[Graph, Operator], None]


def _elementwise(kind: str) -> Write:
    def write(graph: Graph, operator: Operator) -> None:
        image = graph.is_image(operator.output)
        taken = graph.image if image else graph.value
        graph.finish(operator, graph.node(kind, *map(taken, operator.inputs)), image)

    return write


def _squared_difference(graph: Graph, operator: Operator) -> None:
    image = graph.is_image(operator.output)
    difference = graph.node("Sub", *map(graph.image if image else graph.value, operator.inputs))
    graph.give(operator.output, graph.node("Mul", difference, difference), image)


def _rsqrt(graph: Graph, operator: Operator) -> None:
    image = graph.is_image(operator.output)
    root = graph.node("Sqrt", (graph.image if image else graph.value)(operator.inputs[0]))
    graph.give(operator.output, graph.node("Reciprocal", root), image)


def _dequantize(graph: Graph, operator: Operator) -> None:
    graph.give(operator.output, graph.known(operator.inputs[0]).astype(np.float32))


def _convolution(graph: Graph, operator: Operator) -> None:
    x, kernel, *bias = operator.inputs
    weights, options = graph.known(kernel), operator.options
    strides = [options.strideH, options.strideW]
    dilations = [options.dilationHFactor, options.dilationWFactor]
    if options.padding != SAME:
        padding: dict[str, Any] = {"auto_pad": "VALID"}
    elif strides == [1, 1]:
        sides = zip(weights.shape[1:3], dilations, strict=True)
        padding = {"pads": _halves(dilation * (side - 1) for side, dilation in sides)}
    else:  # as much as the size of the image needs
        padding = {"auto_pad": "SAME_UPPER"}
    constants = [weights.transpose(0, 3, 1, 2), *map(graph.known, bias)]
    name = graph.node(
        "Conv",
        graph.image(x),
        *map(graph.initializer, constants),
        strides=strides,
        dilations=dilations,
        **padding,
    )
    graph.finish(operator, name, image=True)


def _transposed_convolution(graph: Graph, operator: Operator) -> None:
    _, kernel, x, *bias = operator.inputs  # the first is the size of the output
    weights, options = graph.known(kernel), operator.options
    strides = [options.strideH, options.strideW]
    over = [side - stride for side, stride in zip(weights.shape[1:3], strides, strict=True)]
    constants = [weights.transpose(3, 0, 1, 2), *map(graph.known, bias)]
    name = graph.node(
        "ConvTranspose",
        graph.image(x),
        *map(graph.initializer, constants),
        strides=strides,
        pads=_halves(max(n, 0) if options.padding == SAME else 0 for n in over),
        output_padding=[max(-n, 0) for n in over],
    )
    graph.finish(operator, name, image=True)


def _halves(pads: Iterable[int]) -> list[int]:
    """Returns pixels before and after the axes, the odd one after."""
    both = list(pads)
    return [n // 2 for n in both] + [n - n // 2 for n in both]


def _fully_connected(graph: Graph, operator: Operator) -> None:
    x, kernel, *bias = operator.inputs
    name = graph.node("MatMul", graph.value(x), graph.initializer(graph.known(kernel).T))
    if bias and bias[0] >= 0:
        name = graph.node("Add", name, graph.value(bias[0]))
    graph.finish(operator, name, image=False)


def _rearranged(kind: str, **attributes: str) -> Write:
    def write(graph: Graph, operator: Operator) -> None:
        size, image = operator.options.blockSize, graph.image(operator.inputs[0])
        name = graph.node(kind, image, blocksize=size, **attributes)
        graph.give(operator.output, name, image=True)

    return write


def _reduced(kind: str) -> Write:
    def write(graph: Graph, operator: Operator) -> None:
        x, over = operator.inputs
        keep = operator.options.keepDims
        image = keep and graph.is_image(x)
        axes = [_axis(graph, x, int(n), image) for n in np.ravel(graph.known(over))]
        given = graph.image(x) if image else graph.value(x)
        name = graph.node(kind, given, graph.initializer(axes), keepdims=int(keep))
        graph.give(operator.output, name, image)

    return write


def _axis(graph: Graph, tensor: int, axis: int, image: bool) -> int:
    """Returns the number that an axis has, with the channels first in an image."""
    axis %= len(graph.shape(tensor))
    return NCHW.index(axis) if image else axis


def _gather(graph: Graph, operator: Operator) -> None:
    x, places = operator.inputs
    image = graph.is_image(x) and graph.is_image(operator.output)
    axis = _axis(graph, x, operator.options.axis, image)
    given = graph.image(x) if image else graph.value(x)
    graph.give(operator.output, graph.node("Gather", given, graph.value(places), axis=axis), image)


def _concatenation(graph: Graph, operator: Operator) -> None:
    image = graph.is_image(operator.output)
    axis = _axis(graph, operator.output, operator.options.axis, image)
    names = map(graph.image if image else graph.value, operator.inputs)
    graph.finish(operator, graph.node("Concat", *names, axis=axis), image)


def _pack(graph: Graph, operator: Operator) -> None:
    axis = _axis(graph, operator.output, operator.options.axis, image=False)
    axes = graph.initializer([axis])
    names = [graph.node("Unsqueeze", graph.value(x), axes) for x in operator.inputs]
    graph.give(operator.output, graph.node("Concat", *names, axis=axis))


def _reshape(graph: Graph, operator: Operator) -> None:
    sides = [int(n) for n in np.ravel(graph.known(operator.inputs[1]))]
    name = graph.node("Reshape", graph.value(operator.inputs[0]), graph.initializer(sides))
    graph.give(operator.output, name)


def _shape(graph: Graph, operator: Operator) -> None:
    (x,) = operator.inputs
    if graph.is_image(x):
        shape = graph.node("Gather", graph.node("Shape", graph.image(x)), graph.initializer(NHWC))
    else:
        shape = graph.node("Shape", graph.value(x))
    graph.give(operator.output, graph.node("Cast", shape, to=6))  # int32, as all sides there


def _slice(graph: Graph, operator: Operator) -> None:
    x, first, count = operator.inputs
    starts, sizes = graph.known(first), graph.known(count)
    ends = np.where(sizes < 0, LARGEST, starts + sizes)
    bounds = (graph.initializer(each.astype(np.int64)) for each in (starts, ends))
    graph.give(operator.output, graph.node("Slice", graph.value(x), *bounds))


def _strided_slice(graph: Graph, operator: Operator) -> None:
    """x[begin:end:stride] of each axis; begin and end are left out where their masks say so."""
    x, begin, end, stride = operator.inputs
    options, axes = operator.options, range(graph.shape(begin)[0])
    if options.ellipsisMask or options.newAxisMask or options.offset:
        raise OnnxError("a slice with an ellipsis or a new axis has no equal in ONNX here")
    dropped = [n for n in axes if options.shrinkAxisMask >> n & 1]
    image = graph.is_image(x) and not dropped
    cut = [n for n in axes if not (options.beginMask & options.endMask) >> n & 1]
    first = _bounds(graph, begin, cut, options.beginMask, 0)
    if dropped:  # one element, whatever the end says
        content = graph.known(begin)[cut].astype(np.int64)
        last = graph.initializer(np.where(content == -1, LARGEST, content + 1))
    else:
        last = _bounds(graph, end, cut, options.endMask, LARGEST)
    places = [graph.initializer([_axis(graph, x, n, image) for n in cut])]
    places.append(graph.initializer(graph.known(stride)[cut].astype(np.int64)))
    name = graph.node("Slice", (graph.image if image else graph.value)(x), first, last, *places)
    if dropped:
        name = graph.node("Squeeze", name, graph.initializer(dropped))
    graph.give(operator.output, name, image)


def _bounds(graph: Graph, tensor: int, axes: list[int], mask: int, none: int) -> str:
    """Returns the beginnings or the ends on some axes, int64."""
    content = graph.constant(tensor)
    if content is not None:
        return graph.initializer([none if mask >> n & 1 else int(content[n]) for n in axes])
    if any(mask >> n & 1 for n in axes):
        raise OnnxError("a slice that is computed in part has no equal in ONNX here")
    wide = graph.node("Cast", graph.value(tensor), to=7)
    return graph.node("Gather", wide, graph.initializer(axes))


OPERATORS: dict[str, Write] = {
    "ADD": _elementwise("Add"),
    "CONCATENATION": _concatenation,
    "CONV_2D": _convolution,
    "DEPTH_TO_SPACE": _rearranged("DepthToSpace", mode="DCR"),
    "DEQUANTIZE": _dequantize,
    "FLOOR_MOD": _elementwise("Mod"),
    "FULLY_CONNECTED": _fully_connected,
    "GATHER": _gather,
    "LESS": _elementwise("Less"),
    "MAXIMUM": _elementwise("Max"),
    "MEAN": _reduced("ReduceMean"),
    "MINIMUM": _elementwise("Min"),
    "MUL": _elementwise("Mul"),
    "NEG": _elementwise("Neg"),
    "PACK": _pack,
    "RANGE": _elementwise("Range"),
    "RELU": _elementwise("Relu"),
    "RESHAPE": _reshape,
    "RSQRT": _rsqrt,
    "SELECT_V2": _elementwise("Where"),
    "SHAPE": _shape,
    "SLICE": _slice,
    "SPACE_TO_DEPTH": _rearranged("SpaceToDepth"),
    "SQUARED_DIFFERENCE": _squared_difference,
    "STRIDED_SLICE": _strided_slice,
    "SUB": _elementwise("Sub"),
    "SUM": _reduced("ReduceSum"),
    "TANH": _elementwise("Tanh"),
    "TRANSPOSE_CONV": _transposed_convolution,
}

"""What a SavedModel's functions do: only operators that compute are let in.

TensorFlow has operators that read and write files, run Python and print; a model that has one of
them is a program. The functions that save and restore a SavedModel's own variables have some too,
and are not run by anything here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["OPERATORS", "check"]

# Calls, branches and loops, and lists of tensors.
_CONTROL = """
    Case If NoOp PartitionedCall StatefulPartitionedCall StatelessCase StatelessIf StatelessWhile
    While Assert Identity IdentityN Placeholder PlaceholderWithDefault StopGradient
    EmptyTensorList TensorListConcatV2 TensorListElementShape TensorListFromTensor
    TensorListGather TensorListGetItem TensorListLength TensorListPushBack TensorListReserve
    TensorListResize TensorListSetItem TensorListStack
"""
# Variables.
_VARIABLES = """
    AssignVariableOp DisableCopyOnRead ReadVariableOp VariableShape
"""
# Numbers.
_NUMBERS = """
    Abs AddN AddV2 All Any Ceil ClipByValue Cos Cumsum DivNoNan Equal Erf Erfc Exp Expm1 Floor
    FloorDiv FloorMod Greater GreaterEqual IsFinite IsNan Less LessEqual Log Log1p LogicalAnd
    LogicalNot LogicalOr Max Maximum Mean Min Minimum Mul MulNoNan Neg NotEqual Pow Prod RealDiv
    Reciprocal Round Rsqrt Sigmoid Sign Sin Sqrt Square SquaredDifference Sub Sum Tanh
    UnsortedSegmentSum
"""
# Shapes.
_SHAPES = """
    BatchToSpaceND BroadcastArgs BroadcastTo Cast ConcatV2 Const DepthToSpace ExpandDims Fill
    GatherNd GatherV2 MirrorPad OneHot OnesLike Pack Pad PadV2 Range Reshape ReverseV2 ScatterNd
    Select SelectV2 Shape ShapeN Size Slice SpaceToBatchND SpaceToDepth Split SplitV Squeeze
    StridedSlice Tile Transpose Unpack Where ZerosLike
"""
# Layers.
_LAYERS = """
    AvgPool BatchMatMulV2 BiasAdd Conv2D Conv2DBackpropInput DepthwiseConv2dNative Einsum Elu
    FusedBatchNormV3 LeakyRelu LogSoftmax MatMul MaxPool Relu Relu6 Selu Softmax Softplus Softsign
"""
# Images and their files, which come as strings.
_IMAGES = """
    DecodeBmp DecodeImage DecodeJpeg DecodePng DecodeRaw DecodeWebP EncodeJpeg EncodePng
    ExtractJpegShape RegexFullMatch ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor
    StaticRegexFullMatch StringJoin StringLength Substr
"""
OPERATORS = frozenset(f"{_CONTROL} {_VARIABLES} {_NUMBERS} {_SHAPES} {_LAYERS} {_IMAGES}".split())


def check(folder: Path) -> None:
    """Checks that a SavedModel has no function that does more than to compute.

    Args:
        folder: with `saved_model.pb`.

    Raises:
        ValueError: if it has, or is not one of TensorFlow 2.
        OSError, google.protobuf.message.DecodeError: if it cannot be read.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    content = (folder / "saved_model.pb").read_bytes()
    graphs = saved_model_pb2.SavedModel.FromString(content).meta_graphs
    if len(graphs) != 1 or not graphs[0].HasField("object_graph_def"):
        raise ValueError("expected one of TensorFlow 2, received one of TensorFlow 1")
    if others := {operator for operator in _operators(graphs[0]) if operator not in OPERATORS}:
        raise ValueError(
            f"expected operators that only compute, received also {', '.join(sorted(others)[:8])}"
        )


def _operators(graph: Any) -> Iterator[str]:
    """Yields the operators of every function that can be called, also while it is loaded."""
    functions = {each.signature.name: each for each in graph.graph_def.library.function}
    objects = graph.object_graph_def
    waiting = [*objects.concrete_functions]
    for node in objects.nodes:
        waiting += [*node.function.concrete_functions]
        waiting.append(node.bare_concrete_function.concrete_function_name)
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in functions:
            continue
        seen.add(name)
        for node in functions[name].node_def:
            if node.op in functions:  # a call, as TensorFlow 1 wrote it
                waiting.append(node.op)
            else:
                yield node.op
            for value in node.attr.values():
                waiting += [value.func.name, *(each.name for each in value.list.func)]

"""What a .tflite file points to: every index is checked before the interpreter follows it.

LiteRT verifies that the file is a flatbuffer: that its tables and vectors lie inside. It then
follows the numbers in them, and one that is out of range ends the process.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

__all__ = ["check"]

# Operators of which these inputs may be left out (-1).
_OPTIONAL = {
    "CONV_2D": (2,),
    "DEPTHWISE_CONV_2D": (2,),
    "CONV_3D": (2,),
    "FULLY_CONNECTED": (2,),
    "TRANSPOSE_CONV": (3,),
    "CONV_3D_TRANSPOSE": (3,),
    "SVDF": (3,),
    "LSTM": range(24),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": range(24),
    "BIDIRECTIONAL_SEQUENCE_LSTM": range(48),
}
# Operators that run other subgraphs, and the fields of their options that name these.
_BRANCHES = {
    "IF": ("IfOptions", "ThenSubgraphIndex", "ElseSubgraphIndex"),
    "WHILE": ("WhileOptions", "CondSubgraphIndex", "BodySubgraphIndex"),
    "CALL_ONCE": ("CallOnceOptions", "InitSubgraphIndex"),
    "STABLEHLO_COMPOSITE": ("StableHLOCompositeOptions", "DecompositionSubgraphIndex"),
}


def check(content: bytes) -> None:
    """Checks that all that a .tflite file points to is there, and made before it is used.

    Args:
        content: of the file.

    Raises:
        ValueError: if it is not.
    """
    from ai_edge_litert import schema_py_generated as schema

    try:
        for fault in _faults(schema.Model.GetRootAs(content, 0), schema):
            raise ValueError(fault)
    except (struct.error, IndexError, TypeError, OverflowError, AttributeError):
        raise ValueError("expected a flatbuffer, received a damaged one") from None


def _faults(model: Any, schema: Any) -> Iterator[str]:
    """Yields what is wrong with a model, the first fault first."""
    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if not k.startswith("_")}
    operators = []
    for i in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(i)
        operators.append(names.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), "?"))
    buffers = model.BuffersLength()
    for i in range(model.MetadataLength()):
        yield from _outside(f"metadata {i}", "buffer", [model.Metadata(i).Buffer()], buffers)
    if getattr(model, "ExternalBuffersLength", int)():
        yield "expected a file with all of its weights, received one that keeps some elsewhere"
    subgraphs = [model.Subgraphs(i) for i in range(model.SubgraphsLength())]
    for number, graph in enumerate(subgraphs):
        yield from _graph_faults(f"subgraph {number}", graph, model, operators, schema)
    for i in range(model.SignatureDefsLength()):
        yield from _signature_faults(model.SignatureDefs(i), subgraphs)


def _graph_faults(
    place: str, graph: Any, model: Any, operators: list[str], schema: Any
) -> Iterator[str]:
    tensors = [graph.Tensors(i) for i in range(graph.TensorsLength())]
    count, buffers = len(tensors), model.BuffersLength()
    yield from _outside(place, "buffer", [tensor.Buffer() for tensor in tensors], buffers)
    for number, tensor in enumerate(tensors):
        signature, shape = _vector(tensor, "ShapeSignature"), _vector(tensor, "Shape")
        if (signature and len(signature) != len(shape)) or min(shape, default=0) < 0:
            yield f"{place}, tensor {number}: expected a shape, received {shape} and {signature}"
    for what in ("Inputs", "Outputs"):
        yield from _outside(place, "tensor", _vector(graph, what), count)
    made = {*_vector(graph, "Inputs")}
    constant = {i for i, tensor in enumerate(tensors) if _is_constant(tensor, model)}
    for number in range(graph.OperatorsLength()):
        operator = graph.Operators(number)
        index = operator.OpcodeIndex()
        yield from _outside(f"{place}, operator {number}", "opcode", [index], len(operators))
        name = operators[index]
        where = f"{place}, operator {number} ({name})"
        optional = _OPTIONAL.get(name, ())
        inputs = [
            i for at, i in enumerate(_vector(operator, "Inputs")) if i != -1 or at not in optional
        ]
        outputs = _vector(operator, "Outputs")
        for indices in (inputs, outputs, _vector(operator, "Intermediates")):
            yield from _outside(where, "tensor", indices, count)
        if missing := [i for i in inputs if i not in made and i not in constant]:
            yield f"{where}: takes tensor {missing[0]} before anything made it"
        if again := [i for i in outputs if i in made or i in constant]:
            yield f"{where}: makes tensor {again[0]}, which is there already"
        made.update(outputs)
        yield from _branch_faults(where, name, operator, model, schema)
    if missing := [i for i in _vector(graph, "Outputs") if i not in made and i not in constant]:
        yield f"{place}: returns tensor {missing[0]}, which nothing makes"


def _branch_faults(where: str, name: str, operator: Any, model: Any, schema: Any) -> Iterator[str]:
    """Yields what is wrong with the subgraphs that an operator runs."""
    kind, *fields = _BRANCHES.get(name, ("",))
    if kind:
        second = hasattr(schema.BuiltinOptions2, kind)
        table = operator.BuiltinOptions2() if second else operator.BuiltinOptions()
        if table is None:
            yield f"{where}: has no options"
        options = getattr(schema, kind)()
        options.Init(table.Bytes, table.Pos)
        indices = [getattr(options, field)() for field in fields]
        yield from _outside(where, "subgraph", indices, model.SubgraphsLength())


def _signature_faults(signature: Any, subgraphs: list) -> Iterator[str]:
    place = f"signature {(signature.SignatureKey() or b'').decode(errors='replace')}"
    index = signature.SubgraphIndex()
    yield from _outside(place, "subgraph", [index], len(subgraphs))
    for what in ("Inputs", "Outputs"):
        own = set(_vector(subgraphs[index], what))
        for i in range(getattr(signature, f"{what}Length")()):
            tensor = getattr(signature, what)(i).TensorIndex()
            if tensor not in own:
                yield (
                    f"{place}: expected {what.lower()} of its subgraph, tensors {sorted(own)}, "
                    f"received {tensor}"
                )


def _vector(table: Any, name: str) -> list[int]:
    """Returns a vector of integers; it may be missing."""
    vector = getattr(table, f"{name}AsNumpy")()
    return vector.tolist() if isinstance(vector, np.ndarray) else []


def _is_constant(tensor: Any, model: Any) -> bool:
    """Returns whether a tensor needs nobody to make it: weights, a state, or no element at all."""
    buffer = model.Buffers(tensor.Buffer())
    stored = buffer.DataLength() > 0 or buffer.Offset() > 1
    return stored or tensor.IsVariable() or 0 in _vector(tensor, "Shape")


def _outside(place: str, what: str, indices: Iterable[int], count: int) -> Iterator[str]:
    for index in indices:
        if not 0 <= index < count:
            yield f"{place}: expected one of {count} {what}s, received {index}"

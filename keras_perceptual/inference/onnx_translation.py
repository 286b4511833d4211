"""What a LiteRT file computes, as an ONNX file. Needs the package `onnx`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_perceptual.errors import OnnxError, first_line
from keras_perceptual.inference.onnx_graph import Graph, Operator
from keras_perceptual.inference.onnx_operators import OPERATORS

__all__ = ["signatures", "to_onnx"]

OPSET, IR_VERSION = 18, 10  # of ONNX 1.16: runtimes of some years read it
AXES = ("batch", "height", "width")


def signatures(content: bytes) -> list[str]:
    """Returns the names of the signatures of a .tflite file."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    found = map(model.SignatureDefs, range(model.SignatureDefsLength()))
    return [each.SignatureKey().decode() for each in found]


def to_onnx(content: bytes, signature: str, metadata: Mapping[str, str] | None = None) -> bytes:
    """Translates a signature of a .tflite file to an ONNX file.

    Args:
        content: of a .tflite file of floating numbers; its weights may be float16.
        signature: such as `upscale`.
        metadata: what the file says of itself.

    Returns:
        The file's bytes, with the inputs and outputs of the signature: images are `[N, H, W, C]`
        there, and `[N, C, H, W]` in between.

    Raises:
        OnnxError: if `onnx` is not installed, there is no such signature, or an operator has no
            equal.
    """
    try:
        from onnx import checker, helper
    except ImportError as error:
        raise OnnxError(
            f"ONNX needs packages of its own: pip install onnx onnxruntime ({error})"
        ) from None
    try:
        graph = _graph(content, signature)
    except OnnxError:
        raise
    except Exception as error:  # a damaged flatbuffer leads anywhere
        raise OnnxError(f"expected a LiteRT model: {first_line(error)}") from None
    made = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="keras_perceptual",
    )
    helper.set_model_props(made, dict(metadata or {}))
    checker.check_model(made)
    return made.SerializeToString()


def _graph(content: bytes, signature: str) -> Any:
    """Returns the GraphProto of a signature."""
    from ai_edge_litert import schema_py_generated as schema
    from onnx import helper

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    found = [s for s in model.signatureDefs or [] if s.signatureKey.decode() == signature]
    if not found:
        raise OnnxError(f"expected a LiteRT model with a signature {signature}, found none")
    subgraph = model.subgraphs[found[0].subgraphIndex]
    inputs, outputs = (
        {each.tensorIndex: each.name.decode() for each in maps}
        for maps in (found[0].inputs, found[0].outputs)
    )
    graph = Graph(subgraph.tensors, model.buffers, inputs)
    kinds = {n: kind for kind, n in vars(schema.BuiltinOperator).items() if isinstance(n, int)}
    for each in subgraph.operators:
        code = model.operatorCodes[each.opcodeIndex]
        kind = kinds[max(code.builtinCode, code.deprecatedBuiltinCode)]
        if kind not in OPERATORS:
            raise OnnxError(f"the operator {kind} has no equal in ONNX here")
        (output,) = each.outputs
        OPERATORS[kind](graph, Operator(list(each.inputs), output, each.builtinOptions))
    for tensor, name in outputs.items():
        graph.node("Identity", graph.value(tensor), name=name)
    return helper.make_graph(
        graph.nodes,
        signature,
        [_info(graph, tensor, name, "") for tensor, name in inputs.items()],
        [_info(graph, tensor, name, f"{name}_") for tensor, name in outputs.items()],
        graph.initializers,
    )


def _info(graph: Graph, tensor: int, name: str, prefix: str) -> Any:
    """Returns what an input or an output is; of images, the sides have names."""
    from onnx import helper

    names = [AXES[0], *(prefix + axis for axis in AXES[1:]), ""]
    shape = [n if n >= 0 else names[axis] for axis, n in enumerate(graph.shape(tensor))]
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(graph.kind(tensor)))
    return helper.make_tensor_value_info(name, kind, shape)

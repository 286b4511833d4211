"""A style generator's .tflite file for runtimes whose sizes are fixed: padded from outside.

Inside, a style generator mirrors an image around its edges and cuts the result to its size, by
operators whose results depend on that size. A runtime that knows sizes beforehand computes wrong
pixels there. What is left between them depends on no size.
"""

from __future__ import annotations

from typing import Any

from keras_perceptual.errors import ExportError
from keras_perceptual.export.model_file import packed, unpacked

__all__ = ["CUT", "MULTIPLE", "padding", "unpadded"]

CUT = 8  # pixels that are left to be cut off the result, above and to the left
MULTIPLE = 4  # of pixels, that a padded side is


def padding(blocks: int) -> int:
    """Returns the pixels to put on each side of an image, by `models.style`: mirrored ones."""
    return 8 * blocks + 8


def unpadded(content: bytes) -> bytes:
    """Takes padding and cutting out of a style generator's file.

    Args:
        content: of a .tflite file with the signatures `paint` and `tile`.

    Returns:
        The same whose `lr` is padded already, and whose `sr` is larger by `CUT` pixels above and
        to the left, and as many or more below and to the right.

    Raises:
        ExportError: if it is no such file.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = unpacked(content)
    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if not k.startswith("_")}
    kinds = [names[max(c.builtinCode, c.deprecatedBuiltinCode)] for c in model.operatorCodes]
    for signature in model.signatureDefs:
        _bare(signature, model.subgraphs[signature.subgraphIndex], kinds)
    return packed(model)


def _bare(signature: Any, graph: Any, kinds: list[str]) -> None:
    """Has a signature begin behind the padding and end before the cut."""

    def kind(operator: Any) -> str:
        return kinds[operator.opcodeIndex]

    gathers = [each for each in graph.operators if kind(each) == "GATHER"]
    outer = {m.name: m for m in (*signature.inputs, *signature.outputs) if m.name in (b"lr", b"sr")}
    ends = [o for o in graph.operators if outer[b"sr"].tensorIndex in o.outputs]
    if len(gathers) != 2 or not ends or kind(ends[0]) != "STRIDED_SLICE":
        raise ExportError("expected a style generator that pads and cuts, received another model")
    bare = {b"lr": gathers[-1].outputs[0], b"sr": ends[0].inputs[0]}
    moved = {each.tensorIndex: bare[name] for name, each in outer.items()}
    graph.inputs = [moved.get(i, i) for i in graph.inputs]
    graph.outputs = [moved.get(i, i) for i in graph.outputs]
    for each in outer.values():
        each.tensorIndex = moved[each.tensorIndex]
    needed, kept = set(graph.outputs), []
    for operator in reversed(graph.operators):
        if needed & set(operator.outputs) and bare[b"lr"] not in operator.outputs:
            kept.append(operator)
            needed.update(operator.inputs)
    graph.operators = kept[::-1]

"""Mutations of .tflite files that stay valid flatbuffers: indices, shapes, kinds, options, lengths.

Offsets are left alone, so that the structure stays whole and LiteRT's own verifier passes it; what
is changed is what the interpreter and its kernels follow.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from ai_edge_litert import schema_py_generated as schema


class Field(NamedTuple):
    """A number in a file: what it is, where, and as what it is stored."""

    what: str
    position: int
    form: str


def fields(content: bytes) -> list[Field]:
    """Lists the numbers of a model that say something about others."""
    return list(_model(schema.Model.GetRootAs(content, 0)))


def mutate(content: bytes, every: list[Field], seed: int) -> tuple[bytes, str]:
    """Changes one to three numbers, always the same for a seed; returns what was changed too."""
    draw = random.Random(seed)
    data, changes = bytearray(content), []
    kinds = sorted({field.what for field in every})
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        kind = draw.choice(kinds)  # each kind as often, however many there are
        field = draw.choice([each for each in every if each.what == kind])
        size = struct.calcsize(field.form)
        (old,) = struct.unpack_from(field.form, data, field.position)
        if kind.endswith("length"):  # longer than it is would be no valid flatbuffer
            new = draw.randrange(old) if old else 0
        elif field.form == "<f":
            new = draw.choice((0.0, -1.0, 1e38, float("nan"), float("inf"), 1e-38))
        else:
            other = struct.unpack_from(
                field.form, data, draw.choice([e for e in every if e.form == field.form]).position
            )[0]
            new = draw.choice(
                (-1, 0, 1, 2, old - 1, old + 1, old * 2, other, draw.randrange(300), 2**31 - 1,
                 -(2**31), 1 << draw.randrange(31))
            )  # fmt: skip
            new %= 256**size
            new -= 256**size * (field.form[-1].islower() and new >= 256**size // 2)
        struct.pack_into(field.form, data, field.position, new)
        changes.append(f"{kind} at {field.position}: {old} -> {new}")
    return bytes(data), "; ".join(changes)


def _scalar(table: Any, slot: int, form: str, what: str) -> Iterator[Field]:
    if offset := table._tab.Offset(4 + 2 * slot):
        yield Field(what, table._tab.Pos + offset, f"<{form}")


def _length(table: Any, slot: int, what: str) -> Iterator[Field]:
    if offset := table._tab.Offset(4 + 2 * slot):
        yield Field(f"{what} length", table._tab.Vector(offset) - 4, "<I")


def _vector(table: Any, slot: int, form: str, what: str) -> Iterator[Field]:
    """A vector's length and its elements, the first of many."""
    yield from _length(table, slot, what)
    if offset := table._tab.Offset(4 + 2 * slot):
        start, length = table._tab.Vector(offset), table._tab.VectorLen(offset)
        for i in range(min(length, 64)):
            yield Field(what, start + struct.calcsize(form) * i, f"<{form}")


def _options(table: Any, what: str) -> Iterator[Field]:
    """Every number in a table of options, whatever its names."""
    vtable = table.Pos - struct.unpack_from("<i", table.Bytes, table.Pos)[0]
    size, _ = struct.unpack_from("<HH", table.Bytes, vtable)
    offsets = struct.unpack_from(f"<{(size - 4) // 2}H", table.Bytes, vtable + 4)
    for offset in filter(None, offsets):
        if not (table.Pos + offset) % 4:
            yield Field(f"{what} option", table.Pos + offset, "<i")
        yield Field(f"{what} option", table.Pos + offset, "<B")


def _model(model: Any) -> Iterator[Field]:
    for slot, what in ((1, "opcodes"), (2, "subgraphs"), (4, "buffers"), (6, "signatures")):
        yield from _length(model, slot, what)
    yield from _scalar(model, 0, "I", "version")
    for i in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(i)
        yield from _scalar(code, 0, "b", "old builtin code")
        yield from _scalar(code, 2, "i", "operator version")
        yield from _scalar(code, 3, "i", "builtin code")
    for i in range(model.BuffersLength()):
        yield from _length(model.Buffers(i), 0, "data")
        yield from _small(model.Buffers(i))
    for i in range(model.MetadataLength()):
        yield from _scalar(model.Metadata(i), 1, "I", "metadata buffer")
    for i in range(model.SignatureDefsLength()):
        signature = model.SignatureDefs(i)
        yield from _scalar(signature, 4, "I", "signature subgraph")
        for count, get in (
            (signature.InputsLength(), signature.Inputs),
            (signature.OutputsLength(), signature.Outputs),
        ):
            for j in range(count):
                yield from _scalar(get(j), 1, "I", "signature tensor")
    for i in range(model.SubgraphsLength()):
        yield from _graph(model.Subgraphs(i))


def _small(buffer: Any) -> Iterator[Field]:
    """The numbers of a short constant: paddings, shapes, axes."""
    if 0 < buffer.DataLength() <= 64:
        start = buffer._tab.Vector(buffer._tab.Offset(4))
        for at in range(0, buffer.DataLength() // 4 * 4, 4):
            yield Field("constant", start + at, "<i")


def _graph(graph: Any) -> Iterator[Field]:
    yield from _length(graph, 0, "tensors")
    yield from _length(graph, 3, "operators")
    yield from _vector(graph, 1, "i", "subgraph input")
    yield from _vector(graph, 2, "i", "subgraph output")
    for i in range(graph.TensorsLength()):
        tensor = graph.Tensors(i)
        yield from _vector(tensor, 0, "i", "shape")
        yield from _scalar(tensor, 1, "b", "type")
        yield from _scalar(tensor, 2, "I", "buffer")
        yield from _scalar(tensor, 5, "B", "is variable")
        yield from _vector(tensor, 7, "i", "shape signature")
        if quantization := tensor.Quantization():
            yield from _vector(quantization, 2, "f", "scale")
            yield from _vector(quantization, 3, "q", "zero point")
            yield from _scalar(quantization, 6, "i", "quantized dimension")
    for i in range(graph.OperatorsLength()):
        operator = graph.Operators(i)
        yield from _scalar(operator, 0, "I", "opcode")
        yield from _vector(operator, 1, "i", "operator input")
        yield from _vector(operator, 2, "i", "operator output")
        if options := operator.BuiltinOptions():
            yield from _options(options, "operator")

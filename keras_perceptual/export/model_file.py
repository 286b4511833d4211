"""A .tflite file as objects that can be changed, and back."""

from __future__ import annotations

from typing import Any

__all__ = ["packed", "unpacked"]


def unpacked(content: bytes) -> Any:
    """Returns the `ModelT` of a file, from the schema of LiteRT."""
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))


def packed(model: Any) -> bytes:
    """Returns the file of a `ModelT`."""
    import flatbuffers

    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())

"""A .tflite file as objects that can be changed, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["packed", "unpacked", "upscaling"]


def unpacked(content: bytes) -> Any:
    """Returns the `ModelT` of a file, from the schema of LiteRT.

    Weights that lie behind it in the file, where several signatures share them, are in it too.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    for buffer in model.buffers:
        if buffer.size:
            data = content[buffer.offset : buffer.offset + buffer.size]
            buffer.data, buffer.offset, buffer.size = np.frombuffer(data, np.uint8), 0, 0
    return model


def packed(model: Any) -> bytes:
    """Returns the file of a `ModelT`."""
    import flatbuffers

    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def upscaling(model: Any) -> Any:
    """Returns the graph of a model's signature `upscale`."""
    (number,) = (x.subgraphIndex for x in model.signatureDefs if x.signatureKey == b"upscale")
    return model.subgraphs[number]

"""Warm-up requests for TF Serving: a TFRecord of PredictionLog messages.

The messages are those of TensorFlow Serving's `prediction_log.proto` and `predict.proto`. They
are put together here field by field, since the package that has these protos is not needed for
anything else; the tests parse them with it.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

__all__ = ["prediction_log", "write"]


def write(path: Path, model: str) -> None:
    """Writes one request for each signature, on a small gray image.

    Args:
        path: `assets.extra/tf_serving_warmup_requests` in a SavedModel's folder.
        model: name that the server has for the model.
    """
    image = np.full((32, 32, 3), 128, np.uint8)
    png = io.BytesIO()
    Image.fromarray(image).save(png, "PNG")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, name, value in (
            ("serving_default", "lr", image[None]),
            ("serve_bytes", "image_bytes", np.array([png.getvalue()], object)),
            ("upscale", "lr", image[None].astype(np.float32)),
        ):
            writer.write(prediction_log(model, signature, name, value))


def prediction_log(model: str, signature: str, name: str, value: np.ndarray) -> bytes:
    """Returns a serialised PredictionLog of one request with one input."""
    tensor = tf.make_tensor_proto(value).SerializeToString()
    spec = _field(1, model.encode()) + _field(3, signature.encode())
    inputs = _field(1, name.encode()) + _field(2, tensor)
    request = _field(1, spec) + _field(2, inputs)
    return _field(6, _field(1, request))  # PredictionLog.predict_log, PredictLog.request


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of the protobuf wire format."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)

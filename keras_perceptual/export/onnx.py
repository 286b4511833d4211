"""ONNX files, by Keras's own exporter. Needs TensorFlow and the packages of the extra `onnx`."""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np

from keras_perceptual.errors import OnnxError, first_line
from keras_perceptual.export.verification import Signatures
from keras_perceptual.models.describing import describe
from keras_perceptual.pixels.resampling import to_uint8

__all__ = ["open_onnx", "to_onnx"]

AXES = ("batch", "height", "width")


def to_onnx(generator: keras.Model) -> bytes:
    """Converts a generator to an ONNX file.

    Args:
        generator: a functional model from `lr` to `sr`, float32.

    Returns:
        The file's bytes: `lr` float32 `[N, H, W, 3]` -> `sr` float32, without post-process;
        batch, height and width are dynamic.

    Raises:
        OnnxError: if packages are not installed, Keras does not run on TensorFlow, or an
            operator has no equal.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401  what compares needs it
        import tf2onnx  # noqa: F401  what Keras converts with
    except ImportError as error:
        raise OnnxError(
            f"ONNX needs packages of its own: pip install onnx onnxruntime tf2onnx ({error})"
        ) from error
    if keras.backend.backend() != "tensorflow":
        raise OnnxError(
            f"ONNX files are made with KERAS_BACKEND=tensorflow, it is {keras.backend.backend()}"
        )
    lr = keras.InputSpec("float32", (None, None, None, 3), name="lr")
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # Keras asks NumPy for names that NumPy 2 no longer has, to give them to tf2onnx.
        warnings.simplefilter("ignore", FutureWarning)
        path = Path(folder) / "model.onnx"
        try:
            generator.export(path, format="onnx", verbose=False, input_signature=[lr])
            model = onnx.load(path)
        except Exception as error:  # TensorFlow, tf2onnx and protobuf raise their own
            raise OnnxError(f"cannot be converted to ONNX: {first_line(error)}") from error
    (given,), (returned,) = model.graph.input, model.graph.output
    for node in model.graph.node:
        node.output[:] = ["sr" if name == returned.name else name for name in node.output]
        node.input[:] = ["sr" if name == returned.name else name for name in node.input]
    returned.name = "sr"
    for tensor, prefix in ((given, ""), (returned, "sr_")):
        for axis, dimension in zip(AXES, tensor.type.tensor_type.shape.dim, strict=False):
            dimension.dim_param = axis if axis == "batch" else prefix + axis
    # Shapes between the two, under names that no longer mean anything.
    del model.graph.value_info[:]
    about = describe(generator).descriptor.to_dict()
    model.metadata_props.add(key="keras_perceptual", value=json.dumps(about))
    onnx.checker.check_model(model)
    return model.SerializeToString()


def open_onnx(content: bytes, threads: int | None = None) -> Signatures:
    """Opens an ONNX file's bytes with ONNX Runtime on the CPU.

    Args:
        content: the file.
        threads: processor cores to use; all by default.

    Returns:
        Its functions; `serving_default` is `upscale`, clipped and rounded.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or os.cpu_count() or 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def upscale(lr: np.ndarray) -> np.ndarray:
        return session.run(["sr"], {"lr": lr})[0]

    return Signatures(lambda lr: to_uint8(upscale(lr.astype(np.float32))), upscale)

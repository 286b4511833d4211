"""Generators that are 8 bits from end to end: levels in, levels out."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_perceptual.errors import ExportError, first_line
from keras_perceptual.export import signatures
from keras_perceptual.export.model_file import packed, unpacked
from keras_perceptual.export.quantization import patches
from keras_perceptual.export.saved_model import save, write_errors
from keras_perceptual.inference.litert import interpreter
from keras_perceptual.system.quiet import quiet_stderr

__all__ = ["level_tflite"]

# Levels of a step of what a network adds to its repeated input: candidates. The largest additions
# are rare, and cut off; all others get finer steps.
STEPS = (0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.2)
FLAT = (0.0, 255.0)  # what a picture may hold at the most


class _Repeat(keras.layers.Layer):
    """Repeats channels as `Concatenate` of the same input does, by a convolution.

    LiteRT copies what it concatenates pixel by pixel, three bytes at a time.
    """

    def call(self, inputs):
        first = inputs[0]
        channels = first.shape[-1]
        kernel = np.tile(np.eye(channels, dtype=np.float32), (1, len(inputs)))
        return tf.nn.conv2d(first, kernel[None, None], 1, "SAME")

    def compute_output_shape(self, input_shape):
        return (*input_shape[0][:3], input_shape[0][3] * len(input_shape))


def level_tflite(generator: keras.Model, photographs: Sequence[np.ndarray]) -> bytes:
    """Converts a generator to a .tflite file whose input and output are int8.

    Args:
        generator: `plain`, whose last steps are an addition to the repeated input and
            depth_to_space.
        photographs: `[H, W, 3]` uint8, that ranges are measured on.

    Returns:
        The file's bytes. Its signature `upscale` takes and gives levels less 128, so that nothing
        is computed to get them in and out, and what is beyond black and white is cut off.

    Raises:
        ExportError: if it cannot be converted so.
    """
    twin = _repeating(generator)
    spec = tf.TensorSpec([None, None, None, 3], tf.float32, "lr")
    with write_errors("a temporary folder"), tempfile.TemporaryDirectory() as folder:
        save(folder, twin, {"upscale": (signatures.upscale(twin), spec)})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["upscale"])
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        converter.representative_dataset = lambda: _calibration(photographs)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of the converter's own interpreter
                content = converter.convert()
        except Exception as error:  # the converter raises its own, RuntimeError among them
            raise ExportError(f"cannot be converted: {first_line(error)}") from error
    few = [batch[:1] for batch in patches(photographs)]
    exact = [np.clip(np.asarray(generator(lr.astype(np.float32))), 0, 255) for lr in few]

    def off(step: float) -> float:
        with quiet_stderr():
            run = interpreter(_in_levels(content, step), None).get_signature_runner("upscale")
        results = (run(lr=(lr ^ 0x80).view(np.int8))["sr"].astype(np.float32) + 128 for lr in few)
        return float(
            np.mean([np.square(a - b).mean() for a, b in zip(results, exact, strict=True)])
        )

    return _in_levels(content, min(STEPS, key=off))


def _repeating(generator: keras.Model) -> keras.Model:
    def clone(layer: keras.Layer) -> keras.Layer:
        if layer.name == "repeat":
            return _Repeat(name=layer.name)
        return type(layer).from_config(layer.get_config())

    twin = keras.models.clone_model(generator, clone_function=clone)
    twin.set_weights(generator.get_weights())
    return twin


def _calibration(photographs: Iterable[np.ndarray]) -> Iterator[tuple[str, dict[str, Any]]]:
    for batch in patches(photographs):
        for lr in batch[:4]:
            yield "upscale", {"lr": lr[None].astype(np.float32)}
    for level in FLAT:
        yield "upscale", {"lr": np.full((1, 64, 64, 3), level, np.float32)}


def _in_levels(content: bytes, step: float) -> bytes:
    """Returns a file whose result is in steps of one level, and what is added in those given.

    The converter spreads 256 steps over all that it measured, beyond black and white too.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = unpacked(content)
    (graph,) = model.subgraphs
    codes = [model.operatorCodes[each.opcodeIndex].builtinCode for each in graph.operators]
    ends = schema.BuiltinOperator.ADD, schema.BuiltinOperator.DEPTH_TO_SPACE
    if tuple(codes[-2:]) != ends:
        raise ExportError("expected a network that ends in an addition and DEPTH_TO_SPACE")
    addition, last = graph.operators[-2:]

    def scale(tensor: int, levels: float, zero: int) -> None:
        about = graph.tensors[tensor].quantization
        about.scale, about.zeroPoint = [levels], [zero]

    added = [i for i in addition.inputs if "repeat" not in graph.tensors[i].name.decode()]
    scale(added[0], step, 0)
    scale(addition.outputs[0], 1.0, -128)
    scale(last.outputs[0], 1.0, -128)
    return packed(model)

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
from keras_perceptual.inference.levels import LEVELS
from keras_perceptual.inference.litert import interpreter
from keras_perceptual.system.quiet import quiet_stderr

__all__ = ["level_tflite"]

# Levels of a step of what a network adds to its repeated input: candidates. The largest additions
# are rare, and cut off; all others get finer steps.
STEPS = (0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.2)
FLAT = (0.0, 255.0)  # what a picture may hold at the most


def level_tflite(generator: keras.Model, photographs: Sequence[np.ndarray]) -> bytes:
    """Converts a generator to a .tflite file whose input and output are int8.

    Args:
        generator: `plain`, whose last steps but the cut are an addition to the repeated input and
            depth_to_space.
        photographs: `[H, W, 3]` uint8, that ranges are measured on.

    Returns:
        The file's bytes. Its signature `upscale` takes and gives levels less 128, so that nothing
        is computed to get them in and out, and what is beyond black and white is cut off. Of an
        odd side it gives the other half of the last block too, which a cut would cost a copy of.

    Raises:
        ExportError: if it cannot be converted so.
    """
    whole = generator
    if any(layer.name == "whole" for layer in generator.layers):
        whole = keras.Model(generator.input, generator.get_layer("whole").output)
    spec = tf.TensorSpec([None, None, None, 3], tf.float32, "lr")
    with write_errors("a temporary folder"), tempfile.TemporaryDirectory() as folder:
        save(folder, whole, {"upscale": (signatures.upscale(whole), spec)})
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
    few = [batch[:2] for batch in patches(photographs)]
    exact = [np.clip(np.asarray(generator(lr.astype(np.float32))), 0, 255) for lr in few]

    def errors(content: bytes) -> list[np.ndarray]:
        with quiet_stderr():
            run = interpreter(content, None).get_signature_runner("upscale")
        made = (run(lr=(lr ^ 0x80).view(np.int8))["sr"] for lr in few)
        return [sr.astype(np.float32) + 128 - right for sr, right in zip(made, exact, strict=True)]

    def off(content: bytes) -> float:
        return float(np.mean([np.square(each).mean() for each in errors(content)]))

    best = min((_in_levels(content, step) for step in STEPS), key=off)
    return min(best, _corrected(best, errors(best)), key=off)


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
    added = _added(graph)

    def scale(tensor: int, levels: float, zero: int) -> None:
        about = graph.tensors[tensor].quantization
        about.scale, about.zeroPoint = [levels], [zero]

    scale(added, step, 0)
    scale(addition.outputs[0], *LEVELS)
    scale(last.outputs[0], *LEVELS)
    return packed(model)


def _added(graph: Any) -> int:
    """Returns the tensor that is added to the repeated input."""
    (added,) = (
        i for i in graph.operators[-2].inputs if "repeat" not in graph.tensors[i].name.decode()
    )
    return added


def _corrected(content: bytes, errors: Iterable[np.ndarray]) -> bytes:
    """Returns a file whose results are right in the mean, at each place of a block.

    Rounded weights shift what a filter gives, here by up to two levels, and filters are places: a
    grid over all that is smooth. The biases of the last convolution take it out.

    Source: Nagel et al., "Data-free quantization through weight equalization and bias correction",
    2019, section 4.2, with images in place of what is known of their statistics.
    """
    model = unpacked(content)
    (graph,) = model.subgraphs
    side = graph.operators[-1].builtinOptions.blockSize
    means = []
    for each in errors:
        count, height, width, channels = each.shape
        blocks = each.reshape(count, height // side, side, width // side, side, channels)
        means.append(blocks.mean((0, 1, 3)))
    (tail,) = (each for each in graph.operators if _added(graph) in each.outputs)
    biases = graph.tensors[tail.inputs[2]]
    buffer = model.buffers[biases.buffer]
    integers = np.frombuffer(bytes(buffer.data), np.int32)
    shift = np.mean(means, axis=0).ravel() / biases.quantization.scale
    buffer.data = np.frombuffer((integers - np.rint(shift).astype(np.int32)).tobytes(), np.uint8)
    return packed(model)

"""Convolutions in static 8 bits inside a .tflite file, all else in float32."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from keras_perceptual.errors import ExportError
from keras_perceptual.export.activations import Activation, activations
from keras_perceptual.export.verification import open_tflite
from keras_perceptual.models.rounding import BLOCKS
from keras_perceptual.pixels.resampling import imresize, to_uint8
from keras_perceptual.system.quiet import quiet_stderr

__all__ = ["Ranges", "activation_ranges", "patches", "quantized"]

MOST = 0.4  # levels of mean difference on patches, for which layers are left out
PATCH, COUNT = 64, 96
REDUCTIONS = (1, 2, 4)
# 8 bits are spread over these parts of the extremes: what is beyond is cut off, all else gets finer
# steps. Among the 200,000 values that are tried on, the extremes count twice: once makes text
# differ by up to 25 levels instead of 19, and all else by a tenth less.
KEPT = tuple(np.arange(10, 21) / 20)
EXTREMES = 2

# What 8 bits are spread over, by the name of a convolution's layer: of what it takes (0) and of
# what it gives (1).
Ranges = dict[tuple[str, int], tuple[float, float]]


def patches(
    photographs: Iterable[np.ndarray], count: int = COUNT, side: int = PATCH
) -> Iterator[np.ndarray]:
    """Cuts what ranges are measured on, from smooth to dense.

    Args:
        photographs: `[H, W, 3]` uint8; what is too small is mirrored.
        count: of patches in all; there may be a few more.
        side: of a patch in pixels.

    Yields:
        Batches `[N, side, side, 3]` uint8, as many of each photograph as it is, of its half and of
        its quarter.
    """
    rng = np.random.default_rng(0)
    sources = []
    for photograph in photographs:
        for reduction in REDUCTIONS:
            reduced = imresize(photograph.astype(np.float32), 1 / reduction)
            lacking = [(0, max(0, side - length)) for length in reduced.shape[:2]]
            sources.append(np.pad(to_uint8(reduced), (*lacking, (0, 0)), "symmetric"))
    for source in sources:
        batch = []
        for _ in range(-(-count // len(sources))):
            top, left = (rng.integers(length - side + 1) for length in source.shape[:2])
            batch.append(source[top : top + side, left : left + side])
        yield np.stack(batch)


def activation_ranges(
    content: bytes, batches: Iterable[np.ndarray], layers: str = BLOCKS
) -> Ranges:
    """Returns the ranges of activations that `quantized` takes if it is given none.

    Its arguments are those of `quantized`.
    """
    found = _convolutions(content, layers)
    held = activations(content, set().union(*found.values()), batches)
    return {
        key: _spread(next(held[name] for name in tensors if name in held))
        for key, tensors in found.items()
    }


def quantized(
    content: bytes,
    batches: Iterable[np.ndarray],
    layers: str = BLOCKS,
    most: float = MOST,
    ranges: Ranges | None = None,
) -> bytes:
    """Makes convolutions static int8: weights in steps by channel, activations by tensor.

    Args:
        content: a float32 .tflite file with a signature `upscale`.
        batches: `[N, H, W, 3]` LR images in 0..255, that ranges of activations are measured on.
        layers: regular expression that finds the convolutions by the names of their layers.
        most: levels that the result may differ by in the mean. The layers that cost most stay in
            float32 until it does not.
        ranges: of activations, in place of those measured. Nothing is left out then: they come from
            fine-tuning, whose weights give something else without rounding.

    Returns:
        The file's bytes. All signatures stay, with the inputs and outputs that they had.

    Raises:
        ExportError: if litert-quantizer is not installed, no convolution has such a name, or the
            result differs by more whatever is left out.
    """
    found = _convolutions(content, layers)
    if not found:
        raise ExportError(
            "int8 is of the convolutions in residual blocks, and there are none; quantize as "
            "int8-full or dynamic"
        )
    _quantizer(content, layers)  # what cannot be done ends before the work
    batches = [batch.astype(np.float32) for batch in batches]
    if ranges:
        most = np.inf
    else:
        ranges = activation_ranges(content, batches, layers)
    spread = {
        tensor: {"min": np.array([low]), "max": np.array([high])}
        for key, (low, high) in ranges.items()
        for tensor in found[key]
    }
    few = batches[::4]  # of which each has another reduction than the last
    run = open_tflite(content).upscale
    exact = [np.clip(run(lr), 0, 255) for lr in few]

    def tried(names: Sequence[str]) -> tuple[bytes, float]:
        result = _converted(content, rf"({'|'.join(names)})(?!\d)", spread)
        run = open_tflite(result).upscale
        off = [
            np.abs(np.clip(run(lr), 0, 255) - sr).mean() for lr, sr in zip(few, exact, strict=True)
        ]
        return result, float(np.mean(off))

    left = sorted({name for name, _ in found})
    result, off = tried(left)
    if off > most:
        left.sort(key=lambda name: tried([name])[1])
    while off > most and len(left) > 1:
        left.pop()
        result, off = tried(left)
    if off > most:
        raise ExportError(
            f"differs by {off:.2f} levels in the mean in int8, expected {most} at the most"
        )
    return result


def _convolutions(content: bytes, layers: str) -> dict[tuple[str, int], set[str]]:
    """Returns the tensors that convolutions take (0) and give (1), by the name of the layer.

    They are several where several signatures share a layer.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    found: dict[tuple[str, int], set[str]] = {}
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for operator in map(graph.Operators, range(graph.OperatorsLength())):
            code = model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()
            ends = [
                graph.Tensors(i).Name().decode() for i in (operator.Inputs(0), operator.Outputs(0))
            ]
            named = re.search(layers, ends[1])
            if code == schema.BuiltinOperator.CONV_2D and named:
                for end, tensor in enumerate(ends):
                    found.setdefault((named.group(), end), set()).add(tensor)
    return found


def _quantizer(content: bytes, layers: str) -> Any:
    try:
        from litert_quantizer import qtyping, quantizer
    except ImportError as error:
        raise ExportError(
            f"int8 needs a package of its own: pip install litert-quantizer ({error})"
        ) from error
    work = quantizer.Quantizer(bytearray(content))
    work.add_static_config(layers, qtyping.TFLOperationName.CONV_2D, 8, 8)
    return work


def _spread(activation: Activation) -> tuple[float, float]:
    """Returns the range that rounding to its 256 steps changes values least over, squared."""
    low, high, values = activation
    values = np.concatenate([values, np.repeat([low, high], EXTREMES)])
    # What is never negative comes from a ReLU.
    ranges = [(a * low, b * high) for a in (KEPT if low < 0 else KEPT[-1:]) for b in KEPT]

    def error(range_: tuple[float, float]) -> float:
        step = max(range_[1] - range_[0], 1e-9) / 255
        rounded = np.rint(np.clip(values, *range_) / step) * step
        return float(np.square(rounded - values).mean())

    return min(ranges, key=error)


def _converted(content: bytes, layers: str, spread: dict[str, dict[str, np.ndarray]]) -> bytes:
    with quiet_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that an interpreter keeps all tensors
        work = _quantizer(content, layers)
        done = work.quantize(spread, enable_progress_bar=False, enable_progress_report=False)
    return bytes(done.quantized_model)

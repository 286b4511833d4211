"""Operators and tensors put into the graph of a .tflite file by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

__all__ = ["Assembly", "Step"]

Step = tuple[float, int]  # what 1 stands for, and the integer that stands for 0


class Assembly:
    """Operators that are added to the end of a graph, in the order in which they are asked for.

    Tensors are named by their number in the graph. Those of activations have four dimensions of
    which the file gives the last alone.

    Args:
        model: a `ModelT`, which is changed.
        graph: that of its subgraphs which is.
    """

    def __init__(self, model: Any, graph: Any) -> None:
        self._model, self._graph = model, graph
        self._buffers: dict[bytes, int] = {}

    def floats(self, channels: int, name: str) -> int:
        """Returns a new float32 activation."""
        return self._tensor(name, schema.TensorType.FLOAT32, (1, 1, 1, channels))

    def integers(self, channels: int, name: str, step: Step) -> int:
        """Returns a new int8 activation."""
        return self._tensor(name, schema.TensorType.INT8, (1, 1, 1, channels), step)

    def quantize(self, x: int, name: str, step: Step) -> int:
        """Rounds a float32 activation."""
        made = self.integers(self.channels(x), name, step)
        self.operator("QUANTIZE", [x], made, "Quantize")
        return made

    def dequantize(self, x: int, name: str) -> int:
        """Makes an activation float32."""
        made = self.floats(self.channels(x), name)
        self.operator("DEQUANTIZE", [x], made, "Dequantize")
        return made

    def difference(self, x: int, y: int, name: str) -> int:
        """Subtracts float32 activations."""
        made = self.floats(self.channels(x), name)
        self.operator("SUB", [x, y], made, "Sub")
        return made

    def sum(self, x: int, y: int, name: str, step: Step, minus: bool = False) -> int:
        """Adds int8 activations, or subtracts them, and rounds once."""
        made = self.integers(self.channels(x), name, step)
        self.operator(*(("SUB", [x, y], made, "Sub") if minus else ("ADD", [x, y], made, "Add")))
        return made

    def convolution(
        self,
        x: int,
        weights: np.ndarray,
        biases: np.ndarray,
        name: str,
        step: Step,
    ) -> int:
        """Convolves an int8 activation, zeros around it, and cuts off what 8 bits do not hold.

        Args:
            x: the activation.
            weights: `[out, height, width, in]`, rounded by output channel.
            biases: `[out]`.
            name: of the result.
            step: of the result.
        """
        scales = np.maximum(np.abs(weights).max((1, 2, 3)), 1e-9) / 127
        rounded = np.rint(weights / scales[:, None, None, None]).astype(np.int8)
        kernel = self._tensor(f"{name}_kernel", schema.TensorType.INT8, rounded.shape, data=rounded)
        scales = self._about(kernel, scales)
        (given,) = self._graph.tensors[x].quantization.scale
        integers = np.rint(biases / (given * scales)).astype(np.int32)
        bias = self._tensor(f"{name}_bias", schema.TensorType.INT32, integers.shape, data=integers)
        self._about(bias, given * scales)
        made = self.integers(len(weights), name, step)
        self.operator("CONV_2D", [x, kernel, bias], made, "Conv2D", strideH=1, strideW=1)
        return made

    def channels(self, x: int) -> int:
        """Returns how many channels an activation has."""
        return int(self._graph.tensors[x].shape[-1])

    def operator(
        self, code: str, given: Sequence[int], made: int, kind: str, **options: Any
    ) -> None:
        """Adds an operator.

        Args:
            code: its name in the schema, such as `CONV_2D`.
            given: tensors that it takes.
            made: the tensor that it gives.
            kind: name of its options in the schema, less `Options`.
            **options: what is not as usual.
        """
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(getattr(schema.BuiltinOperator, code))
        operator.inputs, operator.outputs = list(given), [made]
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, f"{kind}Options")
        operator.builtinOptions = getattr(schema, f"{kind}OptionsT")()
        for option, value in options.items():
            setattr(operator.builtinOptions, option, value)
        self._graph.operators.append(operator)

    def _code(self, code: int) -> int:
        for i, known in enumerate(self._model.operatorCodes):
            if known.builtinCode == code:
                return i
        known = schema.OperatorCodeT()
        known.builtinCode = known.deprecatedBuiltinCode = code
        known.version = 2  # that takes int8
        self._model.operatorCodes.append(known)
        return len(self._model.operatorCodes) - 1

    def _tensor(
        self,
        name: str,
        type_: int,
        shape: Sequence[int],
        step: Step | None = None,
        data: np.ndarray | None = None,
    ) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.shape = name.encode(), type_, list(shape)
        tensor.hasRank = True
        if data is None:
            tensor.shapeSignature = [-1, -1, -1, shape[-1]]
        else:
            tensor.buffer = self._buffer(data.tobytes())
        self._graph.tensors.append(tensor)
        number = len(self._graph.tensors) - 1
        if step:
            self._about(number, [step[0]], step[1])
        return number

    def _buffer(self, data: bytes) -> int:
        """Returns where constants lie, once for all that are alike."""
        if data not in self._buffers:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data, np.uint8)
            self._buffers[data] = len(self._model.buffers)
            self._model.buffers.append(buffer)
        return self._buffers[data]

    def _about(self, x: int, scales: Sequence[float], zero: int = 0) -> np.ndarray:
        """Says what the integers of a tensor stand for; returns the scales as they are stored."""
        stored = np.asarray(scales, np.float32)
        about = schema.QuantizationParametersT()
        about.scale, about.zeroPoint = stored.tolist(), [zero] * len(stored)
        self._graph.tensors[x].quantization = about
        return stored

"""An ONNX graph that is being written after a LiteRT graph. Needs the package `onnx`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_perceptual.errors import OnnxError

__all__ = ["NCHW", "NHWC", "Graph", "Operator"]

# Where LiteRT has the axes of an image that ONNX has, and the other way round.
NCHW, NHWC = (0, 3, 1, 2), (0, 2, 3, 1)
# Of LiteRT's enumerations.
KINDS = {0: np.float32, 1: np.float16, 2: np.int32, 3: np.uint8, 4: np.int64, 6: np.bool_}
ACTIVATIONS = {0: None, 1: "Relu"}


class Operator(NamedTuple):
    """An operator of a LiteRT graph: its tensors by their numbers, and its options."""

    inputs: list[int]
    output: int
    options: Any


class Graph:
    """An ONNX graph that is being written, and the LiteRT graph that it follows.

    A tensor of rank 4 is an image: it can be asked for as LiteRT has it (`value`) and with its
    channels first (`image`), and is transposed when it is first asked for in the way it is not.

    Args:
        tensors: of the LiteRT graph.
        buffers: of its model, which hold the constants.
        inputs: names of the graph's inputs, by their tensors.

    Attributes:
        nodes: that were written.
        initializers: the constants.

    Raises:
        OnnxError: if there are numbers in it of a kind that generators do not have.
    """

    def __init__(
        self, tensors: Sequence[Any], buffers: Sequence[Any], inputs: Mapping[int, str]
    ) -> None:
        if any(each.type not in KINDS for each in tensors):
            raise OnnxError("expected a model of floating numbers, found one in 8 bits")
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._tensors, self._buffers = tensors, buffers
        self._values, self._images = dict(inputs), dict[int, str]()
        self._constants: dict[int, np.ndarray] = {}

    # --- the LiteRT graph ---

    def shape(self, tensor: int) -> list[int]:
        """Returns the sides of a tensor, -1 where they are dynamic."""
        about = self._tensors[tensor]
        shape = about.shape if about.shapeSignature is None else about.shapeSignature
        return [] if shape is None else [int(side) for side in shape]

    def kind(self, tensor: int) -> type:
        """Returns the kind of numbers in a tensor."""
        return KINDS[self._tensors[tensor].type]

    def is_image(self, tensor: int) -> bool:
        return len(self.shape(tensor)) == 4

    def constant(self, tensor: int) -> np.ndarray | None:
        """Returns the content of a tensor, None if it is computed."""
        data = self._buffers[self._tensors[tensor].buffer].data
        if tensor not in self._constants and data is not None and len(data):
            content: np.ndarray = np.asarray(data, np.uint8).view(self.kind(tensor))
            self._constants[tensor] = content.reshape(self.shape(tensor))
        return self._constants.get(tensor)

    def known(self, tensor: int) -> np.ndarray:
        """Returns the content of a tensor.

        Raises:
            OnnxError: if it is computed.
        """
        content = self.constant(tensor)
        if content is None:
            raise OnnxError("an operator whose weights, axes or sides are computed has no equal")
        return content

    # --- the ONNX graph ---

    def node(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Writes a node; returns the name of its output."""
        from onnx import helper

        name = name or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def initializer(self, content: np.ndarray | Sequence[int]) -> str:
        """Writes a constant; returns its name. Integers of Python are int64."""
        from onnx import numpy_helper

        kind = content.dtype if isinstance(content, np.ndarray) else np.int64
        name = f"constant_{len(self.initializers)}"
        array = np.array(content, kind, order="C")
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def value(self, tensor: int) -> str:
        """Returns the name of a tensor as LiteRT has it."""
        if tensor not in self._values:
            content = self.constant(tensor)
            self._values[tensor] = (
                self.node("Transpose", self._images[tensor], perm=NHWC)
                if content is None
                else self.initializer(content)
            )
        return self._values[tensor]

    def image(self, tensor: int) -> str:
        """Returns the name of a tensor with channels first, and of rank 4."""
        if tensor not in self._images:
            content, missing = self.constant(tensor), 4 - len(self.shape(tensor))
            if content is not None:
                content = content.reshape((1,) * missing + content.shape).transpose(NCHW)
                self._images[tensor] = self.initializer(content)
            else:
                value = self.value(tensor)
                if missing:
                    value = self.node("Unsqueeze", value, self.initializer(range(missing)))
                self._images[tensor] = self.node("Transpose", value, perm=NCHW)
        return self._images[tensor]

    def give(self, tensor: int, content: str | np.ndarray, image: bool = False) -> None:
        """Says what a tensor is: a name as LiteRT has it, or as an image, or its content."""
        if isinstance(content, np.ndarray):
            self._constants[tensor] = content
        else:
            (self._images if image else self._values)[tensor] = content

    def finish(self, operator: Operator, name: str, image: bool) -> None:
        """Gives the output of an operator, after the activation that it may have in it."""
        number = getattr(operator.options, "fusedActivationFunction", 0)
        if number not in ACTIVATIONS:
            raise OnnxError(f"the activation {number} has no equal in ONNX here")
        activation = ACTIVATIONS[number]
        self.give(operator.output, self.node(activation, name) if activation else name, image)

"""The engine of ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keras_perceptual.errors import EngineError
from keras_perceptual.inference.blending import Blend
from keras_perceptual.inference.checked import checked
from keras_perceptual.inference.onnx_files import onnx_file
from keras_perceptual.inference.onnx_session import open_session

__all__ = ["OnnxEngine"]


class OnnxEngine:
    """Runs an .onnx file, or the `upscale` signature of a .tflite file, with ONNX Runtime.

    Args:
        path: the file; the ONNX file of a .tflite file is made once and kept.
        threads: processor cores to use; all by default.
        blend: what to blend into a .tflite file.
        device: `cpu`, `gpu`, or `auto` for a GPU where there is one that works.

    Raises:
        EngineError: if packages are not installed, there is no such device, or the file is not
            such a model.
    """

    def __init__(
        self,
        path: Path,
        threads: int | None = None,
        blend: Blend | None = None,
        device: str = "auto",
    ) -> None:
        self.path = path
        self._session = open_session(onnx_file(path, "upscale", blend), threads, device)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise EngineError(
                f"{path}: expected a model from one image to another, received one of "
                f"{len(inputs)} inputs and {len(outputs)} outputs"
            )
        self._input, self._output = inputs[0].name, outputs[0].name
        self.run(np.zeros((1, 8, 8, 3), np.float32))

    @checked
    def run(self, lr: np.ndarray) -> np.ndarray:
        return self._session.run([self._output], {self._input: lr})[0]

"""ONNX Runtime, on a processor or a GPU."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from keras_perceptual.errors import OnnxError, first_line
from keras_perceptual.system.processor import cores
from keras_perceptual.system.quiet import quiet_stderr

__all__ = ["open_session"]

# What leads to a GPU, the first one first, with its options. By default CUDA rounds factors to 11
# bits, and tries all its algorithms whenever a picture has a size of its own.
GPUS: dict[str, dict[str, str]] = {
    "CUDAExecutionProvider": {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"},
    "DmlExecutionProvider": {},
    "CoreMLExecutionProvider": {},
    "OpenVINOExecutionProvider": {"device_type": "GPU", "precision": "FP32"},
}
CPU = "CPUExecutionProvider"


def open_session(model: Path | bytes, threads: int | None = None, device: str = "cpu") -> Any:
    """Opens a model with ONNX Runtime.

    Args:
        model: an .onnx file, or the content of one.
        threads: processor cores to use; all by default.
        device: `cpu`, `gpu`, or `auto` for a GPU where there is one that works.

    Returns:
        The `onnxruntime.InferenceSession`.

    Raises:
        OnnxError: if ONNX Runtime is not installed, there is no such device, or this is no model.
    """
    try:
        with quiet_stderr():
            import onnxruntime
    except ImportError as error:
        raise OnnxError(
            f"ONNX needs packages of its own: pip install onnx onnxruntime ({error})"
        ) from None
    offered = onnxruntime.get_available_providers()
    providers = [name for name in GPUS if name in offered] if device != "cpu" else []
    if device == "gpu" and not providers:
        raise OnnxError(
            f"expected a GPU, and ONNX Runtime has {', '.join(offered)} here; onnxruntime-gpu, "
            "onnxruntime-directml or onnxruntime-openvino, in its place, bring others"
        )
    if device != "gpu":
        providers.append(CPU)
    for provider in providers:
        try:
            with quiet_stderr():
                session = _session(onnxruntime, model, threads, provider)
        except Exception as error:  # ONNX Runtime has many kinds
            why = first_line(error)
            continue
        if provider in session.get_providers():
            return session
        why = f"{provider} does not work"
    what = "a GPU that ONNX Runtime can use" if device == "gpu" else "an ONNX model"
    raise OnnxError(f"expected {what}: {why}")


def _session(onnxruntime: Any, model: Path | bytes, threads: int | None, provider: str) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores(threads)
    # Waiting threads leave the cores to those that decode and encode.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # what goes wrong is raised
    options.enable_mem_pattern = provider != "DmlExecutionProvider"  # which takes none
    return onnxruntime.InferenceSession(
        os.fspath(model) if isinstance(model, Path) else model,
        options,
        providers=[(provider, GPUS.get(provider, {}))],
        enable_fallback=0,
    )

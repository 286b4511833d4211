"""benchmarks/peers.py: what it makes by each runtime that is installed. Nothing here is timed."""

from __future__ import annotations

import numpy as np
import pytest

from keras_perceptual import Upscaler, zoo
from keras_perceptual.files import images
from keras_perceptual.inference.onnx_translation import to_onnx
from tests.conftest import SAMPLES

PHOTOGRAPH = SAMPLES / "LRx4" / "chelsea.png"
RUNTIMES = [("onnxruntime", "onnxruntime"), ("openvino", "openvino"), ("opencv", "cv2")]


def _enlarged(run_script, target, runtime, model):
    result = run_script("benchmarks/peers.py", runtime, model, PHOTOGRAPH, target, 4, 1000)
    assert result.returncode == 0, result.stderr
    return images.read(target).pixels


@pytest.mark.parametrize(("runtime", "package"), RUNTIMES)
def test_the_generator_makes_the_same_picture(run_script, tmp_path, runtime, package):
    pytest.importorskip("onnx")
    pytest.importorskip(package)
    model = tmp_path / "model.onnx"
    model.write_bytes(to_onnx(zoo.file("x4-feature").read_bytes(), "upscale"))
    pixels = _enlarged(run_script, tmp_path / "out.png", runtime, model)
    expected = Upscaler("x4-feature", precision="float32", histogram_match="none").upscale(
        images.read(PHOTOGRAPH).pixels
    )
    inner = slice(80, -80)  # infer.py mirrors what is beyond the edge
    assert np.abs(pixels.astype(int) - expected)[inner, inner].max() <= 1


def test_a_network_of_others(run_script, tmp_path):
    """One of planes in 0..1, that repeats each pixel."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper = onnx.helper
    weights = np.zeros((48, 3, 1, 1), np.float32)
    weights[range(48), np.arange(48) // 16] = 1
    x, y = (
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 3, f"{name}h", f"{name}w"])
        for name in "xy"
    )
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("DepthToSpace", ["c"], ["y"], blocksize=4, mode="CRD"),
    ]
    constants = [onnx.numpy_helper.from_array(weights, "w")]
    graph = helper.make_graph(nodes, "repeat", [x], [y], constants)
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), tmp_path / "n.onnx")
    pixels = _enlarged(run_script, tmp_path / "out.png", "onnxruntime", tmp_path / "n.onnx")
    assert np.array_equal(pixels, images.read(PHOTOGRAPH).pixels.repeat(4, 0).repeat(4, 1))

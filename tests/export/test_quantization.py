"""Static int8 inside a float32 file; skipped where litert-quantizer is absent."""

from __future__ import annotations

import sys

import keras
import numpy as np
import pytest

from keras_perceptual.errors import ExportError
from keras_perceptual.export import quantization, verification
from keras_perceptual.export.exporter import Exporter
from keras_perceptual.export.tflite import to_tflite
from keras_perceptual.models.style import style
from keras_perceptual.models.upscaling import srcnn, subpixel
from keras_perceptual.pixels.resampling import to_uint8

SIZES = [(1, 1, 1), (2, 17, 23), (1, 50, 1)]


@pytest.fixture(scope="module")
def generator():
    pytest.importorskip("litert_quantizer")
    keras.utils.set_random_seed(5)  # some weights shift colours, which the post-process takes out
    return subpixel(2, channels=8, blocks=2)


@pytest.fixture(scope="module")
def files(generator, photographs):
    return {
        quantize: to_tflite(generator, quantize=quantize, photographs=photographs)
        for quantize in ("none", "int8")
    }


def _convolutions(content):
    """Returns the types of what convolutions give, by the layers' names."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        found = {}
        for operator in map(graph.Operators, range(graph.OperatorsLength())):
            code = model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()
            if code == schema.BuiltinOperator.CONV_2D:
                given = graph.Tensors(operator.Outputs(0))
                found[given.Name().decode()] = given.Type()
        yield found


def test_blocks_are_int8_and_the_rest_is_float32(files):
    from ai_edge_litert import schema_py_generated as schema

    graphs = list(_convolutions(files["int8"]))
    assert len(graphs) == 2
    for graph in graphs:
        assert len(graph) == 6
        for name, kind in graph.items():
            assert (kind == schema.TensorType.INT8) == ("/block" in name), name
    assert len(files["int8"]) < len(files["none"])


@pytest.mark.parametrize("size", SIZES)
def test_every_signature_gives_the_pixels_of_float32(files, photographs, size):
    exact, eight = (verification.open_tflite(files[each]) for each in ("none", "int8"))
    count, height, width = size
    lr = np.stack([photograph[:height, :width] for photograph in photographs[:count]])
    sr = eight.upscale(lr.astype(np.float32))
    assert sr.shape == (size[0], 2 * size[1], 2 * size[2], 3)
    assert 0 < np.abs(sr - exact.upscale(lr.astype(np.float32))).max() < 4
    assert np.abs(eight.serving_default(lr).astype(int) - to_uint8(sr)).max() <= 1


def test_it_is_the_same_every_time(files, photographs):
    batches = list(quantization.patches(photographs))
    assert quantization.quantized(files["none"], batches) == files["int8"]


def test_other_layers_by_their_names(files, photographs):
    batches = quantization.patches(photographs[:1])
    content = quantization.quantized(files["none"], batches, r"block0_conv\d|tail", most=1e3)
    eight = {name for graph in _convolutions(content) for name, kind in graph.items() if kind}
    assert all("/block0" in name or "/tail" in name for name in eight)
    assert any("/block0" in name for name in eight)
    assert any("/tail" in name for name in eight)


def test_the_signatures_of_a_style_too(generator, photographs):
    from ai_edge_litert.interpreter import Interpreter

    painter = style(channels=8, blocks=1)
    content = to_tflite(painter, "none", quantize="int8", photographs=photographs[:1])
    run = Interpreter(model_content=content).get_signature_runner
    lr = photographs[0][None, :32, :48].astype(np.float32)
    painted = run("paint")(lr=lr)
    tile = run("tile")(lr=lr, statistics=painted["statistics"])["sr"]
    for sr in (painted["sr"], tile):
        assert np.abs(sr - run("upscale")(lr=lr)["sr"]).max() < 0.1


def test_patches_are_many_and_varied(rng):
    photographs = [
        rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((300, 200, 3), (9, 7, 3))
    ]
    batches = list(quantization.patches(photographs))
    assert {batch.shape for batch in batches} == {(16, 64, 64, 3)}
    assert len(batches) == 6
    deviations = [batch.std() for batch in batches[:3]]
    assert deviations == sorted(deviations, reverse=True)  # noise, reduced


def test_no_blocks(generator, photographs):
    with pytest.raises(ExportError, match="there are none; quantize as int8-full or dynamic"):
        to_tflite(srcnn(2, channels=8), quantize="int8", photographs=photographs[:1])


@pytest.mark.parametrize("quantize", ["int8", "int8-full"])
def test_no_photographs(generator, quantize):
    with pytest.raises(ExportError, match=f"{quantize} needs photographs"):
        to_tflite(generator, quantize=quantize)


def test_no_package(files, monkeypatch):
    monkeypatch.setitem(sys.modules, "litert_quantizer", None)
    with pytest.raises(ExportError, match="pip install litert-quantizer"):
        quantization.quantized(files["none"], [])


def test_fixed_size(generator, tmp_path, photographs):
    generator.save(tmp_path / "a.keras")
    exporter = Exporter(str(tmp_path / "a.keras"), tmp_path, photographs)
    path, _, agreement = exporter.tflite("int8", fixed_size=(40, 60))
    assert path.name == "a-int8-40x60.tflite"
    assert agreement.largest <= 8


def test_what_is_far_off_is_not_kept(generator, tmp_path, photographs, monkeypatch):
    generator.save(tmp_path / "a.keras")
    exporter = Exporter(str(tmp_path / "a.keras"), tmp_path, photographs[:1])
    wrong = verification.Agreement(17, 0.1, 50.0, 0.1)
    monkeypatch.setattr(verification, "compare", lambda *arguments: wrong)
    with pytest.raises(ExportError, match="differs from the Keras model by 17 levels, expected 16"):
        exporter.tflite("int8")
    assert not list(tmp_path.glob("*.tflite"))

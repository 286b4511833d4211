"""Model files of somebody else: refused in one line, never a program, never the end of ours."""

from __future__ import annotations

import struct
import subprocess
import sys
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema

from keras_perceptual import Stylizer, Upscaler, zoo
from keras_perceptual.errors import EngineError
from keras_perceptual.export.ending import FINE
from keras_perceptual.inference import trial
from keras_perceptual.inference.flatbuffers import check
from keras_perceptual.inference.litert import read_tflite
from tests.conftest import ROOT
from tests.inference import fuzz_models
from tests.inference.model_mutations import fields


def _changed(content: bytes, what: str, number: int) -> bytes:
    """Returns a model with another number in the field of this kind."""
    data = bytearray(content)
    position = next(each.position for each in fields(content) if each.what == what)
    struct.pack_into("<i", data, position, number)
    return bytes(data)


@pytest.mark.parametrize("model", fuzz_models.MODELS)
def test_what_ships_passes(model):
    content = fuzz_models.content(model)
    check(content)
    trial.run_apart(content)


@pytest.mark.parametrize("outside", [-1, 10_000, -(2**31), 2**31 - 1])
@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("signature subgraph", r"signature upscale: expected one of 2 subgraphs"),
        ("signature tensor", r"signature \w+: expected (in|out)puts of its subgraph"),
        ("operator input", r"subgraph 0, operator 0 \(\w+\): expected one of \d+ tensors"),
        ("operator output", r"subgraph 0, operator 0 \(\w+\): expected one of \d+ tensors"),
        ("opcode", r"subgraph 0, operator \d+: expected one of \d+ opcodes"),
        ("subgraph input", r"subgraph 0: expected one of \d+ tensors"),
        ("subgraph output", r"subgraph 0: expected one of \d+ tensors"),
        ("buffer", r"subgraph 0: expected one of \d+ buffers"),
        ("metadata buffer", r"metadata 0: expected one of \d+ buffers"),
    ],
)
def test_an_index_that_points_outside(what, told, outside, tmp_path):
    path = tmp_path / "a.tflite"
    path.write_bytes(_changed(zoo.file("x4-srcnn").read_bytes(), what, outside))
    with pytest.raises(EngineError, match=rf"^{path}: expected a LiteRT model: {told}"):
        read_tflite(path)


def _first_operator(content: bytes, kind: int) -> Any:
    """Returns the first operator of a kind in the first subgraph."""
    model = schema.Model.GetRootAs(content, 0)
    operators = [
        model.Subgraphs(0).Operators(i) for i in range(model.Subgraphs(0).OperatorsLength())
    ]
    return next(o for o in operators if model.OperatorCodes(o.OpcodeIndex()).BuiltinCode() == kind)


def _with_input(content: bytes, operator: Any, place: int, tensor: int) -> bytes:
    data = bytearray(content)
    at = operator._tab.Vector(operator._tab.Offset(6)) + 4 * place
    struct.pack_into("<i", data, at, tensor)
    return bytes(data)


def test_an_input_may_be_left_out_only_where_the_operator_allows_it():
    content = zoo.file("x4-srcnn").read_bytes()
    convolution = _first_operator(content, schema.BuiltinOperator.CONV_2D)
    without_bias = _with_input(content, convolution, 2, -1)
    check(without_bias)
    trial.run_apart(without_bias)
    for place in (0, 1):
        with pytest.raises(
            ValueError, match=r"CONV_2D\): expected one of \d+ tensors, received -1"
        ):
            check(_with_input(content, convolution, place, -1))


def test_what_is_used_before_it_is_made():
    content = zoo.file("x4-srcnn").read_bytes()
    convolution = _first_operator(content, schema.BuiltinOperator.CONV_2D)
    own = convolution.Outputs(0)
    with pytest.raises(ValueError, match=rf"\(CONV_2D\): takes tensor {own} before anything made"):
        check(_with_input(content, convolution, 0, own))


@pytest.mark.parametrize("keep", [0, 3, 100, 10_000])
def test_a_file_that_breaks_off(keep):
    with pytest.raises(ValueError, match="damaged"):
        check(zoo.file("x4-srcnn").read_bytes()[:keep])


def _crashing() -> bytes:
    """A model whose indices are all right and that LiteRT dies of: a scale next to 0."""
    content = zoo.quantized("x2-feature").read_bytes()
    scales = (each.position for each in fields(content) if each.what == "scale")
    sum_ = [at for at in scales if content[at : at + 4] == struct.pack("<f", FINE / 127)][-1]
    data = content[:sum_] + struct.pack("<f", 1e-38) + content[sum_ + 4 :]
    check(data)
    return data


def test_a_crash_happens_to_another_process(tmp_path):
    path = tmp_path / "a.tflite"
    path.write_bytes(_crashing())
    message = rf"^{path}: expected a LiteRT model: it crashes LiteRT \(status -?\d+\)$"
    with pytest.raises(EngineError, match=message):
        Upscaler(path)
    with pytest.raises(EngineError, match=message):
        Stylizer(str(path))


def test_a_model_that_takes_for_ever(monkeypatch):
    monkeypatch.setattr(trial, "SECONDS", 0.01)
    with pytest.raises(ValueError, match=r"takes more than 0.01 seconds for an image of 64x64"):
        trial.run_apart(zoo.file("x4-srcnn").read_bytes())


def test_a_model_that_says_why_it_cannot_run_is_left_to_the_caller():
    trial.run_apart(b"no model at all")


def test_a_program_in_one_file_has_no_other_process(monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    trial.run_apart(_crashing())


def test_mutations(tmp_path):
    result = subprocess.run(
        [sys.executable, ROOT / "tests" / "inference" / "fuzz_models.py", "--seeds", "6"],
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("'refused'") == len(fuzz_models.MODELS)

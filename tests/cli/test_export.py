"""export.py: what it prints, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from keras_perceptual.cli import export
from tests.conftest import ROOT


def test_the_script_prints_a_row_for_each_artefact(run_script, tiny, tmp_path):
    result = run_script("export.py", "--model", tiny, "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    paths = [row.split()[1] for row in result.stdout.splitlines()[2:]]
    assert paths == [str(tmp_path / "tiny" / "1"), str(tmp_path / "tiny.tflite")]
    assert all(Path(path).exists() for path in paths)


@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        (["--model", "none"], 1, "expected a model of"),
        (["--model", "none.keras"], 1, "cannot be loaded"),
        (["--photographs", str(ROOT / "tests")], 1, "found none"),
        (["--photographs", "nowhere"], 1, "nowhere"),
        (["--fixed-size", "12"], 2, "expected HEIGHTxWIDTH"),
        (["--format", "saved_model", "--quantize", "int8"], 2, "for --format tflite"),
        (["--format", "onnx", "--quantize", "int8"], 2, "for --format tflite"),
        (["--pixel-limit", "0"], 2, "at least 1"),
        (["--finetune", "tests"], 2, "--quantize int8"),
        (["--quantize", "int8", "--finetune", str(ROOT / "docs" / "api")], 1, "docs/api"),
        (["--quantize", "int8", "--finetune", str(ROOT / "tests" / "cli")], 1, "to fine-tune on"),
    ],
)
def test_refuses(tmp_path, capsys, flags, status, message):
    try:
        returned = export.main(["--out", str(tmp_path / "out"), *flags], "program export")
    except SystemExit as stop:
        returned = stop.code
    assert returned == status
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("program export: ")
    assert message in line
    assert not (tmp_path / "out").exists()


def test_without_samples_photographs_are_asked_for(capsys, monkeypatch):
    monkeypatch.setattr(export, "checkout", lambda *parts: None)
    with pytest.raises(SystemExit, match="2"):
        export.main([])
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == "export.py: error: the following arguments are required: --photographs"

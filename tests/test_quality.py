"""The code itself: lint, format, types, and the line between the two halves."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize(
    "command",
    [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]],
    ids=lambda command: " ".join(command),
)
def test_tool_is_content(command):
    result = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("script", ["train.py", "export.py"])
def test_scripts_say_what_to_install(run_script, tmp_path, script):
    (tmp_path / "keras.py").write_text("raise ModuleNotFoundError(\"No module named 'keras'\")")
    result = run_script(script, env={"PYTHONPATH": str(tmp_path)})
    assert result.returncode == 1
    expected = f"{script}: No module named 'keras'; pip install -r requirements.txt has it"
    assert result.stderr.splitlines() == [expected]

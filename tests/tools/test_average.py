"""tools/average.py: what it writes, of runs and shipped models."""

from __future__ import annotations

import json

import numpy as np
import pytest

from keras_perceptual.models.loading import load_file, load_generator, save_generator

TOOL = "tools/average.py"


@pytest.fixture
def run(tmp_path):
    """A run's folder, of a model that began as x4-pixel."""
    folder = tmp_path / "run"
    folder.mkdir()
    generator = load_generator("x4-pixel")
    generator.set_weights([2 * each + 1 for each in generator.get_weights()])
    save_generator(generator, folder / "model.keras")
    (folder / "recipe.json").write_text('{"recipe": {"name": "x4-pixel"}}')
    (folder / "history.csv").write_text("step,seconds\n5,1\n")
    return folder


def test_shares_of_a_run_and_of_a_shipped_model(run, run_script, tmp_path):
    result = run_script(TOOL, tmp_path / "out", "x4-pixel=-0.5", f"{run}=1.5")
    assert result.returncode == 0, result.stderr
    pairs = zip(
        load_file(tmp_path / "out" / "model.keras").get_weights(),
        load_generator("x4-pixel").get_weights(),
        strict=True,
    )
    assert all(np.allclose(made, 2.5 * shipped + 1.5, atol=1e-5) for made, shipped in pairs)
    about = json.loads((tmp_path / "out" / "recipe.json").read_text())
    assert about["recipe"] == {"name": "x4-pixel"}
    assert about["average"] == {"x4-pixel": -0.5, str(run): 1.5}
    assert (tmp_path / "out" / "history.csv").read_text() == "step,seconds\n5,1\n"


def test_a_run_is_needed(run_script, tmp_path):
    result = run_script(TOOL, tmp_path / "out", "x4-pixel=1", "x4-feature=1")
    assert result.returncode == 2
    assert "expected a run's folder" in result.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()

"""The tool that makes LPIPS's weights, with a stand-in for PyTorch's network."""

from __future__ import annotations

import numpy as np
import pytest

TOOL = "tools/lpips_weights.py"
NO_KERAS = "raise ImportError('Keras is not for this tool')"
PACKAGE = """
import numpy as np

class LPIPS:
    def __init__(self, net, version, verbose):
        assert (net, version) == ("alex", "0.1")

    def state_dict(self):
        return dict(np.load({path!r}))
"""


@pytest.fixture
def stand_in(tmp_path):
    """Returns (environment, state): where `import lpips` finds a network with this state."""
    rng = np.random.default_rng(0)
    shapes = {}
    for i, name in enumerate(("slice1.0", "slice2.3", "slice3.6", "slice4.8", "slice5.10")):
        shapes[f"net.{name}.weight"] = (i + 4, i + 3, 5, 2)
        shapes[f"net.{name}.bias"] = (i + 4,)
        shapes[f"lin{i}.model.1.weight"] = (1, i + 4, 1, 1)
    state = {name: rng.normal(size=s).astype(np.float32) for name, s in shapes.items()}
    folder = tmp_path / "packages"
    folder.mkdir()
    np.savez(folder / "state.npz", **state)
    (folder / "lpips.py").write_text(PACKAGE.format(path=str(folder / "state.npz")))
    (folder / "keras.py").write_text(NO_KERAS)
    return {"PYTHONPATH": str(folder)}, state


def test_arrays(run_script, stand_in, tmp_path):
    environment, state = stand_in
    out = tmp_path / "new" / "alex.npz"
    result = run_script(TOOL, out, env=environment)
    assert result.returncode == 0, result.stderr
    assert [p.name for p in out.parent.iterdir()] == ["alex.npz"]
    with np.load(out, allow_pickle=False) as arrays:
        assert len(arrays.files) == 15
        theirs, ours = state["net.slice3.6.weight"], arrays["conv3_kernel"]
        assert ours.dtype == np.float32
        assert ours.shape == (5, 2, 5, 6)
        assert ours[4, 1, 2, 3] == theirs[3, 2, 4, 1]
        assert np.array_equal(ours, np.einsum("oihw->hwio", theirs))
        assert np.array_equal(arrays["conv5_bias"], state["net.slice5.10.bias"])
        assert np.array_equal(arrays["lin0"], state["lin0.model.1.weight"][0, :, 0, 0])


def test_what_goes_wrong_is_one_line_and_writes_nothing(run_script, stand_in, tmp_path):
    def lines(status: int, *arguments) -> list[str]:
        result = run_script(TOOL, *arguments, env=stand_in[0], cwd=tmp_path)
        assert result.returncode == status, result.stderr
        assert [p.name for p in tmp_path.iterdir()] == ["packages"]
        return result.stderr.splitlines()

    package = tmp_path / "packages" / "lpips.py"
    assert "expected an ending" in lines(2, "alex.pth")[-1]
    package.write_text("def LPIPS(**_): raise RuntimeError('broken\\nfile')")
    assert lines(1, "a.npz") == ["lpips_weights.py: RuntimeError: broken file"]
    package.write_text("raise ModuleNotFoundError(\"No module named 'torch'\")")
    assert lines(1, "a.npz") == [
        "lpips_weights.py: No module named 'torch'; pip install lpips torch torchvision has it"
    ]

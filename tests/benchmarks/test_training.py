"""benchmarks/training.py: that both frameworks make the same step. Nothing here is timed."""

from __future__ import annotations

import pytest

from tests.conftest import ROOT


@pytest.fixture
def training(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import training

    return training


@pytest.mark.parametrize(("precision", "close"), [("float32", 1e-4), ("mixed_bfloat16", 1e-2)])
def test_steps_in_torch_go_as_here(run_script, precision, close):
    pytest.importorskip("torch")
    few = ("--rounds", 1, "--precisions", precision)
    result = run_script("benchmarks/training.py", *few)
    assert result.returncode == 0, result.stderr
    rows = [line.strip("| ").split(" | ") for line in result.stdout.splitlines()]
    losses = {row[0]: float(row[-1]) for row in rows[2:] if len(row) == len(rows[0])}
    assert {"TensorFlow, PerceptualTrainer", "PyTorch"} <= set(losses)
    for loss in losses.values():  # after a step
        assert loss == pytest.approx(losses["PyTorch"], rel=close)


def test_what_onednn_says_is_read(training):
    told = (
        "onednn_verbose,v1,primitive,exec,cpu,convolution,brg_conv_fwd:avx512_core_bf16,"
        "forward_training,src:bf16::blocked:acdb,attr-scratchpad:user,alg:convolution_direct,"
        "mb8_ic48oc48,1.5\n"
    )
    assert training.VERBOSE.findall(told) == [
        ("convolution", "brg_conv_fwd:avx512_core_bf16", "forward_training", "1.5")
    ]


@pytest.mark.parametrize(
    ("flags", "message"),
    [(["--recipe", "none"], "invalid choice"), (["--rounds", "0"], "at least 1")],
)
def test_refuses(run_script, flags, message):
    result = run_script("benchmarks/training.py", *flags)
    assert result.returncode == 2
    assert message in result.stderr.splitlines()[-1]

"""What `train.py --tensorboard` writes, read back by TensorBoard's own reader."""

from __future__ import annotations

import sys

import pytest

from keras_perceptual.cli.train import main
from tests.training.conftest import check_events, events, history

NUMBERS = [
    "--recipe=x4-pixel", "--channels=4", "--blocks=1", "--batch-size=2", "--patch-size=32",
    "--warmup=0", "--start=", "--steps=5", "--epoch-steps=2", "--loss-network=distilled",
    "--loss=feature:block2_conv2=1,pixel_absolute=10,adversarial=1",
]  # fmt: skip


@pytest.fixture
def flags(sources, tmp_path):
    return [*NUMBERS, "--data", sources.data, "--out", str(tmp_path / "run")]


def test_terms_validation_and_samples_over_the_step(flags, tmp_path):
    pytest.importorskip("tensorboard")
    assert main([*flags, "--tensorboard"], "train.py") == 0
    run = tmp_path / "run"
    terms = {"loss", "feature_block2_conv2", "pixel_absolute", "adversarial", "discriminator"}
    assert {*history(run)[0]} == {*terms, "step", "seconds", "skipped", "val_psnr_y"}
    assert [step for step, _ in events(run / "tensorboard" / "train")["epoch_loss"]] == [2, 4, 5]
    check_events(run)


def test_a_resumed_run_goes_on_in_the_same_curve(flags, tmp_path, interrupt, monkeypatch):
    pytest.importorskip("tensorboard")
    interrupt(2)
    assert main([*flags, "--tensorboard"], "train.py") == 130
    monkeypatch.undo()
    run = tmp_path / "run"
    assert [step for step, _ in events(run / "tensorboard" / "train")["epoch_loss"]] == [2]
    assert main(["--resume", str(run)], "train.py") == 0
    assert history(run)[-1]["step"] == 5
    check_events(run)


@pytest.mark.long
def test_a_resumed_run_can_begin_with_it(flags, tmp_path, interrupt, monkeypatch):
    pytest.importorskip("tensorboard")
    interrupt(2)
    assert main(flags, "train.py") == 130
    monkeypatch.undo()
    run = tmp_path / "run"
    assert not (run / "tensorboard").exists()
    assert main(["--resume", str(run), "--tensorboard"], "train.py") == 0
    assert [step for step, _ in events(run / "tensorboard" / "train")["epoch_loss"]] == [4, 5]


@pytest.mark.parametrize("missing", ["tensorboard", "tensorflow"])
def test_without_its_packages_nothing_begins(flags, tmp_path, monkeypatch, capsys, missing):
    if missing == "tensorflow":
        pytest.importorskip("tensorboard")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SystemExit, match="2"):
        main([*flags, "--tensorboard"], "train.py")
    assert capsys.readouterr().err.splitlines()[-1] == (
        "train.py: error: TensorBoard's files need packages of their own: "
        "pip install tensorboard tensorflow"
    )
    assert not (tmp_path / "run").exists()


def test_a_run_that_has_its_files_needs_them_to_go_on(tmp_path, monkeypatch, capsys):
    (tmp_path / "tensorboard").mkdir()
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(SystemExit, match="2"):
        main(["--resume", str(tmp_path)], "train.py")
    assert "pip install tensorboard" in capsys.readouterr().err.splitlines()[-1]

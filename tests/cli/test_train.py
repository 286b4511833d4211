from __future__ import annotations

import dataclasses

import pytest

from keras_perceptual.cli import checkout as checkouts
from keras_perceptual.cli.train import main, parser
from keras_perceptual.training import Recipe
from tests.conftest import ROOT

FIELDS = [field.name for field in dataclasses.fields(Recipe) if field.name != "name"]
FLAGS = {action.dest: action for action in parser()._actions}


@pytest.mark.parametrize("name", FIELDS)
def test_every_number_of_a_recipe_is_a_flag_that_says_what_it_is(name):
    words = FLAGS[name].help.split()
    assert len(words) > 2
    said = " ".join(words[:3])
    assert said in " ".join(Recipe.__doc__.replace("`", "").split())


def test_every_flag_says_what_it_is():
    assert [action.dest for action in FLAGS.values() if not action.help] == []


@pytest.mark.parametrize(
    ("flags", "field", "value"),
    [
        (["--batch-size", "3"], "batch_size", 3),
        (["--learning-rate", "1e-4"], "learning_rate", 1e-4),
        (["--grain", "2"], "grain", 2.0),
        (["--decay", "constant"], "decay", "constant"),
        (["--start", ""], "start", ""),
        (["--fixed-statistics"], "fixed_statistics", True),
        (["--no-fixed-statistics"], "fixed_statistics", False),
        (["--loss", "feature:a=1,style:b/2=2e-3"], "loss", {"feature:a": 1.0, "style:b/2": 2e-3}),
        (["--damage", "share=1,noise=12"], "damage", {"share": 1.0, "noise": 12.0}),
        ([], "steps", None),
    ],
)
def test_a_flag_has_the_type_of_its_field(flags, field, value):
    parsed = getattr(parser().parse_args(flags), field)
    assert parsed == value
    assert type(parsed) is type(value)


def test_help_starts_without_keras(run_script, tmp_path):
    (tmp_path / "keras.py").write_text("raise RuntimeError('keras was imported')")
    result = run_script("train.py", "--help", env={"PYTHONPATH": str(tmp_path)})
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("usage: train.py")


@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        (["--recipe", "x3"], 2, "invalid choice"),
        (["--steps", "many"], 2, "invalid int"),
        (["--patch-size", "33"], 2, "multiple of the scale"),
        (["--discriminator", "pixels"], 2, "a discriminator of patches or unet"),
        (["--loss", "feature"], 2, "NAME=WEIGHT"),
        (["--damage", "noise"], 2, "NAME=NUMBER"),
        (["--resume", "none", "--steps", "5"], 2, "keeps the run's recipe"),
        (["--resume", "none"], 1, "expected the recipe of a run"),
        (["--data", "none"], 1, "cannot be listed"),
        (["--data", "tests"], 1, "found none"),
        (["--loss", "style=1"], 1, "expected losses among"),
        (["--loss", "feature:block3_conv9=1"], 1, "received feature:block3_conv9"),
        (["--start", "none"], 1, "expected a model of"),
        (["--vgg-weights", "none.npz"], 1, "no such file of VGG16 weights"),
    ],
)
def test_bad_usage_is_one_line(monkeypatch, capsys, tmp_path, flags, status, message):
    monkeypatch.chdir(ROOT)
    try:
        result = main(["--out", str(tmp_path / "run"), *flags], "train.py")
    except SystemExit as error:
        result = error.code
    assert result == status
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith("train.py: ")
    assert message in last
    assert not (tmp_path / "run").exists()


def test_messages_begin_with_the_program_that_was_called(capsys):
    assert main(["--resume", "none"], "keras-perceptual train") == 1
    assert capsys.readouterr().err.startswith("keras-perceptual train: none/recipe.json: expected")


def test_without_data_or_samples_it_asks_for_some(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(checkouts, "_ROOT", tmp_path)  # as if it was installed
    with pytest.raises(SystemExit, match="2"):
        main([], "train.py")
    assert "train.py: error: expected --data FOLDER" in capsys.readouterr().err.splitlines()[-1]


def test_a_checkout_has_what_is_there(monkeypatch, tmp_path):
    assert checkouts.checkout() == ROOT
    assert checkouts.checkout("data", "samples") == ROOT / "data" / "samples"
    assert checkouts.checkout("data", "none") is None
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(checkouts, "_ROOT", tmp_path)  # as where it was installed
    assert checkouts.checkout("data") is None

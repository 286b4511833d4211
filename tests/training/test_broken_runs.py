"""A broken file of a run is one line that names it, not a traceback."""

from __future__ import annotations

import json
import shutil

import pytest

from keras_perceptual.cli.train import main
from keras_perceptual.training import train
from tests.training.conftest import tiny

ABOUT = "expected the recipe of a run"
DEEP = "[" * 100_000


@pytest.fixture(scope="module")
def whole(tmp_path_factory, sources):
    out = tmp_path_factory.mktemp("runs") / "whole"
    train(tiny(), sources, out)
    return out


@pytest.fixture
def run(whole, tmp_path):
    """A copy of a run that is to go on for another epoch."""
    copy = tmp_path / "run"
    shutil.copytree(whole, copy)
    _change(copy, lambda about: about["recipe"].update(steps=6))
    return copy


def _change(run, change):
    path = run / "recipe.json"
    about = json.loads(path.read_text())
    change(about)
    path.write_text(json.dumps(about))


def _complaint(run, capsys):
    """Goes on with a run by the command line, and returns the one line that it says."""
    assert main(["--resume", str(run)], "train.py") == 1
    (line,) = [each for each in capsys.readouterr().err.splitlines() if each.startswith("train.py")]
    return line


@pytest.mark.parametrize("content", ["", "{", "[]", "7", "null", "{}", DEEP, '{"recipe": []}'])
def test_recipes_that_are_none(run, content, capsys):
    (run / "recipe.json").write_text(content)
    assert _complaint(run, capsys).startswith(f"train.py: {run / 'recipe.json'}: {ABOUT}: ")


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("recipe", "channels", "many"),
        ("recipe", "channels", None),
        ("recipe", "steps", 2.5),
        ("recipe", "steps", True),
        ("recipe", "loss", 5),
        ("recipe", "loss", {"pixel_absolute": "much"}),
        ("recipe", "loss", {"no-such-loss": 1}),
        ("recipe", "generator", "no-such-generator"),
        ("recipe", "generator", []),
        ("recipe", "damage", {"noise": None}),
        ("recipe", "unknown", 1),
        ("sources", "data", 5),
        ("sources", "workers", "two"),
        ("sources", "styles", "a.png"),
        ("sources", "unknown", 1),
    ],
)
def test_recipes_with_a_wrong_number(run, part, name, value, capsys):
    _change(run, lambda about: about[part].update({name: value}))
    assert _complaint(run, capsys).startswith(f"train.py: {run / 'recipe.json'}: {ABOUT}: ")


@pytest.mark.parametrize(
    "content",
    [
        b"no history\n1\n",
        b"step,seconds,loss\n2,1.5\nx,3.0,1\n",
        b"step,seconds,loss\n2,1.5,1,7,8\n",
        b"step,loss\n2,1\n",
        b"step,seconds\n2,\n",
        b"step,seconds\n2,\xff\xfe\n",
    ],
)
def test_histories_that_are_none(run, content, capsys):
    path = run / "history.csv"
    path.write_bytes(content)
    start = f"train.py: {path}: expected the history of a run: "
    assert _complaint(run, capsys).startswith(start)


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "folder", "another"])
def test_checkpoints_that_are_none(run, damage, capsys, tmp_path, sources):
    path = run / "checkpoint.weights.h5"
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage == "another":
        train(tiny(channels=8), sources, tmp_path / "other")
        shutil.copy(tmp_path / "other" / path.name, path)
    else:
        kept = {"empty": b"", "cut": content[: len(content) // 2], "text": b"no checkpoint"}
        path.write_bytes(kept[damage])
    start = f"train.py: {path}: expected the checkpoint of this run: "
    assert _complaint(run, capsys).startswith(start)


def test_a_run_that_is_done_needs_no_history(whole, tmp_path, capsys):
    shutil.copytree(whole, tmp_path / "run")
    (tmp_path / "run" / "history.csv").unlink()
    assert main(["--resume", str(tmp_path / "run")], "train.py") == 0
    assert "step 4, not validated" in capsys.readouterr().out

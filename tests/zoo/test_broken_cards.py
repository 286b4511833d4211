"""One model's broken card does not stop the others, and says which file it is."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from keras_perceptual import Upscaler, zoo
from keras_perceptual.cli import reports
from keras_perceptual.errors import PerceptualError, ZooError

GOOD = json.loads((zoo.folder("x4-pixel") / "card.json").read_text("utf-8"))


def _with(**changes) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


@pytest.fixture
def cards(tmp_path, monkeypatch):
    """Returns a function that gives x4-pixel another card, in a copy of what ships."""
    shutil.copytree(zoo._ROOT, tmp_path / "weights")
    monkeypatch.setattr(zoo, "_ROOT", tmp_path / "weights")

    def clear():
        zoo._cards.cache_clear()
        zoo._descriptors.cache_clear()

    def change(content: bytes | None, name: str = "x4-pixel"):
        path = tmp_path / "weights" / name / "card.json"
        path.unlink()
        if content is None:
            path.mkdir()
        else:
            path.write_bytes(content)
        clear()
        return path

    yield change
    monkeypatch.undo()
    clear()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"7", b"\xff\xfe\x00", b"[" * 100_000, None,
        _with(descriptor=[]),
        _with(descriptor="x4"),
        _with(descriptor={"task": "upscale", "scale": "4"}),
        _with(descriptor={"task": "upscale", "scale": 2.5}),
        _with(descriptor={"task": "upscale", "scale": 4, "unknown": 1}),
        _with(descriptor={"task": "style", "styles": 3}),
        _with(descriptor={"task": "upscale", "scale": 4, "styles": [1]}),
    ],
)  # fmt: skip
def test_a_broken_card(cards, content):
    path = cards(content)
    line = rf"^{path}: expected the card of a model: [^\n]+$"
    with pytest.raises(PerceptualError, match=line):
        Upscaler("x4-pixel")
    with pytest.raises(ZooError, match=line):
        zoo.descriptor("x4-pixel")
    assert "x4-pixel" not in zoo.names()
    *table, last = reports.models().splitlines()
    assert last.startswith(f"{path}: expected the card")
    assert any(row.startswith("x4-feature") for row in table)
    assert Upscaler("x2-pixel").upscale(np.zeros((4, 4, 3), np.uint8)).shape == (8, 8, 3)
    assert zoo.styles()


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"descriptor": GOOD["descriptor"]}).encode(),
        _with(numbers="good"),
        _with(numbers={}),
        _with(numbers={"Set5": {"psnr_y": "high", "ssim_y": 1, "lpips": 0}}),
        _with(parameters="many"),
    ],
)
def test_numbers_are_missed_where_they_are_shown(cards, content):
    path = cards(content)
    lines = reports.models().splitlines()
    assert sum(line.startswith(f"{path}: expected the numbers of a model: ") for line in lines) == 1
    assert any(line.startswith("x8-pixel") for line in lines)
    assert Upscaler("x4-pixel").upscale(np.zeros((4, 4, 3), np.uint8)).shape == (16, 16, 3)


def test_the_default_of_a_scale_is_not_another_model_because_its_card_is_broken(cards):
    path = cards(b"", "x4-feature")
    with pytest.raises(PerceptualError, match=rf"^{path}: expected the card"):
        Upscaler(scale=4).upscale(np.zeros((4, 4, 3), np.uint8))
    assert Upscaler(scale=2).upscale(np.zeros((4, 4, 3), np.uint8)).shape == (8, 8, 3)

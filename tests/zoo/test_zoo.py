"""Every model that ships is what its card says, and the README says what the cards say."""

from __future__ import annotations

import json

import numpy as np
import pytest

from keras_perceptual import Stylizer, Upscaler, training, zoo
from keras_perceptual.evaluation import benchmark as evaluation
from keras_perceptual.evaluation.lpips import LPIPS
from keras_perceptual.files import images
from keras_perceptual.models.loading import load_generator
from keras_perceptual.pixels.levels import luma
from tests.conftest import ROOT, SAMPLES

NAMES = zoo.names()


@pytest.mark.parametrize("name", NAMES)
def test_card(name):
    card = zoo.card(name)
    folder = zoo.folder(name)
    assert card["name"] == name
    assert card["sha256"] == {
        file: evaluation.sha256(folder / file) for file in ("model.keras", "model.tflite")
    }
    assert training.Recipe(**card["recipe"]).name in training.RECIPES
    assert card["recipe"]["scale"] == card["scale"] == Upscaler(name).scale
    assert load_generator(name).count_params() == card["parameters"]
    text = json.dumps(card)
    assert "/tmp" not in text
    assert "/work" not in text


@pytest.mark.parametrize("name", NAMES)
def test_enlarges_the_samples_better_than_bicubic(name):
    scale = zoo.card(name)["scale"]
    upscale = Upscaler(name, histogram_match=False).upscale
    numbers, bicubic = (
        evaluation.judge(each, SAMPLES, scale) for each in (upscale, evaluation.bicubic(scale))
    )
    # A model trained on features alone may lose fidelity against pixels, but not much.
    least = -1.0 if "johnson-feature" in name else 0.0 if "pixel" not in name else 0.5
    assert numbers["psnr_y"] > bicubic["psnr_y"] + least
    assert numbers["cross_hatch"] < 6 or "johnson" in name


@pytest.mark.parametrize("name", NAMES)
def test_numbers_of_the_card_can_be_had_again(data, name):
    card = zoo.card(name)
    lpips = LPIPS(data("lpips/lpips_alex_v0.1.npz"))
    for key, matched in (("numbers", False), ("numbers_histogram_matched", True)):
        upscale = Upscaler(name, histogram_match=matched).upscale
        numbers = evaluation.judge(upscale, data("test/Set5"), card["scale"], lpips)
        for metric, tolerance in (("psnr_y", 0.005), ("ssim_y", 1e-4), ("lpips", 5e-4)):
            assert numbers[metric] == pytest.approx(card[key]["Set5"][metric], abs=tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_readme_has_the_numbers_of_the_card(name):
    card = zoo.card(name)
    row = next(
        line
        for line in (ROOT / "README.md").read_text("utf-8").splitlines()
        if line.startswith(f"| `{name}` |")
    )
    for folder in ("Set5", "Set14", "BSD100"):
        numbers = card["numbers"][folder]
        rest = [f"{numbers[metric]:.4f}".lstrip("0") for metric in ("ssim_y", "lpips")]
        assert " / ".join([f"{numbers['psnr_y']:.2f}", *rest]) in row


STYLES = zoo.styles()


@pytest.mark.parametrize("model", sorted({model for model, _ in STYLES.values()}))
def test_card_of_styles(model):
    card, folder = zoo.card(model), zoo.folder(model)
    assert card["name"] == model
    assert card["sha256"] == {
        file: evaluation.sha256(folder / file) for file in ("model.keras", "model.tflite")
    }
    assert training.Recipe(**card["recipe"]).name in training.RECIPES
    assert load_generator(model).count_params() == card["parameters"] <= 1_700_000
    assert "/tmp" not in json.dumps(card)
    assert "/work" not in json.dumps(card)


@pytest.mark.parametrize("style", STYLES)
def test_losses_of_the_card_can_be_had_again(data, style):
    card = zoo.card(STYLES[style][0])
    painting = str(data("styles") / card["styles"][style]["painting"])
    weights = str(data("vgg16/vgg16_keras_blocks1-3.npz"))
    sources = training.Sources("", "vgg16", weights, styles=(painting,))
    loss = training.build_loss(training.Recipe(**card["recipe"]), sources)
    name, photograph = next(iter(evaluation.middles(data("content")).items()))  # one is quick
    losses = evaluation.style_losses(Stylizer(style).stylize, {name: photograph}, loss)[name]
    expected = card["styles"][style]["losses"][name]
    assert losses == {term: pytest.approx(value, rel=0.02) for term, value in expected.items()}


@pytest.mark.parametrize("style", STYLES)
def test_a_style_changes_a_photograph_but_not_beyond_recognition(style):
    photograph = images.read(SAMPLES / "HR" / "coffee.png").pixels
    painted = Stylizer(style).stylize(photograph)
    assert np.abs(painted.astype(float) - photograph).mean() > 15
    edges = [np.abs(np.diff(luma(each), axis=0)).ravel() for each in (photograph, painted)]
    assert np.corrcoef(*edges)[0, 1] > 0.2

"""Every model that ships is what its card says, and the documentation says what the cards say."""

from __future__ import annotations

import json

import numpy as np
import pytest

from keras_perceptual import Stylizer, Upscaler, training, zoo
from keras_perceptual.evaluation import benchmark as evaluation
from keras_perceptual.evaluation.lpips import LPIPS
from keras_perceptual.files import images
from keras_perceptual.models.generators import multiply_adds
from keras_perceptual.models.loading import load_generator
from keras_perceptual.pixels.levels import luma
from keras_perceptual.zoo.descriptor import read
from tests.conftest import ROOT, SAMPLES

NAMES = zoo.names()


def _digests(name):
    files = {"model.keras": zoo.checkpoint(name), "model.tflite": zoo.file(name)}
    if eight := zoo.quantized(name):
        files[eight.name] = eight
    return {file: evaluation.sha256(path) for file, path in files.items()}


@pytest.mark.parametrize("name", NAMES)
def test_card(name):
    card = zoo.card(name)
    assert card["name"] == name
    files = {path.name for path in zoo.folder(name).iterdir()}
    assert files == {"card.json", *card["sha256"]} - {"model.keras"}
    assert card["sha256"] == _digests(name)
    recipe = training.Recipe(**card["recipe"])
    assert recipe.name in training.RECIPES
    about = zoo.descriptor(name)
    assert about.scale == recipe.scale == Upscaler(name).scale
    assert (about.channels, about.blocks) == (recipe.channels, recipe.blocks)
    assert about == read(zoo.file(name)) == read(zoo.checkpoint(name))
    assert load_generator(name).count_params() == card["parameters"]
    text = json.dumps(card)
    assert "/tmp" not in text
    assert "/work" not in text


@pytest.mark.parametrize("name", NAMES)
def test_enlarges_the_samples_better_than_bicubic(name):
    scale = zoo.descriptor(name).scale
    upscale = Upscaler(name, precision="float32", histogram_match="none").upscale
    numbers, bicubic = (
        evaluation.judge(each, SAMPLES, scale) for each in (upscale, evaluation.bicubic(scale))
    )
    # A model trained on features alone may lose fidelity against pixels, but not much.
    least = -1.0 if "johnson-feature" in name else 0.0 if "pixel" not in name else 0.5
    assert numbers["psnr_y"] > bicubic["psnr_y"] + least
    assert numbers["cross_hatch"] < 6 or "johnson" in name


_TOLERANCES = {"psnr_y": 0.002, "ssim_y": 1e-4, "lpips": 5e-4, "cross_hatch": 0.01}


@pytest.mark.parametrize("name", NAMES)
def test_numbers_of_the_card_can_be_had_again(data, name):
    card = zoo.card(name)
    lpips = LPIPS(data("lpips/lpips_alex_v0.1.npz"))
    measured = {
        "numbers": ("none", "float32"),
        "numbers_matched": ("affine", "float32"),
        "numbers_int8": ("none", "int8"),
    }
    for key in card.keys() & measured.keys():
        if key == "numbers_matched" and card[key] == card["numbers"]:
            continue  # nothing shifts, nothing is matched
        histogram_match, precision = measured[key]
        upscale = Upscaler(name, histogram_match=histogram_match, precision=precision).upscale
        numbers = evaluation.judge(upscale, data("test/Set5"), zoo.descriptor(name).scale, lpips)
        for metric, tolerance in _TOLERANCES.items():
            assert numbers[metric] == pytest.approx(card[key]["Set5"][metric], abs=tolerance)


@pytest.mark.parametrize("name", [name for name in NAMES if zoo.quantized(name)])
def test_8_bits_cost_next_to_nothing(name):
    card = zoo.card(name)
    assert read(zoo.quantized(name)) == zoo.descriptor(name)
    worse, mean, largest = 0.02, 0.4, 16  # dB, and levels
    if name == "x4-video":  # all layers, and what is added to the repeated input
        worse, mean, largest = 0.04, 0.9, 96
    for folder in ("Set5", "Set14", "BSD100"):
        usual, eight = card["numbers"][folder], card["numbers_int8"][folder]
        assert eight["psnr_y"] > usual["psnr_y"] - worse, folder
        assert eight["lpips"] < usual["lpips"] + 0.001, folder
        if name != "x4-video":
            assert eight["psnr_y"] == pytest.approx(usual["psnr_y"], abs=0.02), folder
            assert eight["lpips"] == pytest.approx(usual["lpips"], abs=0.004), folder
        assert card["difference_int8"][folder]["mean"] <= mean, folder
        assert card["difference_int8"][folder]["largest"] <= largest, folder


def test_the_model_for_films_beats_bicubic():
    card, bicubic = zoo.card("x4-video"), 28.43
    for numbers in ("numbers", "numbers_int8"):
        assert card[numbers]["Set5"]["psnr_y"] > bicubic + 1.5
        assert card[numbers]["Set5"]["cross_hatch"] < 1.5  # biases that are off are a grid
    generator = load_generator("x4-video")
    assert multiply_adds(generator, 32, 32) / 32**2 < 66_000


def _rows(document):
    """Returns the cells of a document's table rows, by the model that a row begins with."""
    rows = (line.split(" | ") for line in (ROOT / document).read_text("utf-8").splitlines())
    return {cells[0][3:-1]: cells for cells in rows if cells[0].startswith("| `")}


def _without_zero(number):
    return f"{number:.4f}".lstrip("0")


@pytest.mark.parametrize("name", NAMES)
def test_the_tables_of_evaluation_have_the_numbers_of_the_card(name):
    row = _rows("docs/evaluation.md")[name]
    for cell, folder in zip(row[1:], ("Set5", "Set14", "BSD100"), strict=False):
        numbers = zoo.card(name)["numbers"][folder]
        rest = [_without_zero(numbers[metric]) for metric in ("ssim_y", "lpips")]
        assert cell == " / ".join([f"{numbers['psnr_y']:.2f}", *rest])


def test_the_table_of_the_readme_has_the_numbers_of_the_cards():
    rows = {name: cells for name, cells in _rows("README.md").items() if name in NAMES}
    assert "x4-feature" in rows
    for name, (_, _, psnr, lpips, size) in rows.items():
        numbers = zoo.card(name)["numbers"]["Set5"]
        assert psnr == f"{numbers['psnr_y']:.2f}"
        assert lpips == _without_zero(numbers["lpips"])
        stored = zoo.file(name).stat().st_size / 1e6
        assert float(size.rstrip(" |")) == pytest.approx(stored, abs=0.05)


STYLES = zoo.styles()


@pytest.mark.parametrize("model", sorted({model for model, _ in STYLES.values()}))
def test_card_of_styles(model):
    card = zoo.card(model)
    assert card["name"] == model
    assert card["sha256"] == _digests(model)
    assert zoo.descriptor(model) == read(zoo.file(model)) == read(zoo.checkpoint(model))
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


@pytest.mark.parametrize("name", NAMES)
def test_tflite_has_builtin_operators_only(name):
    from ai_edge_litert.interpreter import Interpreter

    operators = {d["op_name"] for d in Interpreter(str(zoo.file(name)))._get_ops_details()}
    assert not {o for o in operators if o.startswith("Flex") or o == "CUSTOM"}
    assert "CONV_2D" in operators

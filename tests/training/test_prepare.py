from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from keras_perceptual.errors import LossNetworkError
from keras_perceptual.losses.vgg import WEIGHTS_VARIABLE
from keras_perceptual.training import build_loss, get_recipe
from tests.conftest import SAMPLES

PAINTING = str(SAMPLES / "HR" / "chelsea.png")


@pytest.fixture(autouse=True)
def no_weights_elsewhere(monkeypatch):
    """No variable, no cache, no network."""

    def refuse(*arguments, **kwargs):
        raise OSError("no network")

    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)
    monkeypatch.setattr("keras.src.applications.vgg16.file_utils.get_file", refuse)


@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize("kind", ["auto", "vgg16", "distilled"])
@pytest.mark.parametrize("name", ["feature:block3_conv9", "featur:block3_conv3", "style:block9"])
def test_a_misspelt_loss_is_named_beside_those_there_are(sources, vgg, caplog, weights, kind, name):
    recipe = get_recipe("x4-feature", loss={"feature:block2_conv2": 1.0, name: 1.0})
    sources = replace(sources, loss_network=kind, vgg_weights=str(vgg) if weights else None)
    with pytest.raises(ValueError, match=rf"LAYER among block1_conv1, .*; received {name}$"):
        build_loss(recipe, sources)
    assert not caplog.records


def test_a_misspelt_style_is_named_beside_those_there_are(sources):
    recipe = get_recipe("style", loss={"style:block3_conv9/2": 1.0})
    with pytest.raises(ValueError, match=r"style:LAYER, .*; received style:block3_conv9/2$"):
        build_loss(recipe, replace(sources, styles=(PAINTING,)))


@pytest.mark.parametrize("kind", ["auto", "distilled"])
def test_terms_that_the_distilled_network_cannot_see_are_left_out_by_name(sources, caplog, kind):
    loss = {"feature:block1_conv2": 2.0, "feature:block2_conv2": 1.0, "feature:block3_conv3": 1.0}
    recipe = get_recipe("x4-feature", loss={**loss, "phase_bias": 3.0})
    with caplog.at_level(logging.WARNING, "keras_perceptual"):
        built = build_loss(recipe, replace(sources, loss_network=kind))
    assert built.weights == {"feature:block2_conv2": 1.0, "phase_bias": 3.0}
    said = [each.getMessage() for each in caplog.records if "left out" in each.getMessage()]
    assert said == [
        f"{name} is left out: the distilled loss network has no such layer"
        for name in ("feature:block1_conv2", "feature:block3_conv3")
    ]


def test_what_vgg16_sees_is_all_there(sources, vgg, caplog):
    recipe = get_recipe("x4-feature")
    built = build_loss(recipe, replace(sources, loss_network="auto", vgg_weights=str(vgg)))
    assert built.weights == dict(recipe.loss)
    assert not caplog.records


def test_style_needs_vgg16(sources):
    with pytest.raises(LossNetworkError, match="style needs VGG16's weights"):
        build_loss(get_recipe("style_paper"), replace(sources, styles=(PAINTING,)))

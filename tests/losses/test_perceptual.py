from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_perceptual import losses
from keras_perceptual.losses.perceptual import check_names, layer_of


def test_perceptual_loss_takes_each_image_to_its_painting(rng):
    rgb = keras.Input((None, None, 3))
    network = keras.Model(rgb, {"c": keras.layers.Conv2D(4, 1)(rgb)})
    paintings = [rng.uniform(0, 255, (9, 7, 3)), rng.uniform(0, 99, (5, 8, 3))]
    loss = losses.PerceptualLoss({"style:c": 2.0}, 1, network, paintings)
    sr = np.stack([p[:5, :7] for p in paintings]).astype(np.float32)
    grams = np.asarray(losses.gram_matrix(network(sr)["c"]))
    each = []
    for image, painting in enumerate((1, 0)):
        target = np.asarray(losses.gram_matrix(network(paintings[painting][None])["c"]))[0]
        each.append(((grams[image] - target) ** 2).sum() / (target**2).sum())
    terms = loss(None, sr, np.eye(2, dtype="f")[[1, 0]])
    assert float(terms["style:c"]) == pytest.approx(np.mean(each), rel=1e-4)
    assert float(loss.total(terms)) == pytest.approx(2 * np.mean(each), rel=1e-4)
    with pytest.raises(ValueError, match="style:c"):
        losses.PerceptualLoss({"style:c": 1.0}, 1, network)  # no painting


def test_style_of_a_reduced_image(rng):
    rgb = keras.Input((None, None, 3))
    network = keras.Model(rgb, {"c": keras.layers.Conv2D(4, 1)(rgb)})
    painting, sr = rng.uniform(0, 255, (2, 9, 8, 3)).astype(np.float32)
    loss = losses.PerceptualLoss({"style:c": 1.0, "style:c/2": 3.0}, 1, network, [painting])
    terms = loss(None, sr[None])
    halves = [image[:8].reshape(1, 4, 2, 4, 2, 3).mean((2, 4)) for image in (painting, sr)]
    own = losses.gram_matrix(network(halves[0])["c"])
    expected = float(losses.style_reconstruction(own, network(halves[1])["c"]))
    assert float(terms["style:c/2"]) == pytest.approx(expected, rel=1e-4)
    assert float(terms["style:c"]) != pytest.approx(expected, rel=1e-2)
    assert [layer_of(name) for name in terms] == ["c", "c"]
    for wrong in ("style:c/0", "style:c/x", "style:c/2/2", "feature:c/2", "style:d/2"):
        with pytest.raises(ValueError, match="expected losses among"):
            losses.PerceptualLoss({wrong: 1.0}, 1, network, [painting])


def test_palette_of_reduced_images_and_of_mixtures(rng):
    paintings = list(rng.uniform(0, 255, (2, 9, 8, 3)))
    loss = losses.PerceptualLoss({"palette/2": 2.0}, 1, paintings=paintings)
    sr = paintings[1][None].astype(np.float32)
    one, other = (float(loss(None, sr, np.eye(2)[None, n])["palette/2"]) for n in (0, 1))
    assert other == pytest.approx(0, abs=1e-4)
    assert one > 0.01
    half = sr[:, :8].reshape(1, 4, 2, 4, 2, 3).mean((2, 4))
    own = losses.palette(half)
    assert float(losses.palette_distance(own, half)) == pytest.approx(other, abs=1e-6)
    assert np.allclose(loss._targets["palette/2"][1], own[0], atol=1e-3)
    for wrong in ("palette/0", "palette/x", "palette:c"):
        with pytest.raises(ValueError, match="expected losses among"):
            losses.PerceptualLoss({wrong: 1.0}, 1, paintings=paintings)
    with pytest.raises(ValueError, match="palette"):
        losses.PerceptualLoss({"palette": 1.0}, 1)  # no painting


@pytest.fixture
def loss_network():
    rgb = keras.Input((None, None, 3))
    return keras.Model(rgb, {"twice": rgb * 2.0, "half": rgb * 0.5})


def test_weighted_sum(loss_network):
    loss = losses.PerceptualLoss(
        {"pixel_absolute": 3.0, "feature:twice": 0.5, "feature:half": 4.0}, 4, loss_network
    )
    hr, sr = np.zeros((1, 4, 4, 3), np.float32), np.full((1, 4, 4, 3), 2.0, np.float32)
    terms = loss(hr, sr)
    values = {name: float(value) for name, value in terms.items()}
    assert values == {"pixel_absolute": 2.0, "feature:twice": 16.0, "feature:half": 1.0}
    assert float(loss.total(terms)) == 3 * 2 + 0.5 * 16 + 4 * 1


def test_windows_of_a_texture_are_of_16_pixels_in_every_layer(rng):
    rgb = keras.Input((None, None, 3))
    layers = {"full": rgb * 1.0, "half": keras.layers.AveragePooling2D(2)(rgb)}
    layers["small"] = keras.layers.AveragePooling2D(32)(rgb)
    network = keras.Model(rgb, layers)
    weights = {f"texture:{layer}": 1.0 for layer in layers}
    hr, sr = rng.uniform(0, 255, (2, 1, 32, 64, 3)).astype(np.float32)
    found = losses.PerceptualLoss(weights, 4, network)(hr, sr)
    for layer, window in (("full", 16), ("half", 8), ("small", 1)):
        features = (network(image)[layer] for image in (hr, sr))
        expected = float(losses.texture_reconstruction(*features, window))
        assert float(found[f"texture:{layer}"]) == pytest.approx(expected, rel=1e-5)
        assert expected > 0


@pytest.mark.parametrize("weights", [{}, {"l1": 1.0}, {"feature:block9": 1.0}])
def test_unknown_losses(loss_network, weights):
    with pytest.raises(ValueError, match="expected losses among"):
        losses.PerceptualLoss(weights, 4, loss_network)


def test_layers_are_listed_where_one_is_misspelt():
    layers = ("block1_conv1", "block1_conv1_linear")
    with pytest.raises(ValueError, match=r"texture:LAYER; received pixl_absolute$"):
        check_names(["pixl_absolute"], layers, False)
    with pytest.raises(ValueError, match="LAYER among block1_conv1, or one of them with _linear"):
        check_names(["feature:block1"], layers, False)

from __future__ import annotations

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_perceptual import zoo
from keras_perceptual.errors import LossNetworkError
from keras_perceptual.losses import vgg as loss_network


@pytest.fixture(autouse=True)
def no_weights_elsewhere(monkeypatch, tmp_path):
    """No variable, no cache, no network."""
    monkeypatch.delenv(loss_network.WEIGHTS_VARIABLE, raising=False)

    def refuse(*arguments, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr("keras.src.applications.vgg16.file_utils.get_file", refuse)


@pytest.fixture(scope="module")
def full():
    """VGG16 without its top, of random weights."""
    keras.utils.set_random_seed(0)
    return keras.applications.VGG16(weights=None, include_top=False, input_shape=(None, None, 3))


@pytest.fixture
def npz(tmp_path, full):
    arrays = {}
    for layer in full.layers:
        if layer.name.startswith(("block1_conv", "block2_conv")):
            kernel, bias = layer.get_weights()
            arrays |= {f"{layer.name}_kernel": kernel, f"{layer.name}_bias": bias + 0.1}
    np.savez(tmp_path / "vgg.npz", **arrays)
    return tmp_path / "vgg.npz"


def test_features_by_hand(npz, rng):
    """The first convolution, from RGB, with the mean taken off before the zero padding."""
    model = loss_network.vgg16(("block1_conv1",), npz)
    rgb = rng.uniform(0, 255, (1, 5, 6, 3)).astype(np.float32)
    with np.load(npz) as arrays:
        kernel, bias = arrays["block1_conv1_kernel"], arrays["block1_conv1_bias"]
    bgr = np.pad(rgb[0, ..., ::-1] - [103.939, 116.779, 123.68], ((1, 1), (1, 1), (0, 0)))
    expected = [
        [np.tensordot(bgr[y : y + 3, x : x + 3], kernel, 3) + bias for x in range(6)]
        for y in range(5)
    ]
    features = np.asarray(model(rgb)["block1_conv1"])[0]
    np.testing.assert_allclose(features, np.maximum(expected, 0), rtol=1e-3, atol=1e-2)


def test_several_layers_at_once(npz):
    model = loss_network.vgg16(("block2_conv2", "block1_conv2"), npz)
    features = model(np.zeros((1, 16, 24, 3), np.float32))
    assert features["block1_conv2"].shape == (1, 16, 24, 64)
    assert features["block2_conv2"].shape == (1, 8, 12, 128)
    assert model.name == "vgg16"
    assert not model.trainable_variables


def test_before_the_relu_and_after(npz, rng):
    rgb = rng.uniform(0, 255, (1, 16, 16, 3)).astype(np.float32)
    names = ("block2_conv2", "block1_conv2_linear", "block1_conv2", "block2_conv2_linear")
    features = {n: np.asarray(f) for n, f in loss_network.vgg16(names, npz)(rgb).items()}
    assert set(features) == set(names)
    for name in ("block1_conv2", "block2_conv2"):
        before = features[name + loss_network.LINEAR]
        assert before.min() < 0 < before.max()
        np.testing.assert_array_equal(features[name], np.maximum(before, 0))
    alone = loss_network.vgg16(("block2_conv2",), npz)(rgb)["block2_conv2"]
    np.testing.assert_array_equal(features["block2_conv2"], alone)


def test_every_file_format_gives_the_same_network(npz, full, tmp_path):
    for layer in full.layers:
        if layer.name.startswith(("block1_conv", "block2_conv")):
            with np.load(npz) as arrays:
                layer.set_weights([arrays[f"{layer.name}_kernel"], arrays[f"{layer.name}_bias"]])
    full.save_weights(tmp_path / "vgg.weights.h5")
    import h5py
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(tmp_path / "vgg.h5", "w") as file:  # the format of Keras's own download
        legacy_h5_format.save_weights_to_hdf5_group(file, full)
    digests = {
        loss_network.sha256(loss_network.vgg16(weights=tmp_path / name))
        for name in ("vgg.npz", "vgg.weights.h5", "vgg.h5")
    }
    assert len(digests) == 1


def test_gradients_pass_through_to_the_image_alone(npz):
    model = loss_network.vgg16(weights=npz)
    image = tf.Variable(tf.fill((1, 16, 16, 3), 100.0))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(image)["block2_conv2"])
    assert np.abs(tape.gradient(loss, image)).max() > 0


def test_the_variable_names_a_file(npz, monkeypatch):
    monkeypatch.setenv(loss_network.WEIGHTS_VARIABLE, str(npz))
    assert loss_network.load("auto").name == "vgg16"


def test_auto_falls_back_and_says_so(caplog):
    with caplog.at_level(logging.WARNING):
        model = loss_network.load("auto")
    assert model.name == "distilled"
    assert len(caplog.records) == 1
    assert "distilled loss network" in caplog.text


def test_vgg16_without_weights_names_the_ways_out():
    with pytest.raises(LossNetworkError) as error:
        loss_network.load("vgg16")
    for way in ("--vgg-weights", loss_network.WEIGHTS_VARIABLE, "network"):
        assert way in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["auto", "vgg16"])
def test_a_file_that_was_named_must_be_good(tmp_path, kind):
    with pytest.raises(LossNetworkError, match="no such file"):
        loss_network.load(kind, weights=tmp_path / "none.npz")
    for name in ("a.npz", "a.h5", "a.weights.h5"):
        (tmp_path / name).write_bytes(b"something else")
        with pytest.raises(LossNetworkError, match="does not hold"):
            loss_network.load(kind, weights=tmp_path / name)
    np.savez(tmp_path / "b.npz", block1_conv1_kernel=np.zeros(3), block1_conv1_bias=np.zeros(3))
    with pytest.raises(LossNetworkError, match="has no block1_conv2, block2_conv1, block2_conv2"):
        loss_network.load(kind, weights=tmp_path / "b.npz")


def test_layers_by_their_names_in_keras(full):
    assert tuple(x.name for x in full.layers if "conv" in x.name) == loss_network.LAYERS


@pytest.mark.parametrize("kind", ["auto", "vgg16", "distilled"])
@pytest.mark.parametrize("weights", [True, False])
def test_a_misspelt_layer_is_no_missing_weights(npz, caplog, kind, weights):
    with pytest.raises(ValueError, match=r"among block1_conv1, .*; received block2_conv3$"):
        loss_network.load(kind, ("block2_conv2", "block2_conv3"), npz if weights else None)
    assert not caplog.records


def test_layers_that_are_not_there(npz):
    with pytest.raises(ValueError, match="expected VGG16 layers"):
        loss_network.vgg16(("relu2_2",), npz)
    with pytest.raises(ValueError, match="received none"):
        loss_network.load("distilled", ())
    with pytest.raises(LossNetworkError, match="block2_conv2 only"):
        loss_network.load("distilled", ("block3_conv3",))
    with pytest.raises(ValueError, match="received 'vgg19'"):
        loss_network.load("vgg19")


def test_distilled_is_small_and_shaped_like_vgg16():
    model = loss_network.distilled()
    features = model(np.zeros((2, 20, 32, 3), np.float32))
    assert list(features) == ["block2_conv2"]
    assert features["block2_conv2"].shape == (2, 10, 16, 128)
    assert not model.trainable_variables
    assert zoo.checkpoint("loss-network").stat().st_size < 1_000_000
    assert zoo.card("loss-network")["sha256"] == loss_network.sha256(model)
    assert _multiply_adds(model) * 4 < 3 * 64 * 9 + 64 * 64 * 9 + (64 + 128) * 128 * 9 / 4


def _multiply_adds(model) -> float:
    """Multiplications per input pixel."""
    stride, total = 1, 0.0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            stride *= layer.strides[0]
            total += np.prod(layer.kernel.shape) / stride**2
    return total


def test_distilled_agrees_with_vgg16(data):
    from keras_perceptual.files import images
    from keras_perceptual.losses.terms import feature_reconstruction
    from keras_perceptual.pixels.resampling import imresize
    from tests.conftest import SAMPLES

    teacher = loss_network.vgg16(weights=data("vgg16/vgg16_keras_blocks1-3.npz"))
    student = loss_network.distilled()
    residual = total = 0.0
    logs = []
    for path in images.list_images(SAMPLES / "HR"):
        hr = images.read(path).pixels[:256, :256].astype(np.float32)
        truth, imitation = (np.asarray(m(hr[None])["block2_conv2"]) for m in (teacher, student))
        residual += ((truth - imitation) ** 2).sum()
        total += ((truth - truth.mean((0, 1, 2))) ** 2).sum()
        for factor in (2, 4, 8):
            sr = imresize(imresize(hr, 1 / factor), size=hr.shape[:2])[None]
            logs.append(
                [
                    np.log(feature_reconstruction(t, m(sr)["block2_conv2"]))
                    for t, m in ((truth, teacher), (imitation, student))
                ]
            )
    card = zoo.card("loss-network")["held_out"]
    assert 1 - residual / total > card["explained_variance"] - 0.1
    assert np.corrcoef(np.transpose(logs))[0, 1] > 0.9

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_perceptual import generators

SMALL = {
    "johnson": {"channels": 8, "blocks": 2},
    "subpixel": {"channels": 8, "blocks": 2},
}
CASES = [(name, scale) for name in generators.GENERATORS for scale in (2, 4, 8)]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-x{case[1]}")
def generator(request):
    name, scale = request.param
    keras.utils.set_random_seed(0)
    return generators.build(name, scale=scale, **SMALL[name]), scale


@pytest.mark.parametrize("size", [(1, 1), (7, 13), (24, 16)])
def test_any_size(generator, rng, size):
    model, scale = generator
    lr = rng.uniform(0, 255, (2, *size, 3)).astype(np.float32)
    sr = model(lr)
    assert sr.shape == (2, size[0] * scale, size[1] * scale, 3)
    assert sr.dtype == "float32"
    assert model.output_shape == (None, None, None, 3)


def test_saves_and_loads_in_safe_mode(generator, rng, tmp_path):
    model, _ = generator
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    lr = rng.uniform(0, 255, (1, 9, 5, 3)).astype(np.float32)
    assert np.array_equal(np.asarray(model(lr)), np.asarray(loaded(lr)))
    config = model.get_config()
    assert "Lambda" not in str(config)


def test_gradients_reach_every_weight(generator, rng):
    model, scale = generator
    lr = rng.uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    hr = rng.uniform(0, 255, (2, 8 * scale, 8 * scale, 3)).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(lr, training=True) - hr))
    gradients = tape.gradient(loss, model.trainable_variables)
    for weight, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, weight.path
        # A bias before a batch normalisation is taken out again by it.
        if not ("johnson" in model.name and weight.path.endswith("bias")):
            assert np.abs(gradient).max() > 0, weight.path


def test_every_layer_has_a_name_of_its_own(generator):
    model, _ = generator
    for layer in model.layers:
        assert not layer.name.startswith(("conv2d", "add", "re_lu", "rescaling", "input_layer"))


@pytest.mark.parametrize(
    ("name", "config", "count"),
    [
        # Convolutions k*k*in*out + out; johnson's batch normalisations 4 * channels each.
        ("johnson", {}, 15616 + 8 * 36928 + 2 * 36928 + 15555 + 11 * 256),
        ("johnson", {"scale": 8}, 15616 + 8 * 36928 + 3 * 36928 + 15555 + 12 * 256),
        ("subpixel", {}, 1344 + 14 * 20784 + 48 * (9 * 48 + 1)),
        ("subpixel", {"scale": 2, "channels": 64, "blocks": 4}, 1792 + 8 * 36928 + 12 * 577),
    ],
)
def test_parameter_counts(name, config, count):
    assert generators.build(name, **config).count_params() == count


def test_subpixel_of_zeros_repeats_its_input(rng):
    model = generators.subpixel(3, channels=4, blocks=1)
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    lr = rng.uniform(0, 255, (2, 4, 5, 3)).astype(np.float32)
    np.testing.assert_allclose(model(lr), lr.repeat(3, 1).repeat(3, 2), rtol=1e-6)


def test_johnson_stays_in_range(rng):
    model = generators.johnson(2, channels=4, blocks=1)
    sr = np.asarray(model(rng.uniform(0, 255, (1, 16, 16, 3)) * 100))
    assert sr.min() >= 0
    assert sr.max() <= 255


def test_unknown_generator_and_scale():
    with pytest.raises(ValueError, match="received 'unet'"):
        generators.build("unet")
    with pytest.raises(ValueError, match="received 3"):
        generators.johnson(3)
    with pytest.raises(ValueError, match="received 1"):
        generators.subpixel(1)

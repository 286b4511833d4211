from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_perceptual.models import generators
from keras_perceptual.models.describing import describe
from keras_perceptual.models.style import in_style, style
from keras_perceptual.models.upscaling import johnson, plain, srcnn, subpixel
from keras_perceptual.pixels.levels import luma
from keras_perceptual.pixels.resampling import imresize
from keras_perceptual.zoo.descriptor import ModelDescriptor

SMALL = {
    "johnson": {"channels": 8, "blocks": 2},
    "plain": {"channels": 8, "blocks": 2},
    "srcnn": {"channels": 8, "blocks": 1},
    "subpixel": {"channels": 8, "blocks": 2},
}
CASES = [(name, scale) for name in SMALL for scale in (2, 4, 8)] + [("style", 1)]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-x{case[1]}")
def generator(request):
    name, scale = request.param
    keras.utils.set_random_seed(0)
    return generators.GENERATORS[name](scale, **SMALL.get(name, {"channels": 4})), scale


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
        # A bias before a normalisation is taken out again by it.
        normalised = "johnson" in model.name or model.name == "style"
        if not (normalised and weight.path.endswith("bias")):
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
        ("srcnn", {}, 5248 + 51232 + 801),  # 9-5-5 of the paper, with biases
        # The paper's table 1: 1.68 M of which 1.67 M in convolutions.
        (
            "style",
            {"normalization": "batch"},
            7808
            + 18496
            + 73856
            + 10 * 147584
            + 73792
            + 18464
            + 7779
            + 4 * (32 + 64 + 128 + 10 * 128 + 64 + 32),
        ),
        (
            "style",
            {"styles": 2, "channels": 8, "blocks": 0},
            1952 + 1168 + 4640 + 4624 + 1160 + 1947 + 2 * 2 * (8 + 16 + 32 + 16 + 8),
        ),
        ("plain", {}, 3136 + 4 * 36928 + 192 * (9 * 64 + 1)),
        ("subpixel", {}, 1344 + 14 * 20784 + 48 * (9 * 48 + 1)),
        ("subpixel", {"scale": 2, "channels": 64, "blocks": 4}, 1792 + 8 * 36928 + 12 * 577),
    ],
)
def test_parameter_counts(name, config, count):
    assert generators.GENERATORS[name](**config).count_params() == count


@pytest.mark.parametrize("build", [plain, subpixel])
def test_zeros_repeat_their_input(build, rng):
    model = build(3, channels=4, blocks=1)
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    lr = rng.uniform(0, 255, (2, 4, 5, 3)).astype(np.float32)
    np.testing.assert_allclose(model(lr), lr.repeat(3, 1).repeat(3, 2), rtol=1e-6)


def test_plain_begins_near_the_identity(rng):
    model = plain(channels=8, blocks=4)
    ends = [model.get_layer(name).output for name in ("head", "block3_conv")]
    features = keras.Model(model.input, ends)
    first, last = map(np.asarray, features(rng.uniform(0, 255, (1, 16, 16, 3))))
    assert np.corrcoef(first.ravel(), last.ravel())[0, 1] > 0.2
    assert 0.2 < last.std() / first.std() < 5


def test_johnson_stays_in_range(rng):
    model = johnson(2, channels=4, blocks=1)
    sr = np.asarray(model(rng.uniform(0, 255, (1, 16, 16, 3)) * 100))
    assert sr.min() >= 0
    assert sr.max() <= 255


@pytest.mark.parametrize(
    "descriptor",
    [
        ModelDescriptor("upscale", 2, generator="johnson", channels=4, blocks=1),
        ModelDescriptor("upscale", 3, generator="subpixel"),
        ModelDescriptor("style", 1, ("a", "b"), "style", 4, 1, "instance"),
    ],
)
def test_a_descriptor_is_built_and_kept(descriptor):
    model = generators.build(descriptor)
    assert model.descriptor == descriptor
    made_out = describe(keras.Model.from_config(model.get_config())).descriptor
    assert (made_out.task, made_out.scale) == (descriptor.task, descriptor.scale)
    assert len(made_out.styles) == len(descriptor.styles)


def test_unknown_generator_and_scale():
    with pytest.raises(ValueError, match="received 'unet'"):
        generators.build(ModelDescriptor("upscale", 4, generator="unet"))
    with pytest.raises(ValueError, match="received 3"):
        johnson(3)
    with pytest.raises(ValueError, match="received 1"):
        subpixel(1)


def test_srcnn_of_zeros_is_bicubic_and_changes_luma_only(rng):
    model = srcnn(4, channels=4)
    weights = [np.zeros_like(w) for w in model.get_weights()]
    model.set_weights(weights)
    lr = rng.uniform(50, 200, (1, 6, 9, 3)).astype(np.float32)
    bicubic = imresize(lr[0], 4)
    np.testing.assert_allclose(np.asarray(model(lr))[0], bicubic, atol=1e-3)
    weights[-1] += 0.1  # the last bias, of luma in units of 127.5
    model.set_weights(weights)
    sr = np.asarray(model(lr))[0]
    np.testing.assert_allclose(luma(sr) - luma(bicubic), 12.75, atol=1e-3)
    np.testing.assert_allclose(
        sr - bicubic, np.broadcast_to((sr - bicubic)[:1, :1, :1], sr.shape), atol=1e-3
    )


def test_multiply_adds_of_subpixel():
    generator = subpixel(channels=5, blocks=2)
    weights = 9 * (3 * 5 + 4 * 5 * 5 + 5 * 48)  # head, two blocks, tail: all at LR size
    assert generators.multiply_adds(generator, 6, 7) == weights * 6 * 7


def test_multiply_adds_of_johnson():
    generator = johnson(channels=5, blocks=1)
    head, block, up, tail = 81 * 3 * 5, 2 * 9 * 5 * 5, 9 * 5 * 5, 81 * 5 * 3
    # The transposed convolutions spread what they read: x1 and x2, not x2 and x4.
    expected = (head + block + up + 4 * up + 16 * tail) * 6 * 7
    assert generators.multiply_adds(generator, 6, 7) == expected


def test_multiply_adds_of_srcnn():
    expected = 16 * (81 * 8 + 25 * 8 * 4 + 25 * 4) * 6 * 7  # all at HR size
    assert generators.multiply_adds(srcnn(4, channels=8), 6, 7) == expected


@pytest.mark.parametrize("normalization", ["instance", "batch"])
def test_style_gives_back_any_size(rng, normalization):
    model = style(channels=2, blocks=2, normalization=normalization)
    for height, width in [(1, 1), (2, 41), (16, 16), (17, 18), (19, 63)]:
        lr = rng.uniform(0, 255, (1, height, width, 3)).astype(np.float32)
        sr = np.asarray(model(lr))
        assert sr.shape == lr.shape
        assert sr.min() >= -22.5
        assert sr.max() <= 277.5


def test_style_leaves_no_frame():
    keras.utils.set_random_seed(2)
    model = style(channels=4, blocks=2, normalization="batch")
    tail = model.get_layer("tail")
    kernel, bias = tail.get_weights()
    tail.set_weights([10 * kernel, bias])
    sr = np.asarray(model(np.full((1, 64, 64, 3), 220.0)))[0]
    middle = sr[32:36, 32:36]  # what the network paints of one colour repeats with its stride
    off = np.abs(sr - np.tile(middle, (16, 16, 1)))
    assert off.max() < 0.1 * np.ptp(middle)


def test_style_moves_with_the_image(rng):
    """By four pixels at a time, once statistics are given: tiles fit together."""
    model = style(channels=4, blocks=1, normalization="batch")
    lr = rng.uniform(0, 255, (1, 120, 120, 3)).astype(np.float32)
    whole, part = np.asarray(model(lr)), np.asarray(model(lr[:, 8:, 12:]))
    np.testing.assert_allclose(part[:, 40:-40, 40:-40], whole[:, 48:-40, 52:-40], atol=1e-2)


def test_style_of_several_paints_as_the_one_made_of_it(rng):
    keras.utils.set_random_seed(0)
    model = style(channels=4, blocks=1, styles=3)
    for layer in model.layers:
        if layer.name.endswith("_norm"):
            layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    lr = rng.uniform(0, 255, (2, 20, 24, 3)).astype(np.float32)
    weights = [0.2, 0.0, 0.8]
    one = in_style(model, weights)
    expected = np.asarray(model([lr, np.float32([weights, weights])]))
    np.testing.assert_allclose(np.asarray(one(lr)), expected, atol=1e-2)
    assert len(one.inputs) == 1
    with pytest.raises(ValueError, match="expected 3 style weights, received 2"):
        in_style(model, [1, 0])


def test_style_upsamples_without_a_checkerboard():
    """A flat image stays flat wherever its borders are not seen."""
    keras.utils.set_random_seed(0)
    model = style(channels=4, blocks=1, normalization="batch")
    sr = np.asarray(model(np.full((1, 96, 96, 3), 90, np.float32)))[0, 32:-32, 32:-32]
    assert np.ptp(sr, axis=(0, 1)).max() < 1e-2


def test_style_refuses_what_it_cannot_be():
    with pytest.raises(ValueError, match="scale of 1"):
        style(2)
    with pytest.raises(ValueError, match="instance or batch"):
        style(normalization="layer")
    with pytest.raises(ValueError, match="one style, or more in instance"):
        style(styles=2, normalization="batch")

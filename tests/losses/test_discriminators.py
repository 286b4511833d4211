from __future__ import annotations

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_perceptual.losses import adversary
from keras_perceptual.losses.discriminators import (
    DISCRIMINATORS,
    SpectralConv2D,
    discriminator,
    unet_discriminator,
)
from keras_perceptual.losses.perceptual import PerceptualLoss
from keras_perceptual.models.upscaling import subpixel
from keras_perceptual.training.trainer import PerceptualTrainer
from tests.conftest import ROOT

# Under another backend, with weights that are given: two judgements and the state they leave.
JUDGE = """
import json, sys
import numpy as np
from keras_perceptual.losses import adversary
from keras_perceptual.losses.discriminators import unet_discriminator
network = unet_discriminator(channels=4)
network.load_weights(sys.argv[1])
hr, sr = np.load(sys.argv[2])
both = [[float(loss) for loss in adversary.versus(network, hr, sr)] for _ in range(2)]
state = [np.array(variable).ravel().tolist() for variable in network.non_trainable_variables]
print(json.dumps([both, state]))
"""


def _matrices(network):
    """Returns, by layer, the kernel that is trained and the one that convolves, as matrices."""
    return {
        layer.name: [
            np.array(kernel).reshape(-1, layer.filters)
            for kernel in (layer.kernel, layer.normalized_kernel())
        ]
        for layer in network.layers
        if isinstance(layer, SpectralConv2D)
    }


def _norm(matrix):
    return np.linalg.norm(matrix, 2)


def test_patches_of_33_pixels_are_judged(rng):
    network = discriminator(channels=4)
    image = rng.uniform(0, 255, (1, 96, 96, 3)).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch(pixels := tf.constant(image))
        logits = network(pixels)
        one = logits[0, 6, 6, 0]
    assert logits.shape == (1, 12, 12, 1)
    seen = np.abs(tape.gradient(one, pixels)).sum(axis=(0, 3)) > 0
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    assert np.ptp(rows) + 1 == np.ptp(columns) + 1 == 33


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_each_pixel_is_judged(rng, precision):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        network = unet_discriminator(channels=4)
    finally:
        keras.config.set_dtype_policy(policy)
    logits = network(rng.uniform(0, 255, (2, 32, 40, 3)).astype(np.float32))
    assert logits.shape == (2, 32, 40, 1)
    assert logits.dtype == "float32"
    assert np.ptp(logits) > 0
    spectral = [layer.name for layer in network.layers if isinstance(layer, SpectralConv2D)]
    assert spectral == ["down0", "down1", "down2", "up0", "up1", "up2", "body0", "body1"]
    assert all(
        weight.dtype == "float32" for name in spectral for weight in network.get_layer(name).weights
    )


def test_the_spectral_norm_is_1_and_stays_so(rng):
    """After a few steps of power iteration, and while the kernels that are trained move."""
    keras.utils.set_random_seed(0)
    loss = PerceptualLoss({"pixel_absolute": 1.0}, 2)
    trainer = PerceptualTrainer(
        subpixel(2, channels=4, blocks=1), loss, adversarial=1.0, discriminator="unet"
    )
    trainer.compile(keras.optimizers.Adam(1e-3), jit_compile=False)
    lr = rng.uniform(0, 255, (1, 16, 16, 3)).astype(np.float32)
    hr = lr.repeat(2, 1).repeat(2, 2) / 2
    before = _matrices(trainer.discriminator)
    for _ in range(30):
        trainer.train_on_batch(lr, hr)
    for name, (trained, used) in _matrices(trainer.discriminator).items():
        assert _norm(used) == pytest.approx(1, abs=0.02), name
        assert abs(_norm(trained) - _norm(before[name][0])) > 0.02, name
        np.testing.assert_allclose(used, trained / _norm(trained), atol=0.02)


def test_only_the_direction_of_a_kernel_counts(rng):
    """The gradient takes the division into account, so none of it is along the kernel."""
    keras.utils.set_random_seed(0)
    layer = SpectralConv2D(4, 3)
    image = rng.normal(size=(1, 8, 8, 3)).astype(np.float32)
    for _ in range(50):
        expected = layer(image, training=True)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(image) ** 3)
    kernel, gradient = np.array(layer.kernel), tape.gradient(loss, layer.kernel.value)
    cosine = np.vdot(kernel, gradient) / np.linalg.norm(kernel) / np.linalg.norm(gradient)
    assert abs(cosine) < 1e-4
    layer.kernel.assign(7 * kernel)
    np.testing.assert_allclose(layer(image), expected, rtol=1e-4, atol=1e-5)


def test_the_state_moves_in_training_only(rng):
    layer = SpectralConv2D(4, 3)
    image = rng.normal(size=(1, 8, 8, 3)).astype(np.float32)
    layer(image)
    before = np.array(layer.direction)
    layer(image)
    np.testing.assert_array_equal(layer.direction, before)
    layer(image, training=True)
    assert np.abs(np.array(layer.direction) - before).max() > 0


@pytest.mark.parametrize("build", DISCRIMINATORS.values(), ids=list(DISCRIMINATORS))
def test_each_loss_moves_its_own_network_only(rng, build):
    keras.utils.set_random_seed(0)
    network = build(channels=4)
    hr, sr = (tf.Variable(rng.uniform(0, 255, (2, 32, 32, 3)).astype("float32")) for _ in range(2))
    with tf.GradientTape(persistent=True) as tape:
        fooling, telling = adversary.versus(network, hr, sr)
    weights = network.trainable_variables
    assert all(g is None for g in tape.gradient(fooling, [w.value for w in weights]))
    assert tape.gradient(telling, sr) is None
    assert np.abs(tape.gradient(fooling, sr)).max() > 0
    # What looks real is relative, so the last bias is free.
    learning = [w.value for w in weights if not w.path.endswith("logits/bias")]
    assert all(np.abs(g).max() > 0 for g in tape.gradient(telling, learning))


def test_jax_judges_the_same_way(rng, tmp_path):
    pytest.importorskip("jax")
    network = unet_discriminator(channels=4)
    network.save_weights(tmp_path / "network.weights.h5")
    images = rng.uniform(0, 255, (2, 2, 32, 32, 3)).astype(np.float32)
    np.save(tmp_path / "images.npy", images)
    result = subprocess.run(
        [sys.executable, "-c", JUDGE, tmp_path / "network.weights.h5", tmp_path / "images.npy"],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    losses, state = json.loads(result.stdout)
    for theirs in losses:
        ours = [float(value) for value in adversary.versus(network, *images)]
        assert theirs == pytest.approx(ours, rel=1e-5)
    for variable, theirs in zip(network.non_trainable_variables, state, strict=True):
        np.testing.assert_allclose(np.ravel(variable), theirs, atol=1e-5)

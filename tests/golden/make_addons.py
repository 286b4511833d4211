"""Stores outputs of tensorflow-addons 0.23 in addons.npz, to test our stand-ins against.

tensorflow-addons reached its end of life in May 2024 and does not import beside Keras 3, so this
runs in an environment of its own (Python 3.11):

    python3.11 -m venv addons
    addons/bin/pip install tensorflow-cpu==2.15.1 tensorflow-addons==0.23.0
    addons/bin/python tests/golden/make_addons.py
"""

from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_addons as tfa


def main() -> None:
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 255, (17, 23, 3)).astype(np.float32)
    stored = {"image": image}
    for size, sigma in ((3, 1.0), (5, 0.7), (7, 1.0), (9, 2.0)):
        blurred = tfa.image.gaussian_filter2d(
            image[None], filter_shape=size, sigma=sigma, padding="REFLECT"
        )
        stored[f"gaussian_{size}_{sigma}"] = blurred[0].numpy()

    features = rng.normal(3, 2, (2, 9, 7, 6)).astype(np.float32)
    gamma, beta = rng.normal(1, 0.3, (2, 6)).astype(np.float32)
    layer = tfa.layers.InstanceNormalization()
    layer.build(features.shape)
    layer.set_weights([gamma, beta])
    stored |= {"features": features, "gamma": gamma, "beta": beta}
    stored["instance_normalization"] = layer(tf.constant(features)).numpy()
    stored["epsilon"] = np.float32(layer.epsilon)
    np.savez_compressed(Path(__file__).with_name("addons.npz"), **stored)


if __name__ == "__main__":
    main()

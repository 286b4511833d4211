from __future__ import annotations

import numpy as np
import pytest

from keras_perceptual.errors import ZooError
from keras_perceptual.models.loading import transfer
from keras_perceptual.models.style import style
from keras_perceptual.models.upscaling import subpixel


def test_starting_from_another_scale_keeps_the_body():
    source = subpixel(4, channels=8, blocks=2)
    target = subpixel(2, channels=8, blocks=2)
    tail = target.get_layer("tail").get_weights()
    copied = transfer(source, target)
    assert "tail" not in copied
    assert "block1_conv1" in copied
    assert np.array_equal(target.get_layer("tail").get_weights()[0], tail[0])
    assert np.array_equal(
        target.get_layer("head").get_weights()[0], source.get_layer("head").get_weights()[0]
    )
    with pytest.raises(ZooError, match="no layer"):
        transfer(source, subpixel(2, channels=4, blocks=1))


def test_a_wider_generator_begins_where_a_narrow_one_ended(rng):
    narrow = subpixel(4, channels=6, blocks=2)
    narrow.set_weights([rng.normal(0, 0.1, w.shape) for w in narrow.get_weights()])
    wide = subpixel(4, channels=10, blocks=2)
    assert set(transfer(narrow, wide)) >= {"head", "block1_conv1", "tail"}
    lr = rng.uniform(0, 255, (1, 9, 7, 3)).astype(np.float32)
    np.testing.assert_allclose(wide(lr), narrow(lr), atol=2e-3)
    # What is new is not dead: it has weights, and what it changes can be learnt.
    assert np.abs(wide.get_layer("block0_conv0").kernel.numpy()[..., 6:]).min() > 0


def test_a_new_style_starts_from_the_mean_of_others():
    several = style(channels=4, blocks=1, styles=3)
    for layer in several.layers:
        if layer.name.endswith("_norm"):
            layer.set_weights([np.arange(w.size).reshape(w.shape) for w in layer.get_weights()])
    one = style(channels=4, blocks=1)
    assert "head_norm" in transfer(several, one)
    gamma, _ = one.get_layer("head_norm").get_weights()
    assert gamma.tolist() == [[4, 5, 6, 7]]

from __future__ import annotations

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from keras_perceptual.training.optimizer import FiniteMean, SteadyAdam  # noqa: E402

BAD = np.array([np.nan, 1.0], np.float32)
GOOD = np.array([0.3, -2.0], np.float32)


def _after(gradients, optimizer=None):
    variable = keras.Variable(np.array([1.0, 2.0], np.float32))
    optimizer = optimizer or SteadyAdam(0.1, use_ema=True, ema_momentum=0.5, global_clipnorm=1.0)
    optimizer.build([variable])
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)])
    return variable.numpy(), optimizer


def test_finite_steps_are_adams():
    plain = keras.optimizers.Adam(0.1, global_clipnorm=1.0)
    steady = SteadyAdam(0.1, global_clipnorm=1.0)
    expected, _ = _after([GOOD, -GOOD, GOOD], plain)
    assert np.array_equal(_after([GOOD, -GOOD, GOOD], steady)[0], expected)


def test_a_step_that_is_no_number_changes_nothing_but_the_count():
    weights, optimizer = _after([GOOD])
    after, skipping = _after([GOOD, BAD])
    assert np.array_equal(after, weights)
    for one, other in zip(optimizer.variables, skipping.variables, strict=True):
        if one.name not in ("iteration", "skipped", "in_a_row"):
            assert np.array_equal(one.numpy(), other.numpy()), one.name
    assert (int(skipping.iterations), int(skipping.skipped), int(skipping.in_a_row)) == (2, 1, 1)
    assert np.isfinite(_after([GOOD, BAD, GOOD])[0]).all()


def test_those_in_a_row_are_counted_and_three_stay():
    def row(gradients):
        return int(_after(gradients)[1].in_a_row)

    assert row([BAD, BAD, GOOD]) == 0
    assert row([BAD, BAD, BAD]) == 3
    assert row([BAD, BAD, BAD, GOOD, GOOD]) == 3


def test_a_checkpoint_of_plain_adam_is_taken(tmp_path):
    def model(optimizer):
        made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        made.compile(optimizer, "mse")
        made.optimizer.build(made.trainable_variables)
        return made

    plain, steady = model(keras.optimizers.Adam(0.1)), model(SteadyAdam(0.1))
    plain.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=3, verbose=0)
    plain.save_weights(tmp_path / "old.weights.h5")
    steady.load_weights(tmp_path / "old.weights.h5")
    assert int(steady.optimizer.iterations) == 3
    assert int(steady.optimizer.skipped) == 0
    for one, other in zip(plain.optimizer.variables, steady.optimizer.variables, strict=False):
        assert np.array_equal(one.numpy(), other.numpy())


def test_the_mean_leaves_out_what_is_no_number():
    mean = FiniteMean("loss")
    for value in (1.0, np.nan, 3.0, np.inf):
        mean.update_state(value)
    assert float(mean.result()) == 2.0

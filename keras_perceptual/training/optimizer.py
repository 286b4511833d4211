"""An optimiser and a mean that pass over gradients and values that are not finite."""

from __future__ import annotations

import keras
from keras import ops

__all__ = ["FiniteMean", "SteadyAdam"]


class SteadyAdam(keras.optimizers.Adam):
    """Adam that leaves out steps whose gradient is not finite.

    Such a step counts as a step, so that schedules and batches go on as they would, and changes
    nothing else: weights, moments and moving averages stay as they were.

    Attributes:
        skipped: number of steps that were left out.
        in_a_row: how many of them came one after the other, up to now. It stays at `LIMIT` once
            that is reached, so that it need not be looked at each step.
    """

    LIMIT = 3
    _COUNTERS = ("skipped", "in_a_row")

    def build(self, variables):
        super().build(variables)
        self.skipped, self.in_a_row = (
            self.add_variable((), "zeros", "int32", name=name) for name in self._COUNTERS
        )

    def apply(self, grads, trainable_variables=None):
        if not self.built:
            self.build(trainable_variables)
        finite = ops.all(ops.stack([ops.all(ops.isfinite(grad)) for grad in grads]))
        counted = (self.iterations, self.skipped, self.in_a_row)
        kept = [
            variable
            for variable in (*(trainable_variables or self._trainable_variables), *self.variables)
            if not any(variable is each for each in counted)
        ]
        before = [ops.copy(variable) for variable in kept]
        super().apply(grads, trainable_variables)
        for variable, value in zip(kept, before, strict=True):
            variable.assign(ops.where(finite, ops.convert_to_tensor(variable), value))
        bad = ops.cast(ops.logical_not(finite), "int32")
        self.skipped.assign(self.skipped + bad)
        row = (self.in_a_row + bad) * bad
        self.in_a_row.assign(ops.where(self.in_a_row < self.LIMIT, row, self.LIMIT))

    def load_own_variables(self, store):
        # Checkpoints of plain Adam have no counters.
        missing = range(len(store.keys()), len(self.variables))
        super().load_own_variables({**store, **{str(i): 0 for i in missing}})


class FiniteMean(keras.metrics.Mean):
    """A mean of those values that are finite."""

    def update_state(self, values, sample_weight=None):
        finite = ops.isfinite(values)
        weight = ops.cast(finite, self.dtype)
        if sample_weight is not None:
            weight = weight * sample_weight
        super().update_state(ops.where(finite, values, 0), weight)

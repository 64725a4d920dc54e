"""Keras 3 on JAX: ``fit`` with many steps in one call of its compiled function.

Of what Keras offers on a CPU this was the fastest: ``train_on_batch`` took four to eight times
as long at small batches, one step a call twice as long, and PyTorch's backend eighteen times.
"""

from __future__ import annotations

import os

from training.contestant import Contestant
from training.problem import Floats, Problem

os.environ["KERAS_BACKEND"] = "jax"  # It is read by the import.

import keras

STEPS_PER_CALL = 64


class KerasFit(Contestant):
    """A ``Sequential`` of ``Dense``; an epoch is a call of ``fit``."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        keras.backend.clear_session()
        self.inputs, self.targets, self.order = problem.data()
        features, *hidden, outputs = problem.widths
        layers = [keras.layers.Dense(width, problem.activation) for width in hidden]
        self.model = keras.Sequential(
            [keras.Input((features,)), *layers, keras.layers.Dense(outputs)]
        )
        rate = problem.learning_rate
        optimizers = {
            "adam": lambda: keras.optimizers.Adam(rate, epsilon=1e-8),
            "sgd": lambda: keras.optimizers.SGD(rate),
        }
        self.model.compile(
            optimizer=optimizers[problem.optimizer](),
            loss="mse",
            steps_per_execution=min(STEPS_PER_CALL, problem.steps),
        )
        self.model.optimizer.build(self.model.trainable_variables)
        self.first_state = [variable.numpy() for variable in self.model.optimizer.variables]

    @classmethod
    def unsupported(cls, problem: Problem) -> str | None:
        return "sets its dtype for the whole process" if problem.dtype != "float32" else None

    def reset(self) -> None:
        self.model.set_weights(self.problem.weights())
        state = zip(self.model.optimizer.variables, self.first_state, strict=True)
        for variable, value in state:
            variable.assign(value)

    def run_epoch(self) -> float:
        # It takes rows as they come, or in an order of its own.
        history = self.model.fit(
            self.inputs.take(self.order, axis=0),
            self.targets.take(self.order, axis=0),
            batch_size=self.problem.batch_size,
            epochs=1,
            shuffle=False,
            verbose=0,
        )
        return float(history.history["loss"][0])

    def weights(self) -> list[Floats]:
        return list(self.model.get_weights())

"""Small trainings, and what they are compared by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import typegrad as tg
from typegrad.engines import EagerEngine, Engine, PlannedEngine, TrainingData
from typegrad.types import Array, Vector

ENGINES = (EagerEngine, PlannedEngine)


def network_of(*layers: Any, loss: tg.Loss | None = None, **options: Any) -> tg.NeuralNetwork:
    return tg.NeuralNetwork(*layers, loss=loss or tg.MSELoss(), seed=4, **options)


def random_data(rows: int = 24, scale: float = 1.0) -> TrainingData:
    generator = np.random.default_rng(3)
    inputs = (scale * generator.standard_normal((rows, 4))).astype(np.float32)
    return TrainingData(inputs, inputs[:, :1].copy())


def train(engine: Engine, data: TrainingData, epochs: int = 2, batch_size: int = 8) -> Vector:
    steps = -(-len(data) // batch_size)
    order = np.arange(len(data))
    losses = [
        engine.run_epoch(data, order, batch_size, np.full(steps, 0.05)) for _ in range(epochs)
    ]
    joined: Vector = np.concatenate(losses)
    return joined


class Foreign(tg.ElementwiseOperation):
    def output(self, x: Array) -> Array:
        doubled: Array = np.array([[2.0 * value for value in row] for row in x.tolist()], x.dtype)
        return doubled

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return 2.0 * output_grad


class Twice(tg.Layer):
    """The same weights, used twice."""

    def __init__(self) -> None:
        self.in_features = self.out_features = 4
        self.weight = tg.Parameter((4, 4), tg.initializers.GlorotUniform())
        self.operations = tuple(tg.WeightMultiply(self.weight) for _ in range(2))


def same_on_both(run: Callable[[type[EagerEngine]], tuple[Any, ...]]) -> None:
    eager, planned = (run(kind) for kind in ENGINES)
    for left, right in zip(eager, planned, strict=True):
        assert np.asarray(left).tobytes() == np.asarray(right).tobytes()

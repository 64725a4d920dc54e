"""Every operation of the table on every engine, as a layer of a network that is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.engines import (
    CompiledEngine,
    EagerEngine,
    Engine,
    PlannedEngine,
    StepSettings,
    TrainingData,
)
from typegrad.engines.compiled import network_code
from typegrad.errors import TypegradError
from typegrad.types import AnyArray, Array, Vector

from .row import Row
from .table import ROWS

TOLERANCE = {"float32": 2e-4, "float64": 1e-11}


class Gain(tg.ParameterOperation[Array]):
    """Multiplies features by parameters, so that gradients go through what comes after."""

    def output(self, x: Array, factor: Array) -> Array:
        return x * factor

    def input_grad(self, output_grad: Array, x: Array, y: Array, factor: Array) -> Array:
        return output_grad * factor

    def parameter_grads(
        self, output_grad: Array, x: Array, y: Array, factor: Array
    ) -> tuple[Array]:
        return (np.sum(output_grad * x, axis=0),)


class Applied(tg.Layer):
    """An operation on its operands side by side; its outputs as rows."""

    def __init__(self, operation: Any, operands: int, width: int) -> None:
        self.operation = operation
        self.operands = operands
        self.width = width
        self.factor = tg.Parameter((operands * width,), tg.initializers.Constant(1.0), decay=False)
        self.gain = Gain(self.factor)

    def output_features(self, in_features: int | None) -> int | None:
        return None

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        scaled = self.gain.forward(x)
        starts = range(0, self.operands * self.width, self.width)
        y = self.operation.forward(*[scaled[:, i : i + self.width] for i in starts])
        self.shape = y.shape
        return y if y.ndim == 2 else np.reshape(y, (x.shape[0], -1))

    def backward(self, output_grad: Array) -> Array:
        if len(self.shape) != 2:
            output_grad = np.reshape(output_grad, self.shape)
        grads = self.operation.backward(output_grad)
        grads = grads if isinstance(grads, tuple) else (grads,)
        together: Array = np.concatenate(grads, axis=1) if len(grads) > 1 else grads[0]
        return self.gain.backward(together)


@dataclass
class Outcome:
    numbers: dict[str, AnyArray]
    notes: list[str]


def train(row: Row, build: Any, data: TrainingData, width: int, batch_size: int) -> Outcome:
    operands = data.inputs.shape[1] // width
    network = tg.NeuralNetwork(
        Applied(row.make(), operands, width), loss=tg.HuberLoss(), dtype=data.inputs.dtype
    )
    notes: list[str] = []
    engine: Engine = build(network, tg.SGD(), StepSettings())
    vars(engine)["_note"] = notes.append
    steps = -(-len(data) // batch_size)
    losses: Vector = engine.run_epoch(data, np.arange(len(data)), batch_size, np.full(steps, 1e-3))
    numbers = {"losses": losses, "values": network.flat.values, "grads": network.flat.grads}
    return Outcome(numbers, notes)


def data_for(row: Row, width: int, rows: int, dtype: str) -> TrainingData | None:
    """Rows of operands, with targets for what comes out; None if no rows do."""
    rng = np.random.default_rng([width, rows])
    inputs = np.concatenate([draw((rows, width), rng) for draw in row.draws], axis=1).astype(dtype)
    layer = Applied(row.make(), len(row.draws), width)
    layer.factor.bind(np.ones(inputs.shape[1], inputs.dtype), np.zeros_like(inputs[0]))
    try:
        outputs = layer.forward(inputs)
    except (TypegradError, ValueError):
        return None
    return TrainingData(inputs, np.full(outputs.shape, 0.3, dtype))

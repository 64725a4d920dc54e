"""Every operation of the table on every engine, as a layer of a network that is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
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
from typegrad.types import AnyArray, Array, Vector

from .row import Inputs, Row
from .table import ROWS

DTYPES = ("float32", "float64")

ULPS = 17.0
"""How far engines may be apart, in units in the last place of an array's largest number.

Twice the most that was found, 8.5 for losses: means over up to 100 rows, which are added up in
another order. It was 1 for parameters, and 6 for gradients.
"""

CANCELLING = {"Tanh": 1200.0, "GELU-tanh": 300.0, "SELU": 30.0, "Log10": 54.0}
"""The same for gradients that are differences of near numbers.

Where all of few inputs are large, 1 - tanh(x)^2 keeps few of tanh(x)'s digits: found were 584 and
149, and half as much in float64. So does e^x = 1 + (e^x - 1), from which SELU has its slope: 15. A
logarithm happens to be next to its target where there is one row: 27.
"""


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


def train(
    layer: Callable[[], tg.Layer], build: Any, data: TrainingData, batch_size: int
) -> Outcome:
    network = tg.NeuralNetwork(layer(), loss=tg.HuberLoss(), dtype=data.inputs.dtype)
    notes: list[str] = []
    engine: Engine = build(network, tg.SGD(), StepSettings())
    vars(engine)["_note"] = notes.append
    steps = -(-len(data) // batch_size)
    losses: Vector = engine.run_epoch(data, np.arange(len(data)), batch_size, np.full(steps, 1e-3))
    numbers = {"losses": losses, "values": network.flat.values, "grads": network.flat.grads}
    return Outcome(numbers, notes)


def data_for(row: Row, width: int, rows: int, dtype: str) -> TrainingData:
    """Rows of operands, with targets for what comes out."""
    rng = np.random.default_rng([width, rows])
    inputs = np.concatenate([draw((rows, width), rng) for draw in row.draws], axis=1).astype(dtype)
    layer = Applied(row.make(), len(row.draws), width)
    layer.factor.bind(np.ones(inputs.shape[1], inputs.dtype), np.zeros_like(inputs[0]))
    outputs = layer.forward(inputs)
    return TrainingData(inputs, np.full(outputs.shape, 0.3, dtype))


class Held(tg.Layer):
    """Adds what an operation makes of the layer's own parameters: they can have any shape."""

    def __init__(self, row: Row, inputs: Inputs) -> None:
        self.held = [
            tg.Parameter(x.shape, lambda shape, _, x=x: x, decay=False)  # type: ignore[misc]
            for x in inputs
        ]
        self.operation: Any = row.make(*self.held[1:]) if row.parameters else row.make()
        self.free = self.held[:1] if row.parameters else self.held

    def output_features(self, in_features: int | None) -> int | None:
        return in_features

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        y = self.operation.forward(*[parameter.value for parameter in self.free])
        self.factors = np.linspace(0.5, 1.0, y.size).astype(x.dtype).reshape(y.shape)
        total: Array = np.sum(y * self.factors)
        return x + total

    def backward(self, output_grad: Array) -> Array:
        grads = self.operation.backward(self.factors * np.sum(output_grad))
        grads = grads if isinstance(grads, tuple) else (grads,)
        for parameter, grad in zip(self.free, grads, strict=True):
            parameter.grad[...] += grad
        return output_grad


NOT_NATIVE = {"Power"}
"""Functions of elements that run as they are written, with a note."""

OF_ONE_DTYPE = [row for row in ROWS if row.name != "AsType"]  # networks have one dtype
ELEMENTWISE = [row for row in OF_ONE_DTYPE if row.draws]


def ulps_apart(found: AnyArray, expected: AnyArray, dtype: np.dtype[Any]) -> float:
    """Largest difference of two arrays, in units in the last place of their largest number."""
    unit = np.spacing(dtype.type(np.max(np.abs(expected), initial=0.0)))
    return float(np.max(np.abs(found - expected), initial=0.0) / unit)


def assert_equal(
    layer: Callable[[], tg.Layer], data: TrainingData, batch_size: int, gradient_ulps: float = ULPS
) -> list[str]:
    """Train on every engine; return what the compiled one noted."""
    limits = {"grads": gradient_ulps}
    eager, planned = (train(layer, kind, data, batch_size) for kind in (EagerEngine, PlannedEngine))
    one, two = (train(layer, partial(CompiledEngine, threads=n), data, batch_size) for n in (1, 2))
    for name, expected in eager.numbers.items():
        assert planned.numbers[name].tobytes() == expected.tobytes(), name
        assert two.numbers[name].tobytes() == one.numbers[name].tobytes(), name
        difference = ulps_apart(one.numbers[name], expected, data.inputs.dtype)
        assert difference <= limits.get(name, ULPS), name
    return one.notes


def check_elementwise(row: Row, width: int, batch_size: int, dtype: str) -> None:
    data = data_for(row, width, 2 * batch_size + 1, dtype)
    limit = CANCELLING.get(row.name, ULPS)
    notes = assert_equal(
        lambda: Applied(row.make(), len(row.draws), width), data, batch_size, limit
    )
    if row.name in NOT_NATIVE:
        assert notes[0].startswith(f"{row.make()} runs as it is written, between native steps: ")
    else:
        assert notes == []


@pytest.mark.usefixtures("_many_parts")
@pytest.mark.parametrize(("width", "batch_size", "dtype"), [(3, 17, "float32")])
@pytest.mark.parametrize("row", ELEMENTWISE, ids=str)
def test_elementwise(row: Row, width: int, batch_size: int, dtype: str) -> None:
    check_elementwise(row, width, batch_size, dtype)


@pytest.mark.slow
@pytest.mark.usefixtures("_many_parts")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch_size", [1, 3, 100])
@pytest.mark.parametrize("width", [1, 3, 17, 100])
@pytest.mark.parametrize("row", ELEMENTWISE, ids=str)
def test_elementwise_of_all_sizes(row: Row, width: int, batch_size: int, dtype: str) -> None:
    check_elementwise(row, width, batch_size, dtype)


def check_held(row: Row, inputs: Inputs, dtype: str) -> None:
    data = TrainingData(np.ones((3, 2), dtype), np.full((3, 2), 0.3, dtype))
    assert_equal(lambda: Held(row, inputs), data, batch_size=3)


@pytest.mark.parametrize("row", OF_ONE_DTYPE, ids=str)
def test_of_any_shape(row: Row) -> None:
    check_held(row, row.samples[0], "float32")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", OF_ONE_DTYPE, ids=str)
def test_of_all_shapes(row: Row, dtype: str) -> None:
    for inputs in row.samples:
        check_held(row, inputs, dtype)

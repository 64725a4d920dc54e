"""Operations and layers that run as they are written, between planned steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.engines import EagerEngine, PlannedEngine, StepSettings
from typegrad.types import Array

from .training import Foreign, Twice, network_of, random_data, same_on_both, train


class ForeignLayer(tg.Layer):
    """A layer that cannot be traced, outside of its operations."""

    in_features = out_features = 4

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        return np.array(x.tolist(), x.dtype)

    def backward(self, output_grad: Array) -> Array:
        return output_grad


@pytest.mark.parametrize("is_layer", [False, True])
def test_shared_parameters_beside_an_opaque_step(is_layer: bool) -> None:
    def run(kind: type[EagerEngine]) -> tuple[Any, ...]:
        opaque = ForeignLayer() if is_layer else tg.Activation(Foreign())
        network = network_of(Twice(), opaque, tg.Dense(4, 1))
        engine = kind(network, tg.SGD(), StepSettings())
        losses = train(engine, random_data())
        if isinstance(engine, PlannedEngine):
            (note,) = engine.notes
            assert "as it is written, not planned" in note
        return losses, network.flat.values

    same_on_both(run)


class ForeignDense(tg.Layer):
    """A layer with a parameter that cannot be traced; it uses it twice."""

    def __init__(self) -> None:
        self.in_features = self.out_features = 4
        self.weight = tg.Parameter((4, 4), tg.initializers.GlorotUniform())

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        self.x = np.array(x.tolist(), x.dtype)
        return self.x @ self.weight.value + self.x @ self.weight.value.T

    def backward(self, output_grad: Array) -> Array:
        self.weight.grad[...] += self.x.T @ output_grad
        self.weight.grad[...] += output_grad.T @ self.x
        return output_grad @ self.weight.value.T + output_grad @ self.weight.value


def test_gradients_that_an_operation_adds_to_by_itself() -> None:
    """The layer around it runs as it is written, and then has them."""

    class Adding(Foreign):
        def __init__(self, gain: tg.Parameter) -> None:
            self.gain = gain

        def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
            self.gain.grad[...] += np.sum(output_grad)
            return super().input_grad(output_grad, x, y)

    class Around(tg.Layer):
        def __init__(self) -> None:
            self.in_features = self.out_features = 4
            self.gain = tg.Parameter((3,), tg.initializers.Constant(0.5))
            self.operations = (Adding(self.gain),)

    def run(kind: type[EagerEngine]) -> tuple[Any, ...]:
        network = network_of(tg.Dense(4, 4), Around(), tg.Dense(4, 1))
        losses = train(kind(network, tg.SGD(), StepSettings()), random_data())
        return losses, network.flat.values, network.flat.grads

    same_on_both(run)


def test_lists_that_an_operation_appends_to_are_no_options() -> None:
    class Listing(Foreign):
        def __init__(self) -> None:
            self.seen: list[int] = []
            self.by_rows: dict[int, int] = {}

        def output(self, x: Array) -> Array:
            self.seen.append(len(x))
            self.by_rows[len(self.seen)] = len(x)
            return super().output(x)

    operation = Listing()
    network = network_of(tg.Dense(4, 4, operation), tg.Dense(4, 1))
    engine = PlannedEngine(network, tg.SGD(), StepSettings())
    train(engine, random_data(), epochs=1)
    assert operation.seen == [8, 8, 8]  # Tracing leaves no traces in it.
    assert operation.by_rows == {1: 8, 2: 8, 3: 8}
    tracer = vars(engine)["_tracer"]
    train(engine, random_data(), epochs=2)
    assert vars(engine)["_tracer"] is tracer


@pytest.mark.parametrize("steps", [1, 3])
def test_gradients_that_an_opaque_layer_adds_to(steps: int) -> None:
    """Also where the same parameter is used by what is planned."""

    def run(kind: type[EagerEngine]) -> tuple[Any, ...]:
        inner, outer = ForeignDense(), tg.Dense(4, 4, bias=False)
        outer.weight = inner.weight
        outer.operations = (tg.WeightMultiply(inner.weight),)
        network = network_of(outer, inner, tg.Dense(4, 1))
        engine = kind(network, tg.SGD(), StepSettings(accumulation_steps=steps))
        losses = engine.run_epoch(random_data(), np.arange(24), 24 // steps, np.full(1, 0.01))
        if isinstance(engine, PlannedEngine):
            (note,) = engine.notes
            assert note.startswith("ForeignDense() runs as it is written, not planned: ")
        return losses, network.flat.values, network.flat.grads

    same_on_both(run)


def test_parameters_of_an_opaque_step() -> None:
    class ForeignGain(tg.ParameterOperation[Array]):
        def output(self, x: Array, gain: Array) -> Array:
            return np.array((x * gain).tolist(), x.dtype)

        def input_grad(self, output_grad: Array, x: Array, y: Array, gain: Array) -> Array:
            return output_grad * gain

        def parameter_grads(
            self, output_grad: Array, x: Array, y: Array, gain: Array
        ) -> tuple[Array]:
            return (np.array(np.sum(output_grad * x, axis=0).tolist(), x.dtype),)

    class Gain(tg.Layer):
        def __init__(self) -> None:
            self.in_features = self.out_features = 4
            self.gain = tg.Parameter((4,), tg.initializers.Constant(0.5))
            self.operations = tuple(ForeignGain(self.gain) for _ in range(2))

    def run(kind: type[EagerEngine]) -> tuple[Any, ...]:
        network = network_of(Gain(), tg.Dense(4, 1))
        engine = kind(network, tg.SGD(), StepSettings(accumulation_steps=2))
        losses = engine.run_epoch(random_data(), np.arange(24), 6, np.full(2, 0.01))
        if isinstance(engine, PlannedEngine):
            (note,) = engine.notes
            assert note.startswith("ForeignGain() runs as it is written, not planned: ")
        return losses, network.flat.values, network.flat.grads

    same_on_both(run)

"""One output, a row at a time: where the loss and the gradient are put together in short cuts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.engines import CompiledEngine, EagerEngine, StepSettings, TrainingData
from typegrad.engines.compiled import network_code
from typegrad.operations import ParameterOperation
from typegrad.types import Array, Vector

pytestmark = pytest.mark.usefixtures("every_target")


class OneOperation(tg.Layer):
    """A layer of one operation, with parameters of these shapes."""

    def __init__(self, features: int, operation: Callable[..., Any], *shapes: Any) -> None:
        self.in_features, self.out_features = features, 1
        values = tg.initializers.Constant(0.1)
        self.parameters = [tg.Parameter(shape, values) for shape in shapes]
        self.operations = (operation(*self.parameters),)


class Shift(ParameterOperation[Array]):
    """The features' sum, and a bias of shape (): its gradient is the loss's derivative."""

    def output(self, x: Array, b: Array) -> Array:
        shifted: Array = np.sum(x, axis=1) + b
        return shifted

    def input_grad(self, grad: Array, x: Array, y: Array, b: Array) -> Array:
        return grad.reshape(-1, 1) + np.zeros_like(x)

    def parameter_grads(self, grad: Array, x: Array, y: Array, b: Array) -> tuple[Array]:
        return (np.sum(grad, axis=0),)


class ReadTwice(ParameterOperation[Array, Array]):
    """A product that is read without the bias too, which its sums must not begin with then."""

    def output(self, x: Array, w: Array, b: Array) -> Array:
        product = x @ w
        both: Array = (np.sum(product, axis=1) + b) * np.tanh(product)[:, 0]
        return both

    def input_grad(self, grad: Array, x: Array, y: Array, w: Array, b: Array) -> Array:
        return np.zeros_like(x)

    def parameter_grads(
        self, grad: Array, x: Array, y: Array, w: Array, b: Array
    ) -> tuple[Array, Array]:
        product = x @ w
        tanh = np.tanh(product)[:, 0]
        inner = grad * (tanh + (np.sum(product, axis=1) + b) * (1.0 - tanh * tanh))
        return x.T @ inner.reshape(-1, 1), np.sum(grad * tanh, axis=0, keepdims=True)


class OfSquares(ParameterOperation[Array, Array]):
    """Weights of the features' squares: what stands behind those is not known to be a 1."""

    def output(self, x: Array, w: Array, b: Array) -> Array:
        return (x * x) @ w + b

    def input_grad(self, grad: Array, x: Array, y: Array, w: Array, b: Array) -> Array:
        return np.zeros_like(x)

    def parameter_grads(
        self, grad: Array, x: Array, y: Array, w: Array, b: Array
    ) -> tuple[Array, Array]:
        return (x * x).T @ grad, np.sum(grad, axis=0)


class TwiceTheBias(ParameterOperation[Array, Array]):
    """A bias whose gradient is not that by which the weights' is made."""

    def output(self, x: Array, w: Array, b: Array) -> Array:
        return x @ w + b * 2.0

    def input_grad(self, grad: Array, x: Array, y: Array, w: Array, b: Array) -> Array:
        return np.zeros_like(x)

    def parameter_grads(
        self, grad: Array, x: Array, y: Array, w: Array, b: Array
    ) -> tuple[Array, Array]:
        return x.T @ grad, np.sum(grad * 2.0, axis=0)


class OfSlice(TwiceTheBias):
    """Weights of some features: behind those are the others."""

    def output(self, x: Array, w: Array, b: Array) -> Array:
        return x[:, 1:3] @ w + b

    def parameter_grads(
        self, grad: Array, x: Array, y: Array, w: Array, b: Array
    ) -> tuple[Array, Array]:
        return x[:, 1:3].T @ grad, np.sum(grad, axis=0)


class ExponentialLoss(tg.Loss):
    """Its own derivative, so that both may be one sum."""

    def check_shapes(self, prediction: Any, target: Any) -> None:
        pass

    def example_losses(self, prediction: Array, target: Array) -> Array:
        losses: Array = np.exp(prediction.reshape(len(prediction)))
        return losses

    def prediction_grad(self, prediction: Array, target: Array) -> Array:
        grad: Array = np.exp(prediction)
        return grad


LAYERS: dict[str, Callable[[int], tg.Layer]] = {
    "shift": lambda n: OneOperation(n, Shift, ()),
    "read twice": lambda n: OneOperation(n, ReadTwice, (n, 1), (1,)),
    "squares": lambda n: OneOperation(n, OfSquares, (n, 1), (1,)),
    "twice the bias": lambda n: OneOperation(n, TwiceTheBias, (n, 1), (1,)),
    "slice": lambda n: OneOperation(n, OfSlice, (2, 1), (1,)),
    "bias first": lambda n: OneOperation(n, lambda b, w: TwiceTheBias(w, b), (1,), (n, 1)),
    "no bias": lambda n: tg.Dense(n, 1, bias=False),
    "plain": lambda n: tg.Dense(n, 1),
}


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("features", [1, 4, 17])
@pytest.mark.parametrize("loss", [tg.MSELoss, ExponentialLoss])
@pytest.mark.parametrize("name", LAYERS)
def test_what_is_taken_together(
    name: str,
    loss: Callable[[], tg.Loss],
    features: int,
    rows: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or not, where the layer or the loss is another: as eager, whatever the threads."""
    if name == "slice" and features == 1:
        return
    monkeypatch.setattr(network_code, "WORK_PER_THREAD", 1)
    has_column = name not in ("shift", "read twice")
    random = np.random.default_rng(1)
    targets = random.standard_normal((31, 1) if has_column else 31)
    data = TrainingData(random.standard_normal((31, features)), targets)

    def train(kind: type[EagerEngine], **options: Any) -> Vector:
        network = tg.NeuralNetwork(LAYERS[name](features), loss=loss(), seed=2, dtype="float64")
        optimizer = tg.SGD(momentum=0.5)
        engine = kind(network, optimizer, StepSettings(), **options)
        steps = -(-31 // rows)
        losses = engine.run_epoch(data, np.arange(31), rows, np.full(steps, 0.01))
        flat, state = network.flat, optimizer.state_arrays.values()
        assert not getattr(engine, "notes", [])
        joined: Vector = np.concatenate([losses, flat.values, flat.grads, *state])
        return joined

    found = train(CompiledEngine, threads=1)
    np.testing.assert_allclose(found, train(EagerEngine), rtol=1e-11, atol=1e-13)
    assert train(CompiledEngine, threads=2).tobytes() == found.tobytes()

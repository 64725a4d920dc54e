"""Operations, losses and networks called with tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.autodiff import check_gradients, grad, hessian
from typegrad.errors import DTypeError, ShapeError
from typegrad.operations import (
    ELU,
    GELU,
    SELU,
    BinaryOperation,
    LeakyReLU,
    MatMul,
    NormalizeWith,
    Operation,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
    UnaryOperation,
)
from typegrad.operations.observing import observe_operations
from typegrad.operations.parameter import Parameter
from typegrad.tensor import Tensor
from typegrad.types import Array, Shape


@dataclass(frozen=True)
class Cube(UnaryOperation):
    """As a user writes one."""

    def output(self, x: Array) -> Array:
        return x * x * x

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad * 3.0 * x * x


class Scale(UnaryOperation):
    """With state of its own."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def output(self, x: Array) -> Array:
        return self.factor * x

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return self.factor * output_grad


class WrongShape(BinaryOperation):
    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        return (7,)

    def output(self, left: Array, right: Array) -> Array:
        return left + right

    def left_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return output_grad

    def right_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return output_grad


def apply(operation: Operation, *inputs: Any) -> Any:
    anything: Any = operation
    return anything.forward(*inputs)


def test_a_users_operation_has_derivatives_of_any_order() -> None:
    third = grad(grad(grad(lambda x: apply(Cube(), x))))
    assert float(third(0.7)) == pytest.approx(6.0, rel=1e-12)


@pytest.mark.parametrize(
    "operation",
    [
        Sigmoid(), Tanh(), ReLU(), LeakyReLU(0.2), ELU(0.7), SELU(), GELU(), GELU("tanh"), SiLU(),
        Softplus(), Softmax(), Softmax(axis=0),
    ],
    ids=str,
)  # fmt: skip
def test_activations(operation: Operation) -> None:
    x = np.random.default_rng(0).normal(size=(3, 4))
    check_gradients(lambda x: apply(operation, x), x, order=3)


def test_what_forward_checks_is_checked() -> None:
    t = Tensor(np.ones((2, 3)), requires_grad=True)
    with pytest.raises(DTypeError, match="left is float64 but right is float32"):
        apply(MatMul(), t, np.ones((3, 2), np.float32))
    with pytest.raises(ShapeError, match=r"WrongShape\(\).output returned shape \(2, 3\)"):
        apply(WrongShape(), t, np.ones((2, 3)))


def test_a_tensor_leaves_the_operation_as_it_was() -> None:
    operation = Scale(2.0)
    array = operation.forward(np.array([1.0]))
    apply(operation, Tensor([5.0, 6.0], requires_grad=True))
    np.testing.assert_array_equal(operation.backward(array), [4.0])


def test_an_operation_may_change_after_it_was_recorded() -> None:
    operation = Scale(2.0)
    t = Tensor([1.0], requires_grad=True)
    result = apply(operation, t)
    operation.factor = 100.0
    result.backward()
    assert t.grad is not None
    assert t.grad.tolist() == [2.0]


def test_parameters_may_change_after_they_were_recorded() -> None:
    gain, shift = (Parameter((2,), lambda shape, _: np.zeros(shape)) for _ in range(2))
    for parameter, value in ((gain, 2.0), (shift, 0.0)):
        parameter.bind(np.full(2, value), np.zeros(2))
    operation = NormalizeWith(gain, shift, epsilon=0.0)
    operation.mean, operation.variance = np.zeros(2), np.ones(2)
    t = Tensor(np.ones((3, 2)), requires_grad=True)
    total = apply(operation, t).sum()
    gain.value[...] = 50.0
    operation.variance = np.full(2, 9.0)
    total.backward()
    assert t.grad is not None
    assert t.grad.tolist() == [[2.0, 2.0]] * 3


def test_an_observer_sees_what_tensors_compute() -> None:
    seen: list[str] = []
    with observe_operations(lambda operation, direction, inputs, result: seen.append(direction)):
        apply(Cube(), Tensor([1.0], requires_grad=True))
    assert seen == ["forward"]


def small_network() -> tg.NeuralNetwork:
    return tg.NeuralNetwork(
        tg.Dense(3, 4, "tanh"), tg.Dense(4, 1), loss=tg.MSELoss(), seed=0, dtype=np.float64
    )


def test_a_network_is_differentiated_with_respect_to_its_input() -> None:
    network = small_network()
    x = np.random.default_rng(0).normal(size=(5, 3))
    ours = grad(lambda x: np.sum(network.forward(x)))(x)
    network.forward(x)
    np.testing.assert_allclose(ours, network.backward(np.ones((5, 1))), rtol=1e-12)
    check_gradients(network.forward, x)


@pytest.mark.parametrize("loss", [tg.MSELoss(), tg.MAELoss(), tg.HuberLoss()], ids=str)
def test_a_loss_is_differentiated(loss: Any) -> None:
    rng = np.random.default_rng(0)
    prediction, target = rng.normal(size=(4, 2)), rng.normal(size=(4, 2))
    ours = grad(lambda prediction: loss.forward(prediction, target))(prediction)
    loss.forward(prediction, target)
    np.testing.assert_allclose(ours, loss.backward(), rtol=1e-12)


def test_the_hessian_of_mean_squared_error() -> None:
    target = np.zeros((2, 1))
    second = hessian(lambda p: tg.MSELoss().forward(p, target))(np.ones((2, 1)))
    np.testing.assert_allclose(second.reshape(2, 2), np.eye(2))

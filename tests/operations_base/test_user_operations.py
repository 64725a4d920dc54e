"""An operation of each arity, written as a user would; gradients against central differences."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import pytest

import typegrad as tg
from typegrad.errors import DTypeError, ShapeError
from typegrad.numerical import numerical_gradient
from typegrad.types import Array


class Cube(tg.UnaryOperation):
    def output(self, x: Array) -> Array:
        return x**3

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad * 3.0 * x**2


@dataclass(frozen=True)
class Power(tg.ElementwiseOperation):
    exponent: float

    def output(self, x: Array) -> Array:
        return x**self.exponent

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad * self.exponent * x ** (self.exponent - 1.0)


class Hypotenuse(tg.BinaryOperation):
    broadcasts: ClassVar[bool] = True

    def output(self, left: Array, right: Array) -> Array:
        return np.sqrt(left**2 + right**2)

    def left_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return output_grad * left / y

    def right_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return output_grad * right / y


class ProductOfAll(tg.NaryOperation):
    def output(self, *inputs: Array) -> Array:
        product: Array = np.prod(np.stack(inputs), axis=0)
        return product

    def input_grad(
        self, index: int, output_grad: Array, inputs: tuple[Array, ...], y: Array
    ) -> Array:
        return output_grad * y / inputs[index]


class ScaleAndShift(tg.ParameterOperation[Array, Array]):
    def output(self, x: Array, scale: Array, shift: Array) -> Array:
        return x * scale + shift

    def input_grad(
        self, output_grad: Array, x: Array, y: Array, scale: Array, shift: Array
    ) -> Array:
        return output_grad * scale

    def parameter_grads(
        self, output_grad: Array, x: Array, y: Array, scale: Array, shift: Array
    ) -> tuple[Array, Array]:
        return np.sum(output_grad * x, axis=0), np.sum(output_grad, axis=0)


RNG = np.random.default_rng(7)
X = RNG.uniform(0.5, 2.0, (4, 3))
COTANGENT = RNG.standard_normal((4, 3))


@pytest.mark.parametrize("operation", [Cube(), Power(2.5)])
def test_unary(operation: tg.UnaryOperation) -> None:
    operation.forward(X)
    grad = operation.backward(COTANGENT)
    expected = numerical_gradient(lambda x: float(np.sum(operation.output(x) * COTANGENT)), X)
    np.testing.assert_allclose(grad, expected, rtol=1e-7)


def test_options_are_frozen_fields() -> None:
    assert str(Power(2.5)) == "Power(exponent=2.5)"
    assert Power(2.5) == Power(2.5)
    power: Any = Power(2.5)
    with pytest.raises(AttributeError):
        power.exponent = 3.0


def test_binary() -> None:
    row = RNG.uniform(0.5, 2.0, 3)
    operation = Hypotenuse()
    operation.forward(X, row)
    left, right = operation.backward(COTANGENT)
    np.testing.assert_allclose(
        left,
        numerical_gradient(lambda x: float(np.sum(np.hypot(x, row) * COTANGENT)), X),
        rtol=1e-7,
    )
    np.testing.assert_allclose(
        right,
        numerical_gradient(lambda r: float(np.sum(np.hypot(X, r) * COTANGENT)), row),
        rtol=1e-7,
    )


@pytest.mark.parametrize("count", [1, 2, 4])
def test_nary(count: int) -> None:
    inputs = [RNG.uniform(0.5, 2.0, (4, 3)) for _ in range(count)]
    operation = ProductOfAll()
    np.testing.assert_allclose(operation.forward(*inputs), np.prod(inputs, axis=0), rtol=1e-14)
    grads = operation.backward(COTANGENT)
    assert len(grads) == count
    for index, grad in enumerate(grads):

        def product(x: Array, index: int = index) -> float:
            changed = [*inputs[:index], x, *inputs[index + 1 :]]
            return float(np.sum(np.prod(changed, axis=0) * COTANGENT))

        np.testing.assert_allclose(grad, numerical_gradient(product, inputs[index]), rtol=1e-7)


def test_nary_names_the_input_that_does_not_fit() -> None:
    message = (
        "ProductOfAll(): input 0 is float64 but input 2 is float32; convert one with .astype()"
    )
    with pytest.raises(DTypeError, match=re.escape(message)):
        ProductOfAll().forward(X, X, X.astype(np.float32))


def bound(dtype: type = np.float64) -> tuple[ScaleAndShift, tg.Parameter, tg.Parameter]:
    scale = tg.Parameter((3,), tg.initializers.Zeros())
    shift = tg.Parameter((3,), tg.initializers.Zeros())
    tg.FlatParameters([scale, shift], np.dtype(dtype))
    scale.value[...] = [2.0, -1.0, 0.5]
    shift.value[...] = [0.1, 0.2, 0.3]
    return ScaleAndShift(scale, shift), scale, shift


def test_with_parameters() -> None:
    operation, scale, shift = bound()
    np.testing.assert_array_equal(operation.forward(X), X * scale.value + shift.value)
    grad = operation.backward(COTANGENT)
    np.testing.assert_allclose(
        grad,
        numerical_gradient(lambda x: float(np.sum(x * scale.value * COTANGENT)), X),
        rtol=1e-7,
    )
    np.testing.assert_allclose(
        scale.grad,
        numerical_gradient(lambda s: float(np.sum(X * s * COTANGENT)), scale.value),
        rtol=1e-7,
    )
    np.testing.assert_allclose(shift.grad, COTANGENT.sum(axis=0), rtol=1e-13)


def test_backward_adds_to_the_parameters_gradients() -> None:
    operation, scale, shift = bound()
    operation.forward(X)
    operation.backward(COTANGENT)
    once = scale.grad.copy(), shift.grad.copy()
    operation.backward(COTANGENT)
    np.testing.assert_array_equal(scale.grad, 2 * once[0])
    np.testing.assert_array_equal(shift.grad, 2 * once[1])


def test_gradient_of_one_input_keeps_no_state() -> None:
    operation, scale, _ = bound()
    y = operation.forward(X)
    inputs = (X, scale.value, operation.parameters[1].value)
    grad = operation.gradient(1, COTANGENT, inputs, y)
    np.testing.assert_array_equal(grad, np.sum(COTANGENT * X, axis=0))
    assert not scale.grad.any()


def test_float32_parameters_want_float32_inputs() -> None:
    operation, *_ = bound(np.float32)
    message = (
        "ScaleAndShift(): the input is float64 but parameter 0 is float32; "
        "convert one with .astype()"
    )
    with pytest.raises(DTypeError, match=re.escape(message)):
        operation.forward(X)


class Faulty(ScaleAndShift):
    """The second gradient, or the number of gradients, is wrong."""

    fault = "shape"

    def parameter_grads(
        self, output_grad: Array, x: Array, y: Array, scale: Array, shift: Array
    ) -> tuple[Array, Array]:
        right, other = super().parameter_grads(output_grad, x, y, scale, shift)
        if self.fault == "shape":
            return right, output_grad
        if self.fault == "dtype":
            return right, other * np.float64(1.0)
        too_few: tuple[Any, Any] = cast("Any", (right,))
        return too_few


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (
            "shape",
            ShapeError,
            "Faulty(): the gradient with respect to parameter 1 has shape (4, 3); "
            "expected the shape of that input, (3,)",
        ),
        (
            "dtype",
            DTypeError,
            "Faulty(): the gradient with respect to parameter 1 is float64 but the inputs are "
            "float32; write constants as Python floats, since NumPy float64 scalars turn float32 "
            "arrays into float64",
        ),
        (
            "number",
            ShapeError,
            "Faulty().parameter_grads returned 1 gradients for 2 parameters",
        ),
    ],
)
def test_wrong_parameter_gradients_are_reported_and_none_is_added(
    fault: str, error: type[Exception], message: str
) -> None:
    _, scale, shift = bound(np.float32)
    operation = Faulty(scale, shift)
    operation.fault = fault
    operation.forward(X.astype(np.float32))
    with pytest.raises(error, match=re.escape(message) + "$"):
        operation.backward(COTANGENT.astype(np.float32))
    assert not scale.grad.any()
    assert not shift.grad.any()

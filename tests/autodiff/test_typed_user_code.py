"""Code as users write it: it runs, and mypy --strict and pyright know its types without casts."""

from __future__ import annotations

from typing import Any, TypedDict, assert_type

import numpy as np

from typegrad.autodiff import (
    check_gradients,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    value_and_grad,
    vjp,
)
from typegrad.tensor import Tensor, no_grad
from typegrad.types import Array, Vector


class Weights(TypedDict):
    slope: Array
    bias: float


def loss(weights: Weights, x: Array, y: Array, *, scale: float = 1.0) -> Any:
    residual = x @ weights["slope"] + weights["bias"] - y
    return scale * np.mean(residual**2)


def energy(position: Vector, stiffness: float) -> float:
    return stiffness * float_of(np.sum(position**2))


def float_of(value: Any) -> float:
    """What NumPy calls one of its own scalars, called a number."""
    number: float = value
    return number


def polynomials(v: Array) -> Array:
    return np.stack([v[0] ** 2, v[0] * v[1]])


def test_gradients() -> None:
    weights: Weights = {"slope": np.ones(3), "bias": 0.5}
    x, y = np.ones((4, 3)), np.zeros(4)
    gradient = grad(loss)(weights, x, y, scale=2.0)
    assert_type(gradient, Weights)
    assert gradient["bias"] == 14.0
    value, again = value_and_grad(loss)(weights, x, y)
    assert_type(again, Weights)
    assert value == 12.25

    position: Vector = np.ones(2)
    assert_type(grad(energy)(position, 3.0), Vector)
    assert_type(grad(energy, 1)(position, 3.0), float)
    assert_type(grad(energy, argnums=(0, 1))(position, 3.0), tuple[Vector, float])
    assert grad(energy, 1)(position, 3.0) == 2.0

    def with_extra(x: Array) -> tuple[Any, str]:
        return np.sum(x), "extra"

    assert_type(grad(with_extra, has_aux=True)(x), tuple[Array, str])
    assert grad(with_extra, has_aux=True)(x)[1] == "extra"


def test_nested() -> None:
    def cube(x: float) -> float:
        return x**3

    first = grad(cube)
    second = grad(first)
    assert_type(second(2.0), float)
    assert second(2.0) == 12.0
    assert grad(grad(cube))(2.0) == 12.0
    assert float(grad(grad(np.sin))(0.0)) == 0.0
    assert float(grad(lambda x: x * x)(3.0)) == 6.0


def test_products() -> None:
    x = np.array([1.0, 2.0])
    output, pull_back = vjp(polynomials, x)
    assert_type(output, Array)
    (product,) = pull_back(np.ones(2))
    assert product.tolist() == [4.0, 1.0]
    output, tangent = jvp(polynomials, (x,), (np.ones(2),))
    assert_type(tangent, Array)
    assert tangent.tolist() == [2.0, 3.0]
    assert hvp(lambda v: np.sum(v**3), (x,), (np.ones(2),)).tolist() == [6.0, 12.0]


def test_matrices() -> None:
    x = np.array([1.0, 2.0])
    assert_type(jacobian(polynomials)(x), Array)
    assert jacobian(polynomials, layout="denominator")(x).tolist() == [[2.0, 2.0], [0.0, 1.0]]
    assert_type(hessian(energy)(x, 3.0), Array)
    assert hessian(energy)(x, 3.0).tolist() == [[6.0, 0.0], [0.0, 6.0]]
    check_gradients(polynomials, x, order=2)


def test_tensors() -> None:
    weight = Tensor(np.ones((3, 1)), requires_grad=True)
    x = np.ones((4, 3))
    residual = Tensor(x) @ weight - 1.0
    assert_type(residual, Tensor)
    mean = (residual**2).mean()
    assert_type(mean, Tensor)
    mean.backward()
    assert weight.grad is not None
    assert_type(weight.grad, Tensor)
    with no_grad():
        weight = Tensor(weight.numpy() - 0.1 * weight.grad.numpy(), requires_grad=True)
    total = np.sum(np.exp(weight))
    total.backward()
    assert weight.grad is not None
    assert weight.grad.shape == (3, 1)
    assert [float(row.item()) for row in weight.T[0]] == weight.numpy().ravel().tolist()

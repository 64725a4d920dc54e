"""jacobian and hessian."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from typegrad.autodiff import grad, hessian, jacobian
from typegrad.tensor import Tensor
from typegrad.types import Array

library: Any = jax  # not all of it has type hints
library.config.update("jax_enable_x64", True)

W, X = np.array([2.0, 3.0, 4.0]), np.array([0.5, 0.25, 2.0])


def polynomials(v: Array) -> Array:
    x, y = v
    return np.stack([3.0 * x**2 * y, 2.0 * x + y**8])


def test_numerator_and_denominator_layout() -> None:
    x, y = point = np.array([1.5, 0.5])
    expected = [[6.0 * y * x, 3.0 * x**2], [2.0, 8.0 * y**7]]
    np.testing.assert_allclose(jacobian(polynomials)(point), expected)
    np.testing.assert_allclose(
        jacobian(polynomials, layout="denominator")(point), np.transpose(expected)
    )


def test_an_unknown_layout() -> None:
    wrong: Any = "columns"
    with pytest.raises(ValueError, match="layout is 'columns'") as error:
        jacobian(polynomials, layout=wrong)
    assert str(error.value) == (
        "jacobian: layout is 'columns'; expected 'numerator' or 'denominator'"
    )


def test_the_identity() -> None:
    np.testing.assert_array_equal(jacobian(lambda x: x)(X), np.eye(3))


@pytest.mark.parametrize(
    ("f", "of_w", "of_x"),
    [
        (np.add, np.ones(3), np.ones(3)),
        (np.subtract, np.ones(3), -np.ones(3)),
        (np.multiply, X, W),
        (np.divide, 1 / X, -W / X**2),
    ],
)
def test_elementwise_jacobians_are_diagonal(f: Any, of_w: Array, of_x: Array) -> None:
    first, second = jacobian(f, (0, 1))(W, X)
    np.testing.assert_allclose(first, np.diag(of_w))
    np.testing.assert_allclose(second, np.diag(of_x))


def test_a_sum_has_a_row_of_ones() -> None:
    np.testing.assert_array_equal(jacobian(lambda x: np.sum(x, keepdims=True))(X), [[1.0] * 3])


def test_the_vector_chain_rule() -> None:
    def inner(x: Array) -> Array:
        return np.stack([x**2, 3.0 * x])

    def outer(g: Array) -> Array:
        return np.stack([np.log(g[0]), np.sin(g[1])])

    x = np.array(0.7)
    product = jacobian(outer)(inner(x)) @ jacobian(inner)(x)
    np.testing.assert_allclose(product, [2 / 0.7, 3 * np.cos(2.1)])
    np.testing.assert_allclose(jacobian(lambda x: outer(inner(x)))(x), product)


SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((2, 3), (4,)),
    ((2,), (3, 3)),
    ((), (5,)),
    ((5,), ()),
    ((), ()),
    ((2, 2), (2, 2)),
]


@pytest.mark.parametrize(("in_shape", "out_shape"), SHAPES)
def test_against_jax_for_all_shapes(in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(int(np.prod(in_shape)), int(np.prod(out_shape))))

    def f(np: Any, x: Any) -> Any:
        return np.reshape(np.tanh(np.reshape(x, (-1,)) @ matrix) ** 2, out_shape)

    x = rng.normal(size=in_shape)
    ours = jacobian(lambda x: f(np, x))(np.asarray(x))
    theirs = jax.jit(jax.jacobian(lambda x: f(jnp, x)))(np.asarray(x))
    assert ours.shape == (*out_shape, *in_shape)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10)
    other = jacobian(lambda x: f(np, x), layout="denominator")(np.asarray(x))
    assert other.shape == (*in_shape, *out_shape)


@pytest.mark.parametrize("size", [0, 1])
def test_zero_size(size: int) -> None:
    assert jacobian(lambda x: x[:0])(np.ones(size)).shape == (0, size)
    assert jacobian(lambda x: np.concatenate([x, np.ones(2)]))(np.ones(0)).shape == (2, 0)


def test_a_constant_output() -> None:
    assert jacobian(lambda x: np.ones(2))(X).tolist() == [[0.0] * 3] * 2
    assert jacobian(lambda x: np.ones(5))(X).shape == (5, 3)


def test_floats() -> None:
    found = jacobian(lambda x: np.stack([x, x**2, x**3]))(2.0)
    assert found.tolist() == [1.0, 4.0, 12.0]
    assert float(jacobian(np.sin)(0.0)) == 1.0


def test_trees() -> None:
    def f(np: Any, tree: Any, y: Any) -> Any:
        return {"u": tree["a"] * y[0], "v": (np.sum(tree["a"]) * tree["b"] * y,)}

    tree, y = {"a": X, "b": 2.0}, np.array([1.5, 2.5])
    ours: Any = jacobian(lambda t, y: f(np, t, y), (0, 1))(tree, y)
    theirs: Any = jax.jit(jax.jacobian(lambda t, y: f(jnp, t, y), (0, 1)))(tree, y)
    for one, other in ((ours["u"], theirs["u"]), (ours["v"][0], theirs["v"][0])):
        np.testing.assert_allclose(one[0]["a"], other[0]["a"], rtol=1e-12)
        np.testing.assert_allclose(one[0]["b"], other[0]["b"], rtol=1e-12)
        np.testing.assert_allclose(one[1], other[1], rtol=1e-12)
    only: Any = jacobian(lambda t, y: f(np, t, y), 1)(tree, y)
    np.testing.assert_allclose(only["u"], theirs["u"][1], rtol=1e-12)


def test_the_hessian_of_a_function_of_matrices() -> None:
    def f(np: Any, x: Any) -> Any:
        return np.sum(np.tanh(x @ x.T) ** 2)

    x = np.random.default_rng(0).normal(size=(2, 3))
    ours = hessian(lambda x: f(np, x))(x)
    assert ours.shape == (2, 3, 2, 3)
    np.testing.assert_allclose(
        ours, jax.jit(jax.hessian(lambda x: f(jnp, x)))(x), rtol=1e-9, atol=1e-12
    )


def test_the_hessian_of_several_arguments() -> None:
    def f(np: Any, x: Any, y: Any) -> Any:
        return np.sum(x**2) * np.sum(np.sin(y))

    ours: Any = hessian(lambda x, y: f(np, x, y), (0, 1))(X, W)
    theirs: Any = jax.jit(jax.hessian(lambda x, y: f(jnp, x, y), (0, 1)))(X, W)
    for i in range(2):
        for j in range(2):
            np.testing.assert_allclose(ours[i][j], theirs[i][j], rtol=1e-10)


def test_third_derivatives() -> None:
    ours = jacobian(hessian(lambda x: np.sum(x**4)))(X)
    expected = np.zeros((3, 3, 3))
    expected[range(3), range(3), range(3)] = 24.0 * X
    np.testing.assert_allclose(ours, expected)


def test_a_jacobian_in_an_outer_derivative() -> None:
    def squares(f: Any, scale: Any) -> Any:
        return np.sum(jacobian(f)(scale * X) ** 2)

    for f, power in ((lambda x: x**2, 2.0), (lambda x: np.concatenate([x**2, x**2]), 4.0)):
        # jacobian diag(2 s x): the sum of squares is 4 s^2 |x|^2 for each block.
        found = grad(lambda scale, f=f: squares(f, scale))(3.0)
        assert float(found) == pytest.approx(2.0 * power * 2.0 * 3.0 * float(np.sum(X**2)))


def test_a_tensor_outside_stays_one() -> None:
    t = Tensor(2.0, requires_grad=True)
    for f in (lambda x: t * x, lambda x: t * np.concatenate([x, x])):
        found: Any = jacobian(f)(X)
        assert isinstance(found, Tensor)
        assert found.requires_grad


def test_the_neurons_cost() -> None:
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(20, 3)), rng.normal(size=20)

    def cost(np: Any, w: Any, b: Any) -> Any:
        return np.mean((targets - np.maximum(0.0, inputs @ w + b)) ** 2)

    weights, bias = rng.normal(size=3), 0.3
    ours = grad(lambda w, b: cost(np, w, b), (0, 1))(weights, bias)
    theirs = jax.jit(jax.grad(lambda w, b: cost(jnp, w, b), (0, 1)))(weights, bias)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-12)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-12)

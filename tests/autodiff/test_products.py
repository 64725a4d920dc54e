"""vjp, jvp and hvp."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from typegrad.autodiff import grad, hvp, jacobian, jvp, vjp
from typegrad.errors import DTypeError, ShapeError
from typegrad.tensor import Tensor
from typegrad.types import Array

library: Any = jax  # not all of it has type hints
library.config.update("jax_enable_x64", True)

rng = np.random.default_rng(0)
X, V = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
WEIGHT, DIRECTION = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))


def layer(np: Any, x: Any, weight: Any) -> Any:
    return np.tanh(x @ weight) * np.exp(x[:, :1])


def several(np: Any, tree: Any) -> Any:
    """A tree to a tree, one of whose leaves is a constant."""
    a, b = tree["a"], tree["b"]
    return {"product": a * b, "list": [np.sum(a**2), b], "constant": 3.0}


def test_vjp_is_that_of_jax() -> None:
    cotangent = rng.normal(size=(2, 4))
    ours, pull_back = vjp(lambda x, w: layer(np, x, w), X, WEIGHT)
    theirs, peer = jax.vjp(lambda x, w: layer(jnp, x, w), X, WEIGHT)
    assert type(ours) is np.ndarray
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    for _ in range(2):
        for one, other in zip(pull_back(cotangent), peer(cotangent), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)


def test_jvp_is_that_of_jax() -> None:
    ours = jvp(lambda x, w: layer(np, x, w), (X, WEIGHT), (V, DIRECTION))
    theirs = jax.jvp(lambda x, w: layer(jnp, x, w), (X, WEIGHT), (V, DIRECTION))
    for one, other in zip(ours, theirs, strict=True):
        assert type(one) is np.ndarray
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_trees() -> None:
    tree, tangent = {"a": X, "b": 2.0}, {"a": V, "b": 0.5}
    ours: Any = jvp(lambda tree: several(np, tree), (tree,), (tangent,))
    theirs: Any = jax.jvp(lambda tree: several(jnp, tree), (tree,), (tangent,))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one["product"], other["product"], rtol=1e-12)
        np.testing.assert_allclose(one["list"][0], other["list"][0], rtol=1e-12)
        np.testing.assert_allclose(one["list"][1], other["list"][1], rtol=1e-12)
    assert ours[1]["constant"] == 0.0
    cotangent = {"product": V, "list": [1.5, 2.5], "constant": 0.0}
    (found,) = vjp(lambda tree: several(np, tree), tree)[1](cotangent)
    (peer,) = jax.vjp(lambda tree: several(jnp, tree), tree)[1](cotangent)
    np.testing.assert_allclose(found["a"], peer["a"], rtol=1e-12)
    assert found["b"] == pytest.approx(float(peer["b"]))


@pytest.mark.parametrize("shape", [(0,), (3, 0), ()])
def test_shapes_at_the_edge(shape: tuple[int, ...]) -> None:
    x, v = np.full(shape, 0.5), np.full(shape, 2.0)
    output, tangent = jvp(lambda x: np.sin(x) * x, (x,), (v,))
    np.testing.assert_allclose(tangent, v * (np.cos(x) * x + np.sin(x)))
    assert np.shape(tangent) == np.shape(output) == shape
    (cotangent,) = vjp(lambda x: np.sin(x) * x, x)[1](v)
    np.testing.assert_allclose(cotangent, v * (np.cos(x) * x + np.sin(x)))


def test_a_direction_that_the_output_does_not_depend_on() -> None:
    output, tangent = jvp(lambda x, y: 2.0 * x, (X, 1.0), (np.zeros_like(X), 1.0))
    assert np.count_nonzero(tangent) == 0
    output, tangent = jvp(lambda x: 5.0, (X,), (V,))
    assert (output, tangent) == (5.0, 0.0)
    output, tangent = jvp(lambda x: np.ones(2), (X,), (V,))
    assert tangent.tolist() == [0.0, 0.0]
    (none,) = vjp(lambda x: np.ones(2), X)[1](np.ones(2))
    assert none.tolist() == np.zeros_like(X).tolist()


def test_the_identity() -> None:
    output, tangent = jvp(lambda x: x, (X,), (V,))
    np.testing.assert_array_equal(tangent, V)
    assert tangent is not V
    np.testing.assert_array_equal(output, X)


def test_keyword_arguments_are_passed_on() -> None:
    def f(x: Array, *, factor: float) -> Array:
        return x * factor

    assert vjp(f, X, factor=3.0)[1](np.ones((2, 3)))[0].tolist() == [[3.0] * 3] * 2


def test_derivatives_of_a_pull_back() -> None:
    _, pull_back = vjp(np.sin, X)
    product = grad(lambda cotangent: np.sum(pull_back(cotangent)[0] ** 2))(V)
    np.testing.assert_allclose(product, 2.0 * V * np.cos(X) ** 2, rtol=1e-12)
    through: Any = pull_back(Tensor(V, requires_grad=True))[0]
    assert through.requires_grad


def test_derivatives_of_jvp() -> None:
    def along(x: Any, v: Any) -> Any:
        return np.sum(jvp(np.sin, (x,), (v,))[1] ** 2)

    of_x, of_v = grad(along, (0, 1))(X, V)
    np.testing.assert_allclose(of_x, -2.0 * V**2 * np.cos(X) * np.sin(X), rtol=1e-12)
    np.testing.assert_allclose(of_v, 2.0 * V * np.cos(X) ** 2, rtol=1e-12)
    second = jvp(lambda x: jvp(np.sin, (x,), (V,))[1], (X,), (V,))[1]
    np.testing.assert_allclose(second, -(V**2) * np.sin(X), rtol=1e-12)


def test_jvp_where_a_derivative_is_infinite() -> None:
    with np.errstate(divide="ignore"):
        assert jvp(np.sqrt, (np.array([0.0, 4.0]),), (np.ones(2),))[1].tolist() == [np.inf, 0.25]


def test_hvp_is_that_of_jax() -> None:
    def f(np: Any, x: Any) -> Any:
        return np.sum(np.tanh(x) ** 3) * np.sum(x**2)

    ours = hvp(lambda x: f(np, x), (X,), (V,))
    theirs = jax.jvp(jax.grad(lambda x: f(jnp, x)), (X,), (V,))[1]
    assert type(ours) is np.ndarray
    np.testing.assert_allclose(ours, theirs, rtol=1e-10)


def test_hvp_of_several_arguments_is_the_derivative_of_the_first_gradient() -> None:
    def f(np: Any, x: Any, weight: Any) -> Any:
        return np.sum(layer(np, x, weight) ** 2)

    ours = hvp(lambda x, w: f(np, x, w), (X, WEIGHT), (V, DIRECTION))
    theirs = jax.jvp(jax.grad(lambda x, w: f(jnp, x, w)), (X, WEIGHT), (V, DIRECTION))[1]
    np.testing.assert_allclose(ours, theirs, rtol=1e-10)


def test_hvp_of_trees_and_of_flat_functions() -> None:
    found = hvp(lambda t: t["a"] ** 3 * t["b"], ({"a": 2.0, "b": 1.0},), ({"a": 1.0, "b": 0.0},))
    assert found == {"a": 12.0, "b": 12.0}
    assert hvp(lambda x: np.sum(3.0 * x), (X,), (V,)).tolist() == np.zeros((2, 3)).tolist()
    assert hvp(lambda x: 1.0, (X,), (V,)).tolist() == np.zeros((2, 3)).tolist()


def test_hvp_in_an_outer_derivative() -> None:
    # d/dx [d^2/dx^2 x^4 * 1] = 24 x
    assert float(grad(lambda x: hvp(lambda y: y**4, (x,), (1.0,)))(2.0)) == pytest.approx(48.0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: jvp(np.sin, (X,), (V, V)),
            ShapeError,
            "jvp got 1 primals and 2 tangents; expected one tangent for each",
        ),
        (
            lambda: jvp(np.sin, (X,), (V[0],)),
            ShapeError,
            "jvp: a tangent has shape (3,); expected the primal's shape (2, 3)",
        ),
        (
            lambda: hvp(np.sum, (X,), (1.0,)),
            ShapeError,
            "hvp: a tangent has shape (); expected the primal's shape (2, 3)",
        ),
        (
            lambda: hvp(lambda x: x, (X,), (X,)),
            ShapeError,
            "hvp: the function returned an array of shape (2, 3); expected a number: "
            "sum or average it, or use jacobian",
        ),
        (
            lambda: jvp(np.sin, (X,), (V * 1j,)),
            DTypeError,
            "jvp: a tangent has dtype complex128; expected real numbers",
        ),
        (
            lambda: vjp(np.sin, X)[1](np.ones(3)),
            ShapeError,
            "the cotangent has shape (3,); expected (2, 3)",
        ),
        (
            lambda: vjp(lambda x: [x, x], X)[1]([V, V[0, 0]]),
            ShapeError,
            "the cotangent[1] has shape (); expected (2, 3)",
        ),
        (
            lambda: vjp(lambda x: [x, x], X)[1]([V]),
            ShapeError,
            "the cotangent is not built like what it belongs to: "
            "what it belongs to has a leaf at [1] and the cotangent does not",
        ),
        (
            lambda: jvp(lambda t: t["a"], ({"a": X},), ({"a": V, "b": V},)),
            ShapeError,
            "the tangent is not built like what it belongs to: "
            "the tangent has a leaf at [0]['b'] and what it belongs to does not",
        ),
    ],
)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        call()
    assert str(raised.value) == message


def test_products_agree_with_the_jacobian() -> None:
    def f(x: Array) -> Array:
        return np.cumsum(np.sin(x.ravel()))

    matrix = jacobian(f)(X).reshape(6, 6)
    np.testing.assert_allclose(jvp(f, (X,), (V,))[1], matrix @ V.ravel(), rtol=1e-12)
    onto = rng.normal(size=6)
    np.testing.assert_allclose(vjp(f, X)[1](onto)[0].ravel(), onto @ matrix, rtol=1e-12)

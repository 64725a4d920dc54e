"""grad and value_and_grad."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from typegrad.autodiff import grad, hessian, jvp, value_and_grad, vjp
from typegrad.errors import DTypeError, ShapeError
from typegrad.tensor import Tensor, no_grad
from typegrad.types import Array

library: Any = jax  # not all of it has type hints
library.config.update("jax_enable_x64", True)

X = np.array([0.5, -1.5, 2.0])


def cubes(x: Array) -> Any:
    return np.sum(x**3)


def test_of_an_array() -> None:
    result = grad(cubes)(X)
    assert type(result) is np.ndarray
    np.testing.assert_allclose(result, 3 * X**2)


def test_of_a_float() -> None:
    result = grad(np.sin)(0.5)
    assert isinstance(result, float)
    assert result == pytest.approx(np.cos(0.5), rel=1e-15)
    assert float(grad(lambda x: x * x)(3)) == 6.0


def test_of_an_array_without_axes() -> None:
    result = grad(np.sin)(np.array(0.5))
    assert type(result) is np.ndarray
    assert result.shape == ()


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_nested_to_any_order(order: int) -> None:
    ours: Any = lambda x: np.tanh(x) * np.exp(np.sin(x))  # noqa: E731
    theirs: Any = lambda x: jnp.tanh(x) * jnp.exp(jnp.sin(x))  # noqa: E731
    for _ in range(order):
        ours, theirs = grad(ours), jax.grad(theirs)
    assert float(ours(0.3)) == pytest.approx(float(theirs(0.3)), rel=1e-10)


def test_perturbations_are_not_confused() -> None:
    # d/dx [x * d/dy (x + y)] = 1, and not 2.
    assert float(grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0)) == 1.0
    # d/dx [x * d/dy (x y)] = 2 x.
    assert float(grad(lambda x: x * grad(lambda y: x * y)(1.0))(3.0)) == 6.0
    # The inner function is called at the outer variable, and uses it as well:
    # d/dx [d/dy (x y^2) at y = x] = d/dx [2 x^2] = 4 x.
    assert float(grad(lambda x: grad(lambda y: x * y * y)(x))(3.0)) == 12.0


def test_perturbations_are_not_confused_in_both_modes() -> None:
    def inner(x: Any) -> Any:
        return x * jvp(lambda y: x * y, (1.0,), (1.0,))[1]

    assert float(grad(inner)(3.0)) == 6.0
    assert float(jvp(inner, (3.0,), (1.0,))[1]) == 6.0
    assert float(jvp(lambda x: x * grad(lambda y: x + y)(1.0), (1.0,), (1.0,))[1]) == 1.0


def test_an_inner_derivative_that_does_not_depend_on_the_outer_variable() -> None:
    def f(x: Any) -> Any:
        inner = grad(lambda y: y**2 + x)(3.0)
        assert not isinstance(inner, Tensor)
        return x * inner

    assert float(grad(f)(1.0)) == 6.0


def test_a_derivative_of_a_derivative_with_respect_to_a_parameter() -> None:
    def force(weight: Array, x: Array) -> Any:
        return grad(lambda x: np.sum(np.tanh(x * weight) ** 2))(x)

    def peer(weight: Any, x: Any) -> Any:
        return jax.grad(lambda x: jnp.sum(jnp.tanh(x * weight) ** 2))(x)

    weight = np.array([0.3, 0.8, -0.4])
    ours = grad(lambda w: np.sum(force(w, X) ** 2))(weight)
    theirs = jax.grad(lambda w: jnp.sum(peer(w, X) ** 2))(weight)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10)


def test_argnums() -> None:
    def f(a: Array, b: Array, c: float = 2.0) -> Any:
        return np.sum(a * b**2) * c

    a, b = X, X + 1.0
    np.testing.assert_allclose(grad(f, 1)(a, b), 4.0 * a * b)
    np.testing.assert_allclose(grad(f, argnums=-1)(a, b), 4.0 * a * b)
    np.testing.assert_allclose(grad(f)(a, b, c=5.0), 5.0 * b**2)
    first, second = grad(f, (0, 1))(a, b, 1.0)
    np.testing.assert_allclose(first, b**2)
    np.testing.assert_allclose(second, 2.0 * a * b)
    (only,) = grad(f, (2,))(a, b, 1.0)
    assert isinstance(only, float)
    assert only == pytest.approx(np.sum(a * b**2))


def test_argnums_that_do_not_exist() -> None:
    with pytest.raises(TypeError) as error:
        grad(cubes, 3)(X)
    assert str(error.value) == (
        "grad: argnums names argument 3, but the function was called with 1 positional arguments"
    )


def test_auxiliary_output() -> None:
    def f(x: Array) -> tuple[Any, dict[str, Any]]:
        square = x**2
        return np.sum(square), {"square": square, "name": "kept", "count": 3}

    gradient, aux = grad(f, has_aux=True)(X)
    np.testing.assert_allclose(gradient, 2 * X)
    assert type(aux["square"]) is np.ndarray
    np.testing.assert_allclose(aux["square"], X**2)
    assert (aux["name"], aux["count"]) == ("kept", 3)
    (value, again), gradient = value_and_grad(f, has_aux=True)(X)
    assert float(value) == pytest.approx(np.sum(X**2))
    np.testing.assert_allclose(again["square"], X**2)


def test_auxiliary_output_in_an_outer_derivative() -> None:
    def f(x: Any) -> Any:
        slope, aux = grad(lambda y: (x * y**2, x * y), has_aux=True)(2.0)
        return slope + aux

    # 4 x + 2 x
    assert float(grad(f)(5.0)) == 6.0


def test_auxiliary_output_that_is_missing() -> None:
    not_a_pair: Any = cubes
    with pytest.raises(TypeError) as error:
        grad(not_a_pair, has_aux=True)(X)
    assert str(error.value) == (
        "grad: with has_aux the function returns a pair (number, anything); it returned a Tensor"
    )


def test_value_and_grad() -> None:
    value, gradient = value_and_grad(cubes)(X)
    assert isinstance(value, float)
    assert value == pytest.approx(np.sum(X**3))
    np.testing.assert_allclose(gradient, 3 * X**2)
    value, (first, second) = value_and_grad(lambda a, b: np.sum(a * b), (0, 1))(X, X)
    np.testing.assert_allclose(first, X)
    np.testing.assert_allclose(second, X)


class Pair(NamedTuple):
    left: Any
    right: Any


def test_trees() -> None:
    def f(np: Any, tree: Any) -> Any:
        inner = tree["layers"][1]["weight"] @ tree["layers"][0]
        return np.sum(np.tanh(inner)) * tree["scale"] + tree["pair"].left * tree["pair"].right

    tree = {
        "layers": [X, {"weight": np.ones((2, 3)) * 0.1, "nothing": None}],
        "scale": 0.5,
        "pair": Pair(1.5, np.float64(2.5)),
        "empty": (),
    }
    ours: Any = grad(lambda tree: f(np, tree))(tree)
    theirs: Any = jax.grad(lambda tree: f(jnp, tree))(tree)
    assert list(ours) == list(tree)
    assert ours["layers"][1]["nothing"] is None
    assert ours["empty"] == ()
    assert type(ours["pair"]) is Pair
    assert isinstance(ours["scale"], float)
    np.testing.assert_allclose(ours["layers"][0], theirs["layers"][0], rtol=1e-12)
    np.testing.assert_allclose(
        ours["layers"][1]["weight"], theirs["layers"][1]["weight"], rtol=1e-12
    )
    assert ours["scale"] == pytest.approx(float(theirs["scale"]))
    assert (ours["pair"].left, ours["pair"].right) == (2.5, 1.5)


def test_trees_without_leaves() -> None:
    assert grad(lambda tree: 3.0)([]) == []
    assert grad(lambda tree: 3.0)(()) == ()


def test_a_constant_has_gradient_zero() -> None:
    assert grad(lambda x: 3.0)(X).tolist() == [0.0, 0.0, 0.0]
    assert grad(lambda x: 3.0)(2.0) == 0.0
    _, second = grad(lambda a, b: np.sum(a), (0, 1))(X, X.astype(np.float32))
    assert second.dtype == np.float32
    assert second.tolist() == [0.0, 0.0, 0.0]


def test_dtypes_are_those_of_the_arguments() -> None:
    single, double = grad(lambda a, b: np.sum(a * b), (0, 1))(X.astype(np.float32), X)
    assert single.dtype == np.float32
    assert double.dtype == np.float64
    assert grad(np.sin)(np.float32(1.0)).dtype == np.float32


def test_integers_have_no_derivative() -> None:
    with pytest.raises(DTypeError) as error:
        grad(lambda tree: np.sum(tree["a"][1]))({"a": (X, np.arange(3))})
    assert str(error.value) == (
        "grad: argument 0['a'][1] has dtype int64, which has no derivative; "
        "convert it with .astype(float)"
    )
    with pytest.raises(DTypeError, match="argument 0 has dtype int64"):
        grad(np.sum)(Tensor([1, 2]))


@pytest.mark.parametrize("wrong", ["text", True, object()])
def test_what_has_no_derivative_at_all(wrong: Any) -> None:
    with pytest.raises(DTypeError) as error:
        grad(lambda x: 1.0)(wrong)
    assert str(error.value) == (
        f"grad: argument 0 is a {type(wrong).__name__}; expected a float, an array, "
        "or tuples, lists and dicts of these"
    )


def test_the_function_returns_a_number() -> None:
    with pytest.raises(ShapeError) as error:
        grad(lambda x: x**2)(X)
    assert str(error.value) == (
        "grad: the function returned an array of shape (3,); expected a number: "
        "sum or average it, or use jacobian"
    )
    with pytest.raises(ShapeError) as error:
        grad(lambda x: (np.sum(x), np.sum(x)))(X)
    assert str(error.value) == (
        "grad: the function returned a tuple; expected a number, "
        "or set has_aux for a pair of a number and something else"
    )
    with pytest.raises(ShapeError, match="the function returned a NoneType"):
        grad(lambda x: None)(X)


def test_results_belong_to_the_caller() -> None:
    def f(a: Array, b: Array) -> Any:
        return np.sum(a) + np.sum(b) + np.sum(a + b)

    first, second = grad(f, (0, 1))(X, X)
    first[0] = 100.0
    assert second.tolist() == [2.0, 2.0, 2.0]
    assert X.tolist() == [0.5, -1.5, 2.0]
    total: Any = grad(np.sum)(X)
    total += 1.0
    assert total.tolist() == [2.0, 2.0, 2.0]
    transposed = grad(lambda x: np.sum(x.T * np.arange(6.0).reshape(2, 3)))(np.ones((3, 2)))
    assert transposed.base is None


def test_cotangents_are_not_handed_out() -> None:
    cotangent = np.ones(3)
    (first,) = vjp(lambda x: x, X)[1](cotangent)
    first[:] = 5.0
    assert cotangent.tolist() == [1.0, 1.0, 1.0]


def test_arguments_are_read_only_while_the_function_runs() -> None:
    constant = np.ones(3)

    def f(x: Array, c: Array) -> Any:
        result = np.sum(x * c)
        c *= 2.0
        return result

    with pytest.raises(ValueError, match="read-only"):
        grad(f)(X, constant)
    constant += 1.0
    assert constant.tolist() == [2.0, 2.0, 2.0]


def test_what_the_function_changes_outside_does_not_matter() -> None:
    buffer = np.ones(3)

    def f(x: Array) -> Any:
        total = 0.0
        for _ in range(3):
            total = total + np.sum(x * buffer)
            buffer[:] *= 2.0
        return total

    assert grad(f)(X).tolist() == [7.0, 7.0, 7.0]


def test_read_only_arguments_stay_read_only() -> None:
    constant = np.ones(3)
    constant.flags.writeable = False
    grad(lambda x, c: np.sum(x * c))(X, constant)
    assert not constant.flags.writeable


def test_inside_no_grad() -> None:
    with no_grad():
        assert grad(cubes)(X).tolist() == (3 * X**2).tolist()
        assert float(grad(grad(np.sin))(0.5)) == pytest.approx(-np.sin(0.5))


def test_no_grad_stops_derivatives() -> None:
    def f(x: Any) -> Any:
        with no_grad():
            slope = grad(lambda y: y**3)(x)
            factor = 1.0 * x
        return x * slope * factor

    # slope and factor are constants: 3 x^2 * x
    assert float(grad(f)(2.0)) == 24.0


def test_a_tensor_of_the_users_own_is_differentiated_through() -> None:
    t = Tensor([2.0], requires_grad=True)
    result: Any = grad(lambda y: np.sum(t * y**2))(3.0)
    assert isinstance(result, Tensor)
    result.backward()
    assert t.grad is not None
    assert t.grad.tolist() == [6.0]


def test_a_tensor_gives_a_tensor() -> None:
    result: Any = grad(lambda x: np.sum(x**2))(Tensor([1.0, 2.0]))
    assert isinstance(result, Tensor)
    assert not result.requires_grad
    assert result.tolist() == [2.0, 4.0]


def test_many_threads_at_once() -> None:
    found: list[bool] = []

    def work(seed: int) -> None:
        x = np.random.default_rng(seed).normal(size=50)
        for _ in range(20):
            second = hessian(lambda v: np.sum(v**3) + np.sum(v) ** 2)(x)
            found.append(bool(np.allclose(second, np.diag(6 * x) + 2.0)))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 80


def test_name_and_documentation_are_those_of_the_function() -> None:
    assert getattr(grad(cubes), "__name__") == "cubes"  # noqa: B009  # mypy does not know it

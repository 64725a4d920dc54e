"""Gradients and Jacobians of the sources, from the examples."""

from __future__ import annotations

import numpy as np
import pytest

import typegrad as tg
from examples.calculus import gradient_descent, mean_squared_error, vector_functions
from typegrad.types import Array

W, X = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 8.0])


def test_one_variable_is_many_with_one_column() -> None:
    x, y, weight = mean_squared_error.data(variables=1)
    one = mean_squared_error.gradient_one_variable(x[:, 0], y[:, 0], weight.item())
    many = mean_squared_error.gradient_many_variables(x, y, weight)
    assert many.shape == (1, 1)
    assert one == pytest.approx(many.item(), rel=1e-13)


@pytest.mark.parametrize("variables", [1, 3])
def test_mean_squared_error_agrees_with_autodiff_and_operations(variables: int) -> None:
    x, y, weight = mean_squared_error.data(variables)
    expected = mean_squared_error.gradient_many_variables(x, y, weight)
    by_autodiff = mean_squared_error.gradient_by_autodiff(x, y, weight)
    by_operations = gradient_descent.mse_gradient(x, weight, y)
    np.testing.assert_allclose(by_autodiff, expected, rtol=1e-12)
    np.testing.assert_allclose(by_operations, expected, rtol=1e-12)


def test_steps_of_the_mean_squared_error_show_shapes() -> None:
    x, y, weight = mean_squared_error.data(variables=3)
    assert str(mean_squared_error.steps(x, y, weight)).splitlines() == [
        "forward",
        "  weight                  (3, 1)",
        "  x                       (30, 3)",
        "  y                       (30, 1)",
        "  v1 = MatMul(x, weight)  (30, 1)",
        "  v2 = Subtract(v1, y)    (30, 1)",
        "  v3 = Square(v2)         (30, 1)",
        "  v4 = Mean(v3)           ()",
        "backward",
        "  dv4 = 1                       ()",
        "  dv3 = dv4 through Mean        (30, 1)",
        "  dv2 = dv3 through Square      (30, 1)",
        "  dv1 = dv2 through Subtract    (30, 1)",
        "  dy = dv2 through Subtract     (30, 1)",
        "  dx = dv1 through MatMul       (30, 3)",
        "  dweight = dv1 through MatMul  (3, 1)",
    ]


def test_jacobian_in_both_layouts() -> None:
    point = np.array([1.0, 2.0])
    expected = [[12.0, 3.0], [2.0, 1024.0]]  # [[6 y x, 3 x^2], [2, 8 y^7]]
    np.testing.assert_array_equal(tg.jacobian(vector_functions.pair)(point), expected)
    transposed = tg.jacobian(vector_functions.pair, layout="denominator")(point)
    np.testing.assert_array_equal(transposed, np.transpose(expected))


def test_jacobian_of_the_identity() -> None:
    np.testing.assert_array_equal(tg.jacobian(vector_functions.identity)(W), np.eye(3))


def test_jacobian_of_the_sum() -> None:
    np.testing.assert_array_equal(tg.jacobian(vector_functions.total)(W), np.ones((1, 3)))


@pytest.mark.parametrize(
    ("text", "by_w", "by_x"),
    [
        ("w + x", [1, 1, 1], [1, 1, 1]),
        ("w - x", [1, 1, 1], [-1, -1, -1]),
        ("w * x", X, W),
        ("w / x", 1 / X, -W / X**2),
    ],
)
def test_elementwise_jacobians_are_diagonal(text: str, by_w: Array, by_x: Array) -> None:
    function = vector_functions.ELEMENTWISE[text]
    found = vector_functions.elementwise_jacobians(function, W, X)
    np.testing.assert_allclose(found[0], np.diag(by_w), rtol=1e-15)
    np.testing.assert_allclose(found[1], np.diag(by_x), rtol=1e-15)


def test_vector_chain_rule() -> None:
    x = np.array([0.5])
    expected = [[2 / 0.5], [3 * np.cos(3 * 0.5)]]
    np.testing.assert_allclose(vector_functions.chain_rule(x), expected, rtol=1e-15)
    np.testing.assert_allclose(tg.jacobian(vector_functions.nested)(x), expected, rtol=1e-15)


def test_gradient_of_a_neurons_cost() -> None:
    weight, bias, x, y = vector_functions.neuron_example()
    active = x @ weight + bias > 0
    assert active.any()
    assert not active.all()
    by_weight, by_bias = vector_functions.neuron_gradient(weight, bias, x, y)
    by_layer = vector_functions.neuron_gradient_by_layer(weight, bias, x, y)
    np.testing.assert_allclose(by_layer[0], by_weight, rtol=1e-13)
    assert by_layer[1] == pytest.approx(by_bias, rel=1e-13)
    numerical = tg.numerical_gradient(
        lambda p: float(vector_functions.neuron_cost(p[:-1], float(p[-1]), x, y)),
        np.append(weight, bias),
    )
    np.testing.assert_allclose(np.append(by_weight, by_bias), numerical, rtol=1e-7)

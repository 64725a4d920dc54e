"""Finite differences: figures of the calculus notebook, closed forms, and errors."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad import numerical_derivative, numerical_gradient, partial_derivative
from typegrad.errors import DTypeError, ShapeError
from typegrad.types import Array


def exactly(message: str) -> str:
    return re.escape(message) + "$"


@pytest.mark.parametrize(
    ("f", "x", "expected"),
    [
        (lambda x: x**2, 3.0, 5.9999999902),
        (lambda x: x**3, 2.0, 11.9999999937),
        (math.exp, 1.0, 2.7182818285),
        (math.log, 2.0, 0.4999999997),
    ],
)
def test_printed_digits_of_the_notebook(
    f: Callable[[float], float], x: float, expected: float
) -> None:
    assert round(numerical_derivative(f, x), 10) == expected


def test_derivative_of_the_sigmoid() -> None:
    x = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    expected = [0.10499359, 0.19661193, 0.25, 0.19661193, 0.10499359]
    sigmoid = tg.Sigmoid()
    np.testing.assert_array_equal(
        numerical_derivative(sigmoid.forward, x, h=1e-5).round(8), expected
    )
    sigmoid.forward(x)
    np.testing.assert_array_equal(sigmoid.backward(np.ones(5)).round(8), expected)


def test_partial_derivatives() -> None:
    def f(x: float, y: float) -> float:
        return x**2 * y + 3 * y**2

    assert partial_derivative(f, 0, 2.0, 3.0) == pytest.approx(12.0, abs=1e-6)
    assert partial_derivative(f, 1, 2.0, 3.0) == pytest.approx(22.0, abs=1e-6)
    assert partial_derivative(lambda x: x**2 * math.exp(x), 0, 1.0) == pytest.approx(
        3 * math.e, rel=1e-8
    )
    assert partial_derivative(f, 1, 2.0, 3.0, h=1e-3) == pytest.approx(22.0, abs=1e-10)


def test_gradient_of_the_mean_squared_error() -> None:
    generator = np.random.RandomState(42)
    x = np.column_stack([np.ones(20), generator.randn(20)])
    y = x @ np.array([2.0, 3.0]) + 0.1 * generator.randn(20)
    gradient = numerical_gradient(lambda w: float(np.mean(np.square(y - x @ w))), np.zeros(2))
    np.testing.assert_array_equal(gradient.round(8), [-2.91901361, -4.72563395])


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int64])
def test_arrays_of_low_precision_are_computed_in_float64(dtype: type) -> None:
    derivative = numerical_derivative(np.square, np.array([1.0, 2.0, 3.0]).astype(dtype))
    assert derivative.dtype == np.float64
    np.testing.assert_allclose(derivative, [2.0, 4.0, 6.0], rtol=1e-7)
    number = numerical_derivative(np.square, dtype(3))
    assert float(number) == pytest.approx(6.0, rel=1e-7)


def test_whole_numbers() -> None:
    assert numerical_derivative(lambda x: x**2, 3) == pytest.approx(6.0, rel=1e-7)
    assert numerical_gradient(lambda x: float(x[0] * x[1]), [3, 4]).round(6).tolist() == [4.0, 3.0]


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 1, 3), (0,)])
def test_gradient_has_the_shape_of_its_point_in_float64(shape: tuple[int, ...]) -> None:
    x = np.asarray(np.random.default_rng(0).standard_normal(shape))
    kept = x.copy()
    gradient = numerical_gradient(lambda a: float(np.sum(np.sin(a))), x)
    assert gradient.shape == shape
    assert gradient.dtype == np.float64
    np.testing.assert_allclose(gradient, np.cos(x), rtol=1e-8)
    np.testing.assert_array_equal(x, kept)


def test_a_function_that_changes_its_argument_does_no_harm() -> None:
    def destroys(x: Array) -> float:
        total = float(np.sum(x**2))
        x[...] = np.nan
        return total

    np.testing.assert_allclose(numerical_gradient(destroys, [1.0, 2.0]), [2.0, 4.0], rtol=1e-8)


def test_results_of_one_element_are_numbers() -> None:
    def column(x: Array) -> Any:
        return np.sum(x**2, keepdims=True)

    np.testing.assert_allclose(numerical_gradient(column, np.ones(2)), [2.0, 2.0], rtol=1e-8)


def test_gradient_of_a_vector() -> None:
    message = (
        "numerical_gradient: f returned an array of shape (2,); "
        "expected a number, sum or average it first"
    )
    vector: Any = np.square
    with pytest.raises(ShapeError, match=exactly(message)):
        numerical_gradient(vector, [1.0, 2.0])


@pytest.mark.parametrize(
    ("x", "dtype"), [(["a"], "<U1"), ([1j], "complex128"), ([True], "bool"), ([None], "object")]
)
def test_points_that_are_not_real(x: Any, dtype: str) -> None:
    message = f"numerical_gradient: x has dtype {dtype}; expected real numbers"
    with pytest.raises(DTypeError, match=exactly(message)):
        numerical_gradient(lambda a: 0.0, x)


@pytest.mark.parametrize("h", [0.0, -1e-6, math.nan])
def test_steps_must_be_positive(h: float) -> None:
    with pytest.raises(
        ValueError, match=exactly(f"numerical_derivative: h is {h}; expected a positive number")
    ):
        numerical_derivative(math.sin, 1.0, h)
    with pytest.raises(
        ValueError, match=exactly(f"numerical_gradient: h is {h}; expected a positive number")
    ):
        numerical_gradient(lambda x: 0.0, [1.0], h)


@pytest.mark.parametrize("index", [-1, 2])
def test_arguments_that_there_are_not(index: int) -> None:
    message = f"partial_derivative: index is {index}, but there are 2 arguments, counted from 0"
    with pytest.raises(IndexError, match=exactly(message)):
        partial_derivative(lambda x, y: x, index, 1.0, 2.0)

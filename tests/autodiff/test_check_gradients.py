"""check_gradients: what it finds, and what it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from typegrad.autodiff import check_gradients
from typegrad.operations import UnaryOperation
from typegrad.types import Array

X = np.array([0.3, -0.8, 1.2])


class Wrong(UnaryOperation):
    """x^3, whose derivative has a mistake of the given order."""

    def __init__(self, mistake: int) -> None:
        self.mistake = mistake

    def output(self, x: Array) -> Array:
        return x * x * x

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        if self.mistake == 1:
            return output_grad * 2.0 * x * x
        values: Any = x
        # A constant in the place of x: right for the first derivative, wrong for the second.
        constant = values.numpy() if hasattr(values, "numpy") else x
        return output_grad * 3.0 * constant * constant


def test_right_derivatives_pass() -> None:
    check_gradients(lambda x, y: np.sin(x) * y, X, 2.0, order=3)
    check_gradients(lambda t: {"a": t["a"] ** 2, "b": [t["a"]]}, {"a": X})
    check_gradients(np.tanh, np.zeros((0, 2)))


def test_single_precision_and_integers_are_computed_with_in_double() -> None:
    check_gradients(lambda x, y: x**2 * y, X.astype(np.float32), 3)


def test_a_wrong_first_derivative() -> None:
    def f(x: Array) -> Array:
        return Wrong(1).forward(x)

    with pytest.raises(AssertionError) as error:
        check_gradients(f, X)
    message = str(error.value)
    assert message.startswith("check_gradients(f, order 1): vjp gives ")
    assert " along random directions, but central differences give " in message
    assert message.endswith("more than 1e-06 + 1e-05 * size")


def test_a_wrong_second_derivative() -> None:
    operation = Wrong(2)
    check_gradients(operation.forward, X, order=1)
    with pytest.raises(AssertionError, match=r"^check_gradients\(forward, order 2\): vjp gives"):
        check_gradients(operation.forward, X)


def test_nan_is_no_agreement() -> None:
    def f(x: Any) -> Any:
        return np.sum(x) * np.where(x[0] > 0.0, np.nan, 1.0)

    with pytest.raises(AssertionError, match="gives nan"):
        check_gradients(f, X)


def test_tolerances_and_step() -> None:
    def f(x: Array) -> Any:
        return np.exp(3.0 * x)

    with pytest.raises(AssertionError):
        check_gradients(f, X, order=1, step=0.1)
    check_gradients(f, X, order=1, step=0.1, rtol=0.1)
    check_gradients(f, X, order=1, step=0.1, atol=10.0)


def test_the_generator_draws_the_directions() -> None:
    first, second = np.random.default_rng(1), np.random.default_rng(1)
    check_gradients(np.sin, X, generator=first)
    assert first.normal() != second.normal()

"""Derivatives of the models at NIST's certified parameters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import typegrad as tg
from examples.nonlinear_regression.models import MODELS
from examples.nonlinear_regression.problems import Problem, digits, load
from typegrad.types import Array


@pytest.fixture(params=MODELS)
def problem(request: pytest.FixtureRequest) -> Problem:
    return load(request.param)


Objective = Callable[[Array], Array]


@pytest.fixture
def half_sum_of_squares(problem: Problem) -> Objective:
    def objective(b: Array) -> Array:
        residuals = problem.residuals(b)
        half: Array = 0.5 * np.dot(residuals, residuals)
        return half

    return objective


def test_certified_standard_deviations_follow_from_the_jacobian(problem: Problem) -> None:
    """They are the roots of the diagonal of s^2 (J^T J)^-1."""
    jacobian = tg.jacobian(problem.residuals)(problem.parameters)
    variance = problem.sum_of_squares / (len(problem.y) - len(problem.parameters))
    lengths = np.linalg.norm(jacobian, axis=0)
    inverse = np.linalg.inv(np.linalg.qr(jacobian / lengths).R)
    deviations = np.sqrt(variance) * np.linalg.norm(inverse, axis=1) / lengths
    assert digits(deviations, problem.deviations) > 8


def test_jacobian_by_complex_steps(problem: Problem) -> None:
    """f'(b) = Im f(b + ih) / h, without cancellation, so that h can be as small as it likes."""
    b = problem.parameters
    found = tg.jacobian(problem.residuals)(b)
    for index, column in enumerate(found.T):
        step = np.zeros(b.shape, np.complex128)
        step[index] = 1e-30j * b[index]
        expected = np.imag(problem.model(b + step, problem.x)) / (1e-30 * b[index])
        np.testing.assert_allclose(column, expected, rtol=1e-12, atol=1e-300)


def test_the_gradient_vanishes_as_far_as_certified_digits_go(
    problem: Problem, half_sum_of_squares: Objective
) -> None:
    gradient, b = tg.grad(half_sum_of_squares), problem.parameters
    rounding = np.abs(tg.hessian(half_sum_of_squares)(b)) @ np.abs(5e-11 * b)
    assert np.all(np.abs(gradient(b)) <= rounding)
    assert np.any(np.abs(gradient(b * (1 + 1e-8))) > rounding)


def test_newtons_method_arrives(problem: Problem, half_sum_of_squares: Objective) -> None:
    gradient, hessian = tg.grad(half_sum_of_squares), tg.hessian(half_sum_of_squares)
    b = problem.parameters + 0.001 * problem.deviations
    for _ in range(10):  # Bennett5's narrow valley takes 9, most take 2
        second = hessian(b)
        unit = 1 / np.sqrt(np.diag(second))
        b = b - unit * np.linalg.solve(second * np.outer(unit, unit), unit * gradient(b))
    assert digits(b, problem.parameters) > 9.5


def test_hessian_is_symmetric_and_agrees_with_central_differences(
    problem: Problem, half_sum_of_squares: Objective
) -> None:
    gradient, b = tg.grad(half_sum_of_squares), problem.parameters
    hessian = tg.hessian(half_sum_of_squares)(b)
    unit = np.sqrt(np.diag(hessian))
    scaled = hessian / np.outer(unit, unit)
    np.testing.assert_allclose(scaled, scaled.T, atol=1e-12)
    for index, column in enumerate(scaled.T):
        step = np.zeros(b.shape)
        step[index] = 1e-5 * b[index]
        slope = (gradient(b + step) - gradient(b - step)) / (2 * step[index])
        np.testing.assert_allclose(slope / (unit * unit[index]), column, atol=1e-6)


def test_sum_of_squares_at_the_certified_parameters(
    problem: Problem, half_sum_of_squares: Objective
) -> None:
    found = 2 * half_sum_of_squares(problem.parameters)
    # Lanczos1's is 1e-25: 11 digits of its parameters do not tell more than that it is tiny.
    np.testing.assert_allclose(found, problem.sum_of_squares, rtol=1e-9, atol=1e-20)

"""Fits by typegrad's derivatives against NIST's certified values, which have 11 digits."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy.optimize import least_squares

import typegrad as tg
from examples.nonlinear_regression.levenberg_marquardt import Fit, fit
from examples.nonlinear_regression.models import MODELS
from examples.nonlinear_regression.problems import DATA, Problem, digits, load
from typegrad.types import Vector


def fit_from(problem: Problem, start: Vector) -> Fit:
    return fit(problem.model, problem.x, problem.y, start)


@pytest.mark.parametrize("start", [2, 1])
@pytest.mark.parametrize("name", MODELS)
def test_certified_values_are_reached(name: str, start: int) -> None:
    problem = load(name)
    found = fit_from(problem, problem.starts[start - 1])
    assert found.converged
    assert digits(found.parameters, problem.parameters) > 9.5
    if name == "Lanczos1":
        assert digits(exact_sum_of_squares(found.parameters), problem.sum_of_squares) > 5
    else:
        assert digits(found.sum_of_squares, problem.sum_of_squares) > 9


def exact_sum_of_squares(parameters: Vector) -> float:
    """Lanczos1's, without rounding: its residuals are 1e-13, and float64 has 3 digits of them."""
    text = (DATA / "Lanczos1.dat").read_text(encoding="ascii").rpartition("\nData:")[2]
    b = [Decimal(value) for value in parameters.tolist()]
    total = Decimal(0)
    with localcontext(prec=40):
        for line in text.splitlines()[1:]:
            y, x = map(Decimal, line.split())
            total += (y - sum(b[i] * (-b[i + 1] * x).exp() for i in (0, 2, 4))) ** 2
    return float(total)


@pytest.mark.parametrize("name", ["Chwirut2", "Kirby2", "Nelson", "ENSO", "Rat43", "Eckerle4"])
def test_scipy_gets_there_with_our_jacobian(name: str) -> None:
    problem = load(name)
    found = least_squares(
        problem.residuals,
        problem.starts[1],
        jac=tg.jacobian(problem.residuals),
        method="lm",
        x_scale="jac",
        xtol=1e-14,
        ftol=1e-14,
        gtol=1e-14,
    )
    assert digits(found.x, problem.parameters) > 6
    assert digits(2 * found.cost, problem.sum_of_squares) > 6


def test_too_few_iterations_are_reported() -> None:
    problem = load("Misra1a")
    found = fit(problem.model, problem.x, problem.y, problem.starts[0], max_iterations=3)
    assert (found.iterations, found.converged) == (3, False)


def test_a_start_that_is_the_solution() -> None:
    problem = load("Misra1a")
    solution = fit_from(problem, problem.starts[1]).parameters
    found = fit_from(problem, solution)
    assert found.iterations <= 3
    np.testing.assert_allclose(found.parameters, solution, rtol=1e-12)

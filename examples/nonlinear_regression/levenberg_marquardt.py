"""Nonlinear least squares by Levenberg and Marquardt's method, on typegrad's derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import typegrad as tg
from examples.nonlinear_regression.models import Model
from typegrad.types import Array, Matrix, Vector

EPSILON, TINY = np.finfo(np.float64).eps, np.finfo(np.float64).tiny


@dataclass(frozen=True)
class Fit:
    """Parameters that were found, and the sum of the squared residuals there."""

    parameters: Vector
    sum_of_squares: float
    iterations: int
    converged: bool


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # such steps are rejected
def fit(model: Model, x: Array, y: Vector, start: Vector, max_iterations: int = 4000) -> Fit:
    """Minimise the sum of squares of r(b) = model(b, x) - y over b, in float64.

    x: predictors; y: (n,); start: (p,). Parameters are measured in units in which no column of
    the Jacobian J has been longer than 1 (Moré, 1978). The damping follows how well J foretold
    the decrease (Nielsen, 1999). Steps bend as the model does (Transtrum and Sethna, 2012).
    """

    def residuals(b: Vector) -> Vector:
        return model(b, x) - y

    jacobian = tg.jacobian(residuals)
    b, r, j = start, residuals(start), jacobian(start)
    scale, damping, growth = np.full_like(b, TINY), 0.01, 2.0
    for iteration in range(1, max_iterations + 1):
        scale = np.maximum(scale, np.linalg.norm(j, axis=0))
        solve = _damped_solver(j, scale, damping)
        velocity = -solve(r)
        bend = -0.5 * solve(_second_derivative(residuals, b, velocity))
        b_new = b + velocity + bend
        r_new = residuals(b_new)
        # A decrease below the sum of squares' own rounding error says nothing about a step.
        # Rejecting steps for it would cost some problems three of their digits.
        noise = 4 * EPSILON * np.linalg.norm(r) * np.linalg.norm(y)
        decrease = float(r @ r - r_new @ r_new) + noise
        expected = float(r @ r - np.sum((r + j @ velocity) ** 2)) + noise
        bends_little = np.linalg.norm(scale * bend) <= 0.375 * np.linalg.norm(scale * velocity)
        if bends_little and decrease >= 0 and np.isfinite(j_new := jacobian(b_new)).all():
            if np.linalg.norm(scale * (b_new - b)) <= 1e-13 * np.linalg.norm(scale * b):
                return Fit(b_new, float(r_new @ r_new), iteration, converged=True)
            b, r, j = b_new, r_new, j_new
            damping *= max(1 / 3, 1 - (2 * decrease / expected - 1) ** 3)
            growth = 2.0
        else:
            damping *= growth
            growth *= 2.0
    return Fit(b, float(r @ r), max_iterations, converged=False)


def _damped_solver(j: Matrix, scale: Vector, damping: float) -> Callable[[Vector], Vector]:
    """Make the function that solves J p = v for p, with the penalty damping * |scale * p|^2."""
    rows = np.vstack([j / scale, np.sqrt(damping) * np.eye(scale.size)])
    q, r = np.linalg.qr(rows)  # of J, not of J^T J, whose condition number is J's squared

    def solve(v: Vector) -> Vector:
        solution: Vector = np.linalg.solve(r, q[: v.size].T @ v) / scale
        return solution

    return solve


def _second_derivative(f: Callable[[Vector], Vector], b: Vector, along: Vector) -> Vector:
    """Second derivative of f at b in one direction."""

    def first_derivative(b: Vector) -> Vector:
        return tg.jvp(f, (b,), (along,))[1]

    return tg.jvp(first_derivative, (b,), (along,))[1]

"""Gradient of the mean squared error, for one input variable and for many."""

from __future__ import annotations

import numpy as np

import typegrad as tg
from examples.calculus.gradient_descent import mse_gradient
from examples.figures import output_directory
from typegrad.types import Array, Matrix


def gradient_one_variable(x: Array, y: Array, weight: float) -> float:
    """2 * mean(x * (x w - y)) for one input variable; x and y are (n,)."""
    return 2.0 * float(np.mean(x * (x * weight - y)))


def gradient_many_variables(x: Matrix, y: Matrix, weight: Matrix) -> Matrix:
    """2 X^T (X w - Y) / n for many; X is (n, k), Y (n, 1), w and the result (k, 1)."""
    examples = x.shape[0]
    gradient: Matrix = 2.0 * (x.T @ (x @ weight - y)) / examples
    return gradient


def mean_squared_error(weight: Matrix, x: Matrix, y: Matrix) -> Array:
    """Mean of (X w - Y)^2."""
    error: Array = np.square(x @ weight - y).mean()
    return error


def gradient_by_autodiff(x: Matrix, y: Matrix, weight: Matrix) -> Matrix:
    """Gradient of `mean_squared_error`, from its formula alone."""
    return tg.grad(mean_squared_error)(weight, x, y)


def steps(x: Matrix, y: Matrix, weight: Matrix) -> tg.Computation:
    """Steps of `mean_squared_error`, forward and backward, with their shapes."""
    return tg.trace(mean_squared_error, weight, x, y)


def data(variables: int) -> tuple[Matrix, Matrix, Matrix]:
    """X (30, variables), Y (30, 1) and a weight (variables, 1)."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((30, variables))
    y = x @ np.arange(1.0, variables + 1.0).reshape(-1, 1) + generator.standard_normal((30, 1))
    return x, y, generator.standard_normal((variables, 1))


def main() -> None:
    """Print the gradients, which agree, and the shapes at each step."""
    output_directory(__doc__)
    x, y, weight = data(variables=1)
    print(f"One input variable, X.shape[0] = {x.shape[0]} examples")
    print(f"  2 * mean(x * (x w - y))  {gradient_one_variable(x[:, 0], y[:, 0], weight.item())}")
    print(f"  2 X^T (X w - Y) / n      {gradient_many_variables(x, y, weight).ravel()}")
    print(f"  autodiff                 {gradient_by_autodiff(x, y, weight).ravel()}")
    x, y, weight = data(variables=3)
    print(f"\n{x.shape[1]} input variables, X.shape[0] = {x.shape[0]} examples")
    print(f"  2 X^T (X w - Y) / n      {gradient_many_variables(x, y, weight).ravel()}")
    print(f"  autodiff                 {gradient_by_autodiff(x, y, weight).ravel()}")
    print(f"  MSELoss and MatMul       {mse_gradient(x, weight, y).ravel()}")
    print(f"\nShapes at each step\n{steps(x, y, weight)}")


if __name__ == "__main__":
    main()

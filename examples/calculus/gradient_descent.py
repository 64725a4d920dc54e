"""Gradient descent on the mean squared error, and backpropagation by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

import typegrad as tg
from examples.figures import BLUE, DARK, RED, output_directory, panels, save_figures
from typegrad.initializers import Zeros
from typegrad.types import Array, Matrix, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STEPS = 200
RATES = (0.00001, 0.001, 0.01)


@dataclass(frozen=True)
class Fit:
    """A line found by gradient descent, and the loss before each step."""

    learning_rate: float
    bias: float
    slope: float
    losses: Vector


@dataclass(frozen=True)
class Backpropagation:
    """L = (y - (w x + b))^2 and its derivatives."""

    loss: float
    by_weight: float
    by_bias: float


def mse_gradient(x: Matrix, weight: Matrix, y: Matrix) -> Matrix:
    """Gradient of the mean squared error of X w by w, by backward passes.

    x: (n, k); weight: (k, 1); y: (n, 1); result: (k, 1).
    """
    product, loss = tg.MatMul(), tg.MSELoss()
    loss.forward(product.forward(x, weight), y)
    _, weight_grad = product.backward(loss.backward())
    return weight_grad


def gradient_at_zero() -> Vector:
    """Gradient at w = 0 for y = X (2, 3) + noise, 20 examples with an intercept."""
    stream = np.random.RandomState(42)
    x = np.column_stack([np.ones(20), stream.randn(20)])
    y = x @ np.array([[2.0], [3.0]]) + 0.1 * stream.randn(20, 1)
    gradient: Vector = mse_gradient(x, np.zeros((2, 1)), y).ravel()
    return gradient


def noisy_line() -> tuple[Array, Array]:
    """100 points around y = 3 x + 2; both arrays are (100, 1)."""
    stream = np.random.RandomState(42)
    x = 10 * stream.rand(100, 1)
    return x, 3 * x + 2 + 2 * stream.randn(100, 1)


def fit_line(x: Array, y: Array, learning_rate: float) -> Fit:
    """Fit a line by `STEPS` steps of gradient descent on all rows, from zero."""
    network = tg.NeuralNetwork(
        tg.Dense(1, 1, initializer=Zeros()), loss=tg.MSELoss(), dtype=np.float64
    )
    history = tg.Trainer(network, tg.SGD(learning_rate)).fit(
        x, y, epochs=STEPS, batch_size=len(x), shuffle=False, evaluate_every=STEPS
    )
    state = network.state_dict()
    return Fit(
        learning_rate,
        bias=state["0.bias"].item(),
        slope=state["0.weight"].item(),
        losses=history.training_loss,
    )


def backpropagate(w: float, x: float, b: float, y: float) -> Backpropagation:
    """Go forward and backward through L = (y - (w x + b))^2, an operation at a time."""
    multiply, add, loss = tg.Multiply(), tg.Add(), tg.MSELoss()
    scaled = multiply.forward(np.array([w]), np.array([x]))
    value = loss.forward(add.forward(scaled, np.array([b])), np.array([y]))
    by_scaled, by_bias = add.backward(loss.backward())
    by_weight, _ = multiply.backward(by_scaled)
    return Backpropagation(value, by_weight.item(), by_bias.item())


def draw_descent() -> Figure:
    """Draw the loss, and the fitted line among the points."""
    x, y = noisy_line()
    fit = fit_line(x, y, 0.001)
    figure, (left, right) = panels(1, 2, 4.8, 3.6)
    left.plot(np.arange(1, STEPS + 1), fit.losses, color=BLUE)
    left.set(
        xlabel="step", ylabel="mean squared error", yscale="log", title="Loss before each step"
    )
    _draw_line(right, x, y, fit)
    right.set_title(f"y = {fit.slope:.4f} x + {fit.bias:.4f}")
    return figure


def draw_rates() -> Figure:
    """Draw losses, and below them lines, of three learning rates side by side."""
    x, y = noisy_line()
    fits = [fit_line(x, y, rate) for rate in RATES]
    figure, axes = panels(2, len(fits), 3.5, 3.0)
    for fit, upper, lower in zip(fits, axes[: len(fits)], axes[len(fits) :], strict=True):
        upper.plot(np.arange(1, STEPS + 1), fit.losses, color=BLUE)
        upper.set(
            title="learning rate " + f"{fit.learning_rate:f}".rstrip("0"),
            xlabel="step",
            yscale="log",
            ylim=(2.5, 500),
        )
        _draw_line(lower, x, y, fit)
    axes[0].set_ylabel("mean squared error")
    return figure


def _draw_line(panel: Axes, x: Array, y: Array, fit: Fit) -> None:
    ends = np.array([0.0, 10.0])
    panel.scatter(x, y, s=14, color=DARK, alpha=0.5, linewidths=0)
    panel.plot(ends, fit.bias + fit.slope * ends, color=RED)
    panel.set(xlabel="x", ylabel="y")


def main() -> None:
    """Print gradients and fits; draw losses and lines."""
    directory = output_directory(__doc__)
    print(f"Gradient of the mean squared error at w = 0: {gradient_at_zero()}")
    print(f"\nGradient descent, {STEPS} steps from 0")
    x, y = noisy_line()
    for rate in RATES:
        fit = fit_line(x, y, rate)
        print(
            f"  rate {rate:.5f}: bias {fit.bias:.4f}, slope {fit.slope:.4f}, "
            f"first loss {fit.losses[0]:.4f}, last loss {fit.losses[-1]:.4f}"
        )
    result = backpropagate(w=1.0, x=2.0, b=1.0, y=7.0)
    print("\nL = (y - (w x + b))^2 at w = 1, x = 2, b = 1, y = 7")
    print(f"  L = {result.loss:g}, dL/dw = {result.by_weight:g}, dL/db = {result.by_bias:g}")
    save_figures(directory, {"gradient_descent": draw_descent, "learning_rates": draw_rates})


if __name__ == "__main__":
    main()

"""Functions of several inputs and of matrices, forward and backward (chapter 1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

import typegrad as tg
from examples.figures import BLUE, DARK, RED, output_directory, panels, save_diagrams, save_figures
from typegrad.types import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Evaluation:
    """A function's value, and its gradients with respect to both inputs."""

    value: Array
    left_grad: Array
    right_grad: Array


def sigmoid_of(combine: tg.BinaryOperation, left: Array, right: Array) -> Evaluation:
    """Evaluate sigmoid(combine(left, right)), whose elements count as separate functions.

    With `tg.Add` or `tg.Multiply` both inputs have one shape; with `tg.MatMul` they are a row
    (1, k) and a column (k, 1).
    """
    sigmoid = tg.Sigmoid()
    value = sigmoid.forward(combine.forward(left, right))
    return Evaluation(value, *combine.backward(sigmoid.backward(np.ones_like(value))))


def summed_sigmoid(x: Array, w: Array) -> Evaluation:
    """Evaluate L = sum(sigmoid(X W)) for X of shape (n, k) and W of shape (k, m)."""
    product, sigmoid, total = tg.MatMul(), tg.Sigmoid(), tg.Sum()
    value = total.forward(sigmoid.forward(product.forward(x, w)))
    product_grad = sigmoid.backward(total.backward(np.ones_like(value)))
    return Evaluation(value, *product.backward(product_grad))


def loss(x: Array, w: Array) -> Array:
    """Compute the same L as a formula, for autodiff to record."""
    total: Array = tg.Sigmoid().forward(x @ w).sum()
    return total


def weight_gradient_by_rule(x: Array, w: Array) -> Array:
    """dL/dW = X^T (dL/dS * sigmoid'(N)), where N = X W, S = sigmoid(N) and L sums S."""
    product = x @ w
    sum_grad = np.ones_like(product)
    slope = tg.numerical_derivative(tg.Sigmoid().forward, product, 1e-5)
    rule: Array = x.T @ (sum_grad * slope)
    return rule


def shifted(x: Array, place: tuple[int, int], step: float) -> Array:
    """Copy of `x` with one element raised by `step`."""
    copy = x.copy()
    copy[place] += step
    return copy


def gradients_by_autodiff(x: Array, w: Array) -> tuple[Array, Array]:
    """dL/dX and dL/dW, from the formula alone."""
    return tg.grad(loss, (0, 1))(x, w)


def row_and_column() -> tuple[Array, Array]:
    """X (1, 3) and W (3, 1) of the book's vector example."""
    stream = np.random.RandomState(190203)
    return stream.randn(1, 3), stream.randn(3, 1)


def matrices() -> tuple[Array, Array]:
    """X (3, 3) and W (3, 2) of the book's matrix example."""
    stream = np.random.RandomState(190204)
    return stream.randn(3, 3), stream.randn(3, 2)


def slope_in_first_element(x: Array, w: Array, step: float = 0.001) -> float:
    """(L(x11 + step) - L) / step."""
    raised = summed_sigmoid(shifted(x, (0, 0), step), w).value
    return float((raised - summed_sigmoid(x, w).value) / step)


def mismatch() -> str:
    """What multiplying matrices of the wrong shapes says."""
    try:
        tg.MatMul().forward(np.zeros((1, 3)), np.zeros((2, 4)))
    except tg.ShapeError as error:
        return str(error)
    raise AssertionError("shapes (1, 3) and (2, 4) were multiplied")


def draw_first_element() -> Figure:
    """Draw L against x11, with the slope that the backward pass gives."""
    x, w = matrices()
    here = summed_sigmoid(x, w)
    slope = here.left_grad[0, 0]
    offsets = np.linspace(-2.0, 4.0, 121)
    losses = [float(summed_sigmoid(shifted(x, (0, 0), offset), w).value) for offset in offsets]
    near = np.array([-1.2, 1.2])
    figure, (panel,) = panels(1, 1, 5.6, 3.8)
    panel.plot(x[0, 0] + offsets, losses, color=BLUE, label="L")
    panel.plot(
        x[0, 0] + near, here.value + slope * near, "--", color=RED, label=f"slope {slope:.4f}"
    )
    panel.plot(x[0, 0], here.value, "o", color=DARK, label=f"x11 = {x[0, 0]:.4f}")
    panel.set(xlabel="x11", ylabel="L", title="L = sum(sigmoid(X W)) against one element of X")
    panel.legend(frameon=False)
    return figure


def diagrams() -> dict[str, tg.Drawing]:
    """Graphs of sigmoid(x + y), of sigmoid(X W) and of L, forward alone and with gradients."""
    sigmoid = tg.Sigmoid()
    numbers = np.array([-1.0, 0.5, 2.0]), np.array([2.0, 0.5, -1.5])
    examples: dict[str, tuple[Callable[[Array, Array], Array], tuple[Array, Array]]] = {
        "two_inputs": (lambda x, y: sigmoid.forward(x + y), numbers),
        "row_times_column": (lambda x, w: sigmoid.forward(x @ w), row_and_column()),
        "loss": (loss, matrices()),
    }
    return {
        f"{name}_{direction}": tg.draw_graph(function, *inputs, backward=direction == "backward")
        for name, (function, inputs) in examples.items()
        for direction in ("forward", "backward")
    }


def print_two_inputs() -> None:
    """Print value and gradients of sigmoid(x + y) and sigmoid(x * y)."""
    x, y = np.array([-1.0, 0.5, 2.0]), np.array([2.0, 0.5, -1.5])
    print(f"x = {x}, y = {y}")
    for text, combine in (("x + y", tg.Add()), ("x * y", tg.Multiply())):
        result = sigmoid_of(combine, x, y)
        print(f"  sigmoid({text}) = {result.value.round(4)}")
        print(f"    by x {result.left_grad.round(4)}, by y {result.right_grad.round(4)}")


def print_row_times_column() -> None:
    """Print the gradient of sigmoid(X W), and what raising x3 does."""
    x, w = row_and_column()
    result = sigmoid_of(tg.MatMul(), x, w)
    raised = sigmoid_of(tg.MatMul(), shifted(x, (0, 2), 0.01), w)
    print(f"\nX = {x.round(4)}")
    print(f"  gradient of sigmoid(X W) by X {result.left_grad.round(4)}")
    print(f"  x3 + 0.01 changes the output by {(raised.value - result.value).item():.6f}")


def print_matrices() -> None:
    """Print L = sum(sigmoid(X W)) and its gradients."""
    x, w = matrices()
    result = summed_sigmoid(x, w)
    print(f"\nX =\n{x.round(4)}")
    print(f"  L = sum(sigmoid(X W)) = {result.value:.4f}")
    print(f"  dL/dX =\n{result.left_grad.round(4)}")
    print(f"  (L(x11 + 0.001) - L) / 0.001 = {slope_in_first_element(x, w):.4f}")
    print(f"  dL/dW =\n{result.right_grad.round(4)}")
    print(f"  dL/dW by X^T (dL/dS * sigmoid'(N)) =\n{weight_gradient_by_rule(x, w).round(4)}")
    print(f"  step by step:\n{tg.trace(loss, x, w)}")
    print(f"\nWrong shapes: {mismatch()}")


def main() -> None:
    """Print values and gradients; draw L against x11."""
    directory = output_directory(__doc__)
    print_two_inputs()
    print_row_times_column()
    print_matrices()
    save_diagrams(directory, diagrams())
    save_figures(directory, {"loss_against_x11": draw_first_element})


if __name__ == "__main__":
    main()

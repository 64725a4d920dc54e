"""Derivatives by central differences, tangents and fields of gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import typegrad as tg
from examples.figures import BLUE, DARK, RED, output_directory, panels, save_figures
from typegrad.types import Array, IntArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Function = Callable[[Any], Any]
"""Of numbers or, element by element, of arrays."""


@dataclass(frozen=True)
class Example:
    """A function of one variable and a point."""

    text: str
    function: Function
    point: float

    def derivative(self) -> float:
        """Derivative there, by the central difference."""
        slope: float = tg.numerical_derivative(self.function, self.point)
        return slope


EXAMPLES = (
    Example("x^2", lambda x: x**2, 3.0),
    Example("x^3", lambda x: x**3, 2.0),
    Example("e^x", math.exp, 1.0),
    Example("ln x", math.log, 2.0),
    Example("x^2 e^x", lambda x: x**2 * math.exp(x), 1.0),
)

SIGMOID_POINTS: Array = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])


def sigmoid_derivative(x: Array) -> Array:
    """Derivative of the sigmoid at each element of `x`, by the operation's own backward pass."""
    sigmoid = tg.Sigmoid()
    return sigmoid.backward(np.ones_like(sigmoid.forward(x)))


def polynomial(x: Any, y: Any) -> Any:
    """x^2 y + 3 y^2."""
    return x**2 * y + 3 * y**2


def bowl(x: Any, y: Any) -> Any:
    """x^2 + 3 y^2."""
    return x**2 + 3 * y**2


def cubic(x: Any) -> Any:
    """-x^3 + 3 x."""
    return -(x**3) + 3 * x


def square(x: Any) -> Any:
    """x^2."""
    return x**2


def partial_derivatives(x: float, y: float) -> tuple[float, float]:
    """Both partial derivatives of x^2 y + 3 y^2."""
    return (
        tg.partial_derivative(polynomial, 0, x, y),
        tg.partial_derivative(polynomial, 1, x, y),
    )


def draw_tangents() -> Figure:
    """Draw x^2 and -x^3 + 3x with tangents whose slopes are central differences."""
    figure, (left, right) = panels(1, 2, 4.8, 3.8)
    labels = {-2.0: (12, 2), 0.5: (-62, 14), 1.5: (12, -10)}
    _draw_tangents(left, square, "x²", np.linspace(-3, 3, 121), labels)
    labels = {-1.8: (14, 8), 0.0: (12, -10), 1.0: (14, 8)}
    _draw_tangents(right, cubic, "-x³ + 3x", np.linspace(-2.5, 2.5, 121), labels)
    return figure


def _draw_tangents(
    panel: Axes, function: Function, name: str, x: Array, labels: dict[float, tuple[int, int]]
) -> None:
    """Draw tangents at the points that `labels` has, which says how far off a label is."""
    panel.plot(x, function(x), color=BLUE, linewidth=2.0, label=name)
    near = np.array([-1.1, 1.1])
    for index, (point, offset) in enumerate(labels.items()):
        height, slope = function(point), tg.numerical_derivative(function, point)
        label = "tangents" if index == 0 else None
        panel.plot(point + near, height + slope * near, color=RED, label=label)
        panel.plot(point, height, "o", color=DARK, markersize=5)
        text = f"slope {slope:.2f}"
        panel.annotate(text, (point, height), offset, textcoords="offset points")
    panel.set(title=f"{name} and its tangents", xlabel="x", ylabel="y")
    panel.legend(frameon=False)


def draw_sigmoid() -> Figure:
    """Draw the sigmoid and its derivative."""
    x = np.linspace(-6, 6, 241)
    figure, (panel,) = panels(1, 1, 5.6, 3.6)
    panel.plot(x, tg.Sigmoid().forward(x), color=BLUE, label="sigmoid")
    panel.plot(x, sigmoid_derivative(x), color=RED, label="its derivative")
    panel.plot(SIGMOID_POINTS, sigmoid_derivative(SIGMOID_POINTS), "o", color=RED, markersize=4)
    panel.set(xlabel="x", title="The derivative is largest at 0, where it is 1/4")
    panel.legend(frameon=False)
    return figure


def draw_gradient_fields() -> Figure:
    """Draw contours of two functions with the directions in which they fall."""
    figure, (left, right) = panels(1, 2, 4.8, 4.2)
    _draw_gradient_field(left, bowl, "x² + 3y²", np.arange(1, 36, 2))
    # Level 0 is left out: it passes the saddle, where contours cannot be followed.
    _draw_gradient_field(right, polynomial, "x²y + 3y²", np.arange(-5, 54, 3))
    return figure


def _draw_gradient_field(
    panel: Axes, function: Callable[[Any, Any], Any], name: str, levels: IntArray
) -> None:
    fine = np.linspace(-3, 3, 121)
    panel.contour(fine, fine, function(*np.meshgrid(fine, fine)), levels=levels, cmap="viridis")
    x, y = np.meshgrid(np.linspace(-2.6, 2.6, 11), np.linspace(-2.6, 2.6, 11))
    points = np.column_stack([x.ravel(), y.ravel()])
    falls = -np.array([tg.numerical_gradient(lambda p: function(*p), p) for p in points])
    # Lengths grow with the square root, so that small gradients can still be seen.
    length = np.linalg.norm(falls, axis=1, keepdims=True)
    arrows = falls / np.sqrt(np.maximum(length, 1e-12))
    panel.quiver(*points.T, *arrows.T, color=RED, width=0.005, scale=55)
    panel.set(title=f"{name}: contours, negative gradient", xlabel="x", ylabel="y", aspect="equal")


def main() -> None:
    """Print derivatives; draw tangents, the sigmoid and fields of gradients."""
    directory = output_directory(__doc__)
    print("Central differences")
    for example in EXAMPLES:
        print(f"  {example.text:8} at {example.point:g}: {example.derivative():.10f}")
    print(f"  3e is {3 * math.e:.10f}")
    print(f"\nDerivative of the sigmoid at {SIGMOID_POINTS}:")
    print(f"  {sigmoid_derivative(SIGMOID_POINTS)}")
    by_x, by_y = partial_derivatives(2.0, 3.0)
    print(f"\nPartial derivatives of x^2 y + 3 y^2 at (2, 3): {by_x:.6f} and {by_y:.6f}")
    save_figures(
        directory,
        {
            "tangents": draw_tangents,
            "sigmoid_derivative": draw_sigmoid,
            "gradient_fields": draw_gradient_fields,
        },
    )


if __name__ == "__main__":
    main()

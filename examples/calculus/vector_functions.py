"""Jacobians of vector functions, the vector chain rule, and a neuron's cost."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import typegrad as tg
from examples.figures import output_directory
from typegrad.types import Array, Matrix, Vector

ELEMENTWISE: dict[str, Callable[[Array, Array], Array]] = {
    "w + x": lambda w, x: w + x,
    "w - x": lambda w, x: w - x,
    "w * x": lambda w, x: w * x,
    "w / x": lambda w, x: w / x,
}


def pair(v: Vector) -> Array:
    """(3 x^2 y, 2 x + y^8) for v = (x, y)."""
    x, y = v[0], v[1]
    return np.stack([3.0 * x**2 * y, 2.0 * x + y**8])


def identity(v: Vector) -> Array:
    """Return v itself."""
    return v


def total(v: Vector) -> Array:
    """Sum of v, as a vector of one element."""
    return np.stack([np.sum(v)])


def inner(x: Vector) -> Array:
    """(x^2, 3 x) for a vector of one element."""
    return np.concatenate([x**2, 3.0 * x])


def outer(v: Vector) -> Array:
    """(ln v1, sin v2)."""
    return np.stack([np.log(v[0]), np.sin(v[1])])


def nested(x: Vector) -> Array:
    """(ln x^2, sin 3x) for a vector of one element."""
    return outer(inner(x))


def elementwise_jacobians(
    function: Callable[[Array, Array], Array], w: Vector, x: Vector
) -> tuple[Matrix, Matrix]:
    """Jacobians with respect to both inputs of a function of their elements."""
    by_w: Matrix
    by_x: Matrix
    by_w, by_x = tg.jacobian(function, (0, 1))(w, x)
    return by_w, by_x


def chain_rule(x: Vector) -> Matrix:
    """Jacobian of `nested`, (2, 1), as the product of its functions' Jacobians."""
    product: Matrix = tg.jacobian(outer)(inner(x)) @ tg.jacobian(inner)(x)
    return product


def neuron_cost(weight: Vector, bias: float, x: Matrix, y: Vector) -> Array:
    """Mean of (y_i - max(0, w . x_i + b))^2; x is (n, k), y (n,) and the weight (k,)."""
    cost: Array = np.square(y - np.maximum(x @ weight + bias, 0.0)).mean()
    return cost


def neuron_gradient(weight: Vector, bias: float, x: Matrix, y: Vector) -> tuple[Vector, float]:
    """Gradient of the neuron's cost by weight and bias."""
    return tg.grad(neuron_cost, (0, 1))(weight, bias, x, y)


def neuron_gradient_by_layer(
    weight: Vector, bias: float, x: Matrix, y: Vector
) -> tuple[Vector, float]:
    """Compute the same with a `tg.Dense` layer's backward pass."""
    network = tg.NeuralNetwork(tg.Dense(x.shape[1], 1, "relu"), loss=tg.MSELoss(), dtype=np.float64)
    network.load_state_dict({"0.weight": weight[:, np.newaxis], "0.bias": np.array([bias])})
    network.loss.forward(network.forward(x), y[:, np.newaxis])
    network.backward(network.loss.backward())
    parameters = network.parameters
    return parameters["0.weight"].grad[:, 0], parameters["0.bias"].grad.item()


def neuron_example() -> tuple[Vector, float, Matrix, Vector]:
    """Weight, bias, inputs (8, 3) and targets of a neuron that some examples switch off."""
    generator = np.random.default_rng(1)
    x = generator.standard_normal((8, 3))
    return np.array([0.5, -1.0, 2.0]), 0.25, x, generator.standard_normal(8)


def print_jacobians() -> None:
    """Print Jacobians of vector functions."""
    point = np.array([1.0, 2.0])
    print("Jacobian of (3 x^2 y, 2 x + y^8) at (1, 2)")
    print(f"  numerator layout:\n{tg.jacobian(pair)(point)}")
    print(f"  denominator layout:\n{tg.jacobian(pair, layout='denominator')(point)}")
    w, x = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 8.0])
    print(f"\nIdentity:\n{tg.jacobian(identity)(w)}")
    print(f"Sum: {tg.jacobian(total)(w)}")
    print(f"\nElement-wise, w = {w}, x = {x}: diagonals of both Jacobians")
    for text, function in ELEMENTWISE.items():
        by_w, by_x = elementwise_jacobians(function, w, x)
        print(f"  {text}: {np.diagonal(by_w)}, {np.diagonal(by_x)}")


def main() -> None:
    """Print Jacobians, the vector chain rule and a neuron's gradient."""
    output_directory(__doc__)
    print_jacobians()
    x = np.array([0.5])
    print(f"\n(ln x^2, sin 3x) at {x.item()}")
    print(f"  Jacobian {tg.jacobian(nested)(x).ravel()}")
    print(f"  product of Jacobians {chain_rule(x).ravel()}")
    example = neuron_example()
    by_weight, by_bias = neuron_gradient(*example)
    print("\nCost of a neuron, mean of (y_i - max(0, w . x_i + b))^2")
    print(f"  by w {by_weight}, by b {by_bias:.8f}")
    by_weight, by_bias = neuron_gradient_by_layer(*example)
    print(f"  Dense layer: by w {by_weight}, by b {by_bias:.8f}")


if __name__ == "__main__":
    main()

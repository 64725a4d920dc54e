"""Gradients of each example's own loss, and their norms, without a loop over examples.

How far they scatter says what batch size is worth its cost, and clipping them one by one is
what differentially private training does.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import Any

import numpy as np

from typegrad.layers import Activation, Dense, Flatten, Layer
from typegrad.network import NeuralNetwork
from typegrad.operations.activations import Softmax
from typegrad.operations.parameter import Parameter
from typegrad.types import Array, Matrix, Vector

__all__ = ["per_example_gradient_norms", "per_example_gradients"]


def per_example_gradients(network: NeuralNetwork, x: Array, y: Array) -> dict[str, Array]:
    """Gradients of each example's own loss, with respect to every parameter.

    With x the input of a `Dense` layer and delta the gradient with respect to what it
    computes before its activation, example n has the weight gradient x_n delta_n^T and
    the bias gradient delta_n. Their mean over the examples is the gradient of the loss.

    Parameters
    ----------
    network
        Made of `Dense` layers and element-wise activations.
    x, y
        Inputs and targets as ``forward`` takes them: standardised, of the network's dtype.

    Returns
    -------
    dict
        By the names of ``network.parameters``: arrays of shape (n, *parameter's shape).

    Raises
    ------
    TypeError
        If the network has other layers.

    Examples
    --------
    >>> import typegrad as tg
    >>> network = tg.NeuralNetwork(tg.Dense(3, 2), loss=tg.MSELoss(), seed=0)
    >>> x, y = np.ones((5, 3), np.float32), np.zeros((5, 2), np.float32)
    >>> {name: grad.shape for name, grad in per_example_gradients(network, x, y).items()}
    {'0.weight': (5, 3, 2), '0.bias': (5, 2)}
    """
    gradients: dict[str, Array] = {}
    for name, layer, inputs, deltas in dense_parts(network, x, y):
        gradients[f"{name}.weight"] = inputs[:, :, None] * deltas[:, None, :]
        if layer.bias is not None:
            gradients[f"{name}.bias"] = deltas
    return {name: gradients[name] for name in network.parameters}


def per_example_gradient_norms(network: NeuralNetwork, x: Array, y: Array) -> Vector:
    """Euclidean norm of each example's own gradient, all parameters together, (n,).

    No gradient is formed: that of example n has the squared norm
    |x_n|^2 |delta_n|^2 for a layer's weight, and |delta_n|^2 for its bias
    (Goodfellow, "Efficient per-example gradient computations", 2015).

    Takes and raises what `per_example_gradients` does.

    Examples
    --------
    >>> import typegrad as tg
    >>> network = tg.NeuralNetwork(tg.Dense(3, 2), loss=tg.MSELoss(), seed=0)
    >>> x, y = np.ones((5, 3), np.float32), np.zeros((5, 2), np.float32)
    >>> per_example_gradient_norms(network, x, y).shape
    (5,)
    """
    squares: Vector = np.zeros(len(x), network.dtype)
    for _, layer, inputs, deltas in dense_parts(network, x, y):
        bias = 0.0 if layer.bias is None else 1.0
        squares = squares + (row_squares(inputs) + bias) * row_squares(deltas)
    return np.sqrt(squares)


def dense_parts(
    network: NeuralNetwork, x: Array, y: Array
) -> Iterator[tuple[str, Dense, Matrix, Matrix]]:
    """For each Dense layer, the last first: name, layer, its inputs and its deltas.

    Inputs are (n, in_features) and deltas (n, out_features), of each example's own loss.

    Raises
    ------
    TypeError
        If the network has other layers.
    """
    for layer in network.layers:
        _check_layer(layer)
    steps: list[tuple[int, Layer, Any, tuple[Array, ...], Array]] = []
    value = x
    for index, layer in enumerate(network.layers):
        layer.check_input(value)
        anything: Any = layer.operations
        for operation in anything:
            inputs = (value, *[parameter.value for parameter in _parameters(operation)])
            output = operation.compute(inputs)
            steps.append((index, layer, operation, inputs, output))
            value = output
    loss = copy(network.loss)  # what the network's own keeps for its backward stays
    loss.forward(value, y)
    # The loss is a mean, so each example's own gradient is n times what backward gives.
    delta = loss.backward() * float(len(x))
    for index, layer, operation, inputs, output in reversed(steps):
        if isinstance(layer, Dense) and len(inputs) > 1:
            yield str(index), layer, inputs[0], delta
        delta = operation.gradient(0, delta, inputs, output)


def _parameters(operation: Any) -> tuple[Parameter, ...]:
    parameters: tuple[Parameter, ...] = getattr(operation, "parameters", ())
    return parameters


def has_formula(network: NeuralNetwork) -> bool:
    """Whether a network is one that this module takes."""
    return all(_is_supported(layer) for layer in network.layers)


def _is_supported(layer: Layer) -> bool:
    """Whether examples do not mix, and parameters are those of Dense layers."""
    mixes = any(
        isinstance(operation, Softmax) and operation.axis in (0, -2)
        for operation in layer.operations
    )
    return not mixes and isinstance(layer, Dense | Activation | Flatten)


def _check_layer(layer: Layer) -> None:
    if not _is_supported(layer):
        raise TypeError(
            f"per-example gradients: {layer} is not supported; "
            "expected Dense layers and element-wise activations"
        )


def row_squares(rows: Matrix) -> Vector:
    """Squared Euclidean norm of each row."""
    squares: Vector = np.einsum("ij,ij->i", rows, rows)
    return squares

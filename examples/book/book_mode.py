"""The book's own random numbers, data order and gradients, through typegrad's extension points.

The numbers that the book prints depend on habits that typegrad does not have: one global
random generator that layers seed anew, rows that are permuted again and again, a gradient
that is summed over the batch where the loss is a mean, and in chapter 2 a bias gradient that
is summed over the hidden units too. Here each is a small part of its own, and no global
state is touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

import typegrad as tg
from typegrad.types import Array, IntArray, Shape


class LegacyNormal:
    """Initializer: standard normal numbers, drawn from NumPy's legacy generator.

    Parameters that share one `stream` take their values from it in turn.
    """

    def __init__(self, stream: np.random.RandomState) -> None:
        self.stream = stream

    def __call__(self, shape: Shape, generator: np.random.Generator) -> Array:
        return self.stream.standard_normal(shape)


class SharedBiasLinear(tg.Linear):
    """x @ weight + bias, where every bias is given the sum of all biases' gradients.

    Chapter 2 sums the hidden layer's bias gradient over rows and units alike.
    """

    def parameter_grads(
        self, output_grad: Array, x: Array, y: Array, weight: Array, bias: Array
    ) -> tuple[Array, Array]:
        weight_grad, bias_grad = super().parameter_grads(output_grad, x, y, weight, bias)
        return weight_grad, np.full_like(bias_grad, np.sum(bias_grad))


class BookDense(tg.Layer):
    """Fully connected layer whose weight and bias are standard normal legacy numbers.

    Parameters
    ----------
    in_features, out_features
        Widths of input and output.
    stream
        Where weight and bias, in this order, come from.
    activation
        Applied to the affine map's output.
    linear
        The affine map, with its gradients.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        stream: np.random.RandomState,
        activation: tg.ElementwiseOperation | None = None,
        linear: type[tg.Linear] = tg.Linear,
    ) -> None:
        self.in_features = in_features
        self.out_features = out_features
        self.weight = tg.Parameter((in_features, out_features), LegacyNormal(stream))
        self.bias = tg.Parameter((out_features,), LegacyNormal(stream), decay=False)
        product = linear(self.weight, self.bias)
        self.operations = (product,) if activation is None else (product, activation)


class HalfSquaredLoss(tg.ElementwiseLoss):
    """Mean of (prediction - target)^2 / 2: its gradient is the squared error's without the 2."""

    def terms(self, prediction: Array, target: Array) -> Array:
        return 0.5 * np.square(prediction - target)

    def term_grads(self, prediction: Array, target: Array) -> Array:
        return prediction - target


def row_orders(rows: int, streams: Iterable[np.random.RandomState]) -> Iterator[IntArray]:
    """Orders in which to go through the rows, each a permutation of the one before.

    The book permutes its data in place, with whatever generator is the global one then:
    `streams` gives it for each order.
    """
    order: IntArray = np.arange(rows)
    for stream in streams:
        order = order[stream.permutation(rows)]
        yield order


def row_batches(orders: Iterable[IntArray], batch_size: int) -> Iterator[IntArray]:
    """Rows of one batch after the other; the last one of an order has what is left."""
    for order in orders:
        for start in range(0, len(order), batch_size):
            yield order[start : start + batch_size]


def summed_step(
    network: tg.NeuralNetwork, optimizer: tg.Optimizer, inputs: Array, targets: Array
) -> None:
    """Take a step along the gradient of the loss summed, not averaged, over the batch."""
    network.zero_grad()
    outputs = network.forward(inputs)
    network.loss.forward(outputs, targets, total_weight=1.0)
    network.backward(network.loss.backward())
    optimizer.step(network.flat.values, network.flat.grads)

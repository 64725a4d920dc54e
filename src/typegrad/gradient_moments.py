"""How the gradients of single examples scatter: sums over examples, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from typegrad.errors import DTypeError, NumericalError, ShapeError
from typegrad.losses.base import check_sample_weight
from typegrad.network import NeuralNetwork
from typegrad.per_example import dense_parts, has_formula, row_squares
from typegrad.types import Array, IntArray

Float64s = npt.NDArray[np.float64]

_BLOCK_ROWS = 2048
_BLOCK_NUMBERS = 4_000_000
_GRAM_ROWS = 512
"""From so many examples at most the trace of the squared covariance is estimated."""

_FEW_ROWS = 8


@dataclass(frozen=True)
class GradientMoments:
    """Of the gradients g_i of n examples, all parameters together, float64.

    Attributes
    ----------
    squares : ndarray of shape (n,)
        |g_i|^2.
    along_mean : ndarray of shape (n,)
        The inner product of g_i with the mean gradient.
    squared_mean : float
        |mean of g_i|^2.
    squared_covariance : float
        Estimate of the trace of the squared covariance matrix of the g_i.
    """

    squares: Float64s
    along_mean: Float64s
    squared_mean: float
    squared_covariance: float

    def __len__(self) -> int:
        return len(self.squares)


def gradient_moments(
    network: NeuralNetwork, x: Array, y: Array, sample_weight: npt.ArrayLike | None = None
) -> GradientMoments:
    """Work out the moments, for any network.

    Of networks of `Dense` layers and element-wise activations no single gradient is formed;
    for others each example goes through the network alone, as in inference. Nothing of the
    network changes.

    Parameters
    ----------
    network
        At its present parameters.
    x, y
        Inputs and targets as ``forward`` takes them: standardised, of the network's dtype;
        two examples or more.
    sample_weight
        Weight of each example, (n,): an example's gradient is its weight times that of its
        own loss, as in a step of training.

    Raises
    ------
    ShapeError, DTypeError, DataError
        If the data does not fit the network or itself.
    NumericalError
        If an example's gradient is not finite.
    """
    check_examples(network, x, y)
    weight = np.ones(len(x))
    if sample_weight is not None:
        weight = check_sample_weight("gradient noise", np.asarray(sample_weight), len(x)).astype(
            np.float64
        )
    gradients = _gradients_of(network, x, y, weight)
    squares, total = np.zeros(len(x)), [np.zeros(0)]
    for rows in _blocks(len(x), gradients.block_rows):
        block = gradients.block(rows)
        squares[rows] = block.squares()
        sums = block.sums()
        total = sums if rows[0] == 0 else [a + b for a, b in zip(total, sums, strict=True)]
    mean = [part / len(x) for part in total]
    if not np.isfinite(squares.sum()):
        raise NumericalError(
            f"gradient noise: the gradient of example {int(np.argmin(np.isfinite(squares)))} has "
            "NaN or infinity, or its square is too large; has the training diverged?"
        )
    along = np.zeros(len(x))
    for rows in _blocks(len(x), gradients.block_rows):
        along[rows] = gradients.block(rows).along(mean)
    return GradientMoments(
        squares=squares,
        along_mean=along,
        squared_mean=float(sum(np.vdot(part, part) for part in mean)),
        squared_covariance=_squared_covariance(gradients, len(x)),
    )


class _Block(Protocol):
    """Gradients of a few examples."""

    def squares(self) -> Float64s: ...
    def sums(self) -> list[Float64s]: ...
    def along(self, direction: list[Float64s]) -> Float64s: ...
    def gram(self) -> Float64s: ...


class _Gradients(Protocol):
    """Gradients of all examples, a block at a time."""

    block_rows: int

    def block(self, rows: IntArray) -> _Block: ...


@dataclass(frozen=True)
class _DenseBlock:
    """Gradients of Dense layers, as inputs, with a column of ones for a bias, and deltas.

    A layer's gradient of example n is the outer product of the two rows n.
    """

    layers: list[tuple[Float64s, Float64s]]

    def squares(self) -> Float64s:
        return self._over_layers([row_squares(a) * row_squares(d) for a, d in self.layers])

    def sums(self) -> list[Float64s]:
        return [inputs.T @ deltas for inputs, deltas in self.layers]

    def along(self, direction: list[Float64s]) -> Float64s:
        pairs = zip(self.layers, direction, strict=True)
        return self._over_layers([np.einsum("ij,ij->i", a @ part, d) for (a, d), part in pairs])

    def gram(self) -> Float64s:
        return self._over_layers([(a @ a.T) * (d @ d.T) for a, d in self.layers])

    def _over_layers(self, parts: list[Array]) -> Float64s:
        summed: Float64s = np.sum(parts, axis=0, dtype=np.float64)
        return summed


class _DenseGradients:
    block_rows = _BLOCK_ROWS

    def __init__(self, network: NeuralNetwork, x: Array, y: Array, weight: Float64s) -> None:
        self._network, self._x, self._y, self._weight = network, x, y, weight

    def block(self, rows: IntArray) -> _DenseBlock:
        weight = self._weight[rows, None]
        layers = []
        for _, layer, inputs, deltas in dense_parts(self._network, self._x[rows], self._y[rows]):
            columns = [inputs] if layer.bias is None else [inputs, np.ones((len(rows), 1))]
            layers.append((np.hstack(columns).astype(np.float64), deltas * weight))
        return _DenseBlock(layers)


@dataclass(frozen=True)
class _FlatBlock:
    """Gradients as the rows of a matrix."""

    rows: Float64s

    def squares(self) -> Float64s:
        return np.asarray(row_squares(self.rows), np.float64)

    def sums(self) -> list[Float64s]:
        return [self.rows.sum(axis=0)]

    def along(self, direction: list[Float64s]) -> Float64s:
        return self.rows @ direction[0]

    def gram(self) -> Float64s:
        return self.rows @ self.rows.T


class _LoopGradients:
    def __init__(self, network: NeuralNetwork, x: Array, y: Array, weight: Float64s) -> None:
        self._network, self._x, self._y, self._weight = network, x, y, weight
        # A block is asked for up to three times, and costs a loop.
        self._last: tuple[IntArray, _FlatBlock] | None = None
        fitting = _BLOCK_NUMBERS // max(network.flat.values.size, 1)
        self.block_rows = min(max(fitting, 2), _BLOCK_ROWS)

    def block(self, rows: IntArray) -> _FlatBlock:
        if self._last is None or not np.array_equal(rows, self._last[0]):
            self._last = (rows, _FlatBlock(self._compute(rows)))
        return self._last[1]

    def _compute(self, rows: IntArray) -> Float64s:
        network = self._network
        loss = copy(network.loss)
        kept = network.flat.grads.copy()
        gradients = np.empty((len(rows), kept.size))
        for place, row in enumerate(rows.tolist()):
            network.zero_grad()
            loss.forward(network.forward(self._x[row : row + 1]), self._y[row : row + 1])
            network.backward(loss.backward())
            gradients[place] = network.flat.grads
        network.flat.grads[...] = kept
        return np.asarray(gradients * self._weight[rows, None])


def _gradients_of(network: NeuralNetwork, x: Array, y: Array, weight: Float64s) -> _Gradients:
    if has_formula(network):
        return _DenseGradients(network, x, y, weight)
    return _LoopGradients(network, x, y, weight)


def _blocks(n: int, size: int) -> Iterator[IntArray]:
    for start in range(0, n, size):
        yield np.arange(start, min(start + size, n))


def _squared_covariance(gradients: _Gradients, n: int) -> float:
    """Mean over pairs of the squared inner product of two centred gradients."""
    count = min(n, _GRAM_ROWS, gradients.block_rows)
    # Evenly spaced, in case the rows are sorted.
    rows = np.linspace(0, n - 1, count).round().astype(np.int64)
    gram = gradients.block(rows).gram()
    gram = gram - gram.mean(axis=0) - gram.mean(axis=1, keepdims=True) + gram.mean()
    if count < _FEW_ROWS:
        # No products to speak of; with all noise in one direction it would be largest.
        return float((np.trace(gram) / (count - 1)) ** 2)
    # The variance: centring by the sample's own mean gives the products a mean of their own.
    return float(np.var(gram[~np.eye(count, dtype=bool)]))


def check_examples(network: NeuralNetwork, x: Array, y: Array) -> None:
    """Require two examples or more, as ``forward`` takes them.

    Raises
    ------
    ShapeError, DTypeError
        If they are not.
    """
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y) or len(x) < 2:
        raise ShapeError(
            f"gradient noise: x has shape {x.shape} and y {y.shape}; "
            "expected as many rows in both, at least 2"
        )
    if x.dtype != network.dtype or y.dtype != network.dtype:
        raise DTypeError(
            f"gradient noise: x is {x.dtype} and y {y.dtype}, but the network is "
            f"{network.dtype}; prepare them with network.prepare_inputs and prepare_targets"
        )

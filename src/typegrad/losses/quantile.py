"""Quantile regression: several quantiles of the target at once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from typegrad.errors import ShapeError
from typegrad.losses.base import Loss
from typegrad.operations.activations import Sigmoid, Softplus
from typegrad.types import Array, Shape, Vector


@dataclass(frozen=True, init=False)
class QuantileLoss(Loss):
    """Pinball loss, whose minimum is at the target's conditional quantiles.

    For a quantile q and d = target - prediction a term is q * d where d >= 0, else
    (q - 1) * d; the loss of an example is the mean over quantiles and target columns.
    Source: Koenker and Bassett, 1978.

    The network has ``len(quantiles)`` outputs for each target column, in the order of the
    quantiles, one target column after the other. The target is (n, target_columns).

    Parameters
    ----------
    quantiles
        Between 0 and 1, ascending.
    non_crossing
        If True, the first output is the lowest quantile and the softplus of each further
        one is added to the quantile before, so that predictions never cross.
    """

    quantiles: tuple[float, ...]
    non_crossing: bool

    def __init__(
        self, quantiles: Sequence[float] = (0.1, 0.5, 0.9), non_crossing: bool = False
    ) -> None:
        levels = tuple(float(q) for q in quantiles)
        inside = all(0 < q < 1 for q in levels)
        ascending = all(a < b for a, b in itertools.pairwise(levels))
        if not (levels and inside and ascending):
            raise ValueError(
                f"QuantileLoss: quantiles are {levels}; "
                "expected at least one, between 0 and 1, in ascending order"
            )
        object.__setattr__(self, "quantiles", levels)
        object.__setattr__(self, "non_crossing", non_crossing)

    def check_shapes(self, prediction: Shape, target: Shape) -> None:
        count = len(self.quantiles)
        if len(target) != 2 or prediction != (target[0], target[1] * count):
            raise ShapeError(
                f"{self}: the prediction has shape {prediction} and the target {target}; "
                f"expected (n, {count} * k) for a target of shape (n, k), "
                f"since there are {count} quantiles"
            )

    def output_features(self, target_features: int) -> int | None:
        return target_features * len(self.quantiles)

    def example_losses(self, prediction: Array, target: Array) -> Array:
        shortfall = self._shortfall(prediction, target)
        levels = self._levels(prediction)
        mean: Array = np.mean(
            np.maximum(levels * shortfall, (levels - 1.0) * shortfall), axis=(1, 2)
        )
        return mean

    def prediction_grad(self, prediction: Array, target: Array) -> Array:
        shortfall = self._shortfall(prediction, target)
        levels = self._levels(prediction)
        # As PyTorch's maximum does, split the derivative evenly where both are equal.
        slope = np.where(
            shortfall > 0, -levels, np.where(shortfall < 0, 1.0 - levels, 0.5 - levels)
        )
        grads = slope / (shortfall.shape[1] * shortfall.shape[2])
        if self.non_crossing:
            grads = self._increment_grads(grads, prediction)
        return np.reshape(grads, prediction.shape)

    def predictions(self, outputs: Array, location: Vector, scale: Vector) -> Array:
        values = self._quantile_values(outputs) * scale[:, None] + location[:, None]
        return np.reshape(values, outputs.shape)

    def point_predictions(self, predictions: Array) -> Array:
        """Return the quantile nearest to the median."""
        middle = int(np.argmin([abs(q - 0.5) for q in self.quantiles]))
        return predictions[:, middle :: len(self.quantiles)]

    def _levels(self, like: Array) -> Array:
        return np.array(self.quantiles, like.dtype)

    def _by_target(self, prediction: Array) -> Array:
        """(n, k * q) -> (n, k, q)."""
        count = len(self.quantiles)
        return np.reshape(prediction, (prediction.shape[0], prediction.shape[1] // count, count))

    def _quantile_values(self, prediction: Array) -> Array:
        """(n, k, q): the predicted quantiles."""
        outputs = self._by_target(prediction)
        if not self.non_crossing:
            return outputs
        steps = np.concatenate([outputs[:, :, :1], Softplus().forward(outputs[:, :, 1:])], axis=2)
        return np.cumsum(steps, axis=2)

    def _increment_grads(self, grads: Array, prediction: Array) -> Array:
        """Chain rule through `_quantile_values`."""
        outputs = self._by_target(prediction)
        steps = np.flip(np.cumsum(np.flip(grads, axis=2), axis=2), axis=2)
        slopes = Sigmoid().forward(outputs[:, :, 1:])
        return np.concatenate([steps[:, :, :1], steps[:, :, 1:] * slopes], axis=2)

    def _shortfall(self, prediction: Array, target: Array) -> Array:
        """(n, k, q): target - predicted quantile."""
        return target[:, :, None] - self._quantile_values(prediction)

"""Metrics: how good predictions are, in the target's own units."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from typegrad.errors import DataError, ShapeError
from typegrad.losses.base import check_sample_weight
from typegrad.types import Array, Vector

__all__ = [
    "METRICS",
    "Metric",
    "max_absolute_error",
    "mean_absolute_error",
    "mean_squared_error",
    "r2_score",
    "root_mean_squared_error",
]

Metric = Callable[[Array, Array, Vector | None], float]
"""``metric(prediction, target, sample_weight)`` -> number.

The prediction is what the loss's ``point_predictions`` gives: (n, target columns), in the
target's own units, or (n,) numbers of classes. The weights are (n,), or None.
"""


def mean_squared_error(
    prediction: Array, target: Array, sample_weight: Vector | None = None
) -> float:
    """Mean of (prediction - target)^2, over examples (weighted) and outputs."""
    return _mean(np.square(prediction_error(prediction, target)), sample_weight)


def root_mean_squared_error(
    prediction: Array, target: Array, sample_weight: Vector | None = None
) -> float:
    """Square root of the mean squared error, in the target's units."""
    return float(np.sqrt(mean_squared_error(prediction, target, sample_weight)))


def mean_absolute_error(
    prediction: Array, target: Array, sample_weight: Vector | None = None
) -> float:
    """Mean of |prediction - target|, in the target's units."""
    return _mean(np.abs(prediction_error(prediction, target)), sample_weight)


def max_absolute_error(
    prediction: Array, target: Array, sample_weight: Vector | None = None
) -> float:
    """Largest |prediction - target| of examples whose weight is not zero."""
    error = np.abs(prediction_error(prediction, target))
    return float(np.max(counted_rows(error, sample_weight)))


def r2_score(prediction: Array, target: Array, sample_weight: Vector | None = None) -> float:
    """Coefficient of determination, 1 - residual / total sum of squares, averaged over outputs.

    For an output that is constant, 1 if the prediction is exact and 0 if not, as in
    scikit-learn.
    """
    residual = column_means(np.square(prediction_error(prediction, target)), sample_weight)
    actual = np.asarray(target, np.float64)
    centred = actual - column_means(actual, sample_weight)
    total = column_means(np.square(centred), sample_weight)
    # Rounding of the mean keeps the total of equal numbers from being exactly zero.
    counted = counted_rows(actual, sample_weight)
    constant = (total == 0) | (np.min(counted, axis=0) == np.max(counted, axis=0))
    scores = 1.0 - residual / np.where(constant, 1.0, total)
    return output_mean(np.where(constant, residual == 0.0, scores))


METRICS: Mapping[str, Metric] = {
    "mse": mean_squared_error,
    "rmse": root_mean_squared_error,
    "mae": mean_absolute_error,
    "max_error": max_absolute_error,
    "r2": r2_score,
}
"""Metrics by the names that `Trainer` takes."""


def select_metrics(chosen: Iterable[str | Metric]) -> dict[str, Metric]:
    """Turn names and functions into a table of metrics by name.

    Raises
    ------
    ValueError
        If a name is not known, two metrics have one name, or one is neither name nor function.
    """
    if isinstance(chosen, str):
        raise ValueError(f"metrics is {chosen!r}; expected a list such as [{chosen!r}]")
    selected: dict[str, Metric] = {}
    for metric in chosen:
        name = metric if isinstance(metric, str) else getattr(metric, "__name__", repr(metric))
        if name in selected or name == "loss":
            raise ValueError(
                f"metric {name!r} has a name that is already taken; "
                "give the function another __name__"
            )
        if callable(metric):
            selected[name] = metric
        elif metric in METRICS:
            selected[name] = METRICS[metric]
        else:
            raise ValueError(
                f"metric is {metric!r}; expected a function or one of {', '.join(METRICS)}"
            )
    return selected


def prediction_error(prediction: Array, target: Array) -> Array:
    """Difference in float64, of arrays that must have one shape."""
    if np.shape(prediction) != np.shape(target) or np.ndim(target) == 0 or np.size(target) == 0:
        raise ShapeError(
            f"metrics: the prediction has shape {np.shape(prediction)} and the target "
            f"{np.shape(target)}; expected equal shapes with at least one example"
        )
    return np.asarray(prediction, np.float64) - np.asarray(target, np.float64)


def column_means(values: Array, sample_weight: Vector | None) -> Array:
    """Weighted mean over examples, of each output."""
    weights = _checked_weights(sample_weight, len(values))
    if weights is None:  # What np.average does then, in a third of the time for a few rows.
        return np.atleast_1d(np.add.reduce(values, axis=0) / len(values))
    return np.atleast_1d(np.average(values, axis=0, weights=weights))


def counted_rows(values: Array, sample_weight: Vector | None) -> Array:
    """Rows of examples whose weight is not zero."""
    weights = _checked_weights(sample_weight, len(values))
    return values if weights is None else values[weights > 0]


def _checked_weights(sample_weight: Vector | None, n: int) -> Array | None:
    if sample_weight is None:
        return None
    weights = check_sample_weight("metrics", sample_weight, n)
    if not weights.any():
        raise DataError(f"metrics: sample_weight is zero for all {n} examples")
    return weights


def output_mean(means: Array) -> float:
    """Mean over outputs: what np.mean gives, of a few in a quarter of the time."""
    return float(np.add.reduce(means, axis=None, dtype=np.float64) / means.size)


def _mean(values: Array, sample_weight: Vector | None) -> float:
    return output_mean(column_means(values, sample_weight))

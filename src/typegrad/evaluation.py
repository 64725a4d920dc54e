"""Loss and metrics of a network on data it is not being trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from typegrad.error_sums import FROM_SUMS, ErrorSums
from typegrad.feeding import Supply
from typegrad.metrics import Metric
from typegrad.network import NeuralNetwork
from typegrad.types import Array, Vector


@dataclass(frozen=True)
class Evaluation:
    """Loss in the units trained in, metrics in the target's own."""

    loss: float
    metrics: dict[str, float]


@dataclass(frozen=True)
class _Compared:
    """Predictions of some rows, and what they are compared with, in the target's own units."""

    prediction: Array
    target: Array
    weights: Vector | None


def evaluate_network(
    network: NeuralNetwork,
    supply: Supply,
    metrics: Mapping[str, Metric],
    compute_outputs: Callable[[Array], Array],
) -> Evaluation:
    """Evaluate some rows at a time, to bound memory.

    Of all rows, predictions are kept only for metrics that are not the library's own.

    Parameters
    ----------
    network, supply, metrics
        What to evaluate, on what, and by what.
    compute_outputs
        Takes inputs through the network.
    """
    sums = ErrorSums()
    kept: list[_Compared] = []
    keeps = any(metric not in FROM_SUMS for metric in metrics.values())
    loss = 0.0
    with np.errstate(all="ignore"), supply.in_order() as blocks:
        for block in blocks:
            data = block.data
            outputs = compute_outputs(data.inputs)
            loss += network.loss.forward(outputs, data.targets, data.weights, supply.total_weight)
            if metrics:
                prediction = network.loss.point_predictions(network.in_target_units(outputs))
                sums.add(prediction, block.targets, data.weights)
                if keeps:
                    kept.append(_Compared(prediction, block.targets, data.weights))
        whole = _joined(kept) if keeps else None
        values = {name: _value(metric, sums, whole) for name, metric in metrics.items()}
    return Evaluation(loss, values)


def _value(metric: Metric, sums: ErrorSums, whole: _Compared | None) -> float:
    if metric in FROM_SUMS:
        return FROM_SUMS[metric](sums)
    assert whole is not None
    return float(metric(whole.prediction, whole.target, whole.weights))


def _joined(parts: list[_Compared]) -> _Compared:
    weights = [part.weights for part in parts if part.weights is not None]
    return _Compared(
        np.concatenate([part.prediction for part in parts]),
        np.concatenate([part.target for part in parts]),
        np.concatenate(weights) if weights else None,
    )

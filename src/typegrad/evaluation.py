"""Loss and metrics of a network on data it is not being trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from typegrad.engines.base import TrainingData
from typegrad.metrics import Metric
from typegrad.network import NeuralNetwork
from typegrad.types import Array

ROWS_AT_A_TIME = 8192
"""Rows that pass through a network together where nothing is trained, to bound memory."""


@dataclass(frozen=True)
class Evaluation:
    """Loss in the units trained in, metrics in the target's own."""

    loss: float
    metrics: dict[str, float]


def compute_outputs(network: NeuralNetwork, inputs: Array) -> Array:
    """Forward in inference mode, some rows at a time to bound memory."""
    parts = [
        network.forward(inputs[start : start + ROWS_AT_A_TIME])
        for start in range(0, len(inputs), ROWS_AT_A_TIME)
    ]
    return np.concatenate(parts)


def evaluate_network(
    network: NeuralNetwork,
    data: TrainingData,
    targets: npt.NDArray[np.float64],
    metrics: Mapping[str, Metric],
) -> Evaluation:
    """Evaluate on prepared data; `targets` are those of `data` in their own units."""
    with np.errstate(all="ignore"):
        outputs = compute_outputs(network, data.inputs)
        loss = network.loss.forward(outputs, data.targets, data.weights)
        if not metrics:
            return Evaluation(loss, {})
        predictions = network.loss.point_predictions(network.in_target_units(outputs))
        values = {
            name: float(metric(predictions, targets, data.weights))
            for name, metric in metrics.items()
        }
    return Evaluation(loss, values)

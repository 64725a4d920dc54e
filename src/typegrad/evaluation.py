"""Loss and metrics of a network on data it is not being trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from typegrad.engines.base import TrainingData
from typegrad.metrics import Metric
from typegrad.network import NeuralNetwork
from typegrad.types import Array


@dataclass(frozen=True)
class Evaluation:
    """Loss in the units trained in, metrics in the target's own."""

    loss: float
    metrics: dict[str, float]


def evaluate_network(
    network: NeuralNetwork,
    data: TrainingData,
    targets: npt.NDArray[np.float64],
    metrics: Mapping[str, Metric],
    compute_outputs: Callable[[Array], Array],
) -> Evaluation:
    """Evaluate on prepared data.

    Parameters
    ----------
    network, data, metrics
        What to evaluate, on what, and by what.
    targets
        Those of `data` in their own units.
    compute_outputs
        Takes the data's inputs through the network.
    """
    with np.errstate(all="ignore"):
        outputs = compute_outputs(data.inputs)
        loss = network.loss.forward(outputs, data.targets, data.weights)
        if not metrics:
            return Evaluation(loss, {})
        predictions = network.loss.point_predictions(network.in_target_units(outputs))
        values = {
            name: float(metric(predictions, targets, data.weights))
            for name, metric in metrics.items()
        }
    return Evaluation(loss, values)

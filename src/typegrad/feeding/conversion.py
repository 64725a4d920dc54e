"""From rows in their own units to what an engine takes."""

from __future__ import annotations

import math

import numpy as np

from typegrad.engines.base import TrainingData
from typegrad.errors import DataError
from typegrad.feeding.rows import Rows
from typegrad.network import NeuralNetwork
from typegrad.types import Vector


class Converter:
    """Standardises rows, converts them to a network's dtype, and checks that the loss takes them.

    Parameters
    ----------
    network
        Its scalers must be fitted.
    sample
        A row or more of what is to be converted; the first shows what the network gives.
    prefix
        Begins what messages call the data.

    Attributes
    ----------
    row_bytes
        Size of a converted example.
    """

    def __init__(self, network: NeuralNetwork, sample: Rows, prefix: str) -> None:
        self._network = network
        self._prefix = prefix
        network.check_inputs(sample.inputs, f"{prefix}x")
        first = Rows(sample.inputs[:1], sample.targets[:1], None)
        first.check_finite(prefix)
        with np.errstate(all="ignore"):  # an overflow in the network is for the engine to report
            inputs = network.prepare_inputs(first.inputs, f"{prefix}x")
            first.check_range(inputs, first.inputs, f"{prefix}x")
            self._output_shape = network.forward(inputs).shape[1:]
        network.loss.check_shapes((len(sample), *self._output_shape), sample.targets.shape)
        elements = math.prod(inputs.shape[1:]) + math.prod(sample.targets.shape[1:]) + 1
        self.row_bytes: int = elements * network.dtype.itemsize

    def __call__(self, rows: Rows, weights: Vector | None) -> TrainingData:
        network, prefix = self._network, self._prefix
        with np.errstate(all="ignore"):  # `check_range` reports an overflow
            inputs = network.prepare_inputs(rows.inputs, f"{prefix}x")
            targets = network.prepare_targets(rows.targets, f"{prefix}y")
            rows.check_range(inputs, rows.inputs, f"{prefix}x")
            rows.check_range(targets, rows.targets, f"{prefix}y")
            # Predictions are in the target's own units, but of the network's dtype.
            own = targets if network.target_scaler is None else rows.targets.astype(network.dtype)
            rows.check_range(own, rows.targets, f"{prefix}y")
        network.loss.check_shapes((len(inputs), *self._output_shape), targets.shape)
        network.loss.check_targets(targets)
        # Of an array with gaps, such as some columns of a table, engines could not take rows
        # without going through all of it.
        return TrainingData(np.ascontiguousarray(inputs), np.ascontiguousarray(targets), weights)


def relative_weights(network: NeuralNetwork, weights: Vector | None, prefix: str) -> Vector | None:
    """Weights with mean one, so that only their ratios matter."""
    if weights is None:
        return None
    if not weights.any():
        raise DataError(f"{prefix}sample_weight is zero for all {len(weights)} rows")
    # Scaled by the largest first, so that the sum of huge weights stays finite.
    relative = weights / weights.max()
    converted: Vector = (relative / relative.mean()).astype(network.dtype)
    return converted

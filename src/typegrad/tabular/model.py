"""TableModel: a network with what turns tables into its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from typegrad.data import Table, TableEncoder
from typegrad.engines.base import ROWS_AT_A_TIME
from typegrad.errors import DataError, ShapeError
from typegrad.losses import GaussianNLLLoss, QuantileLoss
from typegrad.metrics import METRICS
from typegrad.network import NeuralNetwork
from typegrad.types import Array, Matrix

METRIC_NAMES = ("rmse", "mae", "r2")
"""What is reported of predictions on tables."""


_ROOM = 1e-8
"""Share of a dtype's range that inputs may use; the rest is for what layers make of them."""


class TableModel:
    """Predicts one column of a table from others.

    `train_table` makes one, ``tg.save`` and ``tg.load`` keep it with all that belongs to it.

    Parameters
    ----------
    network
        Takes ``encoder.n_features`` inputs.
    encoder
        Fitted with the target.
    details
        How the model came about, in JSON's types; saved with it.

    Raises
    ------
    ShapeError
        If network and encoder do not fit each other.
    DataError
        If the encoder has no target.
    """

    def __init__(
        self,
        network: NeuralNetwork,
        encoder: TableEncoder,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        if network.in_features not in (None, encoder.n_features):
            raise ShapeError(
                f"TableModel: the network takes {network.in_features} features, but the "
                f"encoder gives {encoder.n_features}"
            )
        if encoder.target_name is None:
            raise DataError("TableModel: the encoder was fitted without a target")
        outputs = network.loss.output_features(1)
        if network.out_features != outputs:
            raise ShapeError(
                f"TableModel: {network.loss} wants {outputs} outputs for one target, but the "
                f"network gives {network.out_features}"
            )
        self.network = network
        self.encoder = encoder
        self.details = dict(details or {})
        self._target_name = encoder.target_name

    @property
    def target_name(self) -> str:
        """Name of the column that is predicted."""
        return self._target_name

    @property
    def prediction_names(self) -> tuple[str, ...]:
        """Name of each column that `predict` returns.

        The target's name for a single number; ``"<target> mean"`` and ``"<target> standard
        deviation"`` for `GaussianNLLLoss`; ``"<target> q0.1"`` and so on for `QuantileLoss`.
        """
        loss, target = self.network.loss, self.target_name
        if isinstance(loss, QuantileLoss):
            return tuple(f"{target} q{quantile:g}" for quantile in loss.quantiles)
        if isinstance(loss, GaussianNLLLoss):
            return (f"{target} mean", f"{target} standard deviation")
        return (target,)

    def predict(self, table: Table) -> Array:
        """Predict, in the target's own units.

        Parameters
        ----------
        table
            Rows with the columns that the model was trained on; others are ignored.

        Returns
        -------
        ndarray
            (rows, columns), the columns being those of `prediction_names`.

        Raises
        ------
        DataError
            If a column is missing or of another type, or holds a number so far from those of
            the training rows that the network cannot compute with it.
        """
        features = self.encoder.features(table)
        self.check_range(table, features)
        return self.network.predict(features, batch_size=ROWS_AT_A_TIME)

    def check_range(self, table: Table, features: Matrix) -> None:
        """Require that the network can compute with the encoded features of a table.

        Raises
        ------
        DataError
            If a number is too far from those of the training rows; says where it is.
        """
        scaler = self.network.input_scaler
        with np.errstate(all="ignore"):
            distances = np.abs(features if scaler is None else scaler.transform(features))
        far = np.argwhere(~(distances <= _ROOM * float(np.finfo(self.network.dtype).max)))
        if far.size:
            row, column = (int(index) for index in far[0])
            raise DataError(
                f"{table.place(row)}, column {self.encoder.feature_names[column]!r}: "
                f"{features[row, column]:g} is too large for the network's {self.network.dtype}; "
                "correct it or leave it empty"
            )

    def point_predictions(self, table: Table) -> Array:
        """Predict one number a row, (rows, 1): a mean or the quantile nearest to the median."""
        return self.network.loss.point_predictions(self.predict(table))

    def evaluate(self, table: Table) -> dict[str, float]:
        """Compare predictions with the table's target: RMSE, MAE and R2, by name.

        Errors are in the target's own units.

        Raises
        ------
        DataError
            If a column or the target is missing, or the target has gaps.
        """
        return measure(self.point_predictions(table), self.encoder.target(table))

    def __repr__(self) -> str:
        columns = ", ".join(self.encoder.columns)
        return f"TableModel({self.target_name!r} from {columns}; {self.network})"


def measure(prediction: Array, target: Array) -> dict[str, float]:
    """RMSE, MAE and R2 of predictions (n, 1), computed in float64."""
    exact = np.asarray(prediction, np.float64)
    return {name: METRICS[name](exact, target, None) for name in METRIC_NAMES}

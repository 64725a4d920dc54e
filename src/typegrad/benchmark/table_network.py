"""A table as a problem: columns encoded, rows split, and networks for it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Literal

import numpy as np

from typegrad.data import Standardizer, Table, TableEncoder
from typegrad.data.encoder import Categories
from typegrad.layers import ActivationName
from typegrad.losses import Loss, MSELoss, PoissonNLLLoss
from typegrad.network import NeuralNetwork
from typegrad.tabular.training import build_layers, fit_scaler, split_rows
from typegrad.types import Matrix


@dataclass(frozen=True)
class TableNetworks:
    """Makes the network that `train_table` would make, anew for each seed."""

    encoder: TableEncoder
    features: Matrix
    hidden: tuple[int, ...]
    activation: ActivationName
    loss: Loss
    dropout: float
    dtype: Literal["float32", "float64"]

    def __call__(self, seed: int) -> NeuralNetwork:
        """Build a network."""
        outputs = self.loss.output_features(1)
        if outputs is None:
            raise ValueError(f"{self.loss} is not for predicting one number; choose another loss")
        counts = isinstance(self.loss, PoissonNLLLoss)
        return NeuralNetwork(
            build_layers(self.encoder, self.hidden, self.activation, self.dropout, outputs),
            loss=copy(self.loss),
            seed=seed,
            dtype=self.dtype,
            input_scaler=fit_scaler(self.features, self.encoder),
            target_scaler=None if counts else Standardizer(),
        )


@dataclass(frozen=True)
class PreparedTable:
    """What `batch_sizes` takes, from a table.

    Attributes
    ----------
    build_network
        For a seed; it can be sent to other processes.
    x, y
        Training rows.
    validation_data
        The other rows.
    """

    build_network: TableNetworks
    x: Matrix
    y: Matrix
    validation_data: tuple[Matrix, Matrix]


def prepare_table(
    table: Table,
    target: str,
    *,
    hidden: Sequence[int] = (64, 64),
    activation: ActivationName = "relu",
    loss: Loss | None = None,
    dropout: float = 0.0,
    categories: Categories = "onehot",
    validation: float = 0.2,
    dtype: Literal["float32", "float64"] = "float32",
    seed: int = 0,
) -> PreparedTable:
    """Split and encode a table as `train_table` does; arguments are as there.

    Parameters
    ----------
    validation
        Share of the rows to evaluate on; not zero.
    seed
        Of the split.

    Raises
    ------
    ValueError
        If a share is none, or the loss is not for one number.
    DataError
        If the table has too few rows, or a column cannot be used.
    """
    if not validation > 0.0:
        raise ValueError(f"validation is {validation}; expected a share of the rows above 0")
    TableEncoder.fit(table, target, categories=categories)  # complains of what is wrong anywhere
    parts = split_rows(table, validation, 0.0, np.random.default_rng(seed))
    encoder = TableEncoder.fit(parts["training"], target, categories=categories)
    x, y = ((encoder.features(part), encoder.target(part)) for part in parts.values())
    build_network = TableNetworks(
        encoder,
        x[0],
        tuple(hidden),
        activation,
        MSELoss() if loss is None else loss,
        dropout,
        dtype,
    )
    return PreparedTable(build_network, *x, validation_data=y)

"""Predictions to compare a network with: linear regression and the mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from typegrad.data import Standardizer, Table, TableEncoder
from typegrad.data.column import category_levels
from typegrad.data.encoded_column import MAX_ONE_HOT_LEVELS
from typegrad.types import Matrix


@dataclass(frozen=True)
class LinearBaseline:
    """Linear least squares on the encoded training rows, in closed form.

    Of several solutions, which one-hot columns and repeated columns allow, it is the
    smallest in standardised units. Columns with too many categories for one-hot are left
    out.
    """

    encoder: TableEncoder
    scaler: Standardizer
    coefficients: Matrix
    """(features + 1, 1); the constant comes last."""

    @classmethod
    def fit(cls, table: Table, target: str) -> LinearBaseline | None:
        """Fit to training rows; None if no column is left to predict from."""
        left_out = [
            name
            for name in table.columns
            if not table.is_number(name) and len(category_levels(table[name])) > MAX_ONE_HOT_LEVELS
        ]
        if len(left_out) == len(table.columns) - 1:
            return None
        encoder = TableEncoder.fit(table.drop(left_out), target)
        scaler = Standardizer(encoder.number_columns).fit(encoder.features(table))
        design = _design(encoder, scaler, table)
        coefficients = np.linalg.lstsq(design, encoder.target(table), rcond=None)[0]
        return cls(encoder, scaler, coefficients)

    def predict(self, table: Table) -> Matrix:
        """Predict, (rows, 1)."""
        predicted: Matrix = _design(self.encoder, self.scaler, table) @ self.coefficients
        return predicted


@dataclass(frozen=True)
class MeanBaseline:
    """The mean of the training rows' target, whatever the row."""

    mean: float

    @classmethod
    def fit(cls, table: Table, target: str) -> MeanBaseline:
        """Take the mean of training rows."""
        return cls(float(np.mean(table[target])))

    def predict(self, table: Table) -> Matrix:
        """Predict, (rows, 1)."""
        return np.full((len(table), 1), self.mean)


def _design(encoder: TableEncoder, scaler: Standardizer, table: Table) -> Matrix:
    features = scaler.transform(encoder.features(table))
    return np.concatenate([features, np.ones((len(table), 1))], axis=1)
